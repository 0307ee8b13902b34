"""The shell's one UDP socket: probes and QUIC, dialing and answering.

A datagram that does not belong to a connection costs a look into a table and no more: a knock must carry the
id of a ticket that the phone book announced, an Initial must come from where such a knock came from.
"""

import asyncio
import logging
import secrets
import socket
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from time import monotonic
from typing import Any, cast

from shell.line.channel import Arrived, Call, Channel, ChannelEvent, Closed, Opened
from shell.line.errors import Unreachable
from shell.line.invitations import Admission, Invitation, Invitations
from shell.line.quic import Address, Quic, RouteAdded, destination_id, is_first, is_quic
from wire.certificates import Identity
from wire.frames import NONCE_BYTES, Frame, LineClose, Probe, ProbeKind, decode_probe
from wire.limits import TICKET_LIFE
from wire.messages import Endpoint

log = logging.getLogger(__name__)

MAX_LINES = 256  # connections at once, dialed and answered
MAX_HALF_OPEN = 4  # connections from one address that are not proven yet
MAX_CALLERS = 1024  # addresses that knocked with a ticket and may dial; beyond, the oldest goes
HANDSHAKE_PATIENCE = 10.0  # seconds for a line to open, else it is dropped
PROBE_PATIENCE = 3.0  # seconds for any endpoint of a callee to answer a knock
KNOCK_INTERVALS = (0.05, 0.1, 0.2, 0.4, 0.8, 1.6)  # seconds between knocks, doubling as in RFC 8445 §14.3
SOCKET_BUFFER = 4 * 1024 * 1024  # bytes; bursts of large messages overrun the kernel's default
MAX_FAULT_LOGS = 20  # lines that faults of strangers may write into the log


@dataclass(slots=True)
class _Path:
    """Where the other side of a line is, and when the line wants to be woken."""

    address: Address
    patience: asyncio.TimerHandle
    timer: asyncio.TimerHandle | None = None

    def cancel_timer(self) -> None:
        if self.timer is not None:
            self.timer.cancel()


