"""Commands about whom to let in, and whether a key is theirs."""

import argparse
from typing import TYPE_CHECKING

import msgspec
from rich.console import Group, RenderableType
from rich.text import Text

from shell.commands.names import name_argument, requester_argument
from shell.errors import ListFull
from shell.kit.command import Command, Listing, Outcome, Parser, Said
from shell.kit.errors import CommandError, ExitCode
from shell.kit.theme import unicode_works
from shell.line.model import Consent
from shell.line.safety import qr_code, safety_number
from wire.certificates import Fingerprint, show_fingerprint
from wire.display import safe
from wire.names import name_key

if TYPE_CHECKING:
    from shell.console import UserConsole

TOPIC = "Consent and keys"
GROUPS_A_ROW = 4  # of a safety number, as in Signal: it fits the narrowest window


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
    qr: tuple[str, ...]
    """The digits as a QR code, a line each; empty where it was not asked for."""

    def render(self, *, plain: bool) -> RenderableType:
        """The digits, what to do with them, and where there is one the QR code, dark on light."""
        groups = self.number.split()
        rows = (groups[place : place + GROUPS_A_ROW] for place in range(0, len(groups), GROUPS_A_ROW))
        number = "\n".join(f"    {' '.join(row)}" for row in rows)
        state = "You have verified it." if self.verified else f"If so: verify {safe(self.name)} --confirm"
        if self.changed:
            state = f"This is the number of the CHANGED key. If it is right: accept-key {safe(self.name)}"
        words = Text(
            f"Safety number of you and {safe(self.name)}:\n\n{number}\n\n"
            f"Read it out to each other, not over Parley. Both must see the same. {state}"
        )
        return Group(words, *(Text(row, "black on white") for row in self.qr)) if self.qr else words


def requests(app: "UserConsole", arguments: argparse.Namespace) -> Outcome:
    """Who waits for consent."""
    waiting = app.messenger.line.core.requests()
    return Requests([RequestRow(contact.name, count) for contact, count in waiting])


def knock(app: "UserConsole", arguments: argparse.Namespace) -> Said:
    """Leaves word; what comes back is the same whether they are there, hidden or away."""
    app.call(app.messenger.lookup.knock(arguments.name))
    return Said(f"{safe(arguments.name)} will hear that you want to talk; nothing tells you when.")


def accept(app: "UserConsole", arguments: argparse.Namespace) -> Outcome:
    """Lets somebody's messages in."""
    name = _known_name(app, arguments.name)
    done = f"{safe(name)} may write to you now."
    try:
        app.call(app.messenger.accept(name))
    except ListFull as full:
        return Said(f"{done} {full}")
    return Said(done)


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
    app.call(app.messenger.block(name))
    return Said(f"{safe(name)} is blocked and is not told.")


def unblock(app: "UserConsole", arguments: argparse.Namespace) -> Outcome:
    """Takes a block back."""
    contact = app.messenger.line.core.contact(arguments.name)
    if contact is None or contact.consent is not Consent.BLOCKED:
        raise CommandError(f"{safe(arguments.name)} is not blocked.", code="not-blocked")
    app.call(app.messenger.unblock(contact.name))
    return Said(f"{safe(contact.name)} may ask you again.")


