"""A network worse than the real one: loss, delay, doubles and disorder on one's own socket, for teaching,
tests and bug reports. Nothing here reads a clock or a socket; randomness is an argument.
"""

import re
from collections.abc import Callable, Sequence

import msgspec

MAX_DELAY = 10.0  # seconds; QUIC would count a longer one as a dead line anyway
DISORDER = 0.02  # seconds that a datagram is held back, at most, beyond the delay, to come after later ones
MAX_HELD = 20_000  # datagrams that may be on their way late; beyond, more are lost
KINDS = ("loss", "delay", "duplicate", "reorder")
_SHARE = re.compile(r"(\d+(?:\.\d+)?)%")
_TIME = re.compile(r"(\d+(?:\.\d+)?)(ms|s)")


class BadImpairment(ValueError):
    """That is no way to impair a network; the sentence says what is."""


class Impairment(msgspec.Struct, frozen=True):
    """What happens to each datagram, on the way out and on the way in."""

    loss: float = 0.0
    """The share that is lost, 0 to 1."""
    delay: float = 0.0
    """Seconds."""
    duplicate: float = 0.0
    """The share that comes twice."""
    reorder: float = 0.0
    """The share that comes late, after others that were sent later."""

    def __str__(self) -> str:
        shares = {"loss": self.loss, "duplicate": self.duplicate, "reorder": self.reorder}
        shown = [f"{kind} {share * 100:g}%" for kind, share in shares.items() if share]
        if self.delay:
            shown.insert(1 if self.loss else 0, f"delay {self.delay * 1000:g}ms")
        return ", ".join(shown) or "nothing"

    def fate(self, random: Callable[[], float]) -> tuple[float, ...]:
        """After how many seconds each copy of a datagram goes on; `random` gives numbers from 0 to 1."""
        if random() < self.loss:
            return ()
        copies = 2 if random() < self.duplicate else 1
        return tuple(self.delay + self._late(random) for _ in range(copies))

    def _late(self, random: Callable[[], float]) -> float:
        return random() * DISORDER if random() < self.reorder else 0.0


def parse_impairment(words: Sequence[str]) -> Impairment:
    """`loss 5% delay 80ms` and the like. Raises `BadImpairment`."""
    if len(words) % 2:
        raise BadImpairment(f"Write pairs, as `loss 5% delay 80ms`; there are {', '.join(KINDS)}.")
    found: dict[str, float] = {}
    for kind, amount in zip(words[::2], words[1::2], strict=True):
        if kind not in KINDS:
            raise BadImpairment(f"There is no {kind!r}; there are {', '.join(KINDS)}.")
        found[kind] = _seconds(amount) if kind == "delay" else _share(kind, amount)
    return Impairment(**found)


def _share(kind: str, amount: str) -> float:
    match = _SHARE.fullmatch(amount)
    share = float(match[1]) / 100 if match else 2.0
    if share > 1:
        raise BadImpairment(f"{kind} is a share from 0% to 100%, as 5%, and not {amount!r}.")
    return share


def _seconds(amount: str) -> float:
    match = _TIME.fullmatch(amount)
    seconds = float(match[1]) / (1000 if match[2] == "ms" else 1) if match else MAX_DELAY + 1
    if seconds > MAX_DELAY:
        raise BadImpairment(f"delay is a time of {MAX_DELAY:g}s at most, as 80ms, and not {amount!r}.")
    return seconds
