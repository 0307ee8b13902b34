"""Bytes of transfers on their way: each one out and each one in is a task of its own.

What may be under way is bounded twice: QUIC bounds what the path takes, and the recipient's credit bounds
what it has not put away yet, so that a slow disk or reader there slows down the disk or program here.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from shell.line.channel import Channel
from shell.line.quic import StreamCut, StreamReceived
from shell.line.sink import Sink
from shell.line.source import Source
from wire.frames import OFFSET_BYTES, TRANSFER_ID_BYTES, Credit, End, Frame, Take
from wire.limits import MAX_FILE, TRANSFER_WINDOW

CHUNK = 256 * 1024  # bytes read at once; one look at the disk for many datagrams
LOW_WATER = 128 * 1024  # bytes queued on a stream below which more is read; a few round trips of a fast path
CREDIT_STEP = TRANSFER_WINDOW // 8  # bytes put away after which the sender is told
HEAD_BYTES = TRANSFER_ID_BYTES + OFFSET_BYTES


class TooFast(Exception):
    """The other side sends more than it was given credit for, or more than there is."""


class Outflow:
    """One transfer going out on one line."""

    def __init__(self, channel: Channel, offset: int) -> None:
        self.channel = channel
        self.position = offset
        self._allowed = offset + TRANSFER_WINDOW
        self._stream: int | None = None
        self._may_go_on = asyncio.Event()

    def credit(self, offset: int) -> None:
        """The other side has put away what comes before this offset."""
        self._allowed = max(self._allowed, offset + TRANSFER_WINDOW)
        self._may_go_on.set()

    def flushed(self) -> None:
        """Datagrams went out."""
        if self._stream is not None and self.channel.quic.queued(self._stream) <= LOW_WATER:
            self._may_go_on.set()

    def is_on(self, stream: int) -> bool:
        """Whether it goes out on this stream."""
        return self._stream == stream

    async def run(
        self,
        transfer_id: bytes,
        source: Source,
        write: Callable[[Channel, int, bytes], None],
        say: Callable[[Channel, Frame], None],
    ) -> None:
        """Sends all from the offset on. Raises `CannotSend`."""
        self._stream = stream = self.channel.quic.open_stream(
            transfer_id + self.position.to_bytes(OFFSET_BYTES)
        )
        if stream is None:
            return  # a closed line, or one with too many streams; the next line brings it on
        while True:
            room = min(CHUNK, self._allowed - self.position)
            if room <= 0 or self.channel.quic.queued(stream) > LOW_WATER:
                self._may_go_on.clear()
                await self._may_go_on.wait()
                continue
            data = await source.read(self.position, room)
            if not data:
                break
            self.position += len(data)
            write(self.channel, stream, data)
        self.channel.quic.send_on(stream, b"", end=True)
        self._stream = None
        say(self.channel, End(transfer_id, self.position, source.sha256()))

    def cut(self) -> None:
        """Ends the stream before its end."""
        if self._stream is not None and self.channel.open:
            self.channel.quic.cut(self._stream)


class Inflow:
    """One transfer coming in on one line."""

    def __init__(self, channel: Channel, size: int | None) -> None:
        self.channel = channel
        self.position = 0
        """Bytes put away."""
        self._limit = MAX_FILE if size is None else size
        self._arrived: int | None = None
        self._waiting: deque[bytes] = deque()
        self._stream: int | None = None
        self._end: End | None = None
        self._wake = asyncio.Event()
        self._fault: TooFast | None = None
        self._cut = False

    @property
    def waiting(self) -> bool:
        """Whether no stream has come yet."""
        return self._stream is None

    def begins_at(self, stream: int, offset: int) -> bool:
        """Whether this stream, which begins at this offset, is the one that was asked for."""
        if self._stream is not None or offset != self._arrived:
            return False
        self._stream = stream
        return True

    def feed(self, data: bytes) -> None:
        """Bytes of its stream."""
        if self._arrived is None or self._fault is not None:
            return
        self._arrived += len(data)
        if self._arrived > min(self._limit, self.position + TRANSFER_WINDOW + CREDIT_STEP):
            self._fault = TooFast("More came than was asked for.")
            self._waiting.clear()
        else:
            self._waiting.append(data)
        self._wake.set()

    def interrupt(self) -> None:
        """Its stream was cut, or the question for it got lost: what is missing is asked for again."""
        self._cut = True
        self._wake.set()

    def close(self) -> None:
        """Nothing of it is put away any more."""
        self._arrived = None
        self._waiting.clear()

    def expect(self, end: End) -> None:
        """The sender has sent all."""
        self._end = end
        self._wake.set()

    async def run(self, transfer_id: bytes, sink: Sink, say: Callable[[Channel, Frame], None]) -> str:
        """Asks for what is not here yet and puts it away; where it rests.

        Raises `CannotTake`, `Damaged`, `TooFast`.
        """
        self.position = self._arrived = told = await sink.open()
        say(self.channel, Take(transfer_id, self.position))
        while True:
            if self._fault is not None:
                raise self._fault
            if self._waiting:
                chunks = list(self._waiting)
                self._waiting.clear()
                await sink.write(chunks)
                self.position += sum(map(len, chunks))
                if self.position - told >= CREDIT_STEP:
                    told = self.position
                    say(self.channel, Credit(transfer_id, told))
            elif self._end is not None and self.position >= self._end.size:
                if self.position != self._end.size:
                    raise TooFast("More came than was sent.")
                return await sink.finish(self._end.sha256)
            elif self._cut:
                self._cut, self._stream, self._arrived = False, None, self.position
                say(self.channel, Take(transfer_id, self.position))
            else:
                self._wake.clear()
                await self._wake.wait()


@dataclass(slots=True)
class _Arriving:
    """A stream of the other side: its head until it is whole, then what it belongs to."""

    head: bytearray = field(default_factory=bytearray)
    known: bool = False
    inflow: Inflow | None = None


class Streams:
    """The streams that other sides opened, each with the transfer that it belongs to."""

    def __init__(self, find: Callable[[bytes, Channel], Inflow | None]) -> None:
        """`find` knows the transfer with this id that is taken on this line."""
        self._find = find
        self._arriving: dict[Channel, dict[int, _Arriving]] = {}

    def received(self, channel: Channel, event: StreamReceived) -> None:
        """Bytes of a stream; those that nobody asked for are dropped, and the sender is told to stop."""
        streams = self._arriving.setdefault(channel, {})
        arriving = streams.setdefault(event.stream, _Arriving())
        data = event.data
        if not arriving.known:
            arriving.head += data
            if len(arriving.head) >= HEAD_BYTES:
                self._begin(channel, event.stream, arriving)
                data = bytes(arriving.head[HEAD_BYTES:])
                arriving.head.clear()
            else:
                data = b""
        if arriving.inflow is not None and data:
            arriving.inflow.feed(data)
        if event.end:
            streams.pop(event.stream, None)

    def cut(self, channel: Channel, event: StreamCut) -> None:
        """A stream is over before its end."""
        arriving = self._arriving.get(channel, {}).pop(event.stream, None)
        if arriving is not None and arriving.inflow is not None:
            arriving.inflow.interrupt()

    def forget(self, channel: Channel) -> None:
        """A line is over."""
        self._arriving.pop(channel, None)

    def _begin(self, channel: Channel, stream: int, arriving: _Arriving) -> None:
        arriving.known = True
        transfer_id = bytes(arriving.head[:TRANSFER_ID_BYTES])
        offset = int.from_bytes(arriving.head[TRANSFER_ID_BYTES:HEAD_BYTES])
        inflow = self._find(transfer_id, channel)
        if inflow is not None and inflow.begins_at(stream, offset):
            arriving.inflow = inflow
        else:
            channel.quic.refuse(stream)
