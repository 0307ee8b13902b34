"""The bytes of transfers between the lines that there are and the disks and programs at their ends."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from shell.line.channel import Channel
from shell.line.endpoint import UdpEndpoint
from shell.line.errors import CannotSend, CannotTake, Damaged
from shell.line.moving import Inflow, Outflow, Streams, TooFast
from shell.line.quic import StreamCut, StreamReceived
from shell.line.sink import DiskSink, Sink, sweep
from shell.line.source import DiskSource, Source, survey
from shell.line.tasks import Tasks
from shell.line.transfer import Phase, Taking, Transfer, TransferId
from wire.frames import Credit, End, Frame, StopReason, TransferKind
from wire.names import NameKey

log = logging.getLogger(__name__)
T = TypeVar("T")

DISK_THREADS = 4  # that read and write files; more transfers take turns


class Carrier:
    """Sends and takes what it is told to, and says how it ended. Lives on the event loop's thread."""

    def __init__(
        self,
        endpoint: UdpEndpoint,
        channel_to: Callable[[NameKey], Channel | None],
        taking: Taking,
        finished: Callable[[TransferId, str], Awaitable[None]],
        failed: Callable[[TransferId, StopReason], Awaitable[None]],
    ) -> None:
        self._endpoint = endpoint
        self._channel_to = channel_to
        self._taking = taking
        self._finished = finished
        self._failed = failed
        self._disk = ThreadPoolExecutor(DISK_THREADS, thread_name_prefix="files")
        self._sources: dict[TransferId, Source] = {}
        self._sinks: dict[TransferId, Sink] = {}
        self._out: dict[TransferId, tuple[Outflow, asyncio.Task[None]]] = {}
        self._in: dict[TransferId, tuple[Inflow, asyncio.Task[None]]] = {}
        self._streams = Streams(self._inflow)
        self._tasks = Tasks()

    async def stop(self) -> None:
        """Ends; what arrived stays on disk."""
        await self._tasks.cancel()
        for source in self._sources.values():
            source.close()
        for sink in self._sinks.values():
            sink.halt()
        await asyncio.get_running_loop().run_in_executor(None, self._disk.shutdown)
        for sink in self._sinks.values():
            sink.close()

    async def sweep(self, over: list[Transfer]) -> None:
        """Removes what a killed shell left of transfers that are over."""
        await asyncio.get_running_loop().run_in_executor(self._disk, sweep, self._taking.folder, over)

    async def on_disk(self, work: Callable[[Path], T], path: Path) -> T:
        """Does something slow with a path on a thread of its own."""
        return await asyncio.get_running_loop().run_in_executor(self._disk, work, path)

    def moved(self, transfer: Transfer) -> int:
        """Bytes of a transfer that have travelled, as far as this side knows."""
        if transfer.phase is Phase.DONE:
            return transfer.size or 0
        flow = self._out.get(transfer.id) or self._in.get(transfer.id)
        return flow[0].position if flow else 0

    def attach(self, transfer_id: TransferId, end: Source | Sink) -> None:
        """A program at the end of a pipe, instead of the disk."""
        if isinstance(end, Source):
            self._sources[transfer_id] = end
        else:
            self._sinks[transfer_id] = end

    async def check_room(self, transfer: Transfer) -> None:
        """Raises `CannotTake` where there is no room for it, or no program to read it."""
        sink = self._sink(transfer)
        if isinstance(sink, DiskSink):
            await sink.room()

    # --- what the line does -----------------------------------------------------------------------------

    def line_closed(self, channel: Channel) -> None:
        """A line is gone; what went over it waits for the next."""
        self._streams.forget(channel)
        for id_, (outflow, task) in list(self._out.items()):
            if outflow.channel is channel:
                task.cancel()
                del self._out[id_]
        for id_, (inflow, task) in list(self._in.items()):
            if inflow.channel is channel:
                task.cancel()
                inflow.close()
                del self._in[id_]

    def carried(self, channel: Channel, event: StreamReceived | StreamCut) -> None:
        """Something happened on a stream."""
        if isinstance(event, StreamReceived):
            self._streams.received(channel, event)
            return
        self._streams.cut(channel, event)
        for flow, task in self._out.values():
            if flow.channel is channel and flow.is_on(event.stream):
                task.cancel()

    def credited(self, channel: Channel, credit: Credit) -> bool:
        """The recipient has put something away; whether that is being sent on this line."""
        found = self._out.get(TransferId(credit.id))
        if found is None or found[0].channel is not channel:
            return False
        found[0].credit(credit.offset)
        source = self._sources.get(TransferId(credit.id))
        if source is not None:
            source.acknowledge(credit.offset)
        return True

    def expect(self, transfer_id: TransferId, end: End) -> None:
        """The sender has sent all."""
        if transfer_id in self._in:
            self._in[transfer_id][0].expect(end)

    # --- begin and end ----------------------------------------------------------------------------------

    def begin_sending(self, transfer: Transfer, offset: int) -> None:
        channel = self._channel_to(transfer.peer)
        earlier = self._out.pop(transfer.id, None)
        if earlier is not None:
            earlier[1].cancel()
            earlier[0].cut()
        if channel is None:
            return
        flow = Outflow(channel, offset)
        channel.on_flushed = self._flushed
        self._out[transfer.id] = flow, self._tasks.spawn(self._send(transfer, flow), "sending")

    async def _send(self, transfer: Transfer, flow: Outflow) -> None:
        try:
            await flow.run(transfer.id, await self._source(transfer), self._endpoint.write, self._say)
        except CannotSend as error:
            log.info("event=cannot_send transfer=%d reason=%r", transfer.number, str(error))
            flow.cut()
            await self._failed(transfer.id, StopReason.CHANGED)

    def begin_taking(self, transfer: Transfer) -> None:
        channel = self._channel_to(transfer.peer)
        earlier = self._in.get(transfer.id)
        if channel is None:
            return
        if earlier is not None and earlier[0].channel is channel:
            # It comes, unless the other side did not count with this line yet when it was asked.
            if earlier[0].waiting:
                earlier[0].interrupt()
            return
        if earlier is not None:
            earlier[1].cancel()
            earlier[0].close()
        flow = Inflow(channel, transfer.size)
        self._in[transfer.id] = flow, self._tasks.spawn(self._take(transfer, flow), "taking")

    async def _take(self, transfer: Transfer, flow: Inflow) -> None:
        try:
            sink = self._sink(transfer)
            path = await sink.saved() or await flow.run(transfer.id, sink, self._say)
        except (CannotTake, Damaged, TooFast) as error:
            log.info("event=cannot_take transfer=%d reason=%r", transfer.number, str(error))
            reason = StopReason.DISK_FAILED if isinstance(error, CannotTake) else StopReason.DAMAGED
            await self._give_up(transfer, flow, reason)
        except Exception:  # the task's edge: without an end it would begin again on each line
            log.exception("event=taking_fault transfer=%d", transfer.number)
            await self._give_up(transfer, flow, StopReason.DISK_FAILED)
        else:
            # Where that is not kept in time it is finished again on the next line: it rests there already.
            await self._finished(transfer.id, path)

    async def _give_up(self, transfer: Transfer, flow: Inflow, reason: StopReason) -> None:
        flow.close()
        await self._clear(transfer, done=False)  # first, as the disk may be too full to keep that it is over
        await self._failed(transfer.id, reason)

    async def halt(self, transfer: Transfer) -> None:
        """No more bytes of this one, in neither direction."""
        sending, taking = self._out.pop(transfer.id, None), self._in.pop(transfer.id, None)
        if sending is not None:
            sending[1].cancel()
            sending[0].cut()
        if taking is not None:
            taking[1].cancel()
            taking[0].close()
        source = self._sources.pop(transfer.id, None)
        if source is not None:
            source.close()
        if not transfer.outgoing:
            await self._clear(transfer, done=transfer.phase is Phase.DONE)

    async def _clear(self, transfer: Transfer, *, done: bool) -> None:
        """Nothing is left of it but what arrived whole."""
        try:
            sink = self._sink(transfer)
            del self._sinks[transfer.id]
            await (sink.settle() if done else sink.discard())
        except CannotTake as error:
            log.info("event=cannot_clear transfer=%d reason=%r", transfer.number, str(error))

    async def _source(self, transfer: Transfer) -> Source:
        source = self._sources.get(transfer.id)
        if source is None:
            parcel = await self.on_disk(survey, Path(transfer.path))
            if parcel.stamp != transfer.stamp:
                raise CannotSend(f"{transfer.path} has changed since it was offered.")
            source = self._sources[transfer.id] = DiskSource(parcel, self._disk)
        return source

    def _sink(self, transfer: Transfer) -> Sink:
        sink = self._sinks.get(transfer.id)
        if sink is None:
            if transfer.kind is TransferKind.PIPE:
                raise CannotTake(f"A pipe needs a program: `pipe {transfer.name} > FILE`.")
            sink = self._sinks[transfer.id] = DiskSink(self._taking.folder, transfer, self._disk)
        return sink

    def _inflow(self, transfer_id: bytes, channel: Channel) -> Inflow | None:
        found = self._in.get(TransferId(transfer_id))
        return found[0] if found is not None and found[0].channel is channel else None

    def _flushed(self) -> None:
        for flow, _ in self._out.values():
            flow.flushed()

    def _say(self, channel: Channel, frame: Frame) -> None:
        self._endpoint.send(channel, (frame,))
