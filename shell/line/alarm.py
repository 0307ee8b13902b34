"""An alarm for a time that moves with every datagram, on few timers of the event loop."""

import asyncio
import math
from collections.abc import Callable
from time import monotonic

TICKS = 1000  # a second; event loops keep timers in whole milliseconds, and uvloop rounds to the nearest


class Alarm:
    """Rings once at or a little after the time that it is set to."""

    __slots__ = ("_ring", "_timer", "_timer_at", "_when")

    def __init__(self, ring: Callable[[], None]) -> None:
        self._ring = ring
        self._when: float | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = 0.0

    def set(self, when: float | None) -> None:
        """Rings at this time (monotonic seconds) and at no other; None for never."""
        self._when = when
        # A timer that comes too early finds out; one that would come too late is replaced.
        if when is not None and (self._timer is None or when < self._timer_at):
            self._start(when)

    def cancel(self) -> None:
        """Never rings again, unless it is set."""
        self._when = None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _start(self, when: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        # Rounded up: a timer that rings too early asks for another of no length at all, again and again.
        ticks = math.ceil(max(0.0, when - monotonic()) * TICKS)
        self._timer_at = when
        self._timer = asyncio.get_running_loop().call_later(ticks / TICKS, self._fired)

    def _fired(self) -> None:
        self._timer = None
        if self._when is None:
            return
        if self._when > monotonic():
            self._start(self._when)
        else:
            self._when = None
            self._ring()
