"""What the line keeps: contacts, messages out, messages in."""

import enum
from typing import NewType

import msgspec

from wire.certificates import Fingerprint
from wire.frames import Verdict
from wire.messages import Endpoint
from wire.names import NameKey

MessageId = NewType("MessageId", bytes)
"""16 random bytes, made by the writer."""


class State(enum.Enum):
    """Where one's own message is."""

    QUEUED = "queued"
    """On this disk, not on its way."""
    SENT = "sent"
    """On its way; on disk it still counts as queued."""
    HELD = "held"
    """On the recipient's disk, waiting for their consent."""
    DELIVERED = "delivered"
    """In the recipient's mailbox."""
    READ = "read"
    """The recipient has looked at it, and their shell tells so."""
    REFUSED = "refused"
    """Declined by the recipient."""


class Move(enum.Enum):
    """What happens to a message that was written."""

    SEND = "send"
    LOSE = "lose"
    DELIVER = "deliver"
    HOLD = "hold"
    REFUSE = "refuse"
    READ = "read"


MOVE_OF: dict[Verdict, Move] = {
    Verdict.DELIVERED: Move.DELIVER,
    Verdict.HELD: Move.HOLD,
    Verdict.REFUSED: Move.REFUSE,
}

TRANSITIONS: dict[tuple[State, Move], State] = {
    (State.QUEUED, Move.SEND): State.SENT,
    (State.SENT, Move.LOSE): State.QUEUED,
    (State.SENT, Move.DELIVER): State.DELIVERED,
    (State.SENT, Move.HOLD): State.HELD,
    (State.SENT, Move.REFUSE): State.REFUSED,
    # A receipt may arrive after the line was given up.
    (State.QUEUED, Move.DELIVER): State.DELIVERED,
    (State.QUEUED, Move.HOLD): State.HELD,
    (State.QUEUED, Move.REFUSE): State.REFUSED,
    # A held message is sent again on each new line, to learn what became of it.
    (State.HELD, Move.SEND): State.HELD,
    (State.HELD, Move.LOSE): State.HELD,
    (State.HELD, Move.DELIVER): State.DELIVERED,
    (State.HELD, Move.HOLD): State.HELD,
    (State.HELD, Move.REFUSE): State.REFUSED,
    # Delivered messages have left the outbox: the mailbox makes this move.
    (State.DELIVERED, Move.READ): State.READ,
}
"""Every move there is. What is missing is a fault of the other side."""

FINAL = frozenset({State.DELIVERED, State.READ, State.REFUSED})
"""States in which a message is no longer in the outbox."""


class Consent(enum.Enum):
    """What this user decided about somebody."""

    UNDECIDED = "undecided"
    ACCEPTED = "accepted"
    BLOCKED = "blocked"


MAX_HELD = 20  # messages of one new person that may wait for consent, unless the settings say otherwise


class Rules(msgspec.Struct, frozen=True):
    """What this user's settings say of consent."""

    tells_read: bool = False
    """Whether those whom this user accepted are told what was read."""
    max_requests: int = 100
    """New people whose requests may wait; beyond, the oldest request is declined."""
    max_held: int = MAX_HELD
    """Messages of one new person that may wait; further ones are refused."""


class Contact(msgspec.Struct, frozen=True):
    """Somebody this shell has dealt with."""

    key: NameKey
    name: str
    consent: Consent = Consent.UNDECIDED
    pinned: Fingerprint | None = None
    verified: bool = False
    """Whether the user compared the safety number."""
    presented: Fingerprint | None = None
    """A changed key that was not accepted."""
    read: MessageId | None = None
    """Their message up to which they are told that this user has read; None while nothing was told."""
    certificate: bytes | None = None
    """Of the pinned key (DER), known since the first line."""
    endpoints: tuple[Endpoint, ...] = ()
    """Where they were when a line came up last."""


class Outgoing(msgspec.Struct, frozen=True):
    """A message of one's own."""

    id: MessageId
    peer: NameKey
    text: str
    written: float
    """Seconds since the epoch."""
    state: State = State.QUEUED
    choices: tuple[str, ...] | None = None
    """For a question: the answers that it offers; None for what asks nothing."""
    answers: bytes = b""
    """The id of the question that this answers."""


class Incoming(msgspec.Struct, frozen=True):
    """A message of somebody else."""

    id: MessageId
    peer: NameKey
    text: str
    written: float
    """Seconds since the epoch, by the writer's clock."""
    held: bool = False
    choices: tuple[str, ...] | None = None
    """For a question: the answers that it offers; None for what asks nothing."""
    answers: bytes = b""
    """The id of the question that this answers."""


class Kept(enum.Enum):
    """What the mailbox says of an incoming message after its commit."""

    NEW = "new"
    ALREADY_RECEIVED = "already received"
    ALREADY_HELD = "already held"
    ALREADY_DECLINED = "already declined"
    NO_ROOM = "no room"
    """As many messages of this writer wait for consent as may; this one is not kept."""
