"""What can happen while somebody sits at the prompt: each is one Struct, shown, waited for, or counted.

Names are as their owners wrote them at sign-up; they and all texts are shown through `wire.display`.
"""

import msgspec

from wire.messages import CloseReason, Status, Visibility


class Event(msgspec.Struct, frozen=True, tag_field="event", tag=str.lower):
    """The base of all."""


class MessageArrived(Event, frozen=True):
    """A message of somebody whom this user accepted; it rests in the mailbox."""

    name: str
    text: str
    written: float
    """Seconds since the epoch, by the writer's clock."""
    id: str = ""
    """Hexadecimal."""
    choices: tuple[str, ...] | None = None
    """For a question: the answers that it offers, none where any will do; None for what asks nothing."""
    answers: str = ""
    """The id of one's own question that this answers, hexadecimal."""


class RequestArrived(Event, frozen=True):
    """A first message of somebody new is held until it is accepted or declined."""

    name: str
    waiting: int
    """How many of their messages are held."""


class KnockArrived(Event, frozen=True):
    """Somebody left word that they want to talk; they do not know whether this user is there."""

    name: str
    knocked: float
    """When, seconds since the epoch by the phone book's clock."""


class MessageProgressed(Event, frozen=True):
    """One's own message changed its state; that it is read is told by `MessagesRead`."""

    name: str
    id: str
    """Hexadecimal."""
    state: str


class MessagesRead(Event, frozen=True):
    """Somebody has looked at messages of one's own."""

    name: str
    ids: tuple[str, ...]
    """Hexadecimal, in the order they were written."""


class KeyChanged(Event, frozen=True):
    """Somebody presents another key than the pinned one; nothing passes until it is accepted."""

    name: str
    pinned: bytes
    presented: bytes


class NotTrusted(Event, frozen=True):
    """Somebody's shell refuses this user's key, because it has pinned another."""

    name: str


class Unreached(Event, frozen=True):
    """Somebody who is online could not be reached; the messages wait."""

    name: str
    reason: str


class PathChanged(Event, frozen=True):
    """The line to somebody goes through the relay from now on, or no more."""

    name: str
    kind: str
    """A `PathKind`."""


class StatusChanged(Event, frozen=True):
    """Somebody watched is seen differently."""

    name: str
    status: Status


class VisibilityEnded(Event, frozen=True):
    """A visibility that was set for a while is over; this is the one from now on."""

    visibility: Visibility


class NoticeArrived(Event, frozen=True):
    """Words of the operator."""

    text: str


class SessionEnded(Event, frozen=True):
    """The phone book ended the session."""

    reason: CloseReason
    text: str


class Disconnected(Event, frozen=True):
    """The connection to the phone book is lost; the shell tries again by itself."""

    reason: str


class Reconnected(Event, frozen=True):
    """The connection to the phone book is back, with the session."""


class FileOffered(Event, frozen=True):
    """Somebody offers a file, a folder or a pipe."""

    name: str
    number: int
    """By which it is taken or refused."""
    kind: str
    title: str
    """What its sender calls it."""
    size: int | None
    """Bytes; None where that is not known."""


class TransferEnd(Event, frozen=True):
    """A transfer is over."""

    name: str
    number: int
    """0 for one that was refused at once."""
    kind: str
    title: str
    """What its sender calls it."""


class FileArrived(TransferEnd, frozen=True):
    """All of a transfer rests here, and its checksum holds."""

    path: str


class FileTaken(TransferEnd, frozen=True):
    """All of one's own transfer rests with its recipient, and the checksum held."""


class FileStopped(TransferEnd, frozen=True):
    """A transfer ended before its end."""

    reason: str
    outgoing: bool
    by_peer: bool


class DatagramSeen(Event, frozen=True):
    """While tracing: a datagram came or went."""

    outgoing: bool
    host: str
    port: int
    what: str
    at: float
    """Seconds since the trace began."""


class FrameSeen(Event, frozen=True):
    """While tracing: a frame was sealed or opened."""

    outgoing: bool
    name: str
    what: str
    at: float
    """Seconds since the trace began."""


class StorageFailed(Event, frozen=True):
    """The mailbox could not write, so something was neither kept nor confirmed."""

    reason: str
