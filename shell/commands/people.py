"""Commands about others: who is there, who they are, whom to let in."""

import argparse
from typing import TYPE_CHECKING

import msgspec
from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from shell.commands.names import complete_names, name_argument, requester_argument
from shell.kit.command import Command, Listing, Outcome, Parser, Said
from shell.kit.errors import CommandError
from shell.kit.tables import table
from shell.kit.theme import marked, style_of
from shell.kit.times import moment
from shell.line.model import Consent
from shell.line.safety import safety_number
from wire.certificates import show_fingerprint
from wire.display import safe
from wire.messages import Status
from wire.names import name_key

if TYPE_CHECKING:
    from shell.console import UserConsole

PEOPLE, CONSENT = "People", "Consent and keys"
STATUSES = tuple(status.value for status in Status)


class PersonRow(msgspec.Struct, frozen=True):
    """One line of `list`."""

    name: str
    status: str


class People(Listing, frozen=True):
    """What `list` shows."""

    people: list[PersonRow]

    def rows(self) -> list[PersonRow]:
        """Everybody."""
        return self.people

    def columns(self) -> tuple[str, ...]:
        """Heads."""
        return ("name", "status")

    def cells(self, row: PersonRow, *, plain: bool) -> tuple[RenderableType, ...]:
        """One person."""
        return safe(row.name), _status(row.status, plain=plain)

    def empty(self) -> str:
        """Nobody fits."""
        return "Nobody."


