"""Commands about the way to somebody: why they cannot be reached, and what goes over the wire."""

import argparse
from typing import TYPE_CHECKING

from rich.console import RenderableType

from shell.commands.names import name_argument
from shell.kit.command import Command, Listing, Outcome, Parser, Said
from shell.kit.errors import CommandError, ExitCode
from shell.ladder import Rung, climb
from shell.line.impairment import BadImpairment, Impairment, parse_impairment
from shell.survey import survey

if TYPE_CHECKING:
    from shell.console import UserConsole

TOPIC = "The way to others"
NET_DETAILS = "Each happens to a datagram on its way out and on its way in: loss, delay, duplicate, reorder."


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
    """Climbs from one's own choices to the line, and stops where it does not go on."""
    return Ladder(arguments.name, climb(app.call(survey(app.messenger, arguments.name))))


def trace(app: "UserConsole", arguments: argparse.Namespace) -> Outcome:
    """Shows datagrams above the prompt, or no more."""
    on = arguments.switch == "on"
    app.call(app.messenger.trace(on=on))
    return Said("Datagrams and frames are shown." if on else "Datagrams and frames are no longer shown.")


def net(app: "UserConsole", arguments: argparse.Namespace) -> Outcome:
    """Impairs this shell's own socket, or says how it is impaired."""
    if arguments.how:
        try:
            impairment = Impairment() if arguments.how == ["off"] else parse_impairment(arguments.how)
        except BadImpairment as error:
            raise CommandError(f"net: {error}", code="usage", exit_code=ExitCode.USAGE) from None
        app.call(_impair(app, impairment))
    impairment = app.messenger.line.network.endpoint.socket.impairment
    if impairment == Impairment():
        return Said("Datagrams come and go as the network has them.")
    return Said(f"Each datagram of this shell, out and in: {impairment}. `net off` ends it.")


async def _impair(app: "UserConsole", impairment: Impairment) -> None:
    app.messenger.line.network.endpoint.socket.impair(impairment)


def _switch(parser: Parser) -> None:
    parser.add_argument("switch", nargs="?", default="on", choices=("on", "off"), help="show them or not")


def _how(parser: Parser) -> None:
    parser.add_argument(
        "how",
        nargs="*",
        default=[],
        metavar="HOW",
        help="pairs such as loss 5%% delay 80ms, or off; without it, how it is",
    )


COMMANDS: tuple[Command["UserConsole"], ...] = (
    Command("why", TOPIC, "Say what is in the way to somebody", why, name_argument),
    Command("trace", TOPIC, "Show datagrams and frames, never their words or keys", trace, _switch),
    Command(
        "net", TOPIC, "Make this shell's network worse, to learn or to test", net, _how, details=NET_DETAILS
    ),
)
