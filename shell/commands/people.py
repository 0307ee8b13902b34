"""Commands about others: who is there, who they are, whom to let in."""

import argparse
from typing import TYPE_CHECKING

import msgspec
from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from shell.commands.names import complete_names, name_argument
from shell.errors import NotConnected
from shell.kit.command import Command, Listing, Outcome, Parser, pattern_argument
from shell.kit.tables import table
from shell.kit.theme import marked, style_of
from shell.kit.times import clock, moment
from shell.line.model import Consent
from wire.certificates import show_fingerprint
from wire.display import safe
from wire.messages import Status
from wire.names import name_key

if TYPE_CHECKING:
    from shell.console import UserConsole

PEOPLE = "People"
OWN = "own"
STATUSES = tuple(status.value for status in Status)


class PersonRow(msgspec.Struct, frozen=True):
    """One line of `list`."""

    name: str
    status: str
    as_of: float | None = None
    """When it was so, seconds since the epoch; None for now."""


class People(Listing, frozen=True):
    """What `list` shows."""

    people: list[PersonRow]
    time_format: str
    away: bool = False
    """Whether the phone book did not answer, so that this is what was known last."""

    def rows(self) -> list[PersonRow]:
        """Everybody."""
        return self.people

    def columns(self) -> tuple[str, ...]:
        """Heads."""
        return ("name", "status", "as of") if self.away else ("name", "status")

    def cells(self, row: PersonRow, *, plain: bool) -> tuple[RenderableType, ...]:
        """One person."""
        return (
            safe(row.name),
            _status(row.status, plain=plain),
            *_as_of(row.as_of, self.time_format, away=self.away),
        )

    def empty(self) -> str:
        """Nobody fits."""
        return "Nobody."


class WhoisFound(Outcome, frozen=True):
    """What `whois` shows."""

    name: str
    status: str
    since: float | None
    """Seconds since the epoch; None, as `created`, where the phone book could not be asked."""
    created: float | None
    fingerprint: str
    endpoints: list[str] | None
    """None where you were not introduced."""
    consent: str
    """`own` for oneself."""
    verified: bool
    changed: bool = False
    """Whether this is another key than the pinned one."""
    as_of: float | None = None
    """When the status was so, where the phone book could not be asked."""
    line: str | None = None
    """How an open line gets there."""

    def render(self, *, plain: bool) -> Table:
        """One row for each fact."""
        trust = "verified by you" if self.verified else "not verified; see verify"
        if self.consent == OWN:
            trust = "yours"
        elif self.changed:
            trust = "NOT the pinned one; see verify"
        hidden = "known after an introduction (send a message)"
        endpoints = hidden if self.endpoints is None else ", ".join(self.endpoints) or "none now"
        rows: list[tuple[RenderableType, ...]] = [
            ("name", safe(self.name)),
            ("status", _status(self.status, plain=plain)),
            ("as of" if self.as_of else "since", _moment(self.as_of or self.since)),
            ("account since", _moment(self.created)),
            ("key", f"{self.fingerprint} ({trust})"),
            ("endpoints", endpoints),
            ("you and they", "that is you" if self.consent == OWN else self.consent),
        ]
        if self.line is not None:
            rows.append(("line", self.line))
        return table(("what", "value"), rows, plain=plain)


class ContactRow(msgspec.Struct, frozen=True):
    """One line of `contacts`."""

    name: str
    status: str
    consent: str
    key: str
    as_of: float | None = None
    """When the status was so, seconds since the epoch; None for now."""


class Contacts(Listing, frozen=True):
    """What `contacts` shows."""

    contacts: list[ContactRow]
    time_format: str
    away: bool = False
    """Whether the phone book is away, so that the statuses are what was known last."""

    def rows(self) -> list[ContactRow]:
        """Everybody dealt with."""
        return self.contacts

    def columns(self) -> tuple[str, ...]:
        """Heads."""
        return ("name", "status", *(("as of",) if self.away else ()), "consent", "key")

    def cells(self, row: ContactRow, *, plain: bool) -> tuple[RenderableType, ...]:
        """One contact."""
        as_of = _as_of(row.as_of, self.time_format, away=self.away)
        return safe(row.name), _status(row.status, plain=plain), *as_of, row.consent, row.key

    def empty(self) -> str:
        """Nobody yet."""
        return "You have no contacts yet; write to somebody."