class WhoisFound(Outcome, frozen=True):
    """What `whois` shows."""

    name: str
    status: str
    since: float
    """Seconds since the epoch."""
    created: float
    fingerprint: str
    endpoints: list[str] | None
    """None where you were not introduced."""
    consent: str
    verified: bool
    line: str | None = None
    """How an open line gets there."""

    def render(self, *, plain: bool) -> Table:
        """One row for each fact."""
        trust = "verified by you" if self.verified else "not verified; see verify"
        hidden = "known after an introduction (send a message)"
        endpoints = hidden if self.endpoints is None else ", ".join(self.endpoints) or "none now"
        rows: list[tuple[RenderableType, ...]] = [
            ("name", safe(self.name)),
            ("status", _status(self.status, plain=plain)),
            ("since", moment(self.since)),
            ("account since", moment(self.created)),
            ("key", f"{self.fingerprint} ({trust})"),
            ("endpoints", endpoints),
            ("you and they", self.consent),
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


class Contacts(Listing, frozen=True):
    """What `contacts` shows."""

    contacts: list[ContactRow]

    def rows(self) -> list[ContactRow]:
        """Everybody dealt with."""
        return self.contacts

    def columns(self) -> tuple[str, ...]:
        """Heads."""
        return ("name", "status", "consent", "key")

    def cells(self, row: ContactRow, *, plain: bool) -> tuple[RenderableType, ...]:
        """One contact."""
        return safe(row.name), _status(row.status, plain=plain), row.consent, row.key

    def empty(self) -> str:
        """Nobody yet."""
        return "You have no contacts yet; write to somebody."


class RequestRow(msgspec.Struct, frozen=True):
    """One line of `requests`."""

    name: str
    messages: int


class Requests(Listing, frozen=True):
    """What `requests` shows."""

    requests: list[RequestRow]

    def rows(self) -> list[RequestRow]:
        """Everybody who asks."""
        return self.requests

    def columns(self) -> tuple[str, ...]:
        """Heads."""
        return ("who asks (accept, decline or block NAME)", "messages")

    def cells(self, row: RequestRow, *, plain: bool) -> tuple[RenderableType, ...]:
        """One of them."""
        return safe(row.name), str(row.messages)

    def empty(self) -> str:
        """Nobody asks."""
        return "Nobody waits for your answer."


class SafetyNumber(Outcome, frozen=True):
    """What `verify` shows."""

    name: str
    number: str
    verified: bool
    changed: bool
    """Whether this is the number of a key that was not accepted."""

    def render(self, *, plain: bool) -> Text:
        """The digits, and what to do with them."""
        groups = self.number.split()
        half = len(groups) // 2
        state = "You have verified it." if self.verified else f"If so: verify {safe(self.name)} --confirm"
        if self.changed:
            state = f"This is the number of the CHANGED key. If it is right: accept-key {safe(self.name)}"
        return Text(
            f"Safety number of you and {safe(self.name)}:\n\n"
            f"    {' '.join(groups[:half])}\n    {' '.join(groups[half:])}\n\n"
            f"Read it out to each other, not over Parley. Both must see the same. {state}"
        )


def list_people(app: "UserConsole", arguments: argparse.Namespace) -> Outcome:
    """Everybody with an account."""
    status = Status(arguments.status) if arguments.status else None
    people = app.call(app.messenger.people(arguments.pattern, status))
    return People([PersonRow(person.name, person.status.value) for person in people])


def whois(app: "UserConsole", arguments: argparse.Namespace) -> Outcome:
    """One person."""
    profile = app.call(app.messenger.whois(arguments.name))
    line = app.messenger.line
    contact, path = line.core.contact(profile.name), line.path(profile.name)
    trusted = contact is not None and contact.pinned == profile.fingerprint
    return WhoisFound(
        profile.name,
        profile.status.value,
        profile.since,
        profile.created,
        show_fingerprint(profile.fingerprint),
        None if profile.endpoints is None else [str(endpoint) for endpoint in profile.endpoints],
        contact.consent.value if contact else Consent.UNDECIDED.value,
        bool(trusted and contact and contact.verified),
        str(path) if path else None,
    )


def contacts(app: "UserConsole", arguments: argparse.Namespace) -> Outcome:
    """Everybody this shell has dealt with."""
    statuses = app.messenger.statuses
    rows = []
    for contact in app.messenger.line.core.contacts():
        key = "verified" if contact.verified else "pinned" if contact.pinned else "not seen"
        rows.append(
            ContactRow(
                contact.name,
                statuses.get(contact.key, Status.OFFLINE).value,
                contact.consent.value,
                "CHANGED" if contact.presented else key,
            )
        )
    return Contacts(sorted(rows, key=lambda row: name_key(row.name)))


def requests(app: "UserConsole", arguments: argparse.Namespace) -> Outcome:
    """Who waits for consent."""
    waiting = app.messenger.line.core.requests()
    return Requests([RequestRow(contact.name, count) for contact, count in waiting])


def knock(app: "UserConsole", arguments: argparse.Namespace) -> Said:
    """Leaves word; what comes back is the same whether they are there, hidden or away."""
    app.call(app.messenger.knock(arguments.name))
    return Said(f"{safe(arguments.name)} will hear that you want to talk; nothing tells you when.")


def accept(app: "UserConsole", arguments: argparse.Namespace) -> Outcome:
    """Lets somebody's messages in."""
    name = _known_name(app, arguments.name)
    app.call(app.messenger.accept(name))
    return Said(f"{safe(name)} may write to you now.")


def decline(app: "UserConsole", arguments: argparse.Namespace) -> Outcome:
    """Turns a request down."""
    name = _known_name(app, arguments.name)
    count = dict((contact.key, held) for contact, held in app.messenger.line.core.requests())  # noqa: C402
    if name_key(name) not in count:
        raise CommandError(f"{safe(name)} does not wait for an answer.", code="no-request")
    app.call(app.messenger.line.decline(name))
    return Said(
        f"You declined {safe(name)}; they are told, and may ask again. To end that: block {safe(name)}"
    )


def block(app: "UserConsole", arguments: argparse.Namespace) -> Outcome:
    """Wants no word from somebody."""
    name = _known_name(app, arguments.name)
    app.call(app.messenger.line.block(name))
    return Said(f"{safe(name)} is blocked and is not told.")


def unblock(app: "UserConsole", arguments: argparse.Namespace) -> Outcome:
    """Takes a block back."""
    contact = app.messenger.line.core.contact(arguments.name)
    if contact is None or contact.consent is not Consent.BLOCKED:
        raise CommandError(f"{safe(arguments.name)} is not blocked.", code="not-blocked")
    app.call(app.messenger.line.unblock(contact.name))
    return Said(f"{safe(contact.name)} may ask you again.")


def verify(app: "UserConsole", arguments: argparse.Namespace) -> Outcome:
    """Shows the safety number, or marks it as compared."""
    line = app.messenger.line
    contact = line.core.contact(arguments.name)
    other: bytes | None = (contact.presented or contact.pinned) if contact else None
    name = contact.name if contact else arguments.name
    if other is None:
        profile = app.call(app.messenger.whois(arguments.name))
        other, name = profile.fingerprint, profile.name
    if arguments.confirm:
        if contact is None or contact.pinned is None or contact.presented is not None:
            raise CommandError(
                f"There is no pinned key of {safe(name)} to confirm; exchange a message first.", code="no-key"
            )
        app.call(line.verify(name))
        return Said(f"You verified the key of {safe(name)}.")
    number = " ".join(safety_number(line.fingerprint, other))
    verified = bool(contact and contact.verified and contact.presented is None)
    return SafetyNumber(name, number, verified, bool(contact and contact.presented))


def accept_key(app: "UserConsole", arguments: argparse.Namespace) -> Outcome:
    """Trusts a changed key."""
    contact = app.messenger.line.core.contact(arguments.name)
    if contact is None or contact.presented is None:
        raise CommandError(f"The key of {safe(arguments.name)} has not changed.", code="key-not-changed")
    app.call(app.messenger.line.accept_key(contact.name))
    return Said(f"The new key of {safe(contact.name)} is pinned; it is not verified.")


def _status(word: str, *, plain: bool) -> Text:
    return Text(marked(word, plain=plain), style_of(word))


def _known_name(app: "UserConsole", name: str) -> str:
    """The name as it was written at sign-up, of somebody known here or to the phone book."""
    contact = app.messenger.line.core.contact(name)
    return contact.name if contact else app.call(app.messenger.whois(name)).name


def _list_arguments(parser: Parser) -> None:
    parser.add_argument(
        "pattern",
        metavar="PATTERN",
        nargs="?",
        default="",
        help="a beginning of names, or a pattern with * and ?",
        completer=complete_names,
    )
    parser.add_argument("--status", choices=STATUSES, help="only people with this status")


def _verify_arguments(parser: Parser) -> None:
    name_argument(parser)
    parser.add_argument("--confirm", action="store_true", help="both of you saw the same number")


COMMANDS: tuple[Command["UserConsole"], ...] = (
    Command("list", PEOPLE, "List everybody, with their status", list_people, _list_arguments),
    Command("whois", PEOPLE, "Show what the phone book tells about somebody", whois, name_argument),
    Command("contacts", PEOPLE, "List whom you have dealt with, and whether you trust their key", contacts),
    Command("requests", CONSENT, "List who wants to talk to you", requests),
    Command(
        "knock",
        CONSENT,
        "Leave word that you want to talk; it shows nothing of whether they are there",
        knock,
        name_argument,
    ),
    Command("accept", CONSENT, "Let somebody write to you", accept, requester_argument),
    Command("decline", CONSENT, "Turn a request down", decline, requester_argument),
    Command("block", CONSENT, "Hear nothing from somebody; they are not told", block, name_argument),
    Command("unblock", CONSENT, "Let somebody ask you again", unblock, name_argument),
    Command("verify", CONSENT, "Show the safety number, to compare it", verify, _verify_arguments),
    Command("accept-key", CONSENT, "Trust the changed key of somebody", accept_key, name_argument),
)
