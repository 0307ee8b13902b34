"""What arrived by itself, until a script's `wait` asks for it. Thread-safe.

Whoever writes much takes room from nobody else: of each kind of event so many are kept, and where there are
more, the oldest of whom most are kept goes. What a running `wait` is for goes to it at once.
"""

import threading
from collections import Counter, deque
from collections.abc import Callable
from heapq import merge
from itertools import count
from time import monotonic
from typing import TypeVar

import msgspec

from shell.events import Event
from shell.filters import kind_of, name_of

MAX_EVENTS = 2_000  # of one kind that wait to be asked for
POLL = 0.1  # seconds between looks, so that Ctrl-C is heard on every platform

T = TypeVar("T")


class _Kept:
    """The events of one kind, by the number of their arrival."""

    def __init__(self) -> None:
        self.events: dict[int, Event] = {}
        self._of: dict[str, deque[int]] = {}

    def add(self, number: int, event: Event) -> bool:
        """Whether another one had to go for it."""
        self.events[number] = event
        self._of.setdefault(name_of(event), deque()).append(number)
        if len(self.events) <= MAX_EVENTS:
            return False
        self.remove(max(self._of.values(), key=len)[0])
        return True

    def remove(self, number: int) -> None:
        name = name_of(self.events.pop(number))
        self._of[name].remove(number)
        if not self._of[name]:
            del self._of[name]


class _Wanted(msgspec.Struct):
    """What somebody waits for right now."""

    fits: Callable[[Event], bool]
    event: Event | None = None


class Inbox:
    """Events in the order they came."""

    def __init__(self) -> None:
        self._kept: dict[str, _Kept] = {}
        self._lost: Counter[str] = Counter()
        self._numbers = count()
        self._wanted: list[_Wanted] = []
        self._arrived = threading.Condition()

    def put(self, event: Event) -> None:
        """Gives an event to whoever waits for it, or keeps it, and wakes all who wait for anything."""
        with self._arrived:
            for wanted in self._wanted:
                if wanted.event is None and wanted.fits(event):
                    wanted.event = event
                    break
            else:
                self._keep(event)
            self._arrived.notify_all()

    def take(
        self, fits: Callable[[Event], bool], patience: float, over: Callable[[], bool] = lambda: False
    ) -> Event | None:
        """Removes the first event that fits, waiting for it up to `patience` seconds, or until `over`."""
        wanted = _Wanted(fits)
        with self._arrived:
            wanted.event = self._first(fits)
            self._wanted.append(wanted)
            try:
                return self.until(lambda: wanted.event, patience, over)
            except BaseException:  # Ctrl-C: it waits for the next who asks
                if wanted.event is not None:
                    self._keep(wanted.event)
                raise
            finally:
                self._wanted.remove(wanted)

    def until(
        self, found: Callable[[], T | None], patience: float, over: Callable[[], bool] = lambda: False
    ) -> T | None:
        """What `found` finds, asked again with every event, up to `patience` seconds, or until `over`."""
        deadline = monotonic() + patience
        with self._arrived:
            while (result := found()) is None and (left := deadline - monotonic()) > 0 and not over():
                self._arrived.wait(min(POLL, left))
            return result

    def lost(self, kind: str) -> int:
        """How many of a kind went because too many waited, since this was asked last."""
        with self._arrived:
            return self._lost.pop(kind, 0)

    # --- inside -----------------------------------------------------------------------------------------

    def _keep(self, event: Event) -> None:
        """But for what no script can ask for."""
        if (kind := kind_of(event)) and self._kept.setdefault(kind, _Kept()).add(next(self._numbers), event):
            self._lost[kind] += 1

    def _first(self, fits: Callable[[Event], bool]) -> Event | None:
        for number, event in merge(*(kept.events.items() for kept in self._kept.values())):
            if fits(event):
                self._kept[kind_of(event)].remove(number)
                return event
        return None
