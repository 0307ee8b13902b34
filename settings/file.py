"""Reads a section of a settings file. What a person wrote is read, never written."""

import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Literal, TypeVar, get_args, get_origin, get_type_hints

import msgspec

from settings.spelling import nearest

SECTIONS = ("server", "shell")
MAX_SHOWN = 64  # characters of a wrong value that are shown
SettingsT = TypeVar("SettingsT", bound=msgspec.Struct)


class BadSettings(Exception):
    """A file or value that cannot be; `str()` names it, with the nearest right one, in one line."""


def read_section(path: Path, name: str, kind: type[SettingsT]) -> SettingsT:
    """The section `name` of a file; keys that are left out have their defaults. Raises `BadSettings`."""
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise BadSettings(f"The settings file {path} cannot be read: {error.strerror}.") from None
    except (ValueError, RecursionError) as error:  # TOML's and UTF-8's own errors are ValueErrors
        raise BadSettings(f"The settings file {path} is not TOML: {error}.") from None
    _refuse_unknown(path, "section", document, SECTIONS)
    section = document.get(name, {})
    if isinstance(section, dict):
        _refuse_unknown(path, f"key in [{name}]", section, kind.__struct_fields__)
        for key, words in _words(kind).items():
            if (word := section.get(key, words[0])) not in words:
                raise BadSettings(f"{path}, [{name}]: {key} cannot be {word!r}. {_hint(str(word), words)}")
    try:
        return msgspec.convert(section, kind)
    except msgspec.ValidationError as error:
        raise BadSettings(
            f"{path}, [{name}]: {explained(error, section if isinstance(section, dict) else {})}."
        ) from None


def key_of(error: msgspec.ValidationError) -> str:
    """The key of the value of a table that cannot be; empty where a key is missing or unknown."""
    return str(error).partition(" - at `$.")[2].partition("[")[0].rstrip("`")


def explained(error: msgspec.ValidationError, table: Mapping[str, object]) -> str:
    """What is wrong with which value of a table, as `hash_queue is 0: expected `int` >= 1`."""
    message, key = str(error).partition(" - at `$.")[0], key_of(error)
    if key not in table:
        return message
    return f"{key} is {repr(table[key])[:MAX_SHOWN]}: {message[:1].lower()}{message[1:]}"


def _hint(word: str, known: tuple[str, ...]) -> str:
    near = nearest(word, known)
    return f"Did you mean {near!r}?" if near else f"There are: {', '.join(known)}."


def _words(kind: type[msgspec.Struct]) -> dict[str, tuple[str, ...]]:
    """The keys that take one of a few words, and which."""
    types = get_type_hints(kind)
    return {key: get_args(type_) for key, type_ in types.items() if get_origin(type_) is Literal}


def _refuse_unknown(path: Path, what: str, found: Iterable[str], known: tuple[str, ...]) -> None:
    for key in found:
        if key not in known:
            raise BadSettings(
                f"{path}: there is no {what} {key[:MAX_SHOWN]!r}. {_hint(key[:MAX_SHOWN], known)}"
            )
