"""What the line's core wants done. First all that is kept is committed, then the rest happens, in order."""

from dataclasses import dataclass

from shell.events import Event
from shell.line.model import MAX_HELD, Contact, Incoming, MessageId, Outgoing, State
from wire.frames import LineClose, Read, Receipt, Text
from wire.names import NameKey

LineId = int
"""Numbers the lines of one run of the shell."""


@dataclass(frozen=True, slots=True)
class KeepOutgoing:
    """Write a new message of one's own to disk."""

    message: Outgoing


@dataclass(frozen=True, slots=True)
class KeepIncoming:
    """Write a message of somebody else to disk, unless it is there; the mailbox answers with a `Kept`."""

    message: Incoming
    line: LineId
    """Where the receipt goes."""
    max_held: int = MAX_HELD
    """How many of its writer may wait for consent."""


@dataclass(frozen=True, slots=True)
class KeepState:
    """Write the new state of one's own message."""

    id: MessageId
    peer: NameKey
    state: State


@dataclass(frozen=True, slots=True)
class KeepRead:
    """The recipient has read one's own messages up to this one; the mailbox answers with those it moved."""

    peer: NameKey
    up_to: MessageId


@dataclass(frozen=True, slots=True)
class KeepSeen:
    """This user has looked at somebody's messages; the mailbox answers with the last one that was new."""

    peer: NameKey


@dataclass(frozen=True, slots=True)
class KeepContact:
    """Write what is known of somebody."""

    contact: Contact


@dataclass(frozen=True, slots=True)
class ReleaseHeld:
    """Somebody was accepted: their held messages become received; the mailbox answers with them."""

    peer: NameKey


@dataclass(frozen=True, slots=True)
class DeclineHeld:
    """Somebody was declined: the texts of their held messages go; the mailbox answers with the ids."""

    peer: NameKey
    silent: bool
    """Whether the sender is not told (block)."""


@dataclass(frozen=True, slots=True)
class SendFrames:
    """Send frames on a line."""

    line: LineId
    frames: tuple[Text | Receipt | Read, ...]


@dataclass(frozen=True, slots=True)
class Dial:
    """Ask the phone book for an introduction and open a line."""

    peer: NameKey
    name: str


@dataclass(frozen=True, slots=True)
class HangUp:
    """Close a line."""

    line: LineId
    code: LineClose


@dataclass(frozen=True, slots=True)
class Waits:
    """What is written to somebody waits, because they are offline."""

    peer: NameKey


@dataclass(frozen=True, slots=True)
class WatchPresence:
    """Ask the phone book to tell when this person comes and goes."""

    name: str


@dataclass(frozen=True, slots=True)
class Tell:
    """Tell the person at the prompt."""

    event: Event


Keep = KeepOutgoing | KeepIncoming | KeepState | KeepRead | KeepSeen | KeepContact | ReleaseHeld | DeclineHeld
Act = SendFrames | Dial | HangUp | WatchPresence | Waits | Tell
Effect = Keep | Act
