"""The way to somebody as a ladder: each step and whether it holds, from one's own choices to the line.
Pure.
"""

from collections.abc import Sequence

import msgspec

from shell.kit.times import moment
from shell.line.candidates import Attempt, Candidate, PathKind, Tried
from shell.line.errors import WHAT_HELPS
from shell.line.model import Consent, Contact
from wire.display import safe
from wire.messages import Endpoint, Profile, Status


class Rung(msgspec.Struct, frozen=True):
    """One step on the way to somebody."""

    step: str
    passed: bool
    finding: str


class Measured(msgspec.Struct, frozen=True):
    """Pings on an open line."""

    sent: int
    round_trips: Sequence[float]
    """Seconds, of those that were answered."""


class Facts(msgspec.Struct, frozen=True):
    """All that is known of the way to somebody."""

    name: str
    contact: Contact | None = None
    no_phone_book: str = ""
    """Why the phone book could not be asked."""
    no_account: str = ""
    """What the phone book says of a name that nobody has."""
    profile: Profile | None = None
    outside: Endpoint | None = None
    """What the phone book's UDP port saw of this shell."""
    own_port: int = 0
    own_hosts: Sequence[str] = ()
    attempt: Attempt | None = None
    failure: str | None = None
    """Why the last try to reach them failed."""
    path: Candidate | None = None
    """How an open line goes."""
    measured: Measured | None = None
    held: int = 0
    """Messages that wait there for their consent."""


def climb(facts: Facts) -> list[Rung]:
    """From one's own choices to the line; it ends where it does not go on."""
    rungs = [*_own_choices(facts), *_phone_book(facts)]
    if facts.path is None and not all(rung.passed for rung in rungs):
        return rungs
    there = facts.profile is None or facts.profile.status is not Status.OFFLINE
    if facts.path is None and not there:
        return rungs
    return [*rungs, *_own_side(facts), *_ways(facts), *_line(facts), *_their_choice(facts)]


def _own_choices(facts: Facts) -> list[Rung]:
    contact = facts.contact
    if contact is None:
        return []
    shown = safe(contact.name)
    blocked, changed = contact.consent is Consent.BLOCKED, contact.presented is not None
    return [
        Rung(
            "consent",
            not blocked,
            f"you blocked {shown}: unblock {shown}" if blocked else f"you have not blocked {shown}",
        ),
        Rung(
            "key",
            not changed,
            f"the key of {shown} changed: verify {shown}, then accept-key {shown}"
            if changed
            else "as pinned"
            if contact.pinned is not None
            else "none is pinned yet: the first line pins it",
        ),
    ]


def _phone_book(facts: Facts) -> list[Rung]:
    if facts.no_phone_book:
        away = safe(facts.no_phone_book)
        if facts.path is not None:
            away = f"{away.rstrip('.')}; the line does without"
        return [Rung("phone book", False, away)]
    if facts.profile is None:
        return [Rung("account", False, safe(facts.no_account))]
    profile, shown = facts.profile, safe(facts.profile.name)
    there = profile.status is not Status.OFFLINE
    since = f"{profile.status.value} since {moment(profile.since)}"
    return [
        Rung("account", True, f"since {moment(profile.created)}"),
        Rung("there", there, since if there else f"{since}, or hidden; messages wait until {shown} appears"),
    ]


def _own_side(facts: Facts) -> list[Rung]:
    outside = facts.outside
    if outside is None:
        words = "the phone book's UDP port does not answer you: something near you blocks UDP"
        # Two on one network need no way out.
        return [Rung("your UDP", facts.path is not None, words)]
    same = outside.host in facts.own_hosts and outside.port == facts.own_port
    how = "no NAT in between" if same else "through a NAT"
    return [Rung("your UDP", True, f"the phone book sees you at {outside}, {how}")]


