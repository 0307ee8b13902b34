"""The rules of files and pipes on their way: who may offer, what is said when, when a transfer is over.

Nothing here reads a clock, a socket or a disk: what happened comes in, effects go out. What this file alone
decides is the phase of a transfer; how many bytes of it are where is the business of `shell.line.moving`.
"""

import enum
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NewType, assert_never

import msgspec

from shell.events import Event, FileArrived, FileOffered, FileStopped, FileTaken
from shell.line.errors import NoSuchTransfer, TooManyTransfers, UnexpectedMove
from wire.frames import Credit, End, Offer, Stop, StopReason, Take, Taken, TransferFrame, TransferKind
from wire.names import NameKey

MAX_OPEN = 64  # transfers with one person that are not over, in both directions
MAX_REMEMBERED = 1_000  # transfers that are over and still known, so that a late question is answered right

TransferId = NewType("TransferId", bytes)
"""16 random bytes, made by the sender."""


class Phase(enum.Enum):
    """Where a transfer is."""

    OFFERED = "offered"
    """Its recipient has not decided."""
    MOVING = "moving"
    """Taken; bytes travel while there is a line."""
    DONE = "done"
    """All of it rests with the recipient, and the checksum held."""
    STOPPED = "stopped"
    """Over before its end; the reason says why."""


class Step(enum.Enum):
    """What happens to a transfer."""

    TAKE = "take"
    FINISH = "finish"
    STOP = "stop"


TRANSITIONS: dict[tuple[Phase, Step], Phase] = {
    (Phase.OFFERED, Step.TAKE): Phase.MOVING,
    (Phase.OFFERED, Step.STOP): Phase.STOPPED,
    # Taken again on each new line, to go on where it was.
    (Phase.MOVING, Step.TAKE): Phase.MOVING,
    (Phase.MOVING, Step.FINISH): Phase.DONE,
    (Phase.MOVING, Step.STOP): Phase.STOPPED,
    # The word to stop came too late: the recipient had all of it, and that is the truth of it.
    (Phase.STOPPED, Step.FINISH): Phase.DONE,
}
"""Every step there is. What is missing is a fault of the other side."""

OVER = frozenset({Phase.DONE, Phase.STOPPED})


class Transfer(msgspec.Struct, frozen=True):
    """A file, a folder or a pipe, offered by one side to the other."""

    id: TransferId
    number: int
    """By which the user names it."""
    peer: NameKey
    name: str
    """Of the other person, as they wrote it at sign-up."""
    outgoing: bool
    kind: TransferKind
    title: str
    """What the sender calls it, as it came."""
    size: int | None
    """Bytes that travel; None where that is not known."""
    path: str = ""
    """What is sent, or where what arrived was saved."""
    stamp: str = ""
    """What tells whether the thing at `path` is still what was offered."""
    phase: Phase = Phase.OFFERED
    reason: StopReason | None = None
    """Why it was stopped."""

    @property
    def over(self) -> bool:
        """Whether nothing more is to be done about it."""
        return self.phase in OVER

    @property
    def wants_line(self) -> bool:
        """Whether it would go on if there were a line."""
        return not self.over and (self.outgoing or self.phase is Phase.MOVING)


class Taking(msgspec.Struct, frozen=True):
    """What this user takes, and where it goes."""

    folder: Path
    max_bytes: int = 4 * 2**30
    """Of the largest file or folder."""


class KeepTransfer(msgspec.Struct, frozen=True):
    """Write down what is known of a transfer."""

    transfer: Transfer
    before: Transfer | None
    """What was known of it, which is the truth again where the disk refuses."""


class Say(msgspec.Struct, frozen=True):
    """Send a word to somebody, if there is a line."""

    peer: NameKey
    frame: TransferFrame


class BeginSending(msgspec.Struct, frozen=True):
    """Send the bytes from this offset on, whatever was sent before."""

    transfer: Transfer
    offset: int


class BeginTaking(msgspec.Struct, frozen=True):
    """Find out how much is here, ask for the rest, and put it away."""

    transfer: Transfer


class Expect(msgspec.Struct, frozen=True):
    """The sender has sent all: so much it must be, with this checksum."""

    id: TransferId
    size: int
    sha256: bytes


class Halt(msgspec.Struct, frozen=True):
    """No more bytes of this one; of an unfinished one nothing stays."""

    transfer: Transfer


class Report(msgspec.Struct, frozen=True):
    """Tell the person at the prompt."""

    event: Event


TransferEffect = KeepTransfer | Say | BeginSending | BeginTaking | Expect | Halt | Report


