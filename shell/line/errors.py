"""What the line refuses; `str()` is the sentence for the person.

LineError
├── OutboxFull        too many messages wait for one person
├── Blocked           the person is blocked by this user
├── KeyNotAccepted    the person presents a key that this user has not accepted
├── UnexpectedMove    the other side said something about a message that cannot be
└── Unreachable       no endpoint of the callee answered
"""


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
