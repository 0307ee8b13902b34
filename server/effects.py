"""What the directory wants done, and what it tells the operator."""

from dataclasses import dataclass
from typing import NewType

import msgspec

from server.account import AccountId
from wire.messages import CloseReason, Message
from wire.names import NameKey

SessionId = NewType("SessionId", int)
"""Numbers the sessions of one run of the phone book."""


@dataclass(frozen=True, slots=True)
class Push:
    """Send a notification to a session."""

    session: SessionId
    message: Message


@dataclass(frozen=True, slots=True)
class Close:
    """Tell a session why it ends, and end its connection."""

    session: SessionId
    reason: CloseReason
    text: str = ""


@dataclass(frozen=True, slots=True)
class Ended:
    """A session is over, whatever becomes of its connection."""

    session: SessionId


@dataclass(frozen=True, slots=True)
class KeepLastSeen:
    """Write when an account was last visible to everybody."""

    account_id: AccountId
    when: float
    """Seconds since the epoch."""


@dataclass(frozen=True, slots=True)
class HandOverKnocks:
    """Tell a session who knocked for its account."""

    session: SessionId
    key: NameKey
    created: float
    """When the account was made, seconds since the epoch; what is older was meant for another."""


class Happened(msgspec.Struct, frozen=True):
    """One line of the operator's `watch`."""

    when: float
    """Seconds since the epoch."""
    what: str
    """A word such as `login`, `logout`, `signup`, `login-failed`, `kick`, `introduction`."""
    name: str
    detail: str = ""
    address: str = ""
    """The IP address that it came from, where it came from one."""


@dataclass(frozen=True, slots=True)
class KeepActive:
    """Write when an account last had a session that nobody saw, for the operator alone."""

    account_id: AccountId
    when: float
    """Seconds since the epoch."""


Effect = Push | Close | Ended | KeepLastSeen | KeepActive | HandOverKnocks | Happened
