"""What the generated pages share: tables of Markdown, and types in words."""

import ast
import enum
import inspect
import textwrap
import types
from collections.abc import Iterable, Sequence
from typing import Any, Union, get_args, get_origin

import msgspec

_WORDS = {bytes: "bytes", str: "string", int: "integer", float: "number", bool: "boolean"}


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table of Markdown."""
    lines = [head, ["---"] * len(head), *rows]
    return "".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |\n" for line in lines)


def in_words(kind: Any) -> str:
    """A type in words."""
    if isinstance(kind, type) and issubclass(kind, enum.Enum | msgspec.Struct):
        return kind.__name__
    if kind in _WORDS:
        return _WORDS[kind]
    parts = [part for part in get_args(kind) if part is not type(None)]
    origin = get_origin(kind)
    if origin is dict:
        return f"map of {in_words(parts[0])} to {in_words(parts[1])}"
    if origin in (tuple, list):
        return f"list of {in_words(parts[0])}"
    if origin not in (Union, types.UnionType) or len(parts) == 1:
        return in_words(parts[0]) + (" or null" if type(None) in get_args(kind) else "")
    return " or ".join(map(in_words, parts))


def remarks(struct: type[msgspec.Struct]) -> dict[str, str]:
    """Field: the docstring under it, for those that have one; those of base classes too."""
    found: dict[str, str] = {}
    for base in reversed(struct.__mro__):
        if not issubclass(base, msgspec.Struct) or base.__module__.startswith("msgspec"):
            continue
        (definition,) = ast.parse(textwrap.dedent(inspect.getsource(base))).body
        assert isinstance(definition, ast.ClassDef)
        for field, after in zip(definition.body, definition.body[1:], strict=False):
            if (
                isinstance(field, ast.AnnAssign)
                and isinstance(field.target, ast.Name)
                and isinstance(after, ast.Expr)
                and isinstance(after.value, ast.Constant)
            ):
                found[field.target.id] = " ".join(str(after.value.value).split())
    return found


def summary(documented: object) -> str:
    """The first paragraph of a docstring, on one line."""
    return " ".join((inspect.getdoc(documented) or "").split("\n\n")[0].split())
