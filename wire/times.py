"""Moments as they cross the network, and a clock that nobody sets."""

import time
from typing import Annotated

from msgspec import Meta

MAX_TIME = 253_370_764_800.0  # seconds since the epoch: the year 9999, the last that `datetime` has

Moment = Annotated[float, Meta(ge=0, le=MAX_TIME)]
"""Seconds since the epoch. Others may say any; what no calendar has would break whoever shows it."""


def possible(moment: float) -> Moment:
    """The nearest moment that can be told to others; a clock may be set to any."""
    return min(max(moment, 0.0), MAX_TIME)


def steady() -> float:
    """Seconds that pass evenly, also while the machine sleeps, where the system can tell."""
    clock = getattr(time, "CLOCK_BOOTTIME", None)
    return time.monotonic() if clock is None else time.clock_gettime(clock)
