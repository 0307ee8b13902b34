"""What can be refused, with codes that never change meaning.

WireError
├── Refused          the other side said no: a JSON-RPC error object
│   └── Banned       the operator keeps this name or address out
├── FrameTooLong     a line or frame over its bound
├── BadFrame         bytes that are not a message
├── BadName          a user name that the rules do not allow
└── BadTicket        an introduction that does not hold
"""

import enum

import msgspec

from wire.times import Moment


class ErrorCode(enum.IntEnum):
    """JSON-RPC 2.0 §5.1 codes, and Parley's own (positive, outside the reserved range)."""

    PARSE_ERROR = -32700
    INVALID_REQUEST = -32600
    METHOD_NOT_FOUND = -32601
    INVALID_PARAMS = -32602
    INTERNAL_ERROR = -32603
    BAD_NAME = 101
    NAME_TAKEN = 102
    BAD_PASSWORD = 103
    BAD_CERTIFICATE = 104
    REGISTRATION_CLOSED = 105
    INVITE_NEEDED = 106
    INVITE_REFUSED = 107
    WRONG_CREDENTIALS = 110
    LOGIN_REQUIRED = 111
    RESUME_REFUSED = 112
    ALREADY_LOGGED_IN = 113
    BANNED = 114
    UNKNOWN_NAME = 120
    UNAVAILABLE = 121
    RATE_LIMITED = 130
    BUSY = 131
    TOO_MANY = 132
    VERSION_MISMATCH = 140
    HELLO_FIRST = 141
    STORAGE_FAILED = 150
    SHUTTING_DOWN = 151

    @property
    def slug(self) -> str:
        """The name that programs match on, such as `name-taken`."""
        return self.name.lower().replace("_", "-")


class ErrorData(msgspec.Struct, frozen=True, omit_defaults=True):
    """The `data` member of an error object."""

    slug: str = ""
    retry_after: float = 0.0
    """Seconds after which trying again makes sense; 0 where time does not help."""
    reason: str = ""
    """For `banned`: the operator's words."""
    until: Moment = 0.0
    """For `banned`: when it ends, seconds since the epoch; 0 for never."""


class ErrorObject(msgspec.Struct, frozen=True, omit_defaults=True):
    """JSON-RPC 2.0 §5.1."""

    code: int
    message: str
    data: ErrorData = ErrorData()


class WireError(Exception):
    """The base of all errors of this package."""


class Refused(WireError):
    """The request was understood and refused; `str()` is the sentence for the person."""

    def __init__(self, code: int, message: str, *, retry_after: float = 0.0) -> None:
        super().__init__(message)
        self.code = code
        self.retry_after = retry_after

    @property
    def slug(self) -> str:
        """The stable name of the code; `error-N` for one of a newer version."""
        try:
            return ErrorCode(self.code).slug
        except ValueError:
            return f"error-{self.code}"

    def to_object(self) -> ErrorObject:
        """The error object that says the same on the wire."""
        return ErrorObject(self.code, str(self), ErrorData(self.slug, self.retry_after))

    @classmethod
    def from_object(cls, error: ErrorObject) -> "Refused":
        """The error that the other side raised."""
        if error.code == ErrorCode.BANNED:
            return Banned(error.message, reason=error.data.reason, until=error.data.until)
        return cls(error.code, error.message, retry_after=error.data.retry_after)


class Banned(Refused):
    """The operator keeps this name or address out; nobody may try again before `until`."""

    def __init__(self, message: str, *, reason: str, until: float) -> None:
        super().__init__(ErrorCode.BANNED, message)
        self.reason = reason
        self.until = until

    def to_object(self) -> ErrorObject:
        """The error object, with reason and end."""
        return ErrorObject(self.code, str(self), ErrorData(self.slug, reason=self.reason, until=self.until))


class FrameTooLong(WireError):
    """More bytes than one line or frame may have; the connection cannot go on."""


class BadFrame(WireError):
    """Bytes that are no message of this protocol; the connection cannot go on."""


class BadName(WireError):
    """A user name that cannot be; `str()` says why."""


class BadTicket(WireError):
    """An introduction that is forged, expired, or meant for somebody else; `str()` says which."""
