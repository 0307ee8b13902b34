"""Text from others, made safe to show: nothing in it can move a cursor or turn text around.

What would act on a terminal is shown as a visible mark instead of being dropped, so that a reader sees
that it was there (Unicode TR36 §2.10; trojan-source, CVE-2021-42574).
"""

import unicodedata

KEPT_FORMATS = frozenset("\u200c\u200d\u00ad")  # joiners of scripts and emoji, and the soft hyphen
MAX_MARKS = 8  # combining marks on one letter; living scripts need at most four or five
_CONTROL_PICTURES = 0x2400
_DELETE, _DELETE_PICTURE = "\x7f", "\u2421"


def safe(text: str, *, keep_newlines: bool = False) -> str:
    """The same text with every control, override, surrogate and line separator made visible.

    `keep_newlines` lets line feeds and tabs through, for texts of several lines.
    """
    if text.isascii() and text.isprintable():
        return text
    kept = "\n\t" if keep_newlines else ""
    shown: list[str] = []
    marks = 0
    for character in text:
        category = unicodedata.category(character)
        marks = marks + 1 if category in ("Mn", "Me") else 0
        if marks > MAX_MARKS:
            continue
        shown.append(character if character in kept else _visible(character, category))
    return "".join(shown)


def escaped(line: str, *, ascii_only: bool = False) -> str:
    """A line of JSON in which nothing acts on a terminal, and which means the same (RFC 8259 §7).

    `ascii_only` escapes every other character than those of ASCII as well.
    """
    if line.isascii() and _DELETE not in line:
        return line
    return "".join(
        _escape(character) if _acts(character) or (ascii_only and not character.isascii()) else character
        for character in line
    )


def _acts(character: str) -> bool:
    return _visible(character, unicodedata.category(character)) != character


def _escape(character: str) -> str:
    units = character.encode("utf-16-be", errors="surrogatepass").hex()
    return "".join(f"\\u{units[at : at + 4]}" for at in range(0, len(units), 4))


def _visible(character: str, category: str) -> str:
    if category == "Cc" and character < " ":
        return chr(_CONTROL_PICTURES + ord(character))
    if character == _DELETE:
        return _DELETE_PICTURE
    if category == "Cs":
        return "\ufffd"
    if category in ("Cc", "Zl", "Zp") or (category == "Cf" and character not in KEPT_FORMATS):
        return f"<U+{ord(character):04X}>"
    return character
