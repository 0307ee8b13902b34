"""QUIC Retry (RFC 9000 §8.1.2): under load a caller must show that it is where its datagrams say, before a
connection is made for it and any handshake is computed. Keeps nothing of callers: the token brings all back.

Nothing here reads a clock or a socket; the time and randomness come in.
"""

import hmac
from collections.abc import Callable
from hashlib import blake2b

from shell.line.candidates import Address
from shell.line.quic import CONNECTION_ID_BYTES, destination_id, retry, token_of

RETRY_KEY_BYTES = 32
TOKEN_LIFE = 10  # seconds in which a caller must try again
_TIME_BYTES, _CODE_BYTES = 8, 16


class Retries:
    """Times are monotonic seconds."""

    def __init__(self, key: bytes, random: Callable[[int], bytes]) -> None:
        self._key = key
        self._random = random

    def offer(self, first: bytes, address: Address, now: float) -> bytes:
        """What tells the sender of a first datagram to try again with a token; far shorter than that was."""
        new_id, original = self._random(CONNECTION_ID_BYTES), destination_id(first)
        made = int(now).to_bytes(_TIME_BYTES)
        return retry(first, new_id, made + self._code(made, original, new_id, address) + original)

    def accept(self, first: bytes, address: Address, now: float) -> bytes | None:
        """The id to which a caller sent before it was told to try again; None for one that was not."""
        token = token_of(first)
        made, rest = token[:_TIME_BYTES], token[_TIME_BYTES:]
        code, original = rest[:_CODE_BYTES], rest[_CODE_BYTES:]
        if len(code) != _CODE_BYTES or now - int.from_bytes(made) > TOKEN_LIFE:
            return None
        right = self._code(made, original, destination_id(first), address)
        return original if hmac.compare_digest(code, right) else None

    def _code(self, made: bytes, original: bytes, new_id: bytes, address: Address) -> bytes:
        host, port = address
        told = b"%b%d:%b%d:%b%b:%d" % (
            made,
            len(original),
            original,
            len(new_id),
            new_id,
            host.encode(),
            port,
        )
        return blake2b(told, digest_size=_CODE_BYTES, key=self._key).digest()
