"""The documents say what the code does."""

from pathlib import Path

from docs.make_protocol import FILE, made
from server.console import COMMANDS as ADMIN_COMMANDS
from shell.commands import COMMANDS

README = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")


def test_the_protocol_page_is_as_the_structs_say() -> None:
    text = FILE.read_text(encoding="utf-8")
    assert text == made(text), "run: python -m docs.make_protocol"


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
