"""One look for both programs: status marks, delivery marks, table styles, with an ASCII form of each.

A colour or a mark never stands alone: the word is always beside it.
"""

import sys
from typing import TextIO

from rich.style import Style

MARKS = {
    "online": ("●", "*", Style(color="green")),
    "away": ("◐", "~", Style(color="yellow")),
    "busy": ("⊘", "!", Style(color="red")),
    "offline": ("○", "-", Style(dim=True)),
    "contacts": ("◍", "@", Style(color="cyan")),
    "hidden": ("◌", ".", Style(dim=True)),
}
"""Word: its mark, the mark in ASCII, the style."""

HEADING = Style(bold=True)
QUIET = Style(dim=True)
NAME = Style(bold=True, color="cyan")
WARNING = Style(bold=True, color="yellow")
ALARM = Style(bold=True, color="red")


def unicode_works(stream: TextIO | None = None) -> bool:
    """Whether a stream can show more than ASCII."""
    encoding = getattr(stream or sys.stdout, "encoding", None) or "ascii"
    return encoding.lower().replace("-", "") in ("utf8", "utf16", "utf32", "cp65001")


def marked(word: str, *, plain: bool = False) -> str:
    """A status word with its mark before it; the word alone in plain mode."""
    if plain or word not in MARKS:
        return word
    mark, ascii_mark, _ = MARKS[word]
    return f"{mark if unicode_works() else ascii_mark} {word}"


def style_of(word: str) -> Style:
    """The style of a status word."""
    return MARKS[word][2] if word in MARKS else Style()
