"""The phone book's UDP port: tells shells their outside address (STUN Binding, RFC 8489)."""

import asyncio
import logging
from typing import cast

from wire.stun import decode_request, encode_answer, is_stun

log = logging.getLogger(__name__)


class UdpPort(asyncio.DatagramProtocol):
    """Answers datagrams; what nobody asked for costs a look at its first bytes.

    Lives on the event loop's thread.
    """

    def __init__(self) -> None:
        self._transport: asyncio.DatagramTransport | None = None
        self.bindings = 0
        """How many shells were told their outside address."""
        self.ignored = 0
        """How many datagrams were none of this port's."""

    def close(self) -> None:
        """Closes the socket, if it was opened."""
        if self._transport is not None:
            self._transport.close()

    # --- asyncio.DatagramProtocol -----------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The socket is ready."""
        self._transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        """One datagram from anybody."""
        if is_stun(data):
            self._bind(data, addr)
        else:
            self.ignored += 1

    def error_received(self, exc: Exception) -> None:
        """An ICMP error: the datagram is lost, as any may be."""
        log.debug("event=udp_error error=%r", exc)

    def _bind(self, data: bytes, address: tuple[str, int]) -> None:
        transaction = decode_request(data)
        if transaction is None:
            self.ignored += 1
            return
        self.bindings += 1
        host = address[0].removeprefix("::ffff:").partition("%")[0]
        self._send(encode_answer(transaction, host, address[1]), address)

    def _send(self, datagram: bytes, address: tuple[str, int]) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.sendto(datagram, address)
