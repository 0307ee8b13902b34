"""One connection, as far as requests are concerned."""

from dataclasses import dataclass

from server.effects import SessionId
from server.throttles import Prefix

NOWHERE = Prefix("")


@dataclass(slots=True)
class Client:
    """One connection, as far as requests are concerned."""

    address: str
    """IP address."""
    greeted: bool = False
    prefix: Prefix = NOWHERE
    """What the address counts as."""
    version: str = ""
    session_id: SessionId | None = None
    left_at: float = 0.0
    """When its user logged out, on the monotonic clock; the time to log in begins anew."""
    hasty: bool = False
    """Whether it sent more requests than it may."""
    credit: float = 0.0
    credit_at: float = 0.0
