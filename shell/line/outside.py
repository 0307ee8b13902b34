"""This shell's outside address: what a STUN server sees our socket's datagrams come from (RFC 8489)."""

import asyncio
import secrets
from collections.abc import Callable
from time import monotonic

from shell.line.addresses import plain_host
from shell.line.candidates import Address
from wire.messages import Endpoint
from wire.stun import TRANSACTION_BYTES, decode_answer, encode_request

REQUEST_INTERVALS = (0.1, 0.2, 0.4, 0.8, 1.6)  # seconds; RFC 8489 §6.2.1 doubles as well, from 0.5
FRESH = 25.0  # seconds for which an answer holds; NATs keep a mapping for 30 s or more (RFC 9000 §10.1.2)


class OutsideAddress:
    """Asks STUN servers from the line's own socket. Lives on the event loop's thread."""

    def __init__(self, send: Callable[[bytes, Address], None]) -> None:
        self._send = send
        self._waiting: dict[bytes, asyncio.Future[Endpoint]] = {}
        self._asked: dict[Address, float] = {}
        self.doubted = False
        """Whether something said since the last question that the NAT has changed its mind."""
        self.seen: dict[Address, Endpoint | None] = {}
        """What each server answered last; None for one that was asked in vain."""

    def fresh(self, server: Address) -> bool:
        """Whether a server's last answer is new enough for the NAT to hold the mapping still."""
        return self.seen.get(server) is not None and monotonic() < self._asked.get(server, -FRESH) + FRESH

    def doubt(self) -> None:
        """No answer is fresh any more."""
        self._asked.clear()
        self.doubted = True

    async def ask(self, server: Address) -> Endpoint | None:
        """The address that a server sees, None where it does not answer."""
        transaction = secrets.token_bytes(TRANSACTION_BYTES)
        answer: asyncio.Future[Endpoint] = asyncio.get_running_loop().create_future()
        self._waiting[transaction] = answer
        request = encode_request(transaction)
        try:
            for interval in REQUEST_INTERVALS:
                self._asked[server] = monotonic()
                self._send(request, server)
                done, _ = await asyncio.wait((answer,), timeout=interval)
                if done:
                    break
        finally:
            del self._waiting[transaction]
        self.seen[server] = answer.result() if answer.done() else None
        return self.seen[server]

    def received(self, datagram: bytes) -> None:
        """A STUN message came; only the answer to a question of ours counts, which nobody can guess."""
        decoded = decode_answer(datagram)
        if decoded is None:
            return
        transaction, host, port = decoded
        waiting = self._waiting.get(transaction)
        if waiting is not None and not waiting.done():
            waiting.set_result(Endpoint(plain_host(host), port, outside=True))
