"""Commands that make programs run when something arrives."""

import argparse
import shlex
from typing import TYPE_CHECKING

import msgspec

from shell.commands.scripts import filter_arguments, wanted
from shell.filters import KINDS
from shell.kit.command import Command, Listing, Parser, Said, checked, quantity
from shell.kit.errors import CommandError, ExitCode

if TYPE_CHECKING:
    from shell.console import UserConsole

TOPIC = "Scripts"
RUN = "run"
DETAILS = (
    "{name}, {text}, {event} and {id} in an argument stand for what arrived; $PARLEY_NAME, $PARLEY_TEXT, "
    "$PARLEY_EVENT and $PARLEY_ID are the same, and standard input has the event as JSON. No shell is "
    "involved. Example: on message bob run notify-send -- {name} {text}"
)


class HookRow(msgspec.Struct, frozen=True):
    """One line of `on`."""

    number: int
    on: str
    """What it waits for, as it was typed."""
    run: list[str]
    """The program and its arguments."""


class HookList(Listing, frozen=True):
    """What `on` shows."""

    hooks: list[HookRow]

    def rows(self) -> list[HookRow]:
        """In the order they were made."""
        return self.hooks

    def columns(self) -> tuple[str, ...]:
        """Heads."""
        return ("number", "on", "run")

    def cells(self, row: HookRow, *, plain: bool) -> tuple[str, ...]:
        """One hook."""
        return str(row.number), row.on, shlex.join(row.run)

    def empty(self) -> str:
        """None yet."""
        return "There are no hooks; `on message run PROGRAM` makes one."


def on(app: "UserConsole", arguments: argparse.Namespace) -> HookList | Said:
    """Makes a hook, or lists all."""
    if arguments.kind is None:
        return HookList(
            [HookRow(hook.number, str(hook.filter), list(hook.command)) for hook in app.hooks.all()]
        )
    if not arguments.after:
        raise CommandError(
            f"Say what to run: `on {arguments.kind} run PROGRAM [ARGUMENT ...]`.",
            code="usage",
            exit_code=ExitCode.USAGE,
        )
    hook = app.hooks.add(wanted(arguments), arguments.after)
    return Said(f"Hook {hook.number}: on {hook.filter} run {shlex.join(hook.command)}")


def off(app: "UserConsole", arguments: argparse.Namespace) -> Said:
    """Takes a hook away."""
    hook = app.hooks.remove(arguments.number)
    return Said(f"Hook {hook.number} is gone.")


def _on_arguments(parser: Parser) -> None:
    parser.left_alone_after = RUN
    parser.add_argument(
        "kind",
        metavar="KIND",
        nargs="?",
        choices=tuple(KINDS),
        help=f"what to wait for: {', '.join(KINDS)}; without it, list hooks",
    )
    filter_arguments(parser)
    parser.usage = (
        "on [KIND [NAME] [STATUS] [--containing TEXT] [--matching PATTERN] run PROGRAM [ARGUMENT ...]]"
    )


def _off_arguments(parser: Parser) -> None:
    parser.add_argument("number", type=checked(quantity), metavar="NUMBER", help="which, as `on` lists them")


COMMANDS: tuple[Command["UserConsole"], ...] = (
    Command("on", TOPIC, "Run a program when something arrives", on, _on_arguments, details=DETAILS),
    Command("off", TOPIC, "Remove a hook", off, _off_arguments),
)
