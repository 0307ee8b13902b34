"""Files, folders and pipes as the shell uses them: the rules of `shell.line.transfer` carried out on a real
line, a real disk and a real mailbox. Everything here is called on the event loop's thread.
"""

import asyncio
import contextlib
import logging
import secrets
from collections.abc import Callable
from pathlib import Path
from typing import Protocol, assert_never

from shell import ledger
from shell.errors import MailboxFailed, NotLoggedIn
from shell.events import Event, FileOffered, FileStopped
from shell.line import pipes
from shell.line.carrier import Carrier
from shell.line.channel import Channel
from shell.line.effects import Effect
from shell.line.endpoint import UdpEndpoint
from shell.line.errors import CannotSend, PeerGone, UnexpectedMove
from shell.line.people import People
from shell.line.pipes import Pipe, Silence
from shell.line.quic import StreamCut, StreamReceived
from shell.line.sink import PipeSink
from shell.line.source import PipeSource, survey
from shell.line.tasks import Tasks
from shell.line.transfer import (
    BeginSending,
    BeginTaking,
    Expect,
    Halt,
    KeepTransfer,
    Phase,
    Report,
    Say,
    Taking,
    Transfer,
    TransferEffect,
    TransferId,
    Transfers,
)
from shell.line.turns import Action, Turns
from shell.mailbox import Mailbox
from wire.frames import (
    TRANSFER_ID_BYTES,
    Credit,
    End,
    Frame,
    LineClose,
    Stop,
    StopReason,
    Taken,
    TransferFrame,
    TransferKind,
)
from wire.names import NameKey, name_key

log = logging.getLogger(__name__)

LAST_WORD_PATIENCE = 3.0  # seconds for the other side to hear that all of a pipe came
NOTE_PAUSES = (1.0, 2.0, 4.0, 8.0, 16.0, *(30.0,) * 20)
"""Seconds between tries to note how a transfer ended, eleven minutes in all; then the next line brings it."""


class Lines(Protocol):
    """What files need of the line."""

    @property
    def core(self) -> People:
        """Who is who."""
        ...

    def channel_to(self, peer: NameKey) -> Channel | None:
        """The open line to somebody."""
        ...

    async def reach(self, name: str) -> None:
        """To offer is to accept. Raises `Blocked`, `KeyNotAccepted`, `MailboxFailed`."""
        ...

    def want_line(self, peer: NameKey, *, wanted: bool) -> None:
        """Whether a line to somebody is needed for files."""
        ...

    def drop(self, channel: Channel, code: LineClose, reason: str) -> None:
        """Ends a line whose other side does what cannot be."""
        ...


