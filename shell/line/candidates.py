"""Which way to somebody: every address that may lead there is tried at once, and the first that answers wins,
local before outside. Nothing here reads a clock or a socket.
"""

import enum
from collections.abc import Iterable

import msgspec

Address = tuple[str, int]
"""IP address and UDP port of a peer, as the socket names it; `RELAYED_PORT` for a way through the relay."""

RELAYED_PORT = 0  # no socket has it
KNOCK_INTERVALS = (0.05, 0.1, 0.2, 0.4, 0.8, 1.6)  # seconds between knocks, doubling as in RFC 8445 §14.3
DIRECT_PATIENCE = 3.0  # seconds for a direct way to answer
RELAY_PATIENCE = 3.0  # seconds more for the way through the relay
LOCAL_GRACE = 0.03  # seconds that an answer from outside waits for one from the local network
MAX_CANDIDATES = 24  # addresses tried for one person: 16 published ones and some that turn up on the way


class PathKind(enum.Enum):
    """How a datagram gets to the other side, best first."""

    LOCAL = "local"
    """On a network of this machine."""
    DIRECT = "direct"
    """To an address of the other machine itself."""
    PUNCHED = "punched"
    """Through a NAT that both sides opened."""
    RELAYED = "relayed"
    """Through the phone book's UDP port, sealed."""

    @property
    def rank(self) -> int:
        """0 for the best."""
        return _RANKS[self]


_RANKS = {kind: rank for rank, kind in enumerate(PathKind)}


class Candidate(msgspec.Struct, frozen=True):
    """An address that may lead to somebody."""

    address: Address
    kind: PathKind

    def __str__(self) -> str:
        host, port = self.address
        if self.kind is PathKind.RELAYED:
            return "relayed, still end-to-end encrypted"
        host = host.removeprefix("::ffff:")
        return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


class Tried(msgspec.Struct, frozen=True):
    """What became of one candidate."""

    candidate: Candidate
    knocks: int
    answered: float | None
    """Seconds from the first knock to the answer, None for none."""


class _Door(msgspec.Struct):
    candidate: Candidate
    knocks: int = 0
    first: float = 0.0
    answered: float | None = None
    nonce: bytes = b""


class Attempt:
    """One try to reach somebody. Times are monotonic seconds."""

    def __init__(self, candidates: Iterable[Candidate], now: float, relay: Candidate | None = None) -> None:
        """`relay` is the way that is taken only when all others stay silent."""
        self._doors: dict[Address, _Door] = {}
        self._began = now
        self._round = 0
        self._next = now
        self.relay = relay
        self.settled = False
        """Whether a line came up, or the try was given up."""
        self.patience = DIRECT_PATIENCE + (RELAY_PATIENCE if relay else 0.0)
        """Seconds until it is given up."""
        self.heard_from: Candidate | None = None
        """From where a datagram of the callee came, though no answer to a knock."""
        self._first_answer: float | None = None
        self.add_all(candidates)

    @property
    def answered_any(self) -> bool:
        """Whether any way answered."""
        return self._first_answer is not None

    @property
    def near(self) -> bool:
        """Whether any way is on a network of this machine."""
        return any(door.candidate.kind is PathKind.LOCAL for door in self._doors.values())

    @property
    def empty(self) -> bool:
        """Whether there is nowhere to knock."""
        return not self._doors

    def add(self, candidate: Candidate) -> None:
        """One more address turned up; it is knocked at when next asked what is due."""
        if candidate.address not in self._doors and len(self._doors) < MAX_CANDIDATES:
            self._doors[candidate.address] = _Door(candidate)

    def add_all(self, candidates: Iterable[Candidate]) -> None:
        """More addresses turned up."""
        for candidate in candidates:
            self.add(candidate)

    def due(self, now: float) -> list[Address]:
        """Where to knock now."""
        if self.relay is not None and self._first_answer is None and now >= self._began + DIRECT_PATIENCE:
            self.add(self.relay)
        if now < self._next:
            fresh = [door for door in self._doors.values() if not door.knocks]
        else:
            fresh = list(self._doors.values())
            self._next = now + KNOCK_INTERVALS[min(self._round, len(KNOCK_INTERVALS) - 1)]
            self._round += 1
        for door in fresh:
            door.first = door.first if door.knocks else now
            door.knocks += 1
        return [door.candidate.address for door in fresh]

    def wake(self) -> float:
        """When something is due again, unless an answer comes before."""
        ends = self._began + self.patience
        relay = self._began + DIRECT_PATIENCE if self._waits_for_relay() else ends
        grace = ends if self._first_answer is None else self._first_answer + LOCAL_GRACE
        return min(self._next, grace, relay, ends)

    def over(self, now: float) -> bool:
        """Whether it is time to give up."""
        return now >= self._began + self.patience

    def answered(self, candidate: Candidate, nonce: bytes, now: float) -> None:
        """The callee answered a knock; from an address that was not knocked at, where its NAT wills so."""
        self.add(candidate)
        door = self._doors.get(candidate.address)
        if door is None or door.answered is not None:
            return
        door.answered, door.nonce = now - (door.first or self._began), nonce
        if self._first_answer is None:
            self._first_answer = now

    def punched(self, candidate: Candidate) -> None:
        """The callee sent something from here: a NAT shows it under an address that nobody published."""
        self.heard_from = candidate
        self.add(candidate)

    def chosen(self, now: float) -> tuple[Candidate, bytes] | None:
        """The way to take, with the callee's nonce; None while it is better to wait."""
        open_doors = [door for door in self._doors.values() if door.answered is not None]
        if not open_doors or self._first_answer is None:
            return None
        best = min(open_doors, key=lambda door: (door.candidate.kind.rank, door.answered))
        better = any(door.candidate.kind.rank < best.candidate.kind.rank for door in self._doors.values())
        if better and now < self._first_answer + LOCAL_GRACE and not self.over(now):
            return None
        return best.candidate, best.nonce

    def tried(self) -> tuple[Tried, ...]:
        """What became of each candidate, best first."""
        doors = sorted(self._doors.values(), key=lambda door: door.candidate.kind.rank)
        return tuple(Tried(door.candidate, door.knocks, door.answered) for door in doors)

    def candidates(self) -> tuple[Candidate, ...]:
        """All that were tried: a line keeps them, to move to a better one or when its own goes."""
        found = tuple(door.candidate for door in self._doors.values())
        return (*found, self.relay) if self._waits_for_relay() and self.relay else found

    def _waits_for_relay(self) -> bool:
        return self.relay is not None and self.relay.address not in self._doors