def verify(app: "UserConsole", arguments: argparse.Namespace) -> Outcome:
    """Shows the safety number, or marks it as compared."""
    line = app.messenger.line
    if name_key(arguments.name) == name_key(app.messenger.user or ""):
        raise CommandError("That is you; `keys` shows your key.", code="self")
    contact = line.core.contact(arguments.name)
    other: bytes | None = (contact.presented or contact.pinned) if contact else None
    name = contact.name if contact else arguments.name
    if other is None:
        profile = app.call(app.messenger.whois(arguments.name))
        other, name = profile.fingerprint, profile.name
    number = safety_number(line.fingerprint, other)
    read_out = "".join(arguments.digits)
    if read_out and not (read_out.isascii() and read_out.isdigit() and len(read_out) == len("".join(number))):
        raise CommandError(
            f"A safety number has {len(''.join(number))} digits; type all of them, or compare by eye and say "
            "--confirm. Nothing was marked.",
            code="usage",
            exit_code=ExitCode.USAGE,
        )
    if read_out and read_out != "".join(number):
        raise CommandError(
            f"That is not the number that this shell sees for {safe(name)}: a digit is wrong, or somebody is "
            "between you. Nothing was marked.",
            code="other-number",
            exit_code=ExitCode.KEY,
        )
    if arguments.confirm or arguments.digits:
        if contact is not None and contact.presented is not None:
            raise CommandError(
                f"The key of {safe(name)} has changed; see `verify {name}`, then `accept-key {name}`.",
                code="key-changed",
                exit_code=ExitCode.KEY,
            )
        if contact is None or contact.pinned is None:
            raise CommandError(
                f"There is no pinned key of {safe(name)} to confirm; exchange a message first.", code="no-key"
            )
        if not arguments.digits and app.shown_keys.of(contact.key) not in (None, contact.pinned):
            raise _other_key(name)
        app.call(line.verify(name))
        return Said(f"You verified the key of {safe(name)}.")
    app.shown_keys.looked_at(name_key(name), Fingerprint(other))
    verified = bool(contact and contact.verified and contact.presented is None)
    shows_qr = arguments.qr or (app.interactive and not app.plain and unicode_works())
    code = qr_code(number) if shows_qr else ()
    return SafetyNumber(name, " ".join(number), verified, bool(contact and contact.presented), code)


def accept_key(app: "UserConsole", arguments: argparse.Namespace) -> Outcome:
    """Trusts the changed key that was shown here, or that is named."""
    line = app.messenger.line
    contact = line.core.contact(arguments.name)
    if contact is None or contact.presented is None:
        raise CommandError(f"The key of {safe(arguments.name)} has not changed.", code="key-not-changed")
    key, named = contact.presented, "".join(arguments.key)
    if named and named not in (show_fingerprint(key), "".join(safety_number(line.fingerprint, key))):
        raise _other_key(contact.name)
    if not named:
        shown = app.shown_keys.of(contact.key)
        if shown is None:
            raise CommandError(
                f"See which key it is first: `verify {safe(contact.name)}` shows its number. A script names "
                f"it: accept-key {safe(contact.name)} SHA256:...",
                code="key-not-shown",
                exit_code=ExitCode.KEY,
            )
        key = shown
    app.call(line.accept_key(contact.name, key))
    return Said(f"The new key of {safe(contact.name)} is pinned; it is not verified.")


def _other_key(name: str) -> CommandError:
    shown = safe(name)
    return CommandError(
        f"{shown}'s key is another than that one; `verify {shown}` shows its number. Nothing was changed.",
        code="key-changed",
        exit_code=ExitCode.KEY,
    )


def _known_name(app: "UserConsole", name: str) -> str:
    """The name as it was written at sign-up, of somebody else who is known here or to the phone book."""
    if name_key(name) == name_key(app.messenger.user or ""):
        raise CommandError("That is you.", code="self")
    contact = app.messenger.line.core.contact(name)
    return contact.name if contact else app.call(app.messenger.whois(name)).name


def _verify_arguments(parser: Parser) -> None:
    name_argument(parser)
    parser.add_argument(
        "digits", metavar="DIGITS", nargs="*", default=[], help="what the other side sees, to compare it"
    )
    parser.add_argument("--confirm", action="store_true", help="both of you saw the same number")
    parser.add_argument("--qr", action="store_true", help="with a QR code, also without a terminal")


def _accept_key_arguments(parser: Parser) -> None:
    name_argument(parser)
    parser.add_argument(
        "key",
        metavar="KEY",
        nargs="*",
        default=[],
        help="which one: its fingerprint, SHA256:..., or the digits of its safety number; without it, the "
        "one that this session has shown",
    )


COMMANDS: tuple[Command["UserConsole"], ...] = (
    Command("requests", TOPIC, "List who wants to talk to you", requests),
    Command(
        "knock",
        TOPIC,
        "Leave word that you want to talk; it shows nothing of whether they are there",
        knock,
        name_argument,
    ),
    Command("accept", TOPIC, "Let somebody write to you", accept, requester_argument),
    Command("decline", TOPIC, "Turn a request down", decline, requester_argument),
    Command("block", TOPIC, "Hear nothing from somebody; they are not told", block, name_argument),
    Command("unblock", TOPIC, "Let somebody ask you again", unblock, name_argument),
    Command("verify", TOPIC, "Show the safety number, to compare it", verify, _verify_arguments),
    Command("accept-key", TOPIC, "Trust the changed key of somebody", accept_key, _accept_key_arguments),
)
