"""What asks for attention, and what is said to somebody who comes back. Pure: the time is an argument."""

import msgspec

from shell.events import Event, FileOffered, MessageArrived, RequestArrived
from shell.kit.times import clock
from wire.display import safe

CALLING = (MessageArrived, RequestArrived, FileOffered)
"""What somebody who is away should know of."""
MAX_PREVIEW = 120  # characters of a message that a notification shows
MAX_NAMED = 5  # people that a summary names


class Notice(msgspec.Struct, frozen=True):
    """A desktop notification; both texts are safe to show."""

    title: str
    body: str


def notice_of(event: Event, *, preview: bool) -> Notice | None:
    """What to notify of; None for what can wait until somebody looks. `preview` shows words of messages."""
    match event:
        case MessageArrived(name, text):
            words = safe(" ".join(text.split()))
            if len(words) > MAX_PREVIEW:
                words = f"{words[: MAX_PREVIEW - 1]}…"
            asks = "asks you" if event.choices is not None else "wrote to you"
            return Notice(f"{safe(name)} {asks}", words if preview else "")
        case RequestArrived(name):
            return Notice(f"{safe(name)} wants to talk to you", "")
        case FileOffered(name, _, kind, title):
            return Notice(f"{safe(name)} offers a {kind}", safe(title) if preview else "")
        case _:
            return None


def window_title(user: str | None, unread: int) -> str:
    """What the terminal's window is called."""
    waiting = f"({unread}) " if unread else ""
    return f"{waiting}Parley: {safe(user)}" if user else "Parley"


class Absence:
    """Notices that somebody was away, by their keys or by what they said of themselves."""

    def __init__(self, patience: float, time_format: str, begun: float) -> None:
        """Whoever has begun (seconds since the epoch) is there."""
        self._patience = patience
        self._time_format = time_format
        self._last_key = begun
        self._first = 0.0
        self._declared = False
        self._counts: dict[str, int] = {}

    @property
    def declared(self) -> bool:
        """Whether they said that they are away or busy."""
        return self._declared

    def declare(self, *, away: bool, now: float) -> str | None:
        """They say that they are away or busy, or back; then what arrived meanwhile."""
        came_back, self._declared = self._declared and not away, away
        if away and not self._counts:
            self._first = now
        return self._summary(now) if came_back else None

    def arrived(self, event: Event, now: float) -> bool:
        """A message came (`now` in seconds since the epoch); whether they are there to see it."""
        there = not (self._declared or self._idle(now))
        if isinstance(event, CALLING) and not there:
            self._counts[event.name] = self._counts.get(event.name, 0) + 1
        return there

    def key(self, now: float) -> str | None:
        """A key was pressed; what arrived while none was."""
        came_back = self._idle(now)
        if came_back and not self._declared:
            summary = self._summary(now)
            self._last_key = now
            return summary
        self._last_key = now
        return None

    def _idle(self, now: float) -> bool:
        return self._patience > 0 and now - self._last_key >= self._patience

    def _summary(self, now: float) -> str | None:
        counts, self._counts = self._counts, {}
        if not counts:
            return None
        since = max(self._last_key, self._first)
        named = [f"{safe(name)} ({count})" for name, count in list(counts.items())[:MAX_NAMED]]
        if len(counts) > MAX_NAMED:
            named.append(f"{len(counts) - MAX_NAMED} others")
        self._first = 0.0
        return f"While you were away, since {clock(since, self._time_format)}: {', '.join(named)}. See inbox."
