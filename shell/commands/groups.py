"""Groups of names: whom a roll call asks. They are the asker's own, and nobody else sees them."""

import argparse
from typing import TYPE_CHECKING

import msgspec

from shell.commands.names import complete_names
from shell.kit.command import Command, Listing, Parser, Said
from shell.kit.errors import CommandError, ExitCode
from wire.display import safe
from wire.errors import BadName
from wire.names import check_name

if TYPE_CHECKING:
    from shell.console import UserConsole

TOPIC = "Questions"
MAX_GROUPS, MAX_MEMBERS = 100, 200


class GroupRow(msgspec.Struct, frozen=True):
    """One line of `group`."""

    name: str
    members: list[str]


class Groups(Listing, frozen=True):
    """What `group` shows."""

    groups: list[GroupRow]

    def rows(self) -> list[GroupRow]:
        """By name."""
        return self.groups

    def columns(self) -> tuple[str, ...]:
        """Heads."""
        return ("group", "members")

    def cells(self, row: GroupRow, *, plain: bool) -> tuple[str, ...]:
        """One group."""
        return safe(row.name), ", ".join(map(safe, row.members))

    def empty(self) -> str:
        """None yet."""
        return "There are no groups; `group NAME MEMBER ...` makes one."


def group(app: "UserConsole", arguments: argparse.Namespace) -> Groups | Said:
    """Makes a group, removes one, or shows them."""
    name, groups = arguments.name, app.groups()
    if name is None:
        return Groups([GroupRow(key, list(members)) for key, members in sorted(groups.items())])
    if arguments.members and arguments.remove:
        raise CommandError(
            f"`group {safe(name)} --remove` removes all of it; to change it, name those who are in it.",
            code="usage",
            exit_code=ExitCode.USAGE,
        )
    if arguments.members:
        _check([name, *arguments.members])
        if len(groups) >= MAX_GROUPS and name not in groups:
            raise CommandError(f"There are {MAX_GROUPS} groups already; `group NAME --remove` removes one.")
        if len(arguments.members) > MAX_MEMBERS:
            raise CommandError(f"A group has {MAX_MEMBERS} members at most.")
        app.folder.keep_group(name, tuple(dict.fromkeys(arguments.members)))
        return Said(f"The group {name} is {', '.join(app.groups()[name])}.")
    if name not in groups:
        raise CommandError(f"There is no group {safe(name)}.", code="no-group")
    if arguments.remove:
        app.folder.keep_group(name, None)
        kept = " The settings file has one of that name, which counts again." if name in app.groups() else ""
        return Said(f"The group {safe(name)} is gone.{kept}")
    return Groups([GroupRow(name, list(groups[name]))])


def _check(names: list[str]) -> None:
    for name in names:
        try:
            check_name(name)
        except BadName as error:
            raise CommandError(f"{safe(name)}: {error}", code="bad-name") from None


def _complete(app: "UserConsole", text: str, line: str, begidx: int, endidx: int) -> list[str]:
    return [name for name in app.groups() if name.startswith(text)]


def _arguments(parser: Parser) -> None:
    parser.add_argument(
        "name", metavar="NAME", nargs="?", help="of the group; without it, all", completer=_complete
    )
    parser.add_argument(
        "members", metavar="MEMBER", nargs="*", default=[], help="who is in it", completer=complete_names
    )
    parser.add_argument("--remove", action="store_true", help="there is no such group any more")


COMMANDS: tuple[Command["UserConsole"], ...] = (
    Command("group", TOPIC, "Give several people one name, for roll calls", group, _arguments),
)
