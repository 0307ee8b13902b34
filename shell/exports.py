"""The history as a file that other programs read: text, JSON, Markdown. Pure.

Text and Markdown are made to be looked at, in a terminal too, so what would control one is shown there; JSON
has every message as it came.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime

import msgspec

from shell.conversation import offered_by
from shell.finding import Letter
from wire.display import safe

FORMATS = ("text", "json", "markdown")
SUFFIXES = {".txt": "text", ".json": "json", ".md": "markdown"}
_MARKUP = re.compile(r"([\\`*_{}\[\]<>#|~!])")


class Exported(msgspec.Struct, frozen=True):
    """One message in a JSON export, which is an array of them."""

    name: str
    """With whom."""
    writer: str
    time: datetime
    text: str
    state: str
    choices: tuple[str, ...] | None = None
    """For a question: the answers that it offers."""


def exported(letters: Iterable[Letter], user: str, form: str) -> Iterator[str]:
    """The pieces of the file, in order. `form` is one of `FORMATS`."""
    writers: dict[str, Callable[[Iterable[Letter], str], Iterator[str]]] = {
        "text": _text,
        "json": _json,
        "markdown": _markdown,
    }
    return writers[form](letters, user)


def _text(letters: Iterable[Letter], user: str) -> Iterator[str]:
    for letter in letters:
        to = f" to {letter.name}" if letter.outgoing else ""
        words = safe(letter.text, keep_newlines=True).replace("\n", "\n    ")
        after = _offered(letter) + _state(letter)
        yield f"{_when(letter):%Y-%m-%d %H:%M:%S} {_writer(letter, user)}{to}: {words}{after}\n"


def _json(letters: Iterable[Letter], user: str) -> Iterator[str]:
    between = "["
    for letter in letters:
        row = Exported(
            letter.name, _writer(letter, user), _when(letter), letter.text, letter.state, letter.choices
        )
        yield f"{between}\n{msgspec.json.encode(row).decode()}"
        between = ","
    yield "[]\n" if between == "[" else "\n]\n"


def _markdown(letters: Iterable[Letter], user: str) -> Iterator[str]:
    yield f"# Messages of {_escaped(user)}\n"
    day = None
    for letter in letters:
        when = _when(letter)
        if when.date() != day:
            day = when.date()
            yield f"\n## {when:%A}, {when.day} {when:%B %Y}\n"
        to = f" to {letter.name}" if letter.outgoing else ""
        head = f"**{when:%H:%M} {_escaped(_writer(letter, user) + to)}**{_escaped(_state(letter))}"
        # Two blanks at a line's end keep it a line (CommonMark §6.7).
        words = "  \n".join(
            f"> {_escaped(line)}"
            for line in (safe(letter.text, keep_newlines=True) + _offered(letter)).split("\n")
        )
        yield f"\n{head}\n\n{words}\n"


def _when(letter: Letter) -> datetime:
    return datetime.fromtimestamp(letter.written).astimezone()


def _writer(letter: Letter, user: str) -> str:
    return user if letter.outgoing else letter.name


def _state(letter: Letter) -> str:
    settled = not letter.outgoing or letter.state in ("delivered", "read")
    return "" if settled else f" ({letter.state})"


def _offered(letter: Letter) -> str:
    return f" ({offered_by(letter.choices)})" if letter.choices else ""


def _escaped(text: str) -> str:
    return _MARKUP.sub(r"\\\1", text)