def list_people(app: "UserConsole", arguments: argparse.Namespace) -> Outcome:
    """Everybody with an account."""
    status = Status(arguments.status) if arguments.status else None
    time_format = app.settings.time_format
    try:
        people = app.call(app.messenger.people(arguments.pattern, status))
    except NotConnected:
        known = app.messenger.lookup.last_known(arguments.pattern, status)
        if not known:
            raise
        return People(
            [PersonRow(person.name, person.status.value, person.seen) for person in known],
            time_format,
            away=True,
        )
    return People([PersonRow(person.name, person.status.value) for person in people], time_format)


def whois(app: "UserConsole", arguments: argparse.Namespace) -> Outcome:
    """One person."""
    line = app.messenger.line
    path = line.path(arguments.name)
    try:
        profile = app.call(app.messenger.whois(arguments.name))
    except NotConnected:
        known = _as_known(app, arguments.name)
        if known is None:
            raise
        return known
    contact = line.core.contact(profile.name)
    own = name_key(profile.name) == name_key(app.messenger.user or "")
    pinned = contact.pinned if contact is not None else None
    trusted = pinned == profile.fingerprint
    return WhoisFound(
        profile.name,
        profile.status.value,
        profile.since,
        profile.created,
        show_fingerprint(profile.fingerprint),
        None if profile.endpoints is None else [str(endpoint) for endpoint in profile.endpoints],
        OWN if own else contact.consent.value if contact else Consent.UNDECIDED.value,
        bool(trusted and contact and contact.verified),
        pinned is not None and not trusted,
        None,
        str(path) if path else None,
    )


def _as_known(app: "UserConsole", name: str) -> WhoisFound | None:
    """What this machine knows of a contact, while the phone book cannot be asked."""
    line = app.messenger.line
    contact, path = line.core.contact(name), line.path(name)
    if contact is None or contact.pinned is None:
        return None
    seen = app.messenger.lookup.last_seen(name)
    return WhoisFound(
        contact.name,
        seen.status.value if seen else Status.OFFLINE.value,
        None,
        None,
        show_fingerprint(contact.pinned),
        [str(endpoint) for endpoint in contact.endpoints],
        contact.consent.value,
        contact.verified,
        contact.presented is not None,
        seen.seen if seen else None,
        str(path) if path else None,
    )


def contacts(app: "UserConsole", arguments: argparse.Namespace) -> Outcome:
    """Everybody this shell has dealt with."""
    statuses = app.messenger.statuses
    away = not app.messenger.book.connected
    rows = []
    for contact in app.messenger.line.core.contacts():
        key = "verified" if contact.verified else "pinned" if contact.pinned else "not seen"
        seen = app.messenger.lookup.last_seen(contact.name) if away else None
        status = seen.status if seen else statuses.get(contact.key, Status.OFFLINE)
        rows.append(
            ContactRow(
                contact.name,
                status.value,
                contact.consent.value,
                "CHANGED" if contact.presented else key,
                seen.seen if seen else None,
            )
        )
    return Contacts(sorted(rows, key=lambda row: name_key(row.name)), app.settings.time_format, away)


def _as_of(when: float | None, time_format: str, *, away: bool) -> tuple[str, ...]:
    """The cell of a list that is not of now."""
    return (clock(when, time_format) if when else "never",) if away else ()


def _moment(when: float | None) -> str:
    return moment(when) if when is not None else "the phone book does not answer"


def _status(word: str, *, plain: bool) -> Text:
    return Text(marked(word, plain=plain), style_of(word))


def _list_arguments(parser: Parser) -> None:
    pattern_argument(parser, complete_names)
    parser.add_argument("--status", choices=STATUSES, help="only people with this status")


COMMANDS: tuple[Command["UserConsole"], ...] = (
    Command("list", PEOPLE, "List everybody, with their status", list_people, _list_arguments),
    Command("whois", PEOPLE, "Show what the phone book tells about somebody", whois, name_argument),
    Command("contacts", PEOPLE, "List whom you have dealt with, and whether you trust their key", contacts),
)
