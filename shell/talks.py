"""Whom this user talks to, in the order in which they came up, and what of it was not read. Pure.

The place in that order is the number under which a conversation is reached by one key.
"""

from collections import Counter

from wire.names import NameKey, name_key

MAX_TALKS = 200  # conversations of one session that have a place
KEYS = 9  # of them that have a key


class Talks:
    """The conversations of one session."""

    def __init__(self) -> None:
        self._names: dict[NameKey, str] = {}
        self.unread: dict[str, int] = {}
        """Messages by name that arrived since this user last looked there."""
        self._shown: Counter[NameKey] = Counter()
        self._last: str | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """In their order."""
        return tuple(self._names.values())

    def begin(self, unread: dict[str, int], recent: list[str]) -> None:
        """A session begins: who wrote first, then whom this user talked to last."""
        self._names.clear()
        self._shown.clear()
        self._last = None
        self.unread = dict(unread)
        for name in (*unread, *recent):
            self.add(name)

    def add(self, name: str) -> None:
        """Gives a conversation its place."""
        if len(self._names) < MAX_TALKS:
            self._names.setdefault(name_key(name), name)

    def arrived(self, name: str) -> None:
        """A message came that this user does not see now."""
        self.add(name)
        self.unread[name] = self.unread.get(name, 0) + 1
        self._last = name

    def shown(self, name: str) -> None:
        """One of them stands above the prompt now, and somebody is there."""
        self._shown[name_key(name)] += 1

    def glanced(self, room: int) -> list[str]:
        """This user goes on at the prompt and has seen what stands above it, at most `room` messages.

        Whose messages are all seen by that. Where more came, some have left the screen, and all stay new.
        """
        shown, self._shown = self._shown, Counter()
        if shown.total() > room:
            return []
        return [name for name, count in tuple(self.unread.items()) if shown[name_key(name)] == count]

    def seen(self, name: str) -> bool:
        """This user has looked; whether anything was new."""
        self._shown.pop(name_key(name), None)
        keys = [known for known in tuple(self.unread) if name_key(known) == name_key(name)]
        for known in keys:
            self.unread.pop(known, None)
        return bool(keys)

    def number(self, name: str) -> int | None:
        """Its place from 1; None for no conversation, or one without a key."""
        for number, key in enumerate(tuple(self._names)[:KEYS], 1):
            if key == name_key(name):
                return number
        return None

    def at(self, number: int) -> str | None:
        """Who has a place."""
        names = self.names
        return names[number - 1] if 0 < number <= len(names) else None

    def calling(self, after: str | None) -> str | None:
        """The next conversation with something new, else that of whoever wrote last."""
        return self.next_unread(after) or self._last

    def next_unread(self, after: str | None) -> str | None:
        """The next conversation with something new, going round from the one that is open."""
        names = self.names
        new = {name_key(name) for name in tuple(self.unread)}
        start = next(
            (place for place, name in enumerate(names, 1) if after and name_key(after) == name_key(name)), 0
        )
        for name in (*names[start:], *names[:start]):
            if name_key(name) in new:
                return name
        return None
