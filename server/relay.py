"""The relay's rules: whose sealed datagrams are carried, where to, and how many. Nothing here reads a clock
or a socket.

Only an introduction makes a pair, only the two of it send to each other, each only to the address that the
other has proven to be at, and each user has so many bytes a second and a day. Whatever else comes is dropped
without an answer.
"""

import ipaddress
from dataclasses import dataclass
from hashlib import blake2b
from hmac import compare_digest

from wire.limits import KIB, TICKET_LIFE
from wire.names import NameKey
from wire.relay import (
    COOKIE_BYTES,
    NO_COOKIE,
    PASS_BYTES,
    PASS_ID_BYTES,
    Claim,
    RelayKind,
    decode_claim,
    encode_claim,
    encode_data,
    kind_of,
    pass_of,
    payload_of,
)

Address = tuple[str, int]
Sent = tuple[bytes, Address]

MAX_PAIRS = 4096  # pairs that may use the relay at once; beyond, the one that was silent longest goes
IDLE = 120.0  # seconds without a datagram after which a pair is forgotten; shells send something every 20
COOKIE_LIFE = 60.0  # seconds; a cookie holds in the period it was made in and the next
BURST = 64 * KIB  # bytes that one user may send at once, at least
DAY = 24 * 3600.0  # seconds for which the total of a user counts
DATAGRAMS, BYTES, OVER_LIMIT, IGNORED = "relay-datagrams", "relay-bytes", "relay-over-limit", "relay-ignored"
"""What is counted: carried, carried without the envelope, dropped for want of a share, of nobody."""
SWEEP = 10.0  # seconds between looks for pairs that are over


@dataclass(slots=True)
class _Side:
    key: bytes
    user: NameKey
    other: bytes
    """The pass of the other side."""
    pair: frozenset[NameKey]
    heard: float
    """When it was introduced, bound or sent something last."""
    address: Address | None = None


@dataclass(slots=True)
class _Meter:
    """What one user has left."""

    credit: float
    at: float
    day_began: float
    used: int = 0


class Relay:
    """Times are monotonic seconds."""

    def __init__(self, *, rate: int, total: int, secret: bytes, counts: dict[str, int]) -> None:
        """`rate` in bytes a second, `total` in bytes a day, both of one user; `secret` makes cookies.

        What happens is added up in `counts`.
        """
        self._rate = rate
        self._total = total
        self._secret = secret
        self._sides: dict[bytes, _Side] = {}
        self._pairs: dict[frozenset[NameKey], dict[NameKey, bytes]] = {}
        self._meters: dict[NameKey, _Meter] = {}
        self._swept = 0.0
        self._counts = counts

    def change(self, rate: int, total: int) -> None:
        """Other figures from now on; what was used stays used."""
        self._rate, self._total = rate, total

    @property
    def pairs(self) -> int:
        """How many pairs may use it now."""
        return len(self._pairs)

    def introduce(self, one: NameKey, other: NameKey, fresh: bytes, now: float) -> tuple[bytes, bytes]:
        """Passes for two people who were introduced: the ones they have, or made of `fresh` random bytes
        (twice `PASS_BYTES`)."""
        self._sweep(now)
        pair = frozenset((one, other))
        passes = self._pairs.get(pair)
        if passes is None:
            while len(self._pairs) >= MAX_PAIRS:
                self._forget(min(self._pairs, key=self._heard))
            passes = self._pairs[pair] = {one: fresh[:PASS_BYTES], other: fresh[PASS_BYTES:]}
            for user, whom in ((one, other), (other, one)):
                mine, theirs = passes[user], passes[whom]
                self._sides[mine[:PASS_ID_BYTES]] = _Side(
                    mine[PASS_ID_BYTES:], user, theirs[:PASS_ID_BYTES], pair, now
                )
        for whole in passes.values():
            self._sides[whole[:PASS_ID_BYTES]].heard = now
        return passes[one], passes[other]

    def forget(self, user: NameKey) -> None:
        """Somebody may use the relay no more, until they are introduced again."""
        for pair in [pair for pair in self._pairs if user in pair]:
            self._forget(pair)

    def received(self, datagram: bytes, address: Address, now: float) -> Sent | None:
        """A datagram came; what to send, and where, None for nothing."""
        kind = kind_of(datagram)
        side = self._sides.get(pass_of(datagram)) if kind is not None else None
        answer: Sent | None = None
        if side is None:
            self._count(IGNORED)
        elif kind is RelayKind.DATA:
            answer = self._carry(side, datagram, address, now)
        elif kind is RelayKind.CLAIM:
            answer = self._claimed(side, datagram, address, now)
        return answer

    # --- inside -----------------------------------------------------------------------------------------

    def _carry(self, side: _Side, datagram: bytes, address: Address, now: float) -> Sent | None:
        other = self._sides.get(side.other)
        if side.address != address or other is None or other.address is None:
            self._count(IGNORED)
            return None
        payload = payload_of(datagram)
        if not self._spend(side.user, len(payload), now):
            self._count(OVER_LIMIT)
            return None
        side.heard = now
        self._count(DATAGRAMS)
        self._count(BYTES, len(payload))
        return encode_data(side.other, payload), other.address

    def _claimed(self, side: _Side, datagram: bytes, address: Address, now: float) -> Sent | None:
        claim = decode_claim(datagram, side.key)
        if claim is None:
            self._count(IGNORED)
            return None
        period = int(now // COOKIE_LIFE)
        cookies = [self._cookie(claim.pass_id, address, number) for number in (period, period - 1)]
        if any(compare_digest(claim.cookie, cookie) for cookie in cookies):
            side.address, side.heard = address, now
            answer = Claim(RelayKind.BOUND, claim.pass_id, NO_COOKIE)
        else:
            answer = Claim(RelayKind.COOKIE, claim.pass_id, cookies[0])
        return encode_claim(answer, side.key), address

    def _cookie(self, pass_id: bytes, address: Address, period: int) -> bytes:
        host = ipaddress.ip_address(address[0].partition("%")[0]).packed
        told = pass_id + host + address[1].to_bytes(2) + period.to_bytes(8, signed=True)
        return blake2b(told, digest_size=COOKIE_BYTES, key=self._secret).digest()

    def _spend(self, user: NameKey, size: int, now: float) -> bool:
        """A token bucket for the second, a sum for the day."""
        burst = max(self._rate, BURST)
        meter = self._meters.get(user)
        if meter is None:
            meter = self._meters[user] = _Meter(burst, now, now)
        if now >= meter.day_began + DAY:
            meter.day_began, meter.used = now, 0
        meter.credit = min(burst, meter.credit + (now - meter.at) * self._rate)
        meter.at = now
        if meter.credit < size or meter.used + size > self._total:
            return False
        meter.credit -= size
        meter.used += size
        return True

    def _count(self, what: str, amount: int = 1) -> None:
        self._counts[what] = self._counts.get(what, 0) + amount

    def _sweep(self, now: float) -> None:
        if now < self._swept + SWEEP:
            return
        self._swept = now
        for pair in [pair for pair in self._pairs if now > self._heard(pair) + max(IDLE, TICKET_LIFE)]:
            self._forget(pair)
        over = [user for user, meter in self._meters.items() if now >= meter.day_began + DAY]
        for user in over:
            del self._meters[user]

    def _heard(self, pair: frozenset[NameKey]) -> float:
        return max(self._sides[whole[:PASS_ID_BYTES]].heard for whole in self._pairs[pair].values())

    def _forget(self, pair: frozenset[NameKey]) -> None:
        for whole in self._pairs.pop(pair).values():
            del self._sides[whole[:PASS_ID_BYTES]]
