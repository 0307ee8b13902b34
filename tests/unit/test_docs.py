"""The documents say what the code does."""

import argparse
import re
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from docs import make_api, make_completions, make_man, make_protocol, make_reference
from docs.make_pictures import SCENES, picture, words
from server.console import COMMANDS as ADMIN_COMMANDS
from server.main import make_parser as server_parser
from shell.commands import COMMANDS
from shell.kit.command import Command
from shell.main import make_parser as shell_parser

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
AGAIN = "run: uv run python -m docs.make"
FILES = [*make_man.pages(), *make_completions.pages()]
PROGRAMS: dict[str, tuple[argparse.ArgumentParser, Sequence[Command[Any]]]] = {
    "parley": (shell_parser(), COMMANDS),
    "parley-server": (server_parser(), ADMIN_COMMANDS),
}


def test_the_protocol_page_is_as_the_structs_say() -> None:
    (text,) = make_protocol.pages().values()
    assert make_protocol.FILE.read_text(encoding="utf-8") == text, AGAIN


def test_the_reference_has_every_command_with_its_arguments() -> None:
    for place, text in make_reference.pages().items():
        for command in COMMANDS if place.endswith("shell.md") else ADMIN_COMMANDS:
            assert f"\n### {command.name}\n\n{command.summary}." in text


def test_the_api_page_has_what_the_module_exports() -> None:
    (text,) = make_api.pages().values()
    for name in ("enter", "Entered.send", "Entered.ask", "PhoneBook.request", "Line.write", "MessageArrived"):
        assert re.search(rf"^##+ {re.escape(name)}$", text, re.MULTILINE), name


@pytest.mark.parametrize("scene", SCENES, ids=lambda scene: scene.stem)
def test_a_picture_shows_what_the_scene_shows_now(scene: Path) -> None:
    shown = scene.with_suffix(".svg").read_text(encoding="utf-8")
    assert words(shown) == words(picture(scene)), AGAIN


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_a_file_for_the_system_names_every_option_and_no_command_that_is_gone(file: Path) -> None:
    # How argparse and shtab word things differs between versions, so the words are not compared.
    parser, commands = PROGRAMS[file.stem.lstrip("_")]
    text = file.read_text(encoding="utf-8").replace("\\-", "-")
    for action in parser._actions:
        for word in action.option_strings:
            if action.dest != "help":
                bare = word.lstrip("-") if file.suffix == ".fish" else word
                assert bare in text, f"{word}; {AGAIN}"
    listed = re.search(r"\.SH COMMANDS\n(.*?)\.SH", text, re.DOTALL)
    names = set(re.findall(r"^\.B (\S+)$", listed[1], re.MULTILINE)) if listed else set()
    assert names <= {command.name for command in commands} | {"transcript"}, AGAIN


def test_what_is_installed_beside_the_programs_is_there() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    shared = project["tool"]["hatch"]["build"]["targets"]["wheel"]["shared-data"]
    assert {ROOT / source for source in shared} == {*make_man.pages(), *make_completions.pages()}


@pytest.mark.parametrize("command", [*COMMANDS, *ADMIN_COMMANDS], ids=lambda command: command.name)
def test_every_command_says_what_json_prints(command: Command[Any]) -> None:
    if command.run.__annotations__.get("return") is not None:
        assert make_reference.records(command)


def test_the_readme_names_no_command_that_is_not_there() -> None:
    for name in (
        "list",
        "whois",
        "msg",
        "chat",
        "accept",
        "verify",
        "history",
        "search",
        "visibility",
        "passwd",
    ):
        assert name in README
        assert name in {command.name for command in COMMANDS}
    for command in ADMIN_COMMANDS:
        assert f"`{command.name}" in README
