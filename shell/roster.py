"""What was last known of who is there, for the time when the phone book does not answer."""

import sqlite3
from collections.abc import Iterable
from fnmatch import fnmatchcase

import msgspec

from wire.messages import Status
from wire.names import NameKey, name_key

MAX_KNOWN = 10_000  # people of whom something is kept; beyond, the longest unseen go

SCHEMA = """
CREATE TABLE people (key TEXT PRIMARY KEY, name TEXT NOT NULL, status TEXT NOT NULL, seen REAL NOT NULL)
    WITHOUT ROWID;
"""


class Known(msgspec.Struct, frozen=True):
    """Somebody as they were seen last."""

    name: str
    status: Status
    seen: float
    """Seconds since the epoch."""


class Roster:
    """Everybody who was seen."""

    def __init__(self, known: Iterable[Known] = ()) -> None:
        self._known = {name_key(person.name): person for person in known}
        self._changed: set[NameKey] = set()

    def note(self, name: str, status: Status, now: float) -> None:
        """Somebody is seen with a status."""
        key = name_key(name)
        self._known.pop(key, None)  # whoever was seen last stands last
        self._known[key] = Known(name, status, now)
        self._changed.add(key)
        while len(self._known) > MAX_KNOWN:
            self._known.pop(next(iter(self._known)))

    def lost(self, watched: Iterable[str], now: float) -> None:
        """The phone book is away; until now it has told of every change of those watched."""
        for name in watched:
            known = self.of(name)
            if known is not None:
                self.note(known.name, known.status, now)

    def of(self, name: str) -> Known | None:
        """Somebody."""
        return self._known.get(name_key(name))

    def matching(self, pattern: str, status: Status | None) -> list[Known]:
        """By name, whoever fits, as the phone book would list them."""
        literal = name_key(pattern).replace("[", "[[]")
        glob = literal if "*" in pattern or "?" in pattern else literal + "*"
        return [
            self._known[key]
            for key in sorted(self._known)
            if fnmatchcase(key, glob) and status in (None, self._known[key].status)
        ]

    def take_changes(self) -> list[Known]:
        """What was noted since the last call and is to be kept."""
        keys, self._changed = self._changed, set()
        return [self._known[key] for key in keys if key in self._known]


def keep(connection: sqlite3.Connection, people: Iterable[Known]) -> None:
    """Writes what was seen; the caller commits."""
    connection.executemany(
        "INSERT OR REPLACE INTO people (key, name, status, seen) VALUES (?, ?, ?, ?)",
        [(name_key(person.name), person.name, person.status.value, person.seen) for person in people],
    )
    connection.execute(
        "DELETE FROM people WHERE key IN (SELECT key FROM people ORDER BY seen DESC LIMIT -1 OFFSET ?)",
        (MAX_KNOWN,),
    )


def read(connection: sqlite3.Connection) -> list[Known]:
    """What was kept, longest unseen first."""
    rows = connection.execute("SELECT name, status, seen FROM people ORDER BY seen")
    return [Known(name, Status(status), seen) for name, status, seen in rows]
