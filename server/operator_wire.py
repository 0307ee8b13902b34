"""What crosses the Unix socket between an attached console and the phone book: one JSON text a line, each a
Struct with a tag. Pure. Both ends are one release: another version is refused at the greeting.
"""

from typing import TypeVar

import msgspec

from server.actions import AnyAction, Overview
from server.effects import Happened
from wire.errors import BadFrame, ErrorObject
from wire.limits import KIB

MAX_CALL = 64 * KIB  # bytes of one line of a console
MAX_ANSWER = 4 * KIB * KIB  # bytes of one line to a console; a full list of sessions has about 512 KiB


class Line(msgspec.Struct, frozen=True, omit_defaults=True, tag_field="line", tag=str.lower):
    """The base of all lines."""


class Call(Line, frozen=True):
    """A console asks; its answer has the same number."""

    number: int
    action: AnyAction


class Follow(Line, frozen=True):
    """A console wants to be told what happens, or no more."""

    on: bool


class Greeting(Line, frozen=True):
    """The first line of the phone book."""

    version: str
    author: str
    """Who acts: the Unix user at the other end of the socket."""
    overview: Overview


class Denied(Line, frozen=True):
    """The first line of the phone book to somebody who may not operate it; nothing follows."""

    message: str


class Answer(Line, frozen=True):
    """What came of a call: a reply of the type that its action names, or an error."""

    number: int
    reply: msgspec.Raw = msgspec.Raw(b"null")
    error: ErrorObject | None = None


class News(Line, frozen=True):
    """Something happened; `missed` things before it were left out, since the console did not read."""

    happened: Happened
    missed: int = 0


class Pulse(Line, frozen=True):
    """The latest for the console's toolbar."""

    overview: Overview


LineT = TypeVar("LineT")
FromConsole = Call | Follow
ToConsole = Greeting | Denied | Answer | News | Pulse

_encoder = msgspec.json.Encoder()
_from_console: msgspec.json.Decoder[FromConsole] = msgspec.json.Decoder(FromConsole)
_to_console: msgspec.json.Decoder[ToConsole] = msgspec.json.Decoder(ToConsole)


def encode(line: FromConsole | ToConsole) -> bytes:
    """A line with its end."""
    return _encoder.encode(line) + b"\n"


def decode_from_console(line: bytes) -> FromConsole:
    """What a console says. Raises `BadFrame`."""
    return _decoded(_from_console, line)


def decode_to_console(line: bytes) -> ToConsole:
    """What the phone book says. Raises `BadFrame`."""
    return _decoded(_to_console, line)


def _decoded(decoder: msgspec.json.Decoder[LineT], line: bytes) -> LineT:
    try:
        return decoder.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, ValueError) as error:
        raise BadFrame(f"That is no line of a console: {error}") from None
