"""The lines of one shell on its socket, by number: calls out and in, frames both ways. What they mean is the
core's business; this only carries.
"""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from itertools import count
from time import monotonic
from typing import Any, Protocol, assert_never

from shell.errors import ShellError
from shell.events import DatagramSeen, Event, FrameSeen
from shell.ladder import Measured
from shell.line.addresses import plain
from shell.line.calls import Calls, Introducer
from shell.line.candidates import Address, Attempt, Candidate, PathKind
from shell.line.channel import Arrived, Channel, ChannelEvent, Closed, LineFrame, Opened, TransferWord
from shell.line.effects import LineId
from shell.line.endpoint import UdpEndpoint
from shell.line.errors import Unreachable
from shell.line.knocks import PERIOD
from shell.line.model import Contact
from shell.line.paths import LinePath
from shell.line.quic import StreamCut, StreamReceived
from shell.line.trace import describe, describe_frame
from shell.line.ways import Ways
from wire.certificates import Fingerprint, Identity
from wire.errors import ErrorCode, Refused, WireError
from wire.frames import Frame, LineClose, TransferFrame
from wire.limits import MAX_ENDPOINTS
from wire.messages import Endpoint, Introduction
from wire.names import name_key

PINGS = 10  # of one measurement
PING_PAUSE = 0.03  # seconds between them; the last one has 0.6 to come back

log = logging.getLogger(__name__)


class Listener(Protocol):
    """Who is told what happens on the lines."""

    @property
    def full(self) -> bool:
        """Whether no more can be taken now."""
        ...

    def line_opened(
        self, line: LineId, opened: Opened, endpoints: tuple[Endpoint, ...], *, calling: bool
    ) -> None:
        """A proven line is there; the other side can be reached at these endpoints."""
        ...

    def line_closed(self, line: LineId, code: LineClose | None) -> None:
        """A line is gone."""
        ...

    def arrived(self, line: LineId, frame: LineFrame) -> None:
        """A frame came on a line."""
        ...

    def told(self, channel: Channel, word: TransferFrame) -> None:
        """A word about a file or a pipe came on a line."""
        ...

    def carried(self, channel: Channel, event: StreamReceived | StreamCut) -> None:
        """Something happened on a stream of a line."""
        ...

    def channel_gone(self, channel: Channel) -> None:
        """Nothing goes over it any more, whoever ended it."""
        ...

    def dial_failed(self, name: str, reason: str, *, offline: bool) -> None:
        """No line to somebody came up."""
        ...

    def path_changed(self, name: str, kind: PathKind) -> None:
        """A line is relayed from now on, or no more."""
        ...

    def spawn(self, work: Coroutine[Any, Any, None], name: str) -> None:
        """Runs a task for as long as the lines are needed."""
        ...


