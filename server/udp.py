"""The phone book's UDP port: tells shells their outside address (STUN Binding, RFC 8489), and carries the
relay's datagrams where the operator switched it on.
"""

import asyncio
import logging
import secrets
from time import monotonic
from typing import cast

from server.directory import DISCONNECTED, Directory
from server.effects import Happened
from server.relay import Relay
from server.settings import ServerSettings
from wire.limits import KIB
from wire.names import name_key
from wire.relay import RELAY_FIRST_BYTE
from wire.stun import decode_request, encode_answer, is_stun

TOLD, IGNORED, DROPPED = "outside-address", "udp-ignored", "udp-dropped"
"""What is counted: shells that were told their outside address, datagrams that are none of this port's, and
those that came while too much waited to be sent."""
MAX_QUEUED = 512 * KIB  # bytes that wait for a slow network, as much again as the kernel holds
COOKIE_SECRET = 32  # bytes
MIB = 1024 * KIB
_RELAY = bytes((RELAY_FIRST_BYTE,))
ENDS_RELAY = frozenset({"kick", "ban", "delete", "passwd", "reset", "logout"})
"""What happens to an account that may use the relay no more, until it is introduced anew."""

log = logging.getLogger(__name__)


class UdpPort(asyncio.DatagramProtocol):
    """Answers datagrams; what nobody asked for costs a look at its first bytes.

    Lives on the event loop's thread.
    """

    def __init__(self, settings: ServerSettings, counts: dict[str, int]) -> None:
        """What happens is added up in `counts`."""
        self.relay: Relay | None = None
        self._transport: asyncio.DatagramTransport | None = None
        self._counts = counts
        self._full = False
        self.change(settings)

    def change(self, settings: ServerSettings) -> None:
        """Other settings from now on; a relay that is switched off forgets whom it carried for."""
        rate, total = settings.relay_kib_per_second * KIB, settings.relay_mib_per_day * MIB
        if not settings.relay:
            self.relay = None
        elif self.relay is None:
            self.relay = Relay(
                rate=rate, total=total, secret=secrets.token_bytes(COOKIE_SECRET), counts=self._counts
            )
        else:
            self.relay.change(rate, total)

    def happened(self, event: Happened, directory: Directory) -> None:
        """Carries nothing more for whom that shall be over.

        A connection that was lost ends nothing: its shell comes back, or claims no more and is forgotten.
        """
        lost = event.what == "logout" and event.detail == DISCONNECTED
        if self.relay is None or lost:
            return
        key = name_key(event.name)
        session = directory.session_of(key)
        if event.what in ENDS_RELAY or (event.what == "blocks" and session is None):
            self.relay.forget(key)
        elif event.what == "blocks" and session is not None:
            self.relay.part(key, session.account.blocked.keys())

    def close(self) -> None:
        """Closes the socket, if it was opened."""
        if self._transport is not None:
            self._transport.close()

    # --- asyncio.DatagramProtocol -----------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The socket is ready."""
        self._transport = cast(asyncio.DatagramTransport, transport)
        # Every transport that sends has it; the types know it of streams only.
        cast(asyncio.WriteTransport, transport).set_write_buffer_limits(high=MAX_QUEUED)

    def pause_writing(self) -> None:
        """The network takes less than comes: what comes now is lost, as any datagram may be."""
        self._full = True

    def resume_writing(self) -> None:
        """A good part of what waited is sent."""
        self._full = False

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        """One datagram from anybody."""
        if self._full:
            self._count(DROPPED)
        elif data[:1] == _RELAY and self.relay is not None:
            answer = self.relay.received(data, (addr[0], addr[1]), monotonic())
            if answer is not None:
                self._send(*answer)
        elif is_stun(data):
            self._bind(data, addr)
        else:
            self._count(IGNORED)

    def error_received(self, exc: Exception) -> None:
        """An ICMP error: the datagram is lost, as any may be."""
        log.debug("event=udp_error error=%r", exc)

    def _bind(self, data: bytes, address: tuple[str, int]) -> None:
        transaction = decode_request(data)
        if transaction is None:
            self._count(IGNORED)
            return
        self._count(TOLD)
        host = address[0].removeprefix("::ffff:").partition("%")[0]
        self._send(encode_answer(transaction, host, address[1]), address)

    def _count(self, what: str) -> None:
        self._counts[what] = self._counts.get(what, 0) + 1

    def _send(self, datagram: bytes, address: tuple[str, int]) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.sendto(datagram, address)
