"""The path under a line: which address its datagrams go to, and when that changes. Nothing here reads a
clock or a socket: probes and the time come in, datagrams and their addresses go out.

QUIC itself lets only the side that dialed move, and knows no relay; so it is shown one address that never
changes, and the path is chosen below it, as iroh and Tailscale do. An address is taken only after a ping to
it was answered: whoever copies a datagram of ours from elsewhere moves nothing.
"""

from collections import deque
from collections.abc import Callable, Iterable
from typing import TypeVar

import msgspec

from shell.line.candidates import MAX_CANDIDATES, RELAYED_PORT, Address, Candidate, PathKind
from wire.paths import PathProbe, PathProbeKind, decode_path_probe, encode_path_probe

PING_GAP = 0.2  # seconds between pings to one address; each datagram from a new one asks for a ping
STALE = 3.0  # seconds without a word, after something was sent, until other ways are tried
MAX_LOST_RETRY = 60.0  # seconds between questions to the phone book about one silent path, at most
SETTLE = 1.0  # seconds in which late datagrams from an address that was left do not count as a move
BETTER_RETRY = 10.0  # seconds between tries of a direct way while relayed
MAX_SAMPLES = 64  # round trips that are kept
MAX_PINGS = 128  # pings that may be unanswered; beyond, the oldest is forgotten

Datagrams = list[tuple[bytes, Address]]
K = TypeVar("K")
V = TypeVar("V")


class _Ping(msgspec.Struct, frozen=True):
    address: Address
    sent: float
    moved: bool
    """Whether it was sent because the other side was heard from there."""