class Network:
    """All methods are called on the event loop's thread."""

    def __init__(self, identity: Identity, book: Introducer, listener: Listener) -> None:
        self._own = identity.fingerprint
        self._listener = listener
        self._ways = Ways(book, listener.path_changed, listener.spawn)
        self.endpoint = UdpEndpoint(identity, self._channel_event, self._ways)
        self._calls = Calls(identity, book, self.endpoint)
        self._channels: dict[LineId, Channel] = {}
        self._ids: dict[Channel, LineId] = {}
        self._dialed: dict[Channel, str] = {}
        self._numbers = count(1)
        self._contacts_changed = asyncio.Event()

    def path(self, line: LineId | None) -> Candidate | None:
        """How an open line gets to the other side."""
        path = self._path(line)
        return Candidate(plain(path.address), path.kind) if path else None

    def last_attempt(self, name: str) -> Attempt | None:
        """The last try to reach somebody."""
        return self._ways.attempts.get(name_key(name))

    def channel(self, line: LineId | None) -> Channel | None:
        """What a line runs over."""
        return self._channels.get(line) if line is not None else None

    async def measure(self, line: LineId | None) -> Measured | None:
        """Pings the other side of an open line a few times."""
        path = self._path(line)
        if path is None:
            return None
        path.samples.clear()
        for _ in range(PINGS):
            self.endpoint.measure(path)
            await asyncio.sleep(PING_PAUSE)
        for _ in range(PINGS):
            if len(path.samples) < PINGS:
                await asyncio.sleep(2 * PING_PAUSE)
        return Measured(PINGS, tuple(path.samples))

    def trace(self, tell: Callable[[Event], None] | None) -> None:
        """Tells every datagram and frame as an event, with the seconds since now; or no more."""
        began = monotonic()
        if tell is None:
            self.endpoint.trace(None, None)
            return

        def datagram_seen(outgoing: bool, address: Address, datagram: bytes) -> None:
            host, port = plain(address)
            tell(DatagramSeen(outgoing, host, port, describe(datagram), monotonic() - began))

        def frame_seen(channel: Channel, outgoing: bool, frame: Frame, size: int) -> None:
            tell(FrameSeen(outgoing, channel.peer or "", describe_frame(frame, size), monotonic() - began))

        self.endpoint.trace(datagram_seen, frame_seen)

    def last_failure(self, name: str) -> str | None:
        """Why the last attempt to reach somebody failed; None where there was none since the last line."""
        return self._ways.failures.get(name_key(name))

    def send(self, line: LineId, frames: Iterable[Frame]) -> None:
        """Sends frames, if the line is still there."""
        if line in self._channels:
            self.endpoint.send(self._channels[line], frames)

    def hang_up(self, line: LineId, code: LineClose) -> None:
        """Ends a line; nobody here is told."""
        channel = self._channels.pop(line, None)
        if channel is not None:
            self._ids.pop(channel, None)
            self._ways.closed(channel)
            self._listener.channel_gone(channel)
            self.endpoint.close(channel, code)

    def drop(self, channel: Channel, code: LineClose, reason: str) -> None:
        """Ends a line as if it had broken."""
        self.endpoint.close(channel, code)
        self._closed(channel, code, reason)

    def keep_alive(self) -> None:
        """Sends a PING on every open line."""
        for channel in list(self._ids):
            self.endpoint.keep_alive(channel)

    # --- calls ------------------------------------------------------------------------------------------

    def announce(self, introduction: Introduction, may_call: Callable[[str], bool]) -> None:
        """Lets somebody knock whom the phone book introduced. Raises `BadTicket`."""
        admission = self._calls.announced(introduction)
        if admission.callee_fingerprint == self._own and may_call(admission.caller):
            self.endpoint.moved(admission.caller, introduction.endpoints, introduction.relay)
            attempt = self.endpoint.attempt(introduction.endpoints, introduction.relay)
            self.endpoint.invite(admission, attempt)

    def moved(self, name: str, endpoints: tuple[Endpoint, ...]) -> None:
        """Somebody who was introduced just now has other endpoints."""
        self.endpoint.moved(name, endpoints)

    def look_for_the_silent(self) -> None:
        """The phone book can be asked again: for everybody who is not heard."""
        for channel in self.endpoint.silent():
            self._ways.silent(self.endpoint, channel)

    def keep_quiet(self, *, quiet: bool) -> None:
        """Whether contacts who call without a ticket get no answer."""
        self._calls.keep_quiet(quiet=quiet)
        self._contacts_changed.set()

    def contacts_changed(self) -> None:
        """What is known of people is not what it was."""
        self._contacts_changed.set()

    async def stand(self, contacts: Callable[[], list[Contact]]) -> None:
        """Keeps what contacts may knock with up to date with what is known of them, and with the time."""
        while True:
            self._contacts_changed.clear()
            await self._calls.stand(contacts())
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(PERIOD):
                    await self._contacts_changed.wait()

    async def dial(
        self, name: str, contact: Contact | None, allowed: Callable[[Fingerprint], Awaitable[bool]]
    ) -> None:
        """Calls somebody, if their key is `allowed`; what comes of it is told to the listener."""
        try:
            admission, attempt = await self._calls.way_to(name, contact)
            if not await allowed(admission.callee_fingerprint):
                self._failed(name, f"{name}'s key changed.", offline=False)
                return
            self._ways.attempts[name_key(name)] = attempt
            self._dialed[await self.endpoint.call(admission, attempt)] = name
        except Refused as error:
            self._failed(name, str(error), offline=error.code == ErrorCode.UNAVAILABLE)
        except (ShellError, Unreachable, WireError) as error:
            self._failed(name, str(error), offline=False)

    # --- inside -----------------------------------------------------------------------------------------

    def _path(self, line: LineId | None) -> LinePath | None:
        channel = self._channels.get(line) if line is not None else None
        return self.endpoint.path(channel) if channel is not None else None

    def _failed(self, name: str, reason: str, *, offline: bool) -> None:
        log.info("event=dial_failed peer=%r offline=%s reason=%r", name, offline, reason)
        if not offline:
            self._ways.failures[name_key(name)] = reason
        self._listener.dial_failed(name, reason, offline=offline)

    def _channel_event(self, channel: Channel, event: ChannelEvent) -> None:
        match event:
            case Opened():
                self._opened(channel, event)
            case Arrived() | TransferWord() if self._listener.full:
                # Without receipts the writer sends it again on the next line.
                self.drop(channel, LineClose.TOO_MANY, "It brought more than the disk takes.")
            case Arrived(frame):
                self._listener.arrived(self._ids.get(channel, 0), frame)
            case TransferWord(word):
                self._listener.told(channel, word)
            case StreamReceived() | StreamCut():
                self._listener.carried(channel, event)
            case Closed(code, reason):
                log.info("event=line_closed peer=%r code=%s reason=%r", channel.peer, code, reason)
                self._closed(channel, code, reason)
            case _:
                assert_never(event)

    def _opened(self, channel: Channel, opened: Opened) -> None:
        line = next(self._numbers)
        self._channels[line], self._ids[channel] = channel, line
        self._dialed.pop(channel, None)
        self._ways.failures.pop(name_key(opened.peer), None)
        path = self.path(line)
        here = (Endpoint(*path.address),) if path and path.kind is not PathKind.RELAYED else ()
        endpoints = tuple(dict.fromkeys((*here, *self._calls.endpoints(opened.knock_id))))
        self._listener.line_opened(line, opened, endpoints[:MAX_ENDPOINTS], calling=channel.calling)

    def _closed(self, channel: Channel, code: LineClose | None, reason: str) -> None:
        self._listener.channel_gone(channel)
        line = self._ids.pop(channel, None)
        callee = self._dialed.pop(channel, None)
        self._ways.closed(channel)
        if line is not None:
            self._channels.pop(line, None)
            self._listener.line_closed(line, code)
        elif callee is not None:
            self._failed(callee, reason or "The line was closed while it came up.", offline=False)
