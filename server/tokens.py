"""Resume tokens: proof that a session of an account was this client's. Pure.

A token names the account, the epoch of its session and an expiry, under HMAC-SHA256 (RFC 2104). Every login,
logout, kick and password change begins a new epoch, so only the latest session can be taken up again, also
after the phone book restarts, and nothing about tokens needs to be stored. The account's name and the moment
when it was made stand beside its number, since an import or an older backup may give that to somebody else.
"""

import base64
import hmac

import msgspec

from server.account import Account, AccountId
from wire.names import NameKey

TOKEN_LIFE = 30 * 24 * 3600.0  # seconds in which a session can be taken up again
_DIGEST = "sha256"
_DIGEST_BYTES = 32


class Claim(msgspec.Struct, frozen=True, array_like=True):
    """What a token says."""

    account_id: AccountId
    key: NameKey
    created: float
    epoch: int
    expires: float
    """Seconds since the epoch, UTC."""

    def fits(self, account: Account) -> bool:
        """Whether it speaks of the account's latest session."""
        told = (self.account_id, self.key, self.created, self.epoch)
        return told == (account.id, account.key, account.created, account.epoch)


class TokenMint(msgspec.Struct, frozen=True):
    """Makes and checks tokens under one secret."""

    secret: bytes

    def make(self, account: Account, now: float) -> str:
        """A token for an account's latest session; `now` is in seconds since the epoch."""
        claim = Claim(account.id, account.key, account.created, account.epoch, now + TOKEN_LIFE)
        body = msgspec.msgpack.encode(claim)
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