class LinePath:
    """The way of one open line. Times are monotonic seconds."""

    __slots__ = (
        "_calling",
        "_candidates",
        "_kind_of",
        "_left",
        "_left_at",
        "_lost_retry",
        "_next_better",
        "_next_lost",
        "_nonce",
        "_pinged",
        "_pings",
        "address",
        "key",
        "samples",
        "unanswered",
    )

    def __init__(
        self,
        address: Address,
        candidates: Iterable[Candidate],
        kind_of: Callable[[Address], PathKind],
        nonce: Callable[[], bytes],
        *,
        calling: bool,
    ) -> None:
        self.address = address
        """Where datagrams go."""
        self.key = b""
        """The secret of both sides; empty until the line is open."""
        self.unanswered: float | None = None
        """Since when something was sent and nothing heard."""
        self.samples: deque[float] = deque(maxlen=MAX_SAMPLES)
        """Round trips of the last pings on the path in use, in seconds."""
        self._calling = calling
        self._kind_of = kind_of
        self._nonce = nonce
        self._candidates = {candidate.address: candidate for candidate in candidates}
        self._pings: dict[bytes, _Ping] = {}
        self._pinged: dict[Address, float] = {}
        self._left: Address | None = None
        self._left_at = 0.0
        self._next_better = 0.0
        self._next_lost = 0.0
        self._lost_retry = STALE

    @property
    def kind(self) -> PathKind:
        """How datagrams get there."""
        return self._kind(self.address)

    def add(self, candidate: Candidate) -> None:
        """One more address that may lead to the other side; beyond `MAX_CANDIDATES` the oldest goes."""
        if candidate.address not in self._candidates:
            _make_room(self._candidates, MAX_CANDIDATES)
            self._candidates[candidate.address] = candidate

    def heard_elsewhere(self, address: Address, now: float) -> Datagrams:
        """A datagram of the line came from an address that is not in use: is the other side there now?"""
        if address == self._left and now < self._left_at + SETTLE:
            return []
        return self._ping(address, now, moved=True)

    def probed(self, datagram: bytes, address: Address, now: float) -> Datagrams:
        """A path probe came for this line."""
        probe = decode_path_probe(datagram, self.key) if self.key else None
        if probe is None or probe.from_caller == self._calling:
            return []
        match probe.kind:
            case PathProbeKind.PING:
                return self._pinged_by(probe, address, now)
            case PathProbeKind.PONG:
                return self._ponged(probe, now)

    def measure(self, now: float) -> Datagrams:
        """A ping on the path in use, to learn its round trip."""
        return self._ping(self.address, now, moved=False, gap=0.0)

    def look_around(self, now: float) -> Datagrams:
        """Pings to every address: this machine, or the other, may have moved."""
        addresses = dict.fromkeys((self.address, *self._candidates))
        return [datagram for address in addresses for datagram in self._ping(address, now, moved=False)]

    def lost(self, now: float) -> bool:
        """Whether to ask the phone book where the other side is: soon in a silence, then ever less often.

        While relayed now and then too, since NATs and networks change.
        """
        if not self.key:
            return False
        if not self.stale(now):
            self._lost_retry = STALE
            return self._relayed_for_long(now)
        if now < self._next_lost:
            return False
        self._next_lost = now + self._lost_retry
        self._lost_retry = min(MAX_LOST_RETRY, 2 * self._lost_retry)
        return True

    def relays_wanted(self, now: float) -> list[Address]:
        """The relayed ways that are in use, or are to be tried because the one in use is silent."""
        if self.stale(now):
            return [address for address in self._candidates if address[1] == RELAYED_PORT]
        return [self.address] if self.kind is PathKind.RELAYED else []

    def tick(self, now: float) -> Datagrams:
        """Time has passed: looks for another way where this one is silent, or for a better one."""
        if self.stale(now):
            return self.look_around(now)
        if self.kind is PathKind.RELAYED and now >= self._next_better:
            self._next_better = now + BETTER_RETRY
            return self.look_around(now)
        return []

    def stale(self, now: float) -> bool:
        """Whether the path in use brought no word for too long."""
        return self.unanswered is not None and now >= self.unanswered + STALE

    def _relayed_for_long(self, now: float) -> bool:
        if self.kind is not PathKind.RELAYED:
            self._next_lost = 0.0
            return False
        due = 0.0 < self._next_lost <= now
        if due or not self._next_lost:
            self._next_lost = now + MAX_LOST_RETRY
        return due

    # --- inside -----------------------------------------------------------------------------------------

    def _pinged_by(self, probe: PathProbe, address: Address, now: float) -> Datagrams:
        self.add(Candidate(address, self._kind(address)))
        pong = encode_path_probe(PathProbe(PathProbeKind.PONG, self._calling, probe.nonce), self.key)
        # Where the other side looks for a way, this side looks too: NATs open only from inside.
        back = self._ping(address, now, moved=False) if address != self.address else []
        return [(pong, address), *back]

    def _ponged(self, probe: PathProbe, now: float) -> Datagrams:
        ping = self._pings.pop(probe.nonce, None)
        if ping is None:
            return []
        if ping.address == self.address:
            self.samples.append(now - ping.sent)
            self.unanswered = None
        elif ping.moved or self.stale(now) or self._kind(ping.address).rank < self.kind.rank:
            self._left, self._left_at = self.address, now
            self.address, self.unanswered = ping.address, None
            self.samples.clear()
        return []

    def _ping(self, address: Address, now: float, *, moved: bool, gap: float = PING_GAP) -> Datagrams:
        last = self._pinged.get(address)
        if not self.key or (last is not None and now < last + gap):
            return []
        self._pinged.pop(address, None)
        _make_room(self._pinged, MAX_CANDIDATES)
        _make_room(self._pings, MAX_PINGS)
        self._pinged[address] = now
        nonce = self._nonce()
        self._pings[nonce] = _Ping(address, now, moved)
        return [(encode_path_probe(PathProbe(PathProbeKind.PING, self._calling, nonce), self.key), address)]

    def _kind(self, address: Address) -> PathKind:
        known = self._candidates.get(address)
        return known.kind if known is not None else self._kind_of(address)


def _make_room(table: dict[K, V], limit: int) -> None:
    while len(table) >= limit:
        del table[next(iter(table))]