def _ways(facts: Facts) -> list[Rung]:
    if facts.attempt is None:
        return []
    # Where one leads there, what else was tried is in nobody's way.
    direct = facts.path is not None and facts.path.kind is not PathKind.RELAYED
    return [_way(tried) for tried in facts.attempt.tried() if tried.answered is not None or not direct]


def _way(tried: Tried) -> Rung:
    where = "" if tried.candidate.kind is PathKind.RELAYED else f" {tried.candidate}"
    head = f"{tried.candidate.kind.value}{where}: "
    if tried.answered is not None:
        return Rung("way", True, f"{head}answered after {tried.answered * 1000:.1f} ms")
    times = f"{tried.knocks} times" if tried.knocks != 1 else "once"
    return Rung("way", False, f"{head}knocked {times}, no answer")


def _line(facts: Facts) -> list[Rung]:
    if facts.path is not None:
        direct = facts.path.kind is not PathKind.RELAYED
        way = f"{facts.path.kind.value}, straight to {facts.path} over UDP" if direct else str(facts.path)
        words = f"open, {way}"
        return [Rung("line", True, words), *_quality(facts.measured)]
    if facts.failure is None:
        return [Rung("line", True, "no line was needed yet: write something")]
    return [Rung("line", False, f"{_silent_side(facts)} What usually helps: {WHAT_HELPS}.")]


def _their_choice(facts: Facts) -> list[Rung]:
    if not facts.held:
        return []
    shown = safe(facts.name)
    waits = "your message waits" if facts.held == 1 else f"{facts.held} messages of yours wait"
    return [Rung("request", False, f"{shown} has to accept you; {waits} there until then")]


def _quality(measured: Measured | None) -> list[Rung]:
    if measured is None:
        return []
    answered = len(measured.round_trips)
    lost = measured.sent - answered
    if not answered:
        return [Rung("round trip", False, f"none of {measured.sent} pings was answered: the path is silent")]
    middle = sorted(measured.round_trips)[answered // 2] * 1000
    return [Rung("round trip", True, f"{middle:.1f} ms; {lost} of {measured.sent} pings lost")]


def _silent_side(facts: Facts) -> str:
    """Whose side it is, as far as can be told from here."""
    shown = safe(facts.name)
    attempt = facts.attempt
    if attempt is None or attempt.answered_any:
        return safe(facts.failure or "")
    if facts.outside is None:
        return "Nothing of yours gets out: your side is silent."
    if attempt.heard_from is not None:
        return f"{shown} reaches you, and you do not reach {shown}: a firewall there drops what you send."
    if not any(tried.candidate.kind is PathKind.PUNCHED for tried in attempt.tried()) and not attempt.near:
        return f"{shown} published no outside address: UDP is probably blocked on the side of {shown}."
    tells = f"What {shown} reads at `why` tells which."
    if _looks_guessed(attempt):
        there = "" if facts.profile is None else f", though {shown} is online"
        return (
            f"At the last try nothing of {shown} was heard{there}, while you reach the phone book by UDP: "
            f"it may be blocked on the side of {shown}, or a firewall in between drops it. {tells}"
        )
    return (
        "Both of you may reach the phone book, yet not each other: both NATs take another port for every "
        f"destination (symmetric), or a firewall drops UDP. {tells}"
    )


def _looks_guessed(attempt: Attempt) -> bool:
    """Whether they may not know how they are seen from outside.

    A shell whose UDP brings no answer publishes the address of its TCP connection with its own port. Seen
    from there, a NAT that keeps ports looks the same (RFC 4787 §4.2.1); a symmetric one takes others.
    """
    tried = [entry.candidate for entry in attempt.tried() if entry.candidate.kind is not PathKind.RELAYED]
    outside = {candidate.address[1] for candidate in tried if candidate.kind is PathKind.PUNCHED}
    inside = {candidate.address[1] for candidate in tried if candidate.kind is not PathKind.PUNCHED}
    return bool(outside) and outside <= inside
