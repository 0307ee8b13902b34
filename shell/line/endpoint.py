"""Many lines on the shell's one UDP socket: QUIC, probes, path probes and STUN, told apart by the first
byte.

A datagram that does not belong to a connection costs a look into a table and no more. QUIC is shown one
address that never changes; `shell.line.paths` decides where its datagrams really go.
"""

import asyncio
import secrets
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from time import monotonic
from typing import Protocol

from shell.line.addresses import Interfaces, interfaces, is_loopback
from shell.line.alarm import Alarm
from shell.line.candidates import RELAYED_PORT, Address, Attempt, Candidate, PathKind
from shell.line.channel import Arrived, Call, Channel, ChannelEvent, Closed, Opened
from shell.line.doors import Doors
from shell.line.errors import Unreachable
from shell.line.invitations import Admission
from shell.line.outside import OutsideAddress
from shell.line.paths import Datagrams, LinePath
from shell.line.quic import Quic, RouteAdded, destination_id, is_first, is_quic
from shell.line.relaying import Relays
from shell.line.retries import RETRY_KEY_BYTES, Retries
from shell.line.udp import UdpSocket
from wire.certificates import Identity
from wire.frames import PROBE_FIRST_BYTE, Frame, LineClose, decode_probe
from wire.messages import Endpoint
from wire.names import name_key
from wire.paths import PATH_FIRST_BYTE, PATH_KEY_BYTES, PING_NONCE_BYTES, line_id, line_of_path_probe
from wire.relay import RELAY_FIRST_BYTE
from wire.stun import MAX_FIRST_BYTE

MAX_LINES = 256  # connections at once, dialed and answered
MAX_HALF_OPEN = 4  # connections from one address that are not proven yet
RETRY_HALF_OPEN = 16  # unproven lines from which on callers must show that they are where they say
HANDSHAKE_PATIENCE = 10.0  # seconds for a line to open, else it is dropped
CLAIM_AFTER = 1.0  # seconds that direct ways get before the relay is asked; it is tried after three
ACK_HOLD = 0.001  # seconds for a receipt to take along the ACK of its message; on a short path the writer
# asks after two whether that arrived (RFC 9002 §6.2)
PATH_TICK = 1.0  # seconds between looks at silent and relayed paths


@dataclass(slots=True)
class _Link:
    """The way of a line, and when the line wants to be woken."""

    path: LinePath
    patience: asyncio.TimerHandle
    alarm: Alarm


class PathWatcher(Protocol):
    """Is told of the ways of open lines."""

    def changed(self, channel: Channel, kind: PathKind) -> None:
        """A line goes this way now."""
        ...

    def silent(self, endpoint: "UdpEndpoint", channel: Channel) -> None:
        """The other side of a line is not heard any more, and should be looked for."""
        ...