class Transfers:
    """All transfers of one account that this shell knows of."""

    def __init__(self, known: Iterable[Transfer] = (), *, max_bytes: int) -> None:
        """`max_bytes` is the largest file that is taken."""
        self._known = {transfer.id: transfer for transfer in known}
        self._max_bytes = max_bytes
        self._last_number = max((transfer.number for transfer in self._known.values()), default=0)

    def __iter__(self) -> Iterator[Transfer]:
        """Oldest first; a copy, as the prompt's thread may ask."""
        return iter(list(self._known.values()))

    def get(self, transfer_id: bytes) -> Transfer | None:
        """What is known of a transfer."""
        return self._known.get(TransferId(transfer_id))

    def numbered(self, number: int) -> Transfer:
        """The transfer that the user names so. Raises `NoSuchTransfer`."""
        for transfer in self:
            if transfer.number == number:
                return transfer
        raise NoSuchTransfer(f"There is no transfer {number}; `files` lists them.")

    def wants_line(self, peer: NameKey) -> bool:
        """Whether a line to somebody would bring a transfer on."""
        return any(transfer.peer == peer and transfer.wants_line for transfer in self)

    # --- what the user does -----------------------------------------------------------------------------

    def offer(self, transfer: Transfer) -> list[TransferEffect]:
        """Offers something; it gets its number. Raises `TooManyTransfers`."""
        if self._open_with(transfer.peer) >= MAX_OPEN:
            raise TooManyTransfers(f"{MAX_OPEN} files wait between you and {transfer.name} already.")
        return [*self._remember(transfer), Say(transfer.peer, _offer(transfer))]

    def take(self, number: int) -> list[TransferEffect]:
        """The user wants what is offered. Raises `NoSuchTransfer`."""
        transfer = self._open(number, outgoing=False)
        if transfer.phase is Phase.MOVING:
            return []
        taken = self._step(transfer, Step.TAKE)
        return [*_keep(taken, transfer), BeginTaking(taken)]

    def stop(self, number: int) -> list[TransferEffect]:
        """The user declines an offer, or cancels what is under way. Raises `NoSuchTransfer`."""
        transfer = self._open(number, outgoing=None)
        declined = not transfer.outgoing and transfer.phase is Phase.OFFERED
        return self.fail(transfer.id, StopReason.DECLINED if declined else StopReason.CANCELLED, told=False)

    # --- what the disk says -----------------------------------------------------------------------------

    def finish(self, transfer_id: bytes, path: str) -> list[TransferEffect]:
        """All of it arrived, the checksum held, and it rests at `path`."""
        transfer = self.get(transfer_id)
        if transfer is None or transfer.phase is not Phase.MOVING:
            return []
        done = self._step(msgspec.structs.replace(transfer, path=path), Step.FINISH)
        event = FileArrived(done.name, done.number, done.kind.value, done.title, path)
        return [*_keep(done, transfer), Halt(done), Say(done.peer, Taken(done.id)), Report(event)]

    def fail(self, transfer_id: bytes, reason: StopReason, *, told: bool = True) -> list[TransferEffect]:
        """This side ends it; `told` is whether the user is told by an event."""
        transfer = self.get(transfer_id)
        if transfer is None or transfer.over:
            return []
        effects = self._stopped(transfer, reason, by_peer=False)
        if not told:
            effects = [effect for effect in effects if not isinstance(effect, Report)]
        return [*effects, Say(transfer.peer, Stop(transfer.id, reason))]

    def not_kept(self, keeps: Iterable[KeepTransfer]) -> None:
        """The disk refused: all is as if it had not happened."""
        for keep in keeps:
            if keep.before is not None:
                self._known[keep.before.id] = keep.before
            else:
                del self._known[keep.transfer.id]

    # --- what the line does -----------------------------------------------------------------------------

    def line_opened(self, peer: NameKey) -> list[TransferEffect]:
        """There is a new line: what is not over is offered again, and asked for."""
        effects: list[TransferEffect] = []
        for transfer in self:
            if transfer.peer == peer and transfer.wants_line:
                # The recipient's question gets an answer where the sender has forgotten it all.
                frame = _offer(transfer) if transfer.outgoing else Credit(transfer.id, 0)
                effects.append(Say(peer, frame))
        return effects

    def received(
        self, peer: NameKey, name: str, frame: TransferFrame, *, consented: bool
    ) -> list[TransferEffect]:
        """A word of the other side. Raises `UnexpectedMove` for one that cannot be."""
        transfer = self.get(frame.id)
        if transfer is not None and transfer.peer != peer:
            raise UnexpectedMove("A transfer of somebody else was named.")
        match frame:
            case Offer():
                return self._offered(peer, name, frame, transfer, consented=consented)
            case Take(id_, offset):
                if transfer is None or transfer.over:
                    return [Say(peer, _last_word(id_, transfer))]
                _must_be(transfer, outgoing=True)
                if transfer.size is not None and offset > transfer.size:
                    raise UnexpectedMove("More was asked for than there is.")
                moving = self._step(transfer, Step.TAKE)
                changed = _keep(moving, transfer) if transfer.phase is not moving.phase else []
                return [*changed, BeginSending(moving, offset)]
            case Credit(id_):
                known = transfer is not None and not transfer.over
                return [] if known else [Say(peer, _last_word(id_, transfer))]
            case End(id_, size, digest):
                if transfer is None or transfer.over:
                    return []
                _must_be(transfer, outgoing=False)
                if transfer.size not in (None, size):
                    raise UnexpectedMove("A file ended with another size than it was offered with.")
                return [Expect(transfer.id, size, digest)]
            case Taken():
                if transfer is None or transfer.phase is Phase.DONE:
                    return []
                _must_be(transfer, outgoing=True)
                done = self._step(msgspec.structs.replace(transfer, reason=None), Step.FINISH)
                event = FileTaken(done.name, done.number, done.kind.value, done.title)
                return [*_keep(done, transfer), Halt(done), Report(event)]
            case Stop(_, reason):
                if transfer is None or transfer.over:
                    return []
                return self._stopped(transfer, reason, by_peer=True)
            case _:
                assert_never(frame)

    # --- inside -----------------------------------------------------------------------------------------

    def _offered(
        self, peer: NameKey, name: str, offer: Offer, transfer: Transfer | None, *, consented: bool
    ) -> list[TransferEffect]:
        if transfer is not None:
            _must_be(transfer, outgoing=False)
            if transfer.over:
                return [Say(peer, _last_word(offer.id, transfer))]
            return [BeginTaking(transfer)] if transfer.phase is Phase.MOVING else []
        if (offer.size is None) is not (offer.kind is TransferKind.PIPE):
            raise UnexpectedMove("Files have a size, and pipes have none.")
        if not consented:
            return [Say(peer, Stop(offer.id, StopReason.NO_CONSENT))]
        if self._open_with(peer) >= MAX_OPEN:
            return [Say(peer, Stop(offer.id, StopReason.TOO_MANY))]
        if offer.size is not None and offer.size > self._max_bytes:
            # Nothing of it is remembered: whoever offers too much may do so without end.
            reason = StopReason.TOO_LARGE
            told = FileStopped(name, 0, offer.kind.value, offer.name, reason.value, False, False)
            return [Say(peer, Stop(offer.id, reason)), Report(told)]
        made = Transfer(
            TransferId(offer.id), self._last_number + 1, peer, name, False, offer.kind, offer.name, offer.size
        )
        event = FileOffered(name, made.number, made.kind.value, made.title, made.size)
        return [*self._remember(made), Report(event)]

    def next_number(self) -> int:
        """The number of the next transfer."""
        return self._last_number + 1

    def _remember(self, transfer: Transfer) -> list[TransferEffect]:
        self._last_number = max(self._last_number, transfer.number)
        over = [known.id for known in self._known.values() if known.over]
        for transfer_id in over[: max(0, len(over) - MAX_REMEMBERED)]:
            del self._known[transfer_id]
        self._known[transfer.id] = transfer
        return _keep(transfer, None)

    def _open_with(self, peer: NameKey) -> int:
        return sum(transfer.peer == peer and not transfer.over for transfer in self)

    def _open(self, number: int, *, outgoing: bool | None) -> Transfer:
        transfer = self.numbered(number)
        if transfer.over:
            raise NoSuchTransfer(f"Transfer {number} is {transfer.phase.value} already.")
        if outgoing is not None and transfer.outgoing is not outgoing:
            raise NoSuchTransfer(f"Transfer {number} is your own offer; {transfer.name} decides on it.")
        return transfer

    def _step(self, transfer: Transfer, step: Step) -> Transfer:
        try:
            phase = TRANSITIONS[transfer.phase, step]
        except KeyError:
            raise UnexpectedMove(f"What is {transfer.phase.value} cannot {step.value}.") from None
        after = msgspec.structs.replace(transfer, phase=phase)
        self._known[after.id] = after
        return after

    def _stopped(self, transfer: Transfer, reason: StopReason, *, by_peer: bool) -> list[TransferEffect]:
        stopped = self._step(msgspec.structs.replace(transfer, reason=reason), Step.STOP)
        event = FileStopped(
            stopped.name,
            stopped.number,
            stopped.kind.value,
            stopped.title,
            reason.value,
            stopped.outgoing,
            by_peer,
        )
        return [*_keep(stopped, transfer), Halt(stopped), Report(event)]


def _keep(transfer: Transfer, before: Transfer | None) -> list[TransferEffect]:
    # A pipe lives as long as the programs at its ends.
    return [] if transfer.kind is TransferKind.PIPE else [KeepTransfer(transfer, before)]


def _offer(transfer: Transfer) -> Offer:
    return Offer(transfer.id, transfer.kind, transfer.title, transfer.size)


def _last_word(transfer_id: bytes, transfer: Transfer | None) -> Taken | Stop:
    """What to answer about a transfer that is over, or unknown."""
    if transfer is not None and transfer.phase is Phase.DONE:
        return Taken(transfer_id)
    return Stop(transfer_id, (transfer and transfer.reason) or StopReason.CANCELLED)


def _must_be(transfer: Transfer, *, outgoing: bool) -> None:
    if transfer.outgoing is not outgoing:
        raise UnexpectedMove("That is for the other side to say.")
