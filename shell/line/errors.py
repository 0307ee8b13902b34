"""What the line refuses; `str()` is the sentence for the person.

LineError
├── OutboxFull        too many messages wait for one person
├── Blocked           the person is blocked by this user
├── KeyNotAccepted    the person presents a key that this user has not accepted
├── UnexpectedMove    the other side said something about a message that cannot be
├── Unreachable       no endpoint of the callee answered
├── PeerGone          the other end of a pipe is not heard any more
├── NoSuchTransfer    no file or pipe has this number, or it is over
├── TooManyTransfers  too many files wait between two people
├── CannotSend        a file cannot be read, or is no longer what was offered
├── CannotTake        there is no room for a file, or its folder cannot be written
└── Damaged           what arrived is not what was sent
"""

WHAT_HELPS = (
    "one network for both, or a UDP port that a router forwards to one of you (setting `port`), or a relay "
    "of the phone book's operator"
)
"""Against NATs and firewalls that let nothing through."""


class LineError(Exception):
    """The base of all."""


class OutboxFull(LineError):
    """Too many messages wait for one person."""


class Blocked(LineError):
    """The person is blocked by this user."""


class KeyNotAccepted(LineError):
    """The person presents a key that this user has not accepted."""


class UnexpectedMove(LineError):
    """The other side said something about a message that cannot be."""


class Unreachable(LineError):
    """No endpoint of the callee answered; the sentence says which were tried."""


class PeerGone(LineError):
    """The other end of a pipe is not heard any more."""


class NoSuchTransfer(LineError):
    """No file or pipe has this number, or it is over."""


class TooManyTransfers(LineError):
    """Too many files wait between two people."""


class CannotSend(LineError):
    """A file cannot be read or is no longer what was offered, or a message is more than others take."""


class CannotTake(LineError):
    """There is no room for a file, or its folder cannot be written."""


class Damaged(LineError):
    """What arrived is not what was sent."""
