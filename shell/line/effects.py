"""What the line's core wants done. First all that is kept is committed, then the rest happens, in order."""

import msgspec

from shell.events import Event
from shell.line.model import MAX_HELD, Contact, Incoming, MessageId, Outgoing, State
from wire.frames import LineClose, Read, Receipt, Text
from wire.names import NameKey

LineId = int
"""Numbers the lines of one run of the shell."""


class KeepOutgoing(msgspec.Struct, frozen=True):
    """Write a new message of one's own to disk."""

    message: Outgoing


class KeepIncoming(msgspec.Struct, frozen=True):
    """Write a message of somebody else to disk, unless it is there; the mailbox answers with a `Kept`."""

    message: Incoming
    line: LineId
    """Where the receipt goes."""
    max_held: int = MAX_HELD
    """How many of its writer may wait for consent."""


class KeepState(msgspec.Struct, frozen=True):
    """Write the new state of one's own message."""

    id: MessageId
    peer: NameKey
    state: State


class KeepRead(msgspec.Struct, frozen=True):
    """The recipient has read one's own messages up to this one; the mailbox answers with those it moved."""

    peer: NameKey
    up_to: MessageId


class KeepSeen(msgspec.Struct, frozen=True):
    """This user has looked at somebody's messages; the mailbox answers with the last one that was new."""

    peer: NameKey


class KeepContact(msgspec.Struct, frozen=True):
    """Write what is known of somebody."""

    contact: Contact


class ReleaseHeld(msgspec.Struct, frozen=True):
    """Somebody was accepted: their held messages become received; the mailbox answers with them."""

    peer: NameKey


class DeclineHeld(msgspec.Struct, frozen=True):
    """Somebody was declined: the texts of their held messages go; the mailbox answers with the ids."""

    peer: NameKey
    silent: bool
    """Whether the sender is not told (block)."""


class SendFrames(msgspec.Struct, frozen=True):
    """Send frames on a line."""

    line: LineId
    frames: tuple[Text | Receipt | Read, ...]


class Dial(msgspec.Struct, frozen=True):
    """Ask the phone book for an introduction and open a line."""

    peer: NameKey
    name: str


class HangUp(msgspec.Struct, frozen=True):
    """Close a line."""

    line: LineId
    code: LineClose


class Waits(msgspec.Struct, frozen=True):
    """What is written to somebody waits, because they are offline."""

    peer: NameKey


class WatchPresence(msgspec.Struct, frozen=True):
    """Ask the phone book to tell when this person comes and goes."""

    name: str


class Tell(msgspec.Struct, frozen=True):
    """Tell the person at the prompt."""

    event: Event


Keep = KeepOutgoing | KeepIncoming | KeepState | KeepRead | KeepSeen | KeepContact | ReleaseHeld | DeclineHeld
Act = SendFrames | Dial | HangUp | WatchPresence | Waits | Tell
Effect = Keep | Act
