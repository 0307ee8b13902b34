"""Commands about the way to somebody: why they cannot be reached, and what goes over the wire."""

import argparse
from typing import TYPE_CHECKING

import msgspec
from rich.console import RenderableType

from shell.commands.names import name_argument
from shell.errors import NotConnected
from shell.kit.command import Command, Listing, Outcome, Parser, Said
from shell.kit.times import moment
from shell.line.model import Consent
from wire.display import safe
from wire.errors import ErrorCode, Refused
from wire.messages import Profile, Status

if TYPE_CHECKING:
    from shell.console import UserConsole

TOPIC = "The way to others"


class Rung(msgspec.Struct, frozen=True):
    """One step on the way to somebody."""

    step: str
    passed: bool
    finding: str


class Ladder(Listing, frozen=True):
    """What `why` shows: the first step that does not hold is the reason."""

    name: str
    rungs: list[Rung]

    def rows(self) -> list[Rung]:
        """From the phone book to the line."""
        return self.rungs

    def columns(self) -> tuple[str, ...]:
        """Heads."""
        return ("step", "", "finding")

    def cells(self, row: Rung, *, plain: bool) -> tuple[RenderableType, ...]:
        """One step."""
        return row.step, "yes" if row.passed else "NO", row.finding

    def empty(self) -> str:
        """Cannot be: there is always a first step."""
        return ""


def why(app: "UserConsole", arguments: argparse.Namespace) -> Outcome:
    """Climbs from the phone book to the line, and stops where it does not go on."""
    return Ladder(arguments.name, _climb(app, arguments.name))


def _climb(app: "UserConsole", name: str) -> list[Rung]:
    line = app.messenger.line
    contact = line.core.contact(name)
    shown = safe(contact.name if contact else name)
    path = line.path(name)
    rungs: list[Rung] = []
    if contact is not None:
        blocked = contact.consent is Consent.BLOCKED
        words = f"you blocked {shown}: unblock {shown}" if blocked else f"you have not blocked {shown}"
        rungs.append(Rung("consent", not blocked, words))
        changed = contact.presented is not None
        words = (
            f"the key of {shown} changed: verify {shown}, then accept-key {shown}" if changed else "as pinned"
        )
        rungs.append(Rung("key", not changed, words))
    if path is not None:
        rungs.append(Rung("line", True, f"open, straight to {path} over UDP"))
        return rungs
    profile = _ask_phone_book(app, name, rungs)
    if profile is None:
        return rungs
    there = profile.status is not Status.OFFLINE
    since = f"{profile.status.value} since {moment(profile.since)}"
    words = since if there else f"{since}, or hidden; messages wait until {shown} appears"
    rungs.append(Rung("there", there, words))
    if there:
        failure = line.last_failure(name)
        words = failure or "no line was needed yet: write something"
        advice = "; a firewall between you may drop UDP" if failure else ""
        rungs.append(Rung("line", failure is None, safe(words) + advice))
    return rungs


def _ask_phone_book(app: "UserConsole", name: str, rungs: list[Rung]) -> Profile | None:
    try:
        profile = app.call(app.messenger.whois(name))
    except NotConnected as error:
        rungs.append(Rung("phone book", False, str(error)))
    except Refused as error:
        if error.code != ErrorCode.UNKNOWN_NAME:
            raise
        rungs.append(Rung("account", False, str(error)))
    else:
        rungs.append(Rung("account", True, f"since {moment(profile.created)}"))
        return profile
    return None


def trace(app: "UserConsole", arguments: argparse.Namespace) -> Outcome:
    """Shows datagrams above the prompt, or no more."""
    on = arguments.switch == "on"
    app.call(app.messenger.trace(on=on))
    return Said("Datagrams are shown as they come and go." if on else "Datagrams are no longer shown.")


def _switch(parser: Parser) -> None:
    parser.add_argument("switch", nargs="?", default="on", choices=("on", "off"), help="show them or not")


COMMANDS: tuple[Command["UserConsole"], ...] = (
    Command("why", TOPIC, "Say what is in the way to somebody", why, name_argument),
    Command("trace", TOPIC, "Show the datagrams of your lines, never their words", trace, _switch),
)
