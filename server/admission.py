"""Which connections may be there: how many in all, from one address, and without a login. Nothing here reads
a clock or owns a socket; connections are known by where they come from.

Where there is no room, the address with the most connections without a login gives one up, so that one
machine cannot keep all others out by opening many. Where all have about the same, many are coming at once, as
after a restart: whoever is in is left to finish, and gives way to a newcomer only after a while.
"""

import enum
from collections import Counter

import msgspec

from server.settings import ServerSettings
from server.throttles import Prefix

LONG_ENOUGH = 5.0  # seconds; a thousand log in with a token in one
SESSIONS_SHARE = 2  # of the room, one in so many places at most is for those who have not logged in


class Why(enum.Enum):
    """Why a connection may not be there."""

    FULL = "full"
    """The phone book has as many connections as it may have, or as the system lets it open."""
    ADDRESS = "address"
    """Its address has as many as one may have."""
    UNPROVEN = "unproven"
    """Too many have not logged in, all together or of its address."""


class Admit(msgspec.Struct, frozen=True):
    """Come in."""


class Displace(msgspec.Struct, frozen=True):
    """Come in; the oldest connection of this address that has not logged in makes room."""

    prefix: Prefix


class Deny(msgspec.Struct, frozen=True):
    """Stay out."""

    why: Why


class Waiting(msgspec.Struct, frozen=True):
    """A connection without a login, and for how long it is there."""

    prefix: Prefix
    seconds: float


Verdict = Admit | Displace | Deny


class Admission:
    """Counts connections."""

    def __init__(self, settings: ServerSettings, descriptors: int) -> None:
        """`descriptors` is how many connections the system lets the process have."""
        self._all: Counter[Prefix] = Counter()
        self._without_login: Counter[Prefix] = Counter()
        self.total = self.unproven = 0
        self.change(settings, descriptors)

    def change(self, settings: ServerSettings, descriptors: int) -> None:
        """Other limits from now on; who is there stays."""
        self.room = max(1, min(settings.max_connections, descriptors))
        """Connections, at most."""
        self._per_address = settings.connections_per_address
        self._unproven = max(1, min(settings.max_unauthenticated, self.room // SESSIONS_SHARE))
        self._unproven_per_address = settings.unauthenticated_per_address

    def ask(self, prefix: Prefix, oldest: Waiting | None = None) -> Verdict:
        """Whether another connection may come in from there; counts nothing yet.

        `oldest` is the connection that has waited for a login longest.
        """
        own = self._without_login[prefix]
        if self._all[prefix] >= self._per_address:
            return Deny(Why.ADDRESS)
        if own >= self._unproven_per_address:
            return Deny(Why.UNPROVEN)
        if self.total < self.room and self.unproven < self._unproven:
            return Admit()
        # Few addresses at most are looked at, since so many connections at most have no login.
        crowd = max(self._without_login, key=self._without_login.__getitem__, default=prefix)
        if self._without_login[crowd] > own + 1:
            return Displace(crowd)
        if not own and oldest is not None and oldest.seconds >= LONG_ENOUGH:
            return Displace(oldest.prefix)
        return Deny(Why.UNPROVEN if self.total < self.room else Why.FULL)

    def enter(self, prefix: Prefix) -> None:
        """A connection is there, and has not logged in."""
        self._all[prefix] += 1
        self._without_login[prefix] += 1
        self.total += 1
        self.unproven += 1

    def prove(self, prefix: Prefix) -> None:
        """One of them logged in for the first time."""
        _one_less(self._without_login, prefix)
        self.unproven -= 1

    def leave(self, prefix: Prefix, *, proven: bool) -> None:
        """One of them is gone."""
        if not proven:
            self.prove(prefix)
        _one_less(self._all, prefix)
        self.total -= 1


def _one_less(counts: Counter[Prefix], prefix: Prefix) -> None:
    counts[prefix] -= 1
    if not counts[prefix]:
        del counts[prefix]
