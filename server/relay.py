"""The relay's rules: whose sealed datagrams are carried, where to, and how many. Nothing here reads a clock
or a socket.

Only an introduction makes a pair, only the two of it send to each other, each only to the address that the
other has proven not long ago to be at, and each user has so many bytes a second and a day. Whatever else
comes is dropped; only whoever may have moved is asked, now and then, to prove where it is.
"""

import ipaddress
from collections import OrderedDict
from collections.abc import Set
from dataclasses import dataclass
from hashlib import blake2b
from hmac import compare_digest

from wire.limits import KIB, TICKET_LIFE
from wire.names import NameKey
from wire.relay import (
    CLAIM_BYTES,
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
BINDING_LIFE = 60.0  # seconds for which a claim holds; shells claim every 5 while they use the way
IDLE = 120.0  # seconds until a pair is forgotten that nobody introduces and of which only one claims, or none
COOKIE_LIFE = 60.0  # seconds; a cookie holds in the period it was made in and the next
ASK_GAP = 0.2  # seconds between questions to one side where it is, which anybody on its way can cause
BURST = 64 * KIB  # bytes that one user may send at once, at least
HEADERS = 48  # bytes of the headers of IPv6 (40, RFC 8200 §3) and UDP (8, RFC 768); of IPv4 it is 28
WAYS = 2  # a datagram crosses the network to the relay and again from it, and costs both times
DAY = 24 * 3600.0  # seconds for which the total of a user counts
DATAGRAMS, BYTES, OVER_LIMIT, IGNORED = "relay-datagrams", "relay-bytes", "relay-over-limit", "relay-ignored"
"""What is counted: carried, carried without the envelope, dropped for want of a share, of nobody."""


@dataclass(slots=True)
class _Side:
    key: bytes
    user: NameKey
    other: bytes
    """The id of the other side's pass."""
    pair: "_Pair"
    address: Address | None = None
    bound_until: float = 0.0
    ask_after: float = 0.0

    def bound(self, now: float) -> Address | None:
        """Where it is, if it has said so not long ago."""
        return self.address if now < self.bound_until else None


@dataclass(slots=True)
class _Pair:
    key: frozenset[NameKey]
    used: float
    """When they were introduced, or one of them claimed while the other was there, last."""
    passes: dict[NameKey, bytes]


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
        """`rate` in bytes a second, `total` in bytes a day, both of one user and of all that crosses the
        network for what they send, headers too; `secret` makes cookies.

        What happens is added up in `counts`.
        """
        self._rate = rate
        self._total = total
        self._secret = secret
        self._sides: dict[bytes, _Side] = {}
        self._pairs: OrderedDict[frozenset[NameKey], _Pair] = OrderedDict()
        """In the order in which they were used last."""
        self._pairs_of: dict[NameKey, set[frozenset[NameKey]]] = {}
        self._meters: OrderedDict[NameKey, _Meter] = OrderedDict()
        """In the order in which their days began."""
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
        key = frozenset((one, other))
        pair = self._pairs.get(key)
        if pair is None:
            if len(self._pairs) >= MAX_PAIRS:
                self._forget(next(iter(self._pairs)))
            pair = self._pairs[key] = _Pair(key, now, {one: fresh[:PASS_BYTES], other: fresh[PASS_BYTES:]})
            for user, whom in ((one, other), (other, one)):
                mine, theirs = pair.passes[user], pair.passes[whom]
                self._sides[mine[:PASS_ID_BYTES]] = _Side(
                    mine[PASS_ID_BYTES:], user, theirs[:PASS_ID_BYTES], pair
                )
                self._pairs_of.setdefault(user, set()).add(key)
        self._use(pair, now)
        return pair.passes[one], pair.passes[other]

    def forget(self, user: NameKey) -> None:
        """Somebody may use the relay no more, until they are introduced again."""
        for key in tuple(self._pairs_of.get(user, ())):
            self._forget(key)

    def part(self, user: NameKey, others: Set[NameKey]) -> None:
        """Nothing is carried any more between somebody and these others."""
        for key in tuple(self._pairs_of.get(user, ())):
            if not others.isdisjoint(key - {user}):
                self._forget(key)

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
        if side.bound(now) != address:
            self._count(IGNORED)
            return self._asked(side, datagram, address, now)
        there = self._sides[side.other].bound(now)
        if there is None:
            self._count(IGNORED)
            return None
        payload = payload_of(datagram)
        if not self._spend(side.user, WAYS * (HEADERS + len(datagram)), now):
            self._count(OVER_LIMIT)
            return None
        self._count(DATAGRAMS)
        self._count(BYTES, len(payload))
        return encode_data(side.other, payload), there

    def _asked(self, side: _Side, datagram: bytes, address: Address, now: float) -> Sent | None:
        """A cookie for whoever was bound and sends from elsewhere, as when a NAT took another port.

        Or whose binding is over. It is no longer than what came: nothing is amplified.
        """
        if side.address is None or now < side.ask_after or len(datagram) < CLAIM_BYTES:
            return None
        side.ask_after = now + ASK_GAP
        pass_id = pass_of(datagram)
        cookie = self._cookie(pass_id, address, int(now // COOKIE_LIFE))
        return encode_claim(Claim(RelayKind.COOKIE, pass_id, cookie), side.key), address

    def _claimed(self, side: _Side, datagram: bytes, address: Address, now: float) -> Sent | None:
        claim = decode_claim(datagram, side.key)
        if claim is None:
            self._count(IGNORED)
            return None
        period = int(now // COOKIE_LIFE)
        cookies = [self._cookie(claim.pass_id, address, number) for number in (period, period - 1)]
        if any(compare_digest(claim.cookie, cookie) for cookie in cookies):
            side.address, side.bound_until = address, now + BINDING_LIFE
            if self._sides[side.other].bound(now) is not None:
                self._use(side.pair, now)
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
            self._meters.move_to_end(user)
        meter.credit = min(burst, meter.credit + (now - meter.at) * self._rate)
        meter.at = now
        if meter.credit < size or meter.used + size > self._total:
            return False
        meter.credit -= size
        meter.used += size
        return True

    def _count(self, what: str, amount: int = 1) -> None:
        self._counts[what] = self._counts.get(what, 0) + amount

    def _use(self, pair: _Pair, now: float) -> None:
        pair.used = now
        self._pairs.move_to_end(pair.key)

    def _sweep(self, now: float) -> None:
        """Forgets what is over; each is looked at once, since the oldest come first."""
        while self._pairs and now > next(iter(self._pairs.values())).used + max(IDLE, TICKET_LIFE):
            self._forget(next(iter(self._pairs)))
        while self._meters and now >= next(iter(self._meters.values())).day_began + DAY:
            self._meters.popitem(last=False)

    def _forget(self, key: frozenset[NameKey]) -> None:
        for user, whole in self._pairs.pop(key).passes.items():
            del self._sides[whole[:PASS_ID_BYTES]]
            self._pairs_of[user].remove(key)
            if not self._pairs_of[user]:
                del self._pairs_of[user]