class UdpEndpoint(asyncio.DatagramProtocol):
    """One socket, many lines. All calls happen on the event loop's thread."""

    def __init__(self, identity: Identity, on_event: Callable[[Channel, ChannelEvent], None]) -> None:
        self._identity = identity
        self._on_event = on_event
        self._lines: dict[Channel, _Path] = {}
        self._routes: dict[bytes, Channel] = {}
        self._invitations = Invitations()
        self._callers: dict[Address, float] = {}
        self._knocks: dict[bytes, asyncio.Future[tuple[Address, bytes]]] = {}
        self.tracer: Callable[[bool, Address, bytes], None] | None = None
        """Is shown every datagram, with whether it goes out."""
        self._transport: asyncio.DatagramTransport | None = None
        self._faults = 0
        self._mapped = False
        self.port = 0

    async def start(self, port: int) -> None:
        """Binds the socket, 0 for any free port. Raises OSError where the port is taken."""
        bound = udp_socket(port)
        self._mapped = bound.family == socket.AF_INET6
        self.port = bound.getsockname()[1]
        await asyncio.get_running_loop().create_datagram_endpoint(lambda: self, sock=bound)

    def stop(self) -> None:
        """Ends every line and closes the socket, if it was opened."""
        for channel in list(self._lines):
            self.close(channel, LineClose.DONE)
        if self._transport is not None:
            self._transport.close()

    def invite(self, admission: Admission) -> None:
        """Lets the caller of a verified ticket knock."""
        self._invitations.announce(admission, secrets.token_bytes(NONCE_BYTES), monotonic() + TICKET_LIFE)

    def stand(self, admissions: Iterable[Admission], expires: float) -> None:
        """Lets these contacts knock until then (monotonic seconds), and no others from now on."""
        self._invitations.stand(
            Invitation(admission, secrets.token_bytes(NONCE_BYTES), expires) for admission in admissions
        )

    async def call(self, admission: Admission, endpoints: Iterable[Endpoint]) -> Channel:
        """Reaches the callee and begins a line; `Opened` or `Closed` follow as events.

        Raises `Unreachable` when no endpoint answers in `PROBE_PATIENCE` seconds.
        """
        address, nonce = await self._reach(admission.id, tuple(endpoints))
        if len(self._lines) >= MAX_LINES:
            raise Unreachable(f"This shell has {MAX_LINES} lines already.")
        quic = Quic.dial(admission.callee_fingerprint, address, monotonic())
        channel = Channel(quic, identity=self._identity, calling=Call(admission, nonce), redeem=self._redeem)
        self._adopt(channel, address)
        self._flush(channel)
        return channel

    def send(self, channel: Channel, frames: Iterable[Frame]) -> None:
        """Sends frames on an open line; on a closed one they are dropped, receipts tell the difference."""
        if channel.open:
            for frame in frames:
                channel.send(frame)
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

    def address(self, channel: Channel) -> Address | None:
        """Where the other side of a line is."""
        path = self._lines.get(channel)
        return path.address if path else None

    # --- asyncio.DatagramProtocol -----------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The socket is ready."""
        self._transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        """One datagram from anybody."""
        if self.tracer is not None:
            self.tracer(False, (addr[0], addr[1]), data)
        try:
            self._route(data, (addr[0], addr[1]))
        except Exception:  # the edge of what strangers can reach: whatever they sent, the others go on
            self._faults += 1
            if self._faults <= MAX_FAULT_LOGS:
                log.exception("event=datagram_fault bytes=%d", len(data))

    def error_received(self, exc: Exception) -> None:
        """An ICMP error or a full buffer: the datagram is lost, and loss is repaired anyway."""
        log.debug("event=udp_error error=%r", exc)

    # --- routing ----------------------------------------------------------------------------------------

    def _route(self, data: bytes, address: Address) -> None:
        if not is_quic(data):
            probe = decode_probe(data)
            if probe is not None:
                self._probed(probe, address)
            return
        channel = self._routes.get(destination_id(data))
        if channel is None:
            if not is_first(data) or not self._may_call(address):
                return
            quic = Quic.answer(self._identity, data)
            channel = Channel(quic, identity=self._identity, calling=None, redeem=self._redeem)
            self._adopt(channel, address)
        self._lines[channel].address = address
        channel.quic.receive(data, address, monotonic())
        self._digest(channel)

    def _may_call(self, address: Address) -> bool:
        """Whether this address knocked with a ticket, and does not hold too many lines half-open."""
        if self._callers.get(address, 0.0) < monotonic() or len(self._lines) >= MAX_LINES:
            return False
        half_open = sum(path.address == address and not line.open for line, path in self._lines.items())
        return half_open < MAX_HALF_OPEN

    def _probed(self, probe: Probe, address: Address) -> None:
        if probe.kind is ProbeKind.ANSWER:
            waiting = self._knocks.get(probe.ticket_id)
            if waiting is not None and not waiting.done():
                waiting.set_result((address, probe.nonce))
            return
        now = monotonic()
        invitation = self._invitations.find(probe.ticket_id, now)
        if invitation is None:
            return
        self._callers.pop(address, None)
        _make_room(self._callers, MAX_CALLERS)
        self._callers[address] = min(invitation.expires, now + TICKET_LIFE)
        self._transmit(Probe(ProbeKind.ANSWER, probe.ticket_id, invitation.nonce).encode(), address)

    def _redeem(self, knock_id: bytes, signed: bytes) -> Invitation | None:
        fresh = secrets.token_bytes(NONCE_BYTES)
        return self._invitations.redeem(knock_id, signed, fresh, monotonic())

    async def _reach(self, ticket_id: bytes, endpoints: tuple[Endpoint, ...]) -> tuple[Address, bytes]:
        if not endpoints:
            raise Unreachable("The other shell has published no endpoint.")
        answer: asyncio.Future[tuple[Address, bytes]] = asyncio.get_running_loop().create_future()
        self._knocks[ticket_id] = answer
        knock = Probe(ProbeKind.KNOCK, ticket_id, bytes(NONCE_BYTES)).encode()
        addresses = [self._native(endpoint) for endpoint in endpoints]
        try:
            async with asyncio.timeout(PROBE_PATIENCE):
                for interval in KNOCK_INTERVALS:
                    for address in addresses:
                        self._transmit(knock, address)
                    done, _ = await asyncio.wait((answer,), timeout=interval)
                    if done:
                        break
                return await answer
        except TimeoutError:
            tried = ", ".join(str(endpoint) for endpoint in endpoints)
            raise Unreachable(f"No answer from {tried} within {PROBE_PATIENCE:g} s.") from None
        finally:
            del self._knocks[ticket_id]

    # --- lines ------------------------------------------------------------------------------------------

    def _adopt(self, channel: Channel, address: Address) -> None:
        for connection_id in channel.quic.routes:
            self._routes[connection_id] = channel
        patience = asyncio.get_running_loop().call_later(HANDSHAKE_PATIENCE, self._check_opened, channel)
        self._lines[channel] = _Path(address, patience)

    def _check_opened(self, channel: Channel) -> None:
        if not channel.open and channel in self._lines:
            self.close(channel, LineClose.BAD_PROOF, "The line did not open in time.")
            self._on_event(channel, Closed(None, "The line did not open in time."))

    def _digest(self, channel: Channel) -> None:
        happened, routes = channel.events()
        for route in routes:
            if isinstance(route, RouteAdded):
                self._routes[route.connection_id] = channel
            else:
                self._routes.pop(route.connection_id, None)
        self._flush(channel)
        for event in happened:
            match event:
                case Opened() | Arrived():
                    self._on_event(channel, event)
                case Closed():
                    self._forget(channel)
                    self._on_event(channel, event)

    def _flush(self, channel: Channel) -> None:
        now = monotonic()
        for datagram, address in channel.quic.transmit(now):
            self._transmit(datagram, address)
        path = self._lines.get(channel)
        if path is None:
            return
        path.cancel_timer()
        deadline = channel.quic.deadline()
        if deadline is not None:
            loop = asyncio.get_running_loop()
            path.timer = loop.call_later(max(0.0, deadline - now), self._expire, channel)

    def _expire(self, channel: Channel) -> None:
        channel.quic.expire(monotonic())
        self._digest(channel)

    def _forget(self, channel: Channel) -> None:
        for connection_id in channel.quic.routes:
            self._routes.pop(connection_id, None)
        path = self._lines.pop(channel, None)
        if path is not None:
            path.cancel_timer()
            path.patience.cancel()

    def _transmit(self, datagram: bytes, address: Address) -> None:
        if self._transport is None:
            return
        if self.tracer is not None:
            self.tracer(True, address, datagram)
        try:
            self._transport.sendto(datagram, address)
        except OSError as error:  # no route: as good as a lost datagram
            log.debug("event=send_failed error=%r", error)

    def _native(self, endpoint: Endpoint) -> Address:
        """The address as this socket writes it: a dual-stack one takes IPv4 as mapped (RFC 4291 §2.5.5.2)."""
        if self._mapped and ":" not in endpoint.host:
            return f"::ffff:{endpoint.host}", endpoint.port
        return endpoint.host, endpoint.port


def udp_socket(port: int) -> socket.socket:
    """A non-blocking UDP socket on every address of this machine, both families where there are two."""
    try:
        bound = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
        bound.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        host = "::"
    except OSError:
        bound = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        host = "0.0.0.0"  # noqa: S104 - others must reach it
    try:
        for option in (socket.SO_RCVBUF, socket.SO_SNDBUF):
            bound.setsockopt(socket.SOL_SOCKET, option, SOCKET_BUFFER)
        bound.setblocking(False)
        bound.bind((host, port))
    except BaseException:
        bound.close()
        raise
    return bound


def _make_room(table: dict[Any, Any], limit: int) -> None:
    while len(table) >= limit:
        del table[next(iter(table))]
