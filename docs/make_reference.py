"""The reference of every command of both consoles, from the tables of commands, for the site."""

import argparse
import ast
import inspect
import textwrap
import types
from collections.abc import Iterable, Sequence
from typing import Any, TypeGuard, get_args

import msgspec

from docs.tables import in_words, remarks, table
from server.console import COMMANDS as ADMIN_COMMANDS
from shell.commands import COMMANDS as SHELL_COMMANDS
from shell.kit.command import Command, Listing, Outcome, Parser
from shell.kit.recorder import TRANSCRIPT

_SHELL_HEAD = """# Commands of the shell

What you type at `parley`, or give to it with `-c`. This page is made from the table of commands.

The fields stand for `--json`: one object a line on standard output; an error is an object with `error`, a
stable word, and `message` on standard error. What cmd2 brings (`alias`, `macro`, `set`, `run_script`,
`> file`, `| less`) is told by `help -v`.
"""
_ADMIN_HEAD = """# Commands of the admin console

What the operator types at `parley-server`. This page is made from the table of commands.
"""


def pages() -> dict[str, str]:
    """Each page by its place."""
    return {
        "reference/shell.md": _page(_SHELL_HEAD, (*SHELL_COMMANDS, TRANSCRIPT)),
        "reference/console.md": _page(_ADMIN_HEAD, (*ADMIN_COMMANDS, TRANSCRIPT)),
    }


def _page(head: str, commands: Sequence[Command[Any]]) -> str:
    parts = [head]
    for topic in dict.fromkeys(command.topic for command in commands):
        parts.append(f"\n## {topic}\n")
        parts += [_section(command) for command in commands if command.topic == topic]
    return "".join(parts)


def _section(command: Command[Any]) -> str:
    parser = Parser(prog=command.name)
    command.arguments(parser)
    actions = [action for action in parser._actions if action.dest != "help"]  # noqa: SLF001 - no other way
    also = f" Also: {', '.join(f'`{alias}`' for alias in command.aliases)}." if command.aliases else ""
    lines = [
        f"\n### {command.name}\n\n{command.summary}.{also}\n\n    {_usage(command.name, parser, actions)}\n"
    ]
    rows = [(f"`{_words(action)}`", _help(action)) for action in actions]
    if rows:
        lines.append("\n" + table(("argument", "what"), rows))
    if command.details:
        lines.append(f"\n{command.details}\n")
    shown = records(command)
    if shown:
        lines.append("\nWith `--json`:\n" + "\nor:\n".join(_fields(record) for record in shown))
    return "".join(lines)


def _usage(name: str, parser: Parser, actions: Iterable[argparse.Action]) -> str:
    if parser.usage:
        return parser.usage
    flags = [action for action in actions if action.option_strings]
    words = [action for action in actions if not action.option_strings]
    shown = [f"[{_words(action)}]" if not action.required else _words(action) for action in flags]
    for action in words:
        word = _words(action)
        match action.nargs:
            case "?":
                shown.append(f"[{word}]")
            case "*":
                shown.append(f"[{word} ...]")
            case "+":
                shown.append(f"{word} ...")
            case _:
                shown.append(word)
    return " ".join([name, *shown])


def _words(action: argparse.Action) -> str:
    metavar = action.metavar if isinstance(action.metavar, str) else action.dest.upper()
    if not action.option_strings:
        return metavar
    takes = action.nargs != 0
    value = "|".join(map(str, action.choices)) if action.choices and not action.metavar else metavar
    many = " ..." if action.nargs in ("+", "*") else ""
    return f"{action.option_strings[-1]} {value}{many}" if takes else action.option_strings[-1]


def _help(action: argparse.Action) -> str:
    choices = ", ".join(f"`{choice}`" for choice in action.choices) if action.choices else ""
    return ": ".join(filter(None, ((action.help or "").replace("%%", "%"), choices)))


def outcomes(command: Command[Any]) -> list[type[Outcome]]:
    """What a command may show: by the annotation of its function, else by what that makes."""
    annotation = command.run.__annotations__.get("return")
    kinds = get_args(annotation) if isinstance(annotation, types.UnionType) else (annotation,)
    exact = [kind for kind in kinds if _is_outcome(kind)]
    return exact or list(_made_by(command.run, set()))


def _made_by(function: Any, seen: set[object]) -> dict[type[Outcome], None]:
    """The outcomes that a function and those that it calls in its own module name, in order."""
    found: dict[type[Outcome], None] = {}
    seen.add(function)
    for node in ast.walk(ast.parse(textwrap.dedent(inspect.getsource(function)))):
        value = function.__globals__.get(node.id) if isinstance(node, ast.Name) else None
        if _is_outcome(value):
            found[value] = None
        elif inspect.isfunction(value) and value.__module__ == function.__module__ and value not in seen:
            found |= _made_by(value, seen)
    return found


def _is_outcome(kind: Any) -> TypeGuard[type[Outcome]]:
    return isinstance(kind, type) and issubclass(kind, Outcome) and kind not in (Outcome, Listing)


def records(command: Command[Any]) -> list[type[msgspec.Struct]]:
    """The objects that `--json` prints for a command."""
    return list(dict.fromkeys(_record(outcome) for outcome in outcomes(command)))


def _record(outcome: type[Outcome]) -> type[msgspec.Struct]:
    method = "records" if outcome.records not in (Outcome.records, Listing.records) else "rows"
    if method == "rows" and not issubclass(outcome, Listing):
        return outcome
    (row, *_) = get_args(getattr(outcome, method).__annotations__["return"])
    assert isinstance(row, type)
    assert issubclass(row, msgspec.Struct)
    return row


def _fields(record: type[msgspec.Struct]) -> str:
    """The fields of an object, and those of the objects in it."""
    fields = msgspec.structs.fields(record)
    said = remarks(record)
    rows = [(f"`{field.encode_name}`", in_words(field.type), said.get(field.name, "")) for field in fields]
    inside = dict.fromkeys(kind for field in fields for kind in _structs(field.type) if kind is not record)
    parts = [f"\nwhere `{kind.__name__}` has:\n{_fields(kind)}" for kind in inside]
    return "\n" + table(("field", "type", ""), rows) + "".join(parts)


def _structs(kind: Any) -> list[type[msgspec.Struct]]:
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        return [kind]
    return [found for part in get_args(kind) for found in _structs(part)]
