"""Writes the tables of `protocol.md` from the Structs of `wire`: `python -m docs.make`.

A test holds the file equal to what this makes.
"""

import re
from pathlib import Path
from typing import get_args

import msgspec

from docs.tables import in_words, summary, table
from wire import frames, messages
from wire.errors import ErrorCode
from wire.frames import LineClose
from wire.messages import METHODS, NOTIFICATIONS

FILE = Path(__file__).parent / "protocol.md"
MARK = re.compile(r"<!-- begin (\w+) -->\n.*?<!-- end \1 -->", re.DOTALL)


def tables() -> dict[str, str]:
    """Each generated part by its name."""
    return {
        "requests": table(
            ("method", "parameters", "result", "what it does"),
            [
                (f"`{method}`", _fields(request), _fields(result), summary(request))
                for method, (request, result) in METHODS.items()
            ],
        ),
        "pushes": table(
            ("method", "parameters", "when"),
            [(f"`{method}`", _fields(push), summary(push)) for method, push in NOTIFICATIONS.items()],
        ),
        "records": table(
            ("record", "fields", "what"),
            [
                (f"`{record.__name__}`", _fields(record), summary(record))
                for record in (messages.Endpoint, messages.Person, messages.Introduction)
            ],
        ),
        "values": table(
            ("type", "values"),
            [
                (f"`{kind.__name__}`", ", ".join(f"`{member.value}`" for member in kind))
                for kind in (
                    messages.Status,
                    messages.Visibility,
                    messages.CloseReason,
                    frames.Verdict,
                    frames.TransferKind,
                    frames.StopReason,
                )
            ],
        ),
        "errors": table(
            ("code", "slug"), [(str(code.value), f"`{code.slug}`") for code in sorted(ErrorCode)]
        ),
        "frames": table(
            ("`t`", "fields", "what"),
            [
                (f"`{frame.__struct_config__.tag}`", _fields(frame), summary(frame))
                for frame in get_args(frames.AnyFrame)
            ],
        ),
        "closes": table(
            ("code", "name"), [(str(code.value), code.name.lower().replace("_", " ")) for code in LineClose]
        ),
    }


def made(text: str) -> str:
    """The page with its generated parts as they must be."""
    parts = tables()
    return MARK.sub(
        lambda found: f"<!-- begin {found[1]} -->\n{parts[found[1]]}<!-- end {found[1]} -->", text
    )


def _fields(struct: type[msgspec.Struct]) -> str:
    shown = [f"`{field.encode_name}` {in_words(field.type)}" for field in msgspec.structs.fields(struct)]
    return ", ".join(shown) or "none"


def pages() -> dict[Path, str]:
    """The page by its file."""
    return {FILE: made(FILE.read_text(encoding="utf-8"))}
