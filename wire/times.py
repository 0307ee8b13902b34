"""Moments as they cross the network."""

from typing import Annotated

from msgspec import Meta

MAX_TIME = 253_370_764_800.0  # seconds since the epoch: the year 9999, the last that `datetime` has

Moment = Annotated[float, Meta(ge=0, le=MAX_TIME)]
"""Seconds since the epoch. Others may say any; what no calendar has would break whoever shows it."""


def possible(moment: float) -> Moment:
    """The nearest moment that can be told to others; a clock may be set to any."""
    return min(max(moment, 0.0), MAX_TIME)
