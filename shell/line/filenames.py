"""Names of files that others offer, made fit for this disk and this screen. Pure.

What a name may do elsewhere, it cannot do here: leave the folder, hide, pass for an option of a command,
overwrite, or act on a terminal. It always says which file it was (CWE-22, CWE-73; RFC 6266 §4.3 asks the
same of browsers).
"""

import unicodedata
from collections.abc import Callable, Iterator
from itertools import count

MAX_NAME_BYTES = 200  # of UTF-8; file systems take 255, and the working name and a number must fit as well
MAX_SUFFIX_BYTES = 20  # of a suffix that survives shortening
UNNAMED = "unnamed"
_SEPARATORS = str.maketrans({"\\": "/"})
_FORBIDDEN = frozenset('<>:"|?*')  # on some file systems; a folder may be shared with one
_DEVICES = frozenset(
    {"con", "prn", "aux", "nul", *(f"{port}{number}" for port in ("com", "lpt") for number in range(1, 10))}
)
_INVISIBLE = ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp")


def safe_name(offered: str) -> str:
    """The last part of an offered path as a name that may be given to a new file in any folder."""
    last = offered.translate(_SEPARATORS).rstrip("/").rpartition("/")[2]
    return _safe_part(last)


def safe_parts(path: str) -> list[str]:
    """The parts of a path inside an offered folder; none of them leads up or to the root."""
    return [_safe_part(part) for part in path.translate(_SEPARATORS).split("/") if part not in ("", ".")]


def free_name(wanted: str, taken: Callable[[str], bool]) -> str:
    """The name itself, or with the first number that nobody has: `report (2).pdf`."""
    for name in candidates(wanted):
        if not taken(name):
            return name
    raise AssertionError("numbers do not end")


def candidates(wanted: str) -> Iterator[str]:
    """The name, then the name with numbers."""
    return (numbered(wanted, number) for number in count(1))


def numbered(wanted: str, number: int) -> str:
    """The name itself for 1, and `report (2).pdf` for the second of them."""
    stem, dot, suffix = wanted.partition(".")
    return wanted if number == 1 else f"{stem} ({number}){dot}{suffix}"


def _safe_part(part: str) -> str:
    shown = "".join(_safe_character(character) for character in unicodedata.normalize("NFC", part))
    name = _shortened(shown.strip(" ")).rstrip(". ")
    if name[:1] in (".", "-", "~"):
        name = f"_{name[1:]}"
    if not name.strip("_"):
        return UNNAMED
    return f"_{name}" if name.partition(".")[0].casefold() in _DEVICES else name


def _safe_character(character: str) -> str:
    if character == "/" or character in _FORBIDDEN or unicodedata.category(character) in _INVISIBLE:
        return "_"
    return " " if character.isspace() else character


def _shortened(name: str) -> str:
    if len(name.encode()) <= MAX_NAME_BYTES:
        return name
    stem, dot, suffix = name.rpartition(".")
    tail = dot + suffix
    if not stem or len(tail.encode()) > MAX_SUFFIX_BYTES:
        stem, tail = name, ""
    room = MAX_NAME_BYTES - len(tail.encode())
    return stem.encode()[:room].decode(errors="ignore") + tail
