"""Who has to wait before trying again, and how long. Nothing here reads a clock or a socket: the time comes
in as seconds of a monotonic clock, and what must wait is a `Refused` with its retry-after.

Every table is bounded. A record leaves its table when it has nothing left to say, never to make room for
another, so nobody washes a record out by making many: whoever comes while a table is full shares one of a few
overflow records with others, and is only ever slowed more by that.
"""

import ipaddress
import math
from collections import OrderedDict
from collections.abc import Hashable
from typing import NewType

import msgspec

from server.settings import ServerSettings
from wire.errors import ErrorCode, Refused
from wire.names import NameKey

Prefix = NewType("Prefix", str)
"""Where somebody comes from, as it is counted: an IPv4 address, or the /64 network of an IPv6 one."""

RECORDS = 100_000  # records of one table; about 200 bytes each
OVERFLOW = 1_024  # records shared by all who come while a table is full
KNOWN_PAIRS = 50_000  # accounts with addresses that they logged in from; about 150 bytes each
EVICTION_LOOKS = 2  # old records that one new record looks at; more than one, so that the empty ones run out
IPV6_PREFIX = 64  # bits; what one site gets at least (RFC 6177), so one machine can use all of it
HOUR, MINUTE = 3600.0, 60.0  # seconds


def prefix_of(address: str) -> Prefix:
    """What an IP address counts as."""
    parsed = ipaddress.ip_address(address)
    if isinstance(parsed, ipaddress.IPv4Address):
        return Prefix(address)
    if parsed.ipv4_mapped is not None:
        return Prefix(str(parsed.ipv4_mapped))
    return Prefix(str(ipaddress.ip_network((int(parsed), IPV6_PREFIX), strict=False)))


class _Record:
    """A level that leaks away, and until when its owner waits."""

    __slots__ = ("at", "level", "until")

    def __init__(self, level: float, at: float, until: float) -> None:
        self.level, self.at, self.until = level, at, until


class Levels:
    """Levels by key that leak away with time; at most `size` of them, and `OVERFLOW` shared ones."""

    def __init__(self, leak: float, size: int = RECORDS, salt: Hashable = None) -> None:
        """`leak` is in units a second; `salt` keeps strangers from choosing whom they share with."""
        self.leak = leak
        self._size, self._salt = size, salt
        self._records: OrderedDict[Hashable, _Record] = OrderedDict()
        self._overflow: dict[int, _Record] = {}

    def __len__(self) -> int:
        return len(self._records) + len(self._overflow)

    def level(self, key: Hashable, now: float) -> float:
        """How much of what was added has not leaked away."""
        record = self._records.get(key) or self._overflow.get(self._slot(key))
        return self._left(record, now) if record else 0.0

    def until(self, key: Hashable) -> float:
        """Until when the key waits; 0 where it does not."""
        record = self._records.get(key) or self._overflow.get(self._slot(key))
        return record.until if record else 0.0

    def put(self, key: Hashable, level: float, now: float, until: float = 0.0) -> None:
        """Sets a level."""
        record = self._records.get(key)
        if record is None:
            record = self._new(key, now)
        record.level, record.at, record.until = level, now, until

    def forget(self, key: Hashable) -> None:
        """Nothing is held against the key; a record that it shares with others stays."""
        self._records.pop(key, None)

    def _new(self, key: Hashable, now: float) -> _Record:
        for _ in range(min(EVICTION_LOOKS, len(self._records))):
            old, record = self._records.popitem(last=False)
            if self._left(record, now) > 0 or record.until > now:
                self._records[old] = record
        if len(self._records) < self._size:
            return self._records.setdefault(key, _Record(0.0, now, 0.0))
        return self._overflow.setdefault(self._slot(key), _Record(0.0, now, 0.0))

    def _left(self, record: _Record, now: float) -> float:
        return max(0.0, record.level - (now - record.at) * self.leak)

    def _slot(self, key: Hashable) -> int:
        return hash((self._salt, key)) % OVERFLOW


class Buckets:
    """Token buckets: `burst` at once, and `rate` a second for good."""

    def __init__(self, rate: float, burst: float, salt: Hashable = None, size: int = RECORDS) -> None:
        self.burst = burst
        self._spent = Levels(rate, size, salt)

    def change(self, rate: float, burst: float) -> None:
        """Other figures from now on; what was spent stays spent."""
        self._spent.leak, self.burst = rate, burst

    def take(self, key: Hashable, now: float) -> float:
        """Takes one; 0, or the seconds until there is one to take."""
        spent = self._spent.level(key, now)
        if spent + 1 > self.burst:
            return (spent + 1 - self.burst) / self._spent.leak
        self._spent.put(key, spent + 1, now)
        return 0.0


class Attempt(msgspec.Struct, frozen=True):
    """One attempt, counted as failed before it is known how it ends: many at once gain nothing."""

    key: Hashable
    until: float
    before: float
    """Until when the key waited before."""


