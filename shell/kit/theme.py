"""One look for both programs: styles by name in a dark, a light and a no-colour variant; marks with an ASCII
form of each.

A colour or a mark never stands alone: the word is always beside it. Styles are names, so that a change of the
theme is seen at once everywhere (`set theme light`).
"""

import enum
import os
import sys
from collections.abc import Mapping
from typing import TextIO

HEADING = "parley.heading"
QUIET = "parley.quiet"
NAME = "parley.name"
OWN = "parley.own"
FOUND = "parley.found"
WARNING = "parley.warning"
ALARM = "parley.alarm"

VARIABLE = "PARLEY_THEME"


class Theme(enum.Enum):
    """The variants."""

    AUTO = "auto"
    """As the terminal says; dark where it says nothing."""
    DARK = "dark"
    LIGHT = "light"
    NONE = "none"
    """No colours; bold and underlined still tell things apart."""


STYLES: dict[str, tuple[str, str, str]] = {
    HEADING: ("bold", "bold", "bold"),
    QUIET: ("dim", "color(242)", "none"),
    NAME: ("bold cyan", "bold blue", "bold"),
    OWN: ("bold green", "bold color(22)", "underline"),
    FOUND: ("bold black on yellow", "bold black on color(222)", "reverse"),
    WARNING: ("bold yellow", "bold color(130)", "bold"),
    ALARM: ("bold red", "bold color(124)", "bold reverse"),
    "parley.online": ("green", "color(22)", "none"),
    "parley.away": ("yellow", "color(130)", "none"),
    "parley.busy": ("red", "color(124)", "none"),
    "parley.offline": ("dim", "color(242)", "none"),
    "parley.contacts": ("cyan", "color(25)", "none"),
    "parley.hidden": ("dim", "color(242)", "none"),
    # What cmd2 itself colours: its own defaults are yellow and bright green, which no light terminal shows.
    "cmd2.error": ("bold red", "bold color(124)", "bold"),
    "cmd2.warning": ("bold yellow", "bold color(130)", "bold"),
    "cmd2.success": ("green", "color(22)", "none"),
    "cmd2.help.header": ("bold", "bold", "bold"),
    "cmd2.help.leader": ("cyan", "color(25)", "none"),
    "cmd2.table_border": ("dim", "color(242)", "none"),
    "cmd2.example": ("bold cyan", "bold blue", "bold"),
    "cmd2.lexer.command": ("green", "color(22)", "none"),
    "cmd2.lexer.alias": ("green", "color(22)", "none"),
    "cmd2.lexer.macro": ("green", "color(22)", "none"),
    "cmd2.lexer.flag": ("cyan", "color(25)", "none"),
    "cmd2.lexer.argument": ("none", "none", "none"),
    "argparse.args": ("cyan", "color(25)", "none"),
    "argparse.groups": ("bold", "bold", "bold"),
    "argparse.metavar": ("cyan", "color(25)", "none"),
    "argparse.prog": ("bold", "bold", "bold"),
    "argparse.syntax": ("bold", "bold", "bold"),
}
"""Name: how it looks on dark, on light, and without colours (rich style definitions)."""

MARKS = {
    "online": ("●", "*"),
    "away": ("◐", "~"),
    "busy": ("⊘", "!"),
    "offline": ("○", "-"),
    "contacts": ("◍", "@"),
    "hidden": ("◌", "."),
    "queued": ("…", ".."),
    "sent": ("→", "->"),
    "held": ("?", "?"),
    "delivered": ("✓", "v"),
    "read": ("✓✓", "vv"),
    "refused": ("✗", "x"),
}
"""Word, of a status or of a message: its mark, the mark in ASCII."""


def resolve(theme: Theme, environment: Mapping[str, str] = os.environ) -> Theme:
    """What `auto` means here: no colours where NO_COLOR is set (no-color.org), else by COLORFGBG, as rxvt,
    Konsole and others set it: `foreground;background`, where 7 and 15 are white.
    """
    if environment.get("NO_COLOR"):
        return Theme.NONE
    if theme is not Theme.AUTO:
        return theme
    named = environment.get(VARIABLE, "")
    if named in (Theme.DARK.value, Theme.LIGHT.value, Theme.NONE.value):
        return Theme(named)
    background = environment.get("COLORFGBG", "").rpartition(";")[2]
    return Theme.LIGHT if background in ("7", "15") else Theme.DARK


def styles(theme: Theme) -> dict[str, str]:
    """Every style by its name."""
    column = {Theme.DARK: 0, Theme.LIGHT: 1, Theme.NONE: 2}[resolve(theme)]
    return {name: variants[column] for name, variants in STYLES.items()}


def apply(theme: Theme) -> None:
    """From now on everything that is printed looks so."""
    from cmd2.theme import update_theme

    update_theme(styles(theme))


def unicode_works(stream: TextIO | None = None) -> bool:
    """Whether a stream can show more than ASCII."""
    encoding = getattr(stream or sys.stdout, "encoding", None) or "ascii"
    return encoding.lower().replace("-", "") in ("utf8", "utf16", "utf32", "cp65001")


def marked(word: str, *, plain: bool = False) -> str:
    """A word of a status or of a delivery with its mark before it; the word alone in plain mode."""
    if plain or word not in MARKS:
        return word
    return f"{MARKS[word][not unicode_works()]} {word}"


def style_of(word: str) -> str:
    """The style of a status word."""
    name = f"parley.{word}"
    return name if name in STYLES else ""
