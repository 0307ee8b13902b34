"""Writes `completions/`, for bash, zsh and fish, from the parsers of both programs: `python -m docs.make`."""

import argparse
from pathlib import Path

import shtab

from server.main import make_parser as server_parser
from shell.main import make_parser as shell_parser

FOLDER = Path(__file__).parent / "completions"
FILE_OF = {"bash": "{}.bash", "zsh": "_{}", "fish": "{}.fish"}
"""Shell: how it wants its file called."""
_VALUES = {"FILE": shtab.FILE, "DIR": shtab.DIRECTORY}


def pages() -> dict[Path, str]:
    """Each file by its place."""
    made: dict[Path, str] = {}
    for make_parser in (shell_parser, server_parser):
        parser = make_parser()
        for action in parser._actions:  # noqa: SLF001 - no other way
            _say_what_it_takes(action)
        for shell, name in FILE_OF.items():
            made[FOLDER / name.format(parser.prog)] = shtab.complete(parser, shell).rstrip() + "\n"
    return made


def _say_what_it_takes(action: argparse.Action) -> None:
    kind = _VALUES.get(str(action.metavar))
    if kind is not None:
        setattr(action, "complete", kind)  # noqa: B010 - the attribute by which shtab knows it
