"""Writes the tables of `protocol.md` from the Structs of `wire`: `python -m docs.make_protocol`.

A test holds the file equal to what this makes.
"""

import enum
import re
from pathlib import Path
from typing import Any, get_args, get_origin

import msgspec

from wire import frames, messages
from wire.errors import ErrorCode
from wire.frames import Frame, LineClose
from wire.messages import METHODS, NOTIFICATIONS

FILE = Path(__file__).parent / "protocol.md"
MARK = re.compile(r"<!-- begin (\w+) -->\n.*?<!-- end \1 -->", re.DOTALL)


_WORDS = {bytes: "bytes", str: "string", int: "integer", float: "number", bool: "boolean"}


def tables() -> dict[str, str]:
    """Each generated part by its name."""
    return {
        "requests": _table(
            ("method", "parameters", "result", "what it does"),
            [
                (f"`{method}`", _fields(request), _fields(result), _summary(request))
                for method, (request, result) in METHODS.items()
            ],
        ),
        "pushes": _table(
            ("method", "parameters", "when"),
            [(f"`{method}`", _fields(push), _summary(push)) for method, push in NOTIFICATIONS.items()],
        ),
        "records": _table(
            ("record", "fields", "what"),
            [
                (f"`{record.__name__}`", _fields(record), _summary(record))
                for record in (messages.Endpoint, messages.Person, messages.Introduction)
            ],
        ),
        "values": _table(
            ("type", "values"),
            [
                (f"`{kind.__name__}`", ", ".join(f"`{member.value}`" for member in kind))
                for kind in (messages.Status, messages.Visibility, messages.CloseReason, frames.Verdict)
            ],
        ),
        "errors": _table(
            ("code", "slug"), [(str(code.value), f"`{code.slug}`") for code in sorted(ErrorCode)]
        ),
        "frames": _table(
            ("`t`", "fields", "what"),
            [
                (f"`{frame.__struct_config__.tag}`", _fields(frame), _summary(frame))
                for frame in get_args(frames.AnyFrame)
            ],
        ),
        "closes": _table(
            ("code", "name"), [(str(code.value), code.name.lower().replace("_", " ")) for code in LineClose]
        ),
    }


def made(text: str) -> str:
    """The page with its generated parts as they must be."""
    parts = tables()
    return MARK.sub(
        lambda found: f"<!-- begin {found[1]} -->\n{parts[found[1]]}<!-- end {found[1]} -->", text
    )


def _table(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    lines = [head, tuple("---" for _ in head), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _fields(struct: type[msgspec.Struct]) -> str:
    shown = [f"`{field.encode_name}` {_type(field.type)}" for field in msgspec.structs.fields(struct)]
    return ", ".join(shown) or "none"


def _type(kind: Any) -> str:
    """A type in words."""
    if isinstance(kind, type) and issubclass(kind, enum.Enum | msgspec.Struct):
        return kind.__name__
    if kind in _WORDS:
        return _WORDS[kind]
    parts = [part for part in get_args(kind) if part is not type(None)]
    if get_origin(kind) is tuple:
        return f"list of {_type(parts[0])}"
    return _type(parts[0]) + (" or null" if type(None) in get_args(kind) else "")


def _summary(struct: type[Frame] | type[messages.Message]) -> str:
    return " ".join((struct.__doc__ or "").split("\n\n")[0].split())


if __name__ == "__main__":
    FILE.write_text(made(FILE.read_text(encoding="utf-8")), encoding="utf-8")
