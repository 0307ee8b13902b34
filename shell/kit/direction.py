"""Text that runs from right to left, kept from turning what stands beside it around. Pure.

A terminal that reorders (VTE, Konsole, macOS) takes a line as one paragraph: a time, a name or a mark next to
Hebrew or Arabic text would move. An isolate keeps the text to itself (Unicode UAX #9 §2.4.2); a terminal that
does not reorder shows nothing of it.
"""

import unicodedata

FIRST_STRONG_ISOLATE, POP_ISOLATE = "\u2068", "\u2069"
_RIGHT_TO_LEFT = frozenset(("R", "AL"))
_FIRST = "\u0590"  # nothing below this code point is written from right to left


def isolated(text: str) -> str:
    """The same text; each of its lines that has right-to-left letters is one isolate."""
    if text.isascii():
        return text
    return "\n".join(map(_isolated_line, text.split("\n")))


def _isolated_line(line: str) -> str:
    if any(
        character >= _FIRST and unicodedata.bidirectional(character) in _RIGHT_TO_LEFT for character in line
    ):
        return f"{FIRST_STRONG_ISOLATE}{line}{POP_ISOLATE}"
    return line
