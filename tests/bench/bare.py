"""A word and its answer through the QUIC library with a bare loop: what a message cannot be quicker than."""

import asyncio
from time import monotonic
from typing import Any, cast

from shell.line.quic import Connected, Quic, QuicEvent, Received
from wire.certificates import Fingerprint


class QuicClient(asyncio.DatagramProtocol):
    """The QUIC library and a socket, nothing else; `heard` is told what happens."""

    def __init__(self, fingerprint: Fingerprint) -> None:
        self.quic = Quic.dial(fingerprint, monotonic())
        self._timer: asyncio.TimerHandle | None = None

    @classmethod
    async def to(cls, port: int, *arguments: Any) -> Any:
        """One that dials this port."""
        loop = asyncio.get_running_loop()
        _, protocol = await loop.create_datagram_endpoint(
            lambda: cls(*arguments), remote_addr=("127.0.0.1", port)
        )
        return protocol

    def heard(self, event: QuicEvent) -> None:
        """Something happened on the connection."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.DatagramTransport, transport)
        self.flush()

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        self.quic.receive(data, monotonic())
        for event in self.quic.events():
            self.heard(event)
        self.flush()

    def flush(self) -> None:
        """Sends what there is, and looks again when the library wants to."""
        for datagram in self.quic.transmit(monotonic()):
            self._transport.sendto(datagram)
        deadline = self.quic.deadline()
        if self._timer is not None:
            self._timer.cancel()
        if deadline is not None:
            delay = max(0.0, deadline - monotonic())
            self._timer = asyncio.get_running_loop().call_later(delay, self._expire)

    def _expire(self) -> None:
        self.quic.expire(monotonic())
        self.flush()


class QuicEcho(QuicClient):
    """Asks an echo, a word at a time."""

    def __init__(self, fingerprint: Fingerprint) -> None:
        super().__init__(fingerprint)
        self._answer: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def connected(self) -> None:
        """Once the handshake is over."""
        await self._answer

    async def trip(self, word: bytes) -> None:
        """There and back."""
        self._answer = asyncio.get_running_loop().create_future()
        self.quic.send(word)
        self.flush()
        await self._answer

    def heard(self, event: QuicEvent) -> None:
        """The handshake, or the answer."""
        if isinstance(event, Connected | Received) and not self._answer.done():
            self._answer.set_result(None)