class UdpEndpoint:
    """One socket, many lines. All calls happen on the event loop's thread."""

    def __init__(
        self,
        identity: Identity,
        on_event: Callable[[Channel, ChannelEvent], None],
        watcher: PathWatcher,
    ) -> None:
        self._identity = identity
        self._on_event = on_event
        self._watcher = watcher
        self._lines: dict[Channel, _Link] = {}
        self._routes: dict[bytes, Channel] = {}
        self._by_id: dict[bytes, Channel] = {}
        self.interfaces = Interfaces((), frozenset())
        """This machine's addresses, as last looked at."""
        self._ticking: asyncio.TimerHandle | None = None
        self.socket = UdpSocket(self._route)
        self.outside = OutsideAddress(self._transmit)
        self._frames: Callable[[Channel, bool, Frame, int], None] | None = None
        self._retries = Retries(secrets.token_bytes(RETRY_KEY_BYTES), secrets.token_bytes)
        self.relays = Relays(self.socket.send)
        self._doors = Doors(self._transmit, self._candidate_at)

    @property
    def port(self) -> int:
        """The UDP port, 0 before `start`."""
        return self.socket.port

    async def start(self, port: int) -> None:
        """Binds the socket, 0 for any free port. Raises OSError where the port is taken."""
        self.interfaces = interfaces()
        await self.socket.start(port)
        self._tick()

    def stop(self) -> None:
        """Ends every line and closes the socket, if it was opened."""
        for channel in list(self._lines):
            self.close(channel, LineClose.DONE)
        if self._ticking is not None:
            self._ticking.cancel()
        self.socket.stop()

    # --- calls ------------------------------------------------------------------------------------------

    def attempt(self, endpoints: Iterable[Endpoint], relay: bytes = b"") -> Attempt:
        """One try to reach somebody at these endpoints, or through the relay with this pass."""
        attempt = Attempt(self._candidates(endpoints), monotonic(), self.relays.take(relay))
        if attempt.relay is not None:
            asyncio.get_running_loop().call_later(CLAIM_AFTER, self._want_relay, attempt)
        return attempt

    def invite(self, admission: Admission, attempt: Attempt) -> None:
        """Lets the caller of a verified ticket knock, and sends to its endpoints meanwhile."""
        self._doors.invite(admission, attempt)

    def stand(self, admissions: Iterable[Admission], expires: float) -> None:
        """Lets these contacts knock until then (monotonic seconds), and no others from now on."""
        self._doors.stand(admissions, expires)

    async def call(self, admission: Admission, attempt: Attempt) -> Channel:
        """Reaches the callee and begins a line; `Opened` or `Closed` follow as events.

        Raises `Unreachable` when no endpoint answers.
        """
        candidate, nonce = await self._doors.reach(admission, attempt)
        if len(self._lines) >= MAX_LINES:
            raise Unreachable(f"This shell has {MAX_LINES} lines already.")
        quic = Quic.dial(admission.callee_fingerprint, monotonic())
        calling = Call(admission, nonce)
        channel = Channel(quic, identity=self._identity, calling=calling, redeem=self._doors.redeem)
        self._adopt(channel, candidate.address, attempt.candidates())
        self._flush(channel)
        return channel

    def moved(self, name: str, endpoints: Iterable[Endpoint], relay: bytes = b"") -> None:
        """Somebody can be reached at these endpoints now, and through the relay with this pass."""
        candidates = self._candidates(endpoints)
        way = self.relays.take(relay)
        self._doors.moved(name, candidates)
        for channel, link in self._lines.items():
            if channel.peer is not None and name_key(channel.peer) == name_key(name):
                for candidate in candidates if way is None else (*candidates, way):
                    link.path.add(candidate)
                self._transmit_all(link.path.look_around(monotonic()))

    # --- lines ------------------------------------------------------------------------------------------

    def send(self, channel: Channel, frames: Iterable[Frame]) -> None:
        """Sends frames on an open line; on a closed one they are dropped, receipts tell the difference."""
        if channel.open:
            for frame in frames:
                channel.send(frame)
            self._flush(channel)

    def write(self, channel: Channel, stream: int, data: bytes, *, end: bool = False) -> None:
        """Sends bytes on a stream of an open line, as many as the path takes now; the rest waits there."""
        if channel.open:
            channel.quic.send_on(stream, data, end=end)
            self._flush(channel)

    def keep_alive(self, channel: Channel) -> None:
        """Sends a PING on an open line."""
        if channel.open:
            channel.quic.ping()
            self._flush(channel)

    def close(self, channel: Channel, code: LineClose, reason: str = "") -> None:
        """Ends a line; no event follows."""
        channel.say_bye(code)
        self._flush(channel)
        channel.close(code, reason)
        self._flush(channel)
        self._forget(channel)

    def path(self, channel: Channel) -> LinePath | None:
        """The way of a line; to be read only."""
        link = self._lines.get(channel)
        return link.path if link else None

    def measure(self, path: LinePath) -> None:
        """Pings the other side of a line on the path in use."""
        self._transmit_all(path.measure(monotonic()))

    def silent(self) -> list[Channel]:
        """The lines whose other side is not heard."""
        now = monotonic()
        return [channel for channel, link in self._lines.items() if channel.open and link.path.stale(now)]

    def trace(
        self,
        datagrams: Callable[[bool, Address, bytes], None] | None,
        frames: Callable[[Channel, bool, Frame, int], None] | None,
    ) -> None:
        """Shows every datagram and every frame, with whether it goes out, or no more."""
        self.socket.tracer, self._frames = datagrams, frames
        for channel in self._lines:
            channel.watch = partial(frames, channel) if frames is not None else None

    def look_around(self, here: Interfaces) -> None:
        """This machine's addresses changed: every line finds out which way it goes now."""
        self.interfaces = here
        for link in self._lines.values():
            self._transmit_all(link.path.look_around(monotonic()))

    # --- routing ----------------------------------------------------------------------------------------

    def _route(self, data: bytes, address: Address) -> None:
        if is_quic(data):
            self._route_quic(data, address)
        elif data[:1] == _PROBE:
            probe = decode_probe(data)
            if probe is not None:
                self._doors.probed(probe, address)
        elif data[:1] == _PATH:
            channel = self._by_id.get(line_of_path_probe(data) or b"")
            if channel is not None:
                self._path_probed(channel, data, address)
        elif data[:1] == _RELAY:
            carried = self.relays.received(data, address)
            if carried is not None and carried[0][:1] != _RELAY:
                self._route(*carried)
        elif data and data[0] <= MAX_FIRST_BYTE:
            self.outside.received(data)

    def _route_quic(self, data: bytes, address: Address) -> None:
        channel = self._routes.get(destination_id(data))
        if channel is None:
            if not is_first(data) or not self._may_call(address):
                return
            retried = self._retries.accept(data, address, monotonic())
            if retried is None and self._half_open() >= RETRY_HALF_OPEN:
                self._transmit(self._retries.offer(data, address, monotonic()), address)
                return
            channel = Channel(
                Quic.answer(self._identity, data, retried),
                identity=self._identity,
                calling=None,
                redeem=self._doors.redeem,
                path_key=secrets.token_bytes(PATH_KEY_BYTES),
            )
            self._adopt(channel, address, (self._candidate_at(address),))
        path, now = self._lines[channel].path, monotonic()
        if address == path.address:
            path.unanswered = None
        else:
            self._transmit_all(path.heard_elsewhere(address, now))
        channel.quic.receive(data, now)
        self._digest(channel)

    def _path_probed(self, channel: Channel, data: bytes, address: Address) -> None:
        path = self._lines[channel].path
        before = path.kind
        self._transmit_all(path.probed(data, address, monotonic()))
        if path.kind is not before:
            self._watcher.changed(channel, path.kind)

    def _may_call(self, address: Address) -> bool:
        """Whether this address knocked with a ticket, and does not hold too many lines half-open."""
        if not self._doors.may_call(address) or len(self._lines) >= MAX_LINES:
            return False
        return self._half_open(address) < MAX_HALF_OPEN

    def _half_open(self, address: Address | None = None) -> int:
        """How many lines are not proven yet, from one address or in all."""
        return sum(
            not line.open and address in (None, link.path.address) for line, link in self._lines.items()
        )

    # --- inside -----------------------------------------------------------------------------------------

    def _candidates(self, endpoints: Iterable[Endpoint]) -> list[Candidate]:
        """Published endpoints as candidates; this machine's loopback only where the phone book is there too.

        Else anybody could have datagrams sent to services that trust whoever is on this machine.
        """
        book = self.relays.server
        alone = book is None or is_loopback(book[0])
        return [
            self.interfaces.candidate(endpoint, self.socket.native(endpoint))
            for endpoint in endpoints
            if alone or not is_loopback(endpoint.host)
        ]

    def _candidate_at(self, address: Address) -> Candidate:
        return Candidate(address, self.interfaces.kind_of(address))

    def _adopt(self, channel: Channel, address: Address, candidates: Iterable[Candidate]) -> None:
        for connection_id in channel.quic.routes:
            self._routes[connection_id] = channel
        if self._frames is not None:
            channel.watch = partial(self._frames, channel)
        path = LinePath(address, candidates, self.interfaces.kind_of, _path_nonce, calling=channel.calling)
        patience = asyncio.get_running_loop().call_later(HANDSHAKE_PATIENCE, self._check_opened, channel)
        self._lines[channel] = _Link(path, patience, Alarm(partial(self._expire, channel)))

    def _check_opened(self, channel: Channel) -> None:
        if not channel.open and channel in self._lines:
            self.close(channel, LineClose.BAD_PROOF, "The line did not open in time.")
            self._on_event(channel, Closed(None, "The line did not open in time."))

    def _opened(self, channel: Channel, knock_id: bytes) -> None:
        path = self._lines[channel].path
        path.key = channel.path_key
        for candidate in self._doors.candidates_of(knock_id):
            path.add(candidate)
        self._by_id[line_id(path.key)] = channel
        self._watcher.changed(channel, path.kind)

    def _digest(self, channel: Channel) -> None:
        happened, routes = channel.events()
        for route in routes:
            if isinstance(route, RouteAdded):
                self._routes[route.connection_id] = channel
            else:
                self._routes.pop(route.connection_id, None)
        # Each datagram costs both sides as much as all else that a message does. Where frames came, their
        # answers follow as soon as they are on disk, so the ACK waits for them a moment (RFC 9000 §13.2.1).
        link = self._lines.get(channel)
        if link is not None and happened and all(isinstance(event, Arrived) for event in happened):
            link.alarm.set(monotonic() + ACK_HOLD)
        else:
            self._flush(channel)
        for event in happened:
            match event:
                case Opened(knock_id=knock_id):
                    self._on_event(channel, event)
                    self._opened(channel, knock_id)
                case Closed():
                    self._forget(channel)
                    self._on_event(channel, event)
                case _:
                    self._on_event(channel, event)

    def _flush(self, channel: Channel) -> None:
        link = self._lines.get(channel)
        if link is None:
            return
        now, path = monotonic(), link.path
        for datagram in channel.quic.transmit(now):
            self._transmit(datagram, path.address)
            if path.unanswered is None:
                path.unanswered = now
        link.alarm.set(channel.quic.deadline())
        if channel.on_flushed is not None:
            channel.on_flushed()

    def _expire(self, channel: Channel) -> None:
        channel.quic.expire(monotonic())
        self._digest(channel)

    def _forget(self, channel: Channel) -> None:
        for connection_id in channel.quic.routes:
            self._routes.pop(connection_id, None)
        link = self._lines.pop(channel, None)
        if link is not None:
            self._by_id.pop(line_id(link.path.key), None)
            link.alarm.cancel()
            link.patience.cancel()

    def _tick(self) -> None:
        self._ticking = asyncio.get_running_loop().call_later(PATH_TICK, self._tick)
        for channel, link in self._lines.items():
            for address in link.path.relays_wanted(monotonic()):
                self.relays.want(address)
            self._transmit_all(link.path.tick(monotonic()))
            if link.path.lost(monotonic()):
                self._watcher.silent(self, channel)

    def _transmit_all(self, datagrams: Datagrams) -> None:
        for datagram, address in datagrams:
            self._transmit(datagram, address)

    def _transmit(self, datagram: bytes, address: Address) -> None:
        if address[1] == RELAYED_PORT:
            self.relays.send(datagram, address)
        else:
            self.socket.send(datagram, address)

    def _want_relay(self, attempt: Attempt) -> None:
        if attempt.relay is not None and not attempt.settled:
            self.relays.want(attempt.relay.address)


_PROBE, _PATH, _RELAY = (bytes((first,)) for first in (PROBE_FIRST_BYTE, PATH_FIRST_BYTE, RELAY_FIRST_BYTE))


def _path_nonce() -> bytes:
    return secrets.token_bytes(PING_NONCE_BYTES)
