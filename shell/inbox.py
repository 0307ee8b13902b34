"""What arrived by itself, until a script's `wait` asks for it. Thread-safe."""

import threading
from collections import deque
from collections.abc import Callable
from time import monotonic
from typing import TypeVar

from shell.events import Event

MAX_EVENTS = 2_000  # events that wait to be asked for; beyond, the oldest go
POLL = 0.1  # seconds between looks, so that Ctrl-C is heard on every platform

T = TypeVar("T")


class Inbox:
    """Events in the order they came."""

    def __init__(self) -> None:
        self._events: deque[Event] = deque(maxlen=MAX_EVENTS)
        self._arrived = threading.Condition()

    def put(self, event: Event) -> None:
        """Keeps an event and wakes whoever waits."""
        with self._arrived:
            self._events.append(event)
            self._arrived.notify_all()

    def take(self, fits: Callable[[Event], bool], patience: float) -> Event | None:
        """Removes the first event that fits, waiting for it up to `patience` seconds."""

        def first() -> Event | None:
            for event in self._events:
                if fits(event):
                    self._events.remove(event)
                    return event
            return None

        return self.until(first, patience)

    def until(self, found: Callable[[], T | None], patience: float) -> T | None:
        """What `found` finds, asked again with every event, up to `patience` seconds."""
        deadline = monotonic() + patience
        with self._arrived:
            while (result := found()) is None and (left := deadline - monotonic()) > 0:
                self._arrived.wait(min(POLL, left))
            return result

    def clear(self) -> None:
        """Forgets what was not asked for."""
        with self._arrived:
            self._events.clear()
