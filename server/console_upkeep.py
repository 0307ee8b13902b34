"""Commands of the admin console for a long life: settings, backups, accounts out and in, drain."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

import cmd2
from rich.console import RenderableType
from rich.text import Text

from server.console_changes import ShownChange, changed, counted
from server.console_names import dry_run_argument
from server.reload import SettingChange
from server.upkeep_actions import (
    Drain,
    ExportAccounts,
    GetSettings,
    ImportAccounts,
    MakeBackup,
    Reloaded,
    ReloadSettings,
    SettingInfo,
)
from shell.kit.command import Command, Listing, Outcome, Parser, Said, checked
from shell.kit.times import duration

if TYPE_CHECKING:
    from server.console import AdminConsole

TOPIC = "Upkeep"
DRAIN_SECONDS = 30.0  # what `drain` leaves to people where nothing else is said


class ShownSettings(Listing, frozen=True):
    """What `settings` shows."""

    settings: tuple[SettingInfo, ...]

    def rows(self) -> tuple[SettingInfo, ...]:
        """Every key."""
        return self.settings

    def columns(self) -> tuple[str, ...]:
        """Heads."""
        return ("setting", "value", "default", "changes")

    def cells(self, row: SettingInfo, *, plain: bool) -> tuple[RenderableType, ...]:
        """One setting."""
        default = "" if row.value == row.default else row.default
        return row.key, row.value, default, "on reload" if row.live else "at a restart"

    def empty(self) -> str:
        """No setting fits."""
        return "There is no such setting."


class ShownReload(Outcome, frozen=True):
    """What `settings reload` changed."""

    changes: tuple[SettingChange, ...]
    certificate: bool

    def render(self, *, plain: bool) -> Text:
        """A line for each change."""
        lines = [
            f"{change.key}: {change.before} is now {change.after}{'; ' * bool(change.note)}{change.note}"
            if change.live
            else f"{change.key}: stays {change.before} until a restart, then {change.after}"
            for change in self.changes
        ]
        lines += ["The certificate is another one; new connections see it."] * self.certificate
        return Text("\n".join(lines) or "Nothing has changed.")


def _settings(app: "AdminConsole", arguments: argparse.Namespace) -> Outcome:
    if arguments.what == "reload":
        done: Reloaded = app.operator.ask(ReloadSettings())
        return ShownReload(done.changes, done.certificate)
    found = app.operator.ask(GetSettings()).settings
    return ShownSettings(tuple(setting for setting in found if (arguments.what or "") in setting.key))


def _backup(app: "AdminConsole", arguments: argparse.Namespace) -> Outcome:
    done = app.operator.ask(MakeBackup(_absolute(arguments.file)))
    return Said(f"{done.path} has everything, in {done.bytes:,} bytes; keep it as safe as the phone book.")


def _export(app: "AdminConsole", arguments: argparse.Namespace) -> Outcome:
    done = app.operator.ask(ExportAccounts(_absolute(arguments.file)))
    return Said(f"{done.path} has {_accounts(done.accounts)}, with password hashes; keep it safe.")


def _import(app: "AdminConsole", arguments: argparse.Namespace) -> ShownChange:
    done = app.operator.ask(ImportAccounts(_absolute(arguments.file), dry_run=arguments.dry_run))
    return changed(done, f"Took {_accounts(len(done.hit))}.")


def _drain(app: "AdminConsole", arguments: argparse.Namespace) -> ShownChange:
    asked = Drain(seconds=arguments.time, reason=" ".join(arguments.reason), dry_run=arguments.dry_run)
    told = app.operator.ask(asked)
    people = counted(len(told.hit), "person", "people")
    end = f"the phone book stops in {arguments.time:g} s, or when nobody is left"
    return changed(told, f"Told {people}; {end}.")


def _accounts(count: int) -> str:
    return counted(count, "account", "accounts")


def _absolute(path: str) -> str:
    """The phone book may run in another folder than its console."""
    return str(Path(path).expanduser().absolute())


def _settings_arguments(parser: Parser) -> None:
    parser.add_argument(
        "what",
        metavar="reload|PART",
        nargs="?",
        help="reload: read the settings file and the certificate anew; otherwise a part of the names to show",
    )


def _file_argument(parser: Parser) -> None:
    parser.add_argument("file", metavar="FILE", help="on this machine", completer=cmd2.Cmd.path_complete)


def _import_arguments(parser: Parser) -> None:
    _file_argument(parser)
    dry_run_argument(parser)


def _drain_arguments(parser: Parser) -> None:
    parser.add_argument(
        "--for",
        dest="time",
        metavar="TIME",
        type=checked(duration),
        default=DRAIN_SECONDS,
        help=f"how long those who are there may stay ({DRAIN_SECONDS:g}s)",
    )
    parser.add_argument("reason", metavar="REASON", nargs="*", help="told to everybody")
    dry_run_argument(parser)


COMMANDS: tuple[Command["AdminConsole"], ...] = (
    Command("settings", TOPIC, "Show the settings, or read them anew", _settings, _settings_arguments),
    Command("backup", TOPIC, "Write everything to a file while the phone book runs", _backup, _file_argument),
    Command("export", TOPIC, "Write all accounts to a TOML file", _export, _file_argument),
    Command("import", TOPIC, "Take accounts from a TOML file", _import, _import_arguments),
    Command("drain", TOPIC, "Let nobody in, tell everybody, then stop", _drain, _drain_arguments),
)