class Files:
    """All transfers of one account."""

    def __init__(
        self, lines: Lines, endpoint: UdpEndpoint, taking: Taking, tell: Callable[[Event], None]
    ) -> None:
        self._lines = lines
        self._endpoint = endpoint
        self._taking = taking
        self._tell = tell
        self.core = Transfers(max_bytes=taking.max_bytes)
        self._turns = Turns(self._act, lambda keeps: self.core.not_kept(keeps), tell)
        self._carrier = Carrier(endpoint, lines.channel_to, taking, self._finished, self._failed)
        self._pipes: dict[NameKey, Pipe] = {}
        self._greeted: dict[NameKey, Channel] = {}
        self._wanted: set[NameKey] = set()
        self._tasks = Tasks()

    async def start(self, mailbox: Mailbox) -> None:
        """Takes up what is not over."""
        known = await mailbox.read(ledger.transfers)
        self.core = Transfers(known, max_bytes=self._taking.max_bytes)
        self._turns.start(mailbox)
        over = [transfer for transfer in known if transfer.over and not transfer.outgoing]
        self._tasks.spawn(self._carrier.sweep(over), "sweep")
        for transfer in self.core:
            self._want(transfer.peer)

    async def stop(self) -> None:
        """Ends; what arrived stays on disk and is gone on with next time."""
        await self._tasks.cancel()
        await self._turns.stop()
        for pipe in self._pipes.values():
            pipe.sink.cut()
        await self._carrier.stop()

    # --- what the user does -----------------------------------------------------------------------------

    async def send(self, name: str, path: Path) -> Transfer:
        """Offers a file or folder.

        Raises `CannotSend`, `TooManyTransfers`, `Blocked`, `KeyNotAccepted`, `MailboxFailed`.
        """
        parcel = await self._carrier.on_disk(survey, path)
        return await self._offer(
            name, parcel.kind, parcel.title, parcel.size, path=parcel.path, stamp=parcel.stamp
        )

    async def take(self, number: int) -> Transfer:
        """Takes what somebody offers. Raises `NoSuchTransfer`, `CannotTake`, `MailboxFailed`."""
        await self._carrier.check_room(self.core.numbered(number))
        await self._turns.perform(lambda: self.core.take(number))
        return self.core.numbered(number)

    async def end(self, number: int) -> Transfer:
        """Declines an offer or cancels a transfer. Raises `NoSuchTransfer`, `MailboxFailed`."""
        await self._turns.perform(lambda: self.core.stop(number))
        return self.core.numbered(number)

    async def open_pipe(self, name: str) -> Pipe:
        """Offers a pipe, and takes the one that the other side offers in return.

        Raises `CannotSend`, `TooManyTransfers`, `Blocked`, `KeyNotAccepted`, `MailboxFailed`.
        """
        peer = name_key(name)
        if peer in self._pipes:
            raise CannotSend(f"There is a pipe to {name} already.")
        source, sink = PipeSource(), PipeSink()
        transfer = await self._offer(name, TransferKind.PIPE, "pipe", None, source=source)
        self._pipes[peer] = pipe = Pipe(peer, transfer.number, source, sink)
        for offered in self.core:
            if offered.peer == peer and _is_offered_pipe(offered) and pipe.incoming is None:
                await self._turns.perform(self._join(offered, pipe))
        return pipe

    async def joined(self, pipe: Pipe, patience: float) -> bool:
        """Waits until the other side has joined, or will not; whether either came within `patience` (s).

        Raises `NotLoggedIn` when the session ends.
        """
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(patience):
                while pipe.incoming is None and not self.core.numbered(pipe.outgoing).over:
                    await self._turns.next()
                return True
        return False

    async def pipe_over(self, pipe: Pipe) -> tuple[Transfer, ...]:
        """Waits until both directions are over and both sides know it, or one of them failed.

        Raises `PeerGone`, and `NotLoggedIn` when the session ends.
        """
        numbers = [number for number in (pipe.outgoing, pipe.incoming) if number is not None]
        while True:
            ends = tuple(self.core.numbered(number) for number in numbers)
            if any(end.phase is Phase.STOPPED for end in ends):
                if pipe.gone:
                    name = ends[0].name
                    raise PeerGone(f"{name} is gone, and not all of the pipe is known to have arrived.")
                return ends
            if all(end.over for end in ends):
                if pipe.incoming is not None:
                    await self._be_heard(pipe, self.core.numbered(pipe.incoming).id)
                return ends
            await self._turns.next()

    async def _be_heard(self, pipe: Pipe, incoming: TransferId) -> None:
        """Whoever leaves cannot repeat a lost word: the question behind it is answered once it was heard."""
        channel = self._lines.channel_to(pipe.peer)
        if channel is None:
            return
        self._say(channel, Credit(incoming, 0))
        with contextlib.suppress(TimeoutError, NotLoggedIn):
            async with asyncio.timeout(LAST_WORD_PATIENCE):
                while not pipe.heard and self._lines.channel_to(pipe.peer) is channel:
                    await self._turns.next()

    async def close_pipe(self, pipe: Pipe) -> None:
        """Ends both directions, if they are not over. Raises `MailboxFailed`."""
        self._pipes.pop(pipe.peer, None)
        pipe.source.close()
        for transfer in self.core:
            if transfer.peer == pipe.peer and transfer.kind is TransferKind.PIPE and not transfer.over:
                await self._turns.perform(
                    lambda id_=transfer.id: self.core.fail(id_, StopReason.CANCELLED, told=False)  # type: ignore[misc]
                )

    async def over(self, number: int) -> Transfer:
        """Waits until a transfer is over. Raises `NoSuchTransfer`, `NotLoggedIn` when the session ends."""
        while not (transfer := self.core.numbered(number)).over:
            await self._turns.next()
        return transfer

    def moved(self, transfer: Transfer) -> int:
        """Bytes of a transfer that have travelled, as far as this side knows."""
        return self._carrier.moved(transfer)

    # --- what the line does -----------------------------------------------------------------------------

    def line_opened(self, peer: NameKey) -> list[Effect]:
        """The core has taken a new line to somebody."""

        def action() -> list[TransferEffect]:
            channel = self._lines.channel_to(peer)
            # Of two lines dialed at once one is gone by now; nothing is said twice on the other.
            if channel is None or self._greeted.get(peer) is channel:
                return []
            self._greeted[peer] = channel
            return self.core.line_opened(peer)

        if any(transfer.peer == peer and transfer.wants_line for transfer in self.core):
            self._turns.begin(action, peer)
        return []

    def line_closed(self, channel: Channel) -> None:
        """A line is gone; what went over it waits for the next."""
        self._greeted = {peer: line for peer, line in self._greeted.items() if line is not channel}
        self._carrier.line_closed(channel)
        self._turns.taken()

    def received(self, channel: Channel, frame: TransferFrame) -> list[Effect]:
        """A word about a transfer; of the line's own core nothing follows."""
        name = channel.peer or ""
        peer = name_key(name)
        # What was said last before a line ended is true all the same; all else is about that line.
        if self._lines.channel_to(peer) is not channel and not isinstance(frame, Taken | Stop):
            return []
        pipe = self._pipes.get(peer)
        if isinstance(frame, Taken) and pipe is not None and pipe.incoming is not None:
            pipe.heard = pipe.heard or self.core.numbered(pipe.incoming).id == frame.id
        if isinstance(frame, Credit) and self._carrier.credited(channel, frame):
            return []
        contact = self._lines.core.contact(name)
        consented = contact is not None and contact in self._lines.core.accepted()

        def action() -> list[TransferEffect]:
            try:
                return self.core.received(peer, name, frame, consented=consented)
            except UnexpectedMove as error:
                self._lines.drop(channel, LineClose.BAD_FRAME, str(error))
                return []

        if not self._turns.begin(action, peer):
            # On the next line all that is not over is said again.
            self._lines.drop(
                channel, LineClose.TOO_MANY, "It brought more words about files than the disk takes."
            )
        return []

    def carried(self, channel: Channel, event: StreamReceived | StreamCut) -> None:
        """Something happened on a stream."""
        self._carrier.carried(channel, event)

    # --- turns ------------------------------------------------------------------------------------------

    async def _watch(self, pipe: Pipe) -> None:
        """Ends a pipe whose other side is gone."""
        peer, silence = pipe.peer, Silence(self._endpoint)
        while self._pipes.get(peer) is pipe:
            if silence.too_long(self._lines.channel_to(peer), offline=self._lines.core.offline(peer)):
                pipe.gone = True
                pipe.sink.cut()
                with contextlib.suppress(MailboxFailed):
                    await self.close_pipe(pipe)
                return
            await asyncio.sleep(pipes.LOOK)

    async def _act(self, effect: TransferEffect) -> None:
        match effect:
            case KeepTransfer(transfer):
                self._want(transfer.peer)
            case Say(peer, frame):
                self._want(peer)
                channel = self._lines.channel_to(peer)
                if channel is not None:
                    self._say(channel, frame)
            case BeginSending(transfer, offset):
                self._carrier.begin_sending(transfer, offset)
            case BeginTaking(transfer):
                self._carrier.begin_taking(transfer)
            case Expect(transfer_id, size, digest):
                self._carrier.expect(transfer_id, End(transfer_id, size, digest))
            case Halt(transfer):
                await self._carrier.halt(transfer)
            case Report(event):
                self._report(event)
            case _:
                assert_never(effect)

    def _report(self, event: Event) -> None:
        if isinstance(event, FileOffered):
            transfer = self.core.numbered(event.number)
            pipe = self._pipes.get(transfer.peer)
            if pipe is not None and pipe.incoming is None and _is_offered_pipe(transfer):
                self._turns.begin(self._join(transfer, pipe), transfer.peer)
                return
        if isinstance(event, FileStopped):
            for pipe in self._pipes.values():
                if event.number in (pipe.outgoing, pipe.incoming):
                    pipe.sink.cut()
        self._tell(event)

    def _join(self, offered: Transfer, pipe: Pipe) -> Action:
        self._carrier.attach(offered.id, pipe.sink)
        pipe.incoming = offered.number
        self._tasks.spawn(self._watch(pipe), "pipe")
        return lambda: self.core.take(offered.number)

    async def _finished(self, transfer_id: TransferId, path: str) -> None:
        await self._turns.quietly(lambda: self.core.finish(transfer_id, path), NOTE_PAUSES)

    async def _failed(self, transfer_id: TransferId, reason: StopReason) -> None:
        await self._turns.quietly(lambda: self.core.fail(transfer_id, reason), NOTE_PAUSES)

    def _want(self, peer: NameKey) -> None:
        wanted = self.core.wants_line(peer)
        if wanted is not (peer in self._wanted):
            (self._wanted.add if wanted else self._wanted.discard)(peer)
            self._lines.want_line(peer, wanted=wanted)

    def _say(self, channel: Channel, frame: Frame) -> None:
        self._endpoint.send(channel, (frame,))

    async def _offer(
        self,
        name: str,
        kind: TransferKind,
        title: str,
        size: int | None,
        *,
        path: str = "",
        stamp: str = "",
        source: PipeSource | None = None,
    ) -> Transfer:
        await self._lines.reach(name)
        transfer_id = TransferId(secrets.token_bytes(TRANSFER_ID_BYTES))

        def action() -> list[TransferEffect]:
            number = self.core.next_number()
            effects = self.core.offer(
                Transfer(transfer_id, number, name_key(name), name, True, kind, title, size, path, stamp)
            )
            if source is not None:
                self._carrier.attach(transfer_id, source)
            return effects

        await self._turns.perform(action)
        made = self.core.get(transfer_id)
        assert made is not None  # noqa: S101 - it was just made
        return made


def _is_offered_pipe(transfer: Transfer) -> bool:
    return transfer.kind is TransferKind.PIPE and not transfer.outgoing and transfer.phase is Phase.OFFERED
