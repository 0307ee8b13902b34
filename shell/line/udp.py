"""The shell's one UDP socket: datagrams in and out, shown to a tracer, impaired on request."""

import asyncio
import logging
import socket
from collections.abc import Callable
from random import random
from typing import cast

from shell.line.candidates import Address
from shell.line.faults import Faults
from shell.line.impairment import MAX_HELD, Impairment
from wire.messages import Endpoint

log = logging.getLogger(__name__)

SOCKET_BUFFER = 4 * 1024 * 1024  # bytes; bursts of large messages overrun the kernel's default

Tracer = Callable[[bool, Address, bytes], None]
_UNIMPAIRED = Impairment()


class UdpSocket(asyncio.DatagramProtocol):
    """One socket for everything. All calls happen on the event loop's thread."""

    def __init__(self, on_datagram: Callable[[bytes, Address], None]) -> None:
        self._on_datagram = on_datagram
        self.tracer: Tracer | None = None
        """Is shown every datagram, with whether it goes out."""
        self.impairment = _UNIMPAIRED
        """Treats datagrams as a bad network would, both ways."""
        self._held = 0
        self._transport: asyncio.DatagramTransport | None = None
        self._faults = Faults(log)
        self._mapped = False
        self.port = 0

    async def start(self, port: int) -> None:
        """Binds the socket, 0 for any free port. Raises OSError where the port is taken."""
        bound = udp_socket(port)
        self._mapped = bound.family == socket.AF_INET6
        self.port = bound.getsockname()[1]
        await asyncio.get_running_loop().create_datagram_endpoint(lambda: self, sock=bound)

    def stop(self) -> None:
        """Closes the socket, if it was opened."""
        if self._transport is not None:
            self._transport.close()

    def send(self, datagram: bytes, address: Address) -> None:
        """Sends one datagram; where there is no way it is lost, as any may be."""
        if self.tracer is not None:
            self.tracer(True, address, datagram)
        if self.impairment is not _UNIMPAIRED:
            self._impair(self._send, datagram, address)
        else:
            self._send(datagram, address)

    def impair(self, impairment: Impairment) -> None:
        """From now on treats datagrams so."""
        self.impairment = _UNIMPAIRED if impairment == _UNIMPAIRED else impairment

    def native(self, endpoint: Endpoint) -> Address:
        """The address as this socket writes it: a dual-stack one takes IPv4 as mapped (RFC 4291 §2.5.5.2)."""
        if self._mapped and ":" not in endpoint.host:
            return f"::ffff:{endpoint.host}", endpoint.port
        return endpoint.host, endpoint.port

    # --- asyncio.DatagramProtocol -----------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The socket is ready."""
        self._transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        """One datagram from anybody."""
        address = (addr[0], addr[1])
        if self.impairment is not _UNIMPAIRED:
            self._impair(self._received, data, address)
        else:
            self._received(data, address)

    def error_received(self, exc: Exception) -> None:
        """An ICMP error or a full buffer: the datagram is lost, and loss is repaired anyway."""
        log.debug("event=udp_error error=%r", exc)

    def _impair(self, carry: Callable[[bytes, Address], None], datagram: bytes, address: Address) -> None:
        for delay in self.impairment.fate(random):
            if self._held < MAX_HELD:
                self._held += 1
                asyncio.get_running_loop().call_later(delay, self._let_go, carry, datagram, address)

    def _let_go(self, carry: Callable[[bytes, Address], None], datagram: bytes, address: Address) -> None:
        self._held -= 1
        carry(datagram, address)

    def _received(self, datagram: bytes, address: Address) -> None:
        try:
            if self.tracer is not None:
                self.tracer(False, address, datagram)
            self._on_datagram(datagram, address)
        except Exception as error:  # the edge of what strangers can reach: the others go on
            self._faults.met(error, "event=datagram_fault bytes=%d", len(datagram))

    def _send(self, datagram: bytes, address: Address) -> None:
        if self._transport is None or self._transport.is_closing():
            return
        try:
            self._transport.sendto(datagram, address)
        except (OSError, ValueError) as error:  # no route, or no such family here: as good as lost
            log.debug("event=send_failed error=%r", error)


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