class Delays:
    """Waits that double with each failure after the first few; failures are forgotten with time."""

    def __init__(self, salt: Hashable = None, size: int = RECORDS) -> None:
        self._failures = Levels(1.0, size, salt)
        self._free, self._first, self._longest = 1, 1.0, 1.0

    def __len__(self) -> int:
        return len(self._failures)

    def change(self, free: int, first: float, longest: float, forget: float) -> None:
        """`free` failures cost nothing; the next ones cost waits from `first` to `longest` seconds; one is
        forgotten every `forget` seconds."""
        self._free, self._first, self._longest = free, first, max(first, longest)
        self._failures.leak = 1 / forget

    def wait(self, key: Hashable, now: float) -> float:
        """The seconds until the key may try again; 0 for now."""
        return max(0.0, self._failures.until(key) - now)

    def attempt(self, key: Hashable, now: float) -> Attempt:
        """Counts an attempt as failed; the caller looked at `wait`."""
        before = self._failures.until(key)
        # No more is held against anybody than what makes the longest wait, so that it is forgotten in time.
        worst = self._free + 1 + math.log2(self._longest / self._first)
        failures = min(worst, self._failures.level(key, now) + 1)
        until = now + self._delay(failures)
        self._failures.put(key, failures, now, until)
        return Attempt(key, until, before)

    def undo(self, attempt: Attempt, now: float) -> None:
        """The attempt did not fail; what others counted meanwhile stays."""
        level, until = self._failures.level(attempt.key, now), self._failures.until(attempt.key)
        self._failures.put(
            attempt.key, max(0.0, level - 1), now, attempt.before if until == attempt.until else until
        )

    def forget(self, key: Hashable) -> None:
        """Nothing is held against the key any more."""
        self._failures.forget(key)

    def _delay(self, failures: float) -> float:
        beyond = failures - self._free
        return min(self._longest, self._first * 2.0 ** (beyond - 1)) if beyond > 0 else 0.0


class LoginAttempt(msgspec.Struct, frozen=True):
    """A login that is being judged; exactly one of `succeeded` and `abandoned` is called unless it failed."""

    name: NameKey
    prefix: Prefix
    account: Attempt
    address: Attempt


class Throttles:
    """All that is held against accounts and addresses."""

    def __init__(self, settings: ServerSettings, salt: Hashable) -> None:
        self._accounts, self._addresses = Delays(salt), Delays(salt)
        self._signups = Buckets(1.0, 1.0, salt)
        self._introductions = Buckets(1.0, 1.0, salt)
        self._known: OrderedDict[tuple[NameKey, Prefix], None] = OrderedDict()
        self.change(settings)

    def change(self, settings: ServerSettings) -> None:
        """Other settings from now on."""
        pace = (
            settings.login_delay_seconds,
            settings.login_delay_max_seconds,
            settings.login_forget_seconds,
        )
        self._accounts.change(settings.login_failures_per_account, *pace)
        self._addresses.change(settings.login_failures_per_address, *pace)
        self._signups.change(settings.signups_per_hour / HOUR, settings.signups_per_hour)
        self._introductions.change(
            settings.introductions_per_minute / MINUTE, settings.introductions_per_minute
        )

    # --- logins -----------------------------------------------------------------------------------------

    def login(self, name: NameKey, prefix: Prefix, now: float) -> LoginAttempt:
        """Before a password is looked at, whether or not the account exists. Raises `Refused`.

        Whoever logged in from there before is judged apart from all others, so that strangers who guess
        cannot keep the owner of an account out.
        """
        key = (name, prefix) if (name, prefix) in self._known else name
        wait = max(self._accounts.wait(key, now), self._addresses.wait(prefix, now))
        if wait > 0:
            raise _too_many("Too many failed logins", wait)
        return LoginAttempt(
            name, prefix, self._accounts.attempt(key, now), self._addresses.attempt(prefix, now)
        )

    def succeeded(self, attempt: LoginAttempt, now: float) -> None:
        """The password was right. What others failed before stays: a login must not renew their guesses."""
        pair = (attempt.name, attempt.prefix)
        if attempt.account.key == pair:
            self._accounts.forget(pair)
        else:
            self._accounts.undo(attempt.account, now)
        self._addresses.undo(attempt.address, now)
        self._known[pair] = None
        self._known.move_to_end(pair)
        if len(self._known) > KNOWN_PAIRS:
            self._known.popitem(last=False)

    def abandoned(self, attempt: LoginAttempt, now: float) -> None:
        """The password was not judged, since too many logins waited."""
        self._accounts.undo(attempt.account, now)
        self._addresses.undo(attempt.address, now)

    # --- the rest ---------------------------------------------------------------------------------------

    def signup(self, prefix: Prefix, now: float) -> None:
        """Before a name is looked up. Raises `Refused`."""
        wait = self._signups.take(prefix, now)
        if wait > 0:
            raise _too_many("Too many sign-ups from your address", wait)

    def introduction(self, name: NameKey, now: float) -> None:
        """Before somebody is introduced; a new session does not fill the bucket anew. Raises `Refused`."""
        wait = self._introductions.take(name, now)
        if wait > 0:
            raise _too_many("You asked for too many introductions", wait)


def _too_many(what: str, wait: float) -> Refused:
    return Refused(
        ErrorCode.RATE_LIMITED,
        f"{what}; try again in {math.ceil(wait)} s.",
        retry_after=math.ceil(wait * 1000) / 1000,
    )
