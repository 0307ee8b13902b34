"""This shell's passes to the phone book's relay: claimed when no direct way comes up, kept while in use.

`Pass` is the machine of one pass, without clock and socket; `Relays` gives it both.
"""

import asyncio
from collections.abc import Callable
from time import monotonic

from shell.line.candidates import RELAYED_PORT, Address, Candidate, PathKind
from wire.relay import (
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

CLAIM_INTERVALS = (0.1, 0.2, 0.4, 0.8, 1.6)  # seconds between claims until one is answered, doubling
RENEW = 5.0  # seconds between claims while in use: so long a NAT that took another port keeps away what comes
MAX_PASSES = 256  # passes of one shell; beyond, the oldest goes


class Pass:
    """One pass, and whether the relay knows where this shell is. Times are monotonic seconds."""

    def __init__(self, whole: bytes, server: Address) -> None:
        self.id = whole[:PASS_ID_BYTES]
        self.server = server
        self.bound = False
        """Whether the relay sends to this shell what comes for the pass."""
        self._key = whole[PASS_ID_BYTES:]
        self._cookie = NO_COOKIE
        self._tries = len(CLAIM_INTERVALS)
        self._next = 0.0

    @property
    def address(self) -> Address:
        """Stands for the other side among the addresses of paths."""
        return f"relay-{self.id.hex()}", RELAYED_PORT

    def want(self, now: float) -> bool:
        """The way is wanted; whether claims are due from now on that were not before."""
        if self._tries < len(CLAIM_INTERVALS) or (self.bound and now < self._next):
            return False
        self._tries, self._next = 0, now
        return True

    def due(self, now: float) -> bytes | None:
        """The claim to send now, if any."""
        if self._tries >= len(CLAIM_INTERVALS) or now < self._next:
            return None
        self._next = now + CLAIM_INTERVALS[self._tries]
        self._tries += 1
        return encode_claim(Claim(RelayKind.CLAIM, self.id, self._cookie), self._key)

    def wake(self) -> float | None:
        """When the next claim is due; None for not until the way is wanted again."""
        return self._next if self._tries < len(CLAIM_INTERVALS) else None

    def answered(self, datagram: bytes, now: float) -> None:
        """The relay answered a claim, or asks for one."""
        claim = decode_claim(datagram, self._key)
        if claim is None:
            return
        asked = self._tries >= len(CLAIM_INTERVALS)  # with no claim under way: a NAT took another port
        if claim.kind is RelayKind.COOKIE and (asked or claim.cookie != self._cookie):
            self._cookie, self._tries, self._next = claim.cookie, 0, now
        elif claim.kind is RelayKind.BOUND:
            self.bound, self._tries, self._next = True, len(CLAIM_INTERVALS), now + RENEW


class Relays:
    """All passes of one shell. Lives on the event loop's thread."""

    def __init__(self, send: Callable[[bytes, Address], None]) -> None:
        self._send = send
        self._passes: dict[bytes, Pass] = {}
        self._by_address: dict[Address, Pass] = {}
        self.server: Address | None = None
        """The phone book's UDP port, once it is known."""

    def take(self, whole: bytes) -> Candidate | None:
        """The way through a pass of an introduction; None where the phone book offers no relay."""
        if len(whole) != PASS_BYTES or self.server is None:
            return None
        known = self._passes.get(whole[:PASS_ID_BYTES])
        if known is None:
            while len(self._passes) >= MAX_PASSES:
                oldest = self._passes.pop(next(iter(self._passes)))
                del self._by_address[oldest.address]
            known = Pass(whole, self.server)
            self._passes[known.id] = self._by_address[known.address] = known
        return Candidate(known.address, PathKind.RELAYED)

    def want(self, address: Address) -> None:
        """A way is, or may soon be, in use: the relay must know where this shell is."""
        known = self._by_address.get(address)
        if known is not None and known.want(monotonic()):
            self._claim(known)

    def send(self, datagram: bytes, address: Address) -> None:
        """Sends a datagram through the relay; it is lost where the relay does not know this shell yet."""
        known = self._by_address.get(address)
        if known is not None and known.bound:
            self._send(encode_data(known.id, datagram), known.server)

    def received(self, datagram: bytes, address: Address) -> tuple[bytes, Address] | None:
        """A datagram of the relay; what was in it, and the way that it came, None for nothing."""
        kind = kind_of(datagram)
        known = self._passes.get(pass_of(datagram)) if kind is not None else None
        if known is None or address != known.server:
            return None
        if kind is RelayKind.DATA:
            return payload_of(datagram), known.address
        known.answered(datagram, monotonic())
        self._claim(known)
        return None

    def _claim(self, known: Pass) -> None:
        now = monotonic()
        claim = known.due(now)
        if claim is not None:
            self._send(claim, known.server)
        wake = known.wake()
        if claim is not None and wake is not None:
            asyncio.get_running_loop().call_later(wake - now, self._claim, known)
