"""User names: what one may be, when two are the same, and when two only look the same.

Profile UsernameCaseMapped of PRECIS (RFC 8265 §3.3) decides characters, width and direction; on top of it a
name has letters, digits and `. _ -` only, because it is typed at a prompt. Look-alikes are found by the
confusables of Unicode TS39 §4 and refused at sign-up.
"""

import unicodedata
from functools import lru_cache
from typing import NewType

from wire.errors import BadName
from wire.limits import MAX_NAME

NameKey = NewType("NameKey", str)
"""A name in the one form that is compared: case-folded, normalised. `Alice` and `alice` share it."""

PUNCTUATION = "._-"
_ALLOWED_CATEGORIES = ("L", "M", "N")  # letters, marks, numbers
_MAX_KEY = MAX_NAME + 1  # characters; what was longer stays longer than a name, and is nobody
_WRITTEN_TOGETHER = (  # TS39 §5.2 "highly restrictive": scripts that one word mixes every day
    {"LATIN", "HAN", "HIRAGANA", "KATAKANA"},
    {"LATIN", "HAN", "HANGUL"},
    {"LATIN", "HAN", "BOPOMOFO"},
)


def name_key(name: str) -> NameKey:
    """The form under which a name is found; never raises, since an impossible name is just not found."""
    if name.isascii():  # where all of the below comes to this
        return NameKey(name[:_MAX_KEY].lower())
    folded = unicodedata.normalize("NFC", unicodedata.normalize("NFKC", name).casefold())
    return NameKey(folded[:_MAX_KEY])  # only now: of what was typed, several characters may be one


def is_key(key: str) -> bool:
    """Whether it may be the key of somebody's name; cheaper than `check_name`, which refuses more."""
    return 0 < len(key) <= MAX_NAME and all(map(_is_allowed, key)) and name_key(key) == key


def check_name(name: str) -> str:
    """The name as it will be shown (NFC, case kept). Raises `BadName` with the reason."""
    from precis_i18n import get_profile  # 30 ms to import, needed at sign-up only

    shown = unicodedata.normalize("NFC", name)
    if not shown:
        raise BadName("A name needs at least one character.")
    if len(shown) > MAX_NAME:
        raise BadName(f"A name has {MAX_NAME} characters at most; this one has {len(shown)}.")
    for character in shown:
        if not _is_allowed(character):
            raise BadName(f"A name is made of letters, digits and . _ - ; {_described(character)} is none.")
    if not shown[0].isalnum():
        raise BadName("A name begins with a letter or a digit.")
    try:
        get_profile("UsernameCaseMapped").enforce(shown)
    except UnicodeEncodeError as error:
        raise BadName(f"A name cannot have {_described(shown[error.start : error.end][:1])} there.") from None
    if _mixes_scripts(shown):
        raise BadName("A name is written in one script; this one mixes several that look alike.")
    if len(name_key(shown)) > MAX_NAME:
        raise BadName(f"A name has {MAX_NAME} characters at most, and letters such as ß count as two.")
    return shown


@lru_cache(maxsize=4096)
def skeleton(name: str) -> str:
    """What the name looks like: two names with one skeleton cannot both have accounts (TS39 §4)."""
    prototypes = _prototypes()
    decomposed = unicodedata.normalize("NFD", name)
    # Folded after the mapping: a capital I looks like a small l, a small i does not.
    return "".join(prototypes.get(character, character) for character in decomposed).casefold()


def _is_allowed(character: str) -> bool:
    return character in PUNCTUATION or unicodedata.category(character).startswith(_ALLOWED_CATEGORIES)


def _described(character: str) -> str:
    printable = character.isprintable() and not character.isspace()
    name = unicodedata.name(character, f"U+{ord(character):04X}" if character else "nothing")
    return f"{character!r} ({name})" if printable else name


def _mixes_scripts(name: str) -> bool:
    from confusable_homoglyphs import categories

    scripts = {categories.alias(character) for character in name} - {"COMMON", "INHERITED"}
    return len(scripts) > 1 and not any(scripts <= allowed for allowed in _WRITTEN_TOGETHER)


@lru_cache(maxsize=1)
def _prototypes() -> dict[str, str]:
    """For each character that is confused with others, the one that stands for them all."""
    from confusable_homoglyphs import confusables  # 96 ms: it reads the whole table of Unicode

    table: dict[str, list[dict[str, str]]] = confusables.confusables_data
    prototypes: dict[str, str] = {}
    for source, alikes in table.items():
        # The table lists both directions. Only a prototype has several look-alikes; of two, the lesser leads.
        target = alikes[0]["c"]
        if len(alikes) == 1 and (len(table.get(target, ())) > 1 or target < source):
            prototypes[source] = target.strip("\u200e")
    return prototypes
