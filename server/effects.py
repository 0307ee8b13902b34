"""What the directory wants done, and what it tells the operator."""

from typing import NewType

import msgspec

from server.account import AccountId
from wire.messages import CloseReason, Message
from wire.names import NameKey

SessionId = NewType("SessionId", int)
"""Numbers the sessions of one run of the phone book."""


class Push(msgspec.Struct, frozen=True):
    """Send a notification to a session."""

    session: SessionId
    message: Message


class Close(msgspec.Struct, frozen=True):
    """Tell a session why it ends, and end its connection."""

    session: SessionId
    reason: CloseReason
    text: str = ""


class Ended(msgspec.Struct, frozen=True):
    """A session is over, whatever becomes of its connection."""

    session: SessionId


class KeepLastSeen(msgspec.Struct, frozen=True):
    """Write when an account was last visible to everybody."""

    account_id: AccountId
    when: float
    """Seconds since the epoch."""


class HandOverKnocks(msgspec.Struct, frozen=True):
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


class KeepActive(msgspec.Struct, frozen=True):
    """Write when an account last had a session that nobody saw, for the operator alone."""

    account_id: AccountId
    when: float
    """Seconds since the epoch."""


Effect = Push | Close | Ended | KeepLastSeen | KeepActive | HandOverKnocks | Happened
