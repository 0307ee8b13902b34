"""Writes `man/`, a page for each program, from parser and table of commands: `python -m docs.make`."""

import argparse
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from argparse_manpage.manpage import Manpage

import wire
from server.console import COMMANDS as ADMIN_COMMANDS
from server.main import make_parser as server_parser
from shell.commands import COMMANDS as SHELL_COMMANDS
from shell.kit.command import Command
from shell.kit.errors import ExitCode
from shell.kit.recorder import TRANSCRIPT
from shell.main import make_parser as shell_parser

FOLDER = Path(__file__).parent / "man"
_EXIT_CODES = {
    ExitCode.DONE: "done",
    ExitCode.USER: "something that you can mend",
    ExitCode.USAGE: "wrong usage",
    ExitCode.NETWORK: "phone book or network",
    ExitCode.KEY: "a key is not trusted",
    ExitCode.RATE: "rate limited",
    ExitCode.QUEUED: "queued, but not delivered in time",
    ExitCode.REFUSED: "refused by the other side",
    ExitCode.INTERRUPTED: "interrupted",
}
_FILES = {
    "parley": (
        ("~/.config/parley/settings.toml", "settings, section [shell]; no program writes it"),
        ("~/.local/share/parley", "keys and messages"),
    ),
    "parley-server": (("~/.local/share/parley-server", "accounts and keys"),),
}
_ENVIRONMENT = {
    "parley": (
        ("PARLEY_PASSWORD", "the password where there is no terminal to ask at"),
        ("PARLEY_SETTINGS", "the settings file"),
        ("NO_COLOR", "no colours"),
    ),
    "parley-server": (("NO_COLOR", "no colours"),),
}


def pages() -> dict[Path, str]:
    """Each page by its file."""
    return {
        FOLDER / "parley.1": _page(shell_parser(), (*SHELL_COMMANDS, TRANSCRIPT)),
        FOLDER / "parley-server.1": _page(server_parser(), (*ADMIN_COMMANDS, TRANSCRIPT)),
    }


def _page(parser: argparse.ArgumentParser, commands: Iterable[Command[Any]]) -> str:
    page = Manpage(parser)
    page.date, page.source, page.manual = "", f"Parley {wire.VERSION}", "Parley"
    page.description = (parser.description or "").rstrip(".")
    listed = [(command.name, command.summary) for command in commands]
    page.add_section("commands", "=", _list(listed))
    page.add_section(
        "exit status", "=", _list((str(code.value), words) for code, words in _EXIT_CODES.items())
    )
    page.add_section("environment", "=", _list(_ENVIRONMENT[parser.prog]))
    page.add_section("files", "=", _list(_FILES[parser.prog]))
    return "\n".join(line.rstrip() for line in str(page).splitlines()) + "\n"


def _list(items: Iterable[tuple[str, str]]) -> str:
    return "\n".join(f".TP\n.B {_escaped(term)}\n{_escaped(words)}." for term, words in items)


def _escaped(text: str) -> str:
    return text.replace("\\", "\\e").replace("-", "\\-")
