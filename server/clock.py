"""The clock of tickets: it agrees with the system's when the program starts, and nobody sets it after that.

A shell learns it with `hello` and counts on by itself. A ticket that was signed by a clock that was set since
would have expired for every shell that is there, or hold for too long.
"""

from time import time

from wire.times import steady

_AHEAD = time() - steady()


def ticket_time() -> float:
    """Seconds since the epoch by this clock."""
    return steady() + _AHEAD
