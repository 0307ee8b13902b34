"""Resume tokens: proof that a session of an account was this client's. Pure.

A token names the account, the epoch of its session and an expiry, under HMAC-SHA256 (RFC 2104). Every login,
logout, kick and password change begins a new epoch, so only the latest session can be taken up again, also
after the phone book restarts, and nothing about tokens needs to be stored.
"""

import base64
import hmac
from dataclasses import dataclass

import msgspec

TOKEN_LIFE = 30 * 24 * 3600.0  # seconds in which a session can be taken up again
_DIGEST = "sha256"
_DIGEST_BYTES = 32


class Claim(msgspec.Struct, frozen=True, array_like=True):
    """What a token says."""

    account_id: int
    epoch: int
    expires: float
    """Seconds since the epoch, UTC."""


@dataclass(frozen=True, slots=True)
class TokenMint:
    """Makes and checks tokens under one secret."""

    secret: bytes

    def make(self, account_id: int, epoch: int, now: float) -> str:
        """A token for a session; `now` is in seconds since the epoch."""
        body = msgspec.msgpack.encode(Claim(account_id, epoch, now + TOKEN_LIFE))
        return base64.urlsafe_b64encode(self._digest(body) + body).decode()

    def check(self, token: str, now: float) -> Claim | None:
        """What a token says, if this mint made it and it has not expired."""
        try:
            raw = base64.urlsafe_b64decode(token)
            digest, body = raw[:_DIGEST_BYTES], raw[_DIGEST_BYTES:]
            if not hmac.compare_digest(digest, self._digest(body)):
                return None
            claim = msgspec.msgpack.decode(body, type=Claim)
        except (ValueError, msgspec.DecodeError):
            return None
        return claim if claim.expires >= now else None

    def _digest(self, body: bytes) -> bytes:
        return hmac.digest(self.secret, body, _DIGEST)
