"""The `[shell]` section of a settings file. What a person wrote there is read, never written."""

import difflib
import os
import tomllib
from pathlib import Path
from typing import Literal, get_args, get_origin, get_type_hints

import msgspec

from shell.errors import SettingsError

SECTIONS = ("server", "shell")
ENVIRONMENT = "PARLEY_SETTINGS"


class ShellSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Every key with its default; `settings.toml` says what each is for."""

    server: str = ""
    user: str = ""
    discover: str = "all"
    data: str = ""
    port: int = 0
    stun: str = ""
    message_patience: float = 3.0
    history_lines: int = 50
    time_format: str = "%H:%M"
    bell: bool = True
    notify: Literal["off", "osc9", "osc777", "notify-send"] = "off"
    notify_preview: bool = False
    window_title: bool = True
    away_after: float = 300.0
    theme: Literal["auto", "dark", "light", "none"] = "auto"
    keep_days: int = 0
    read_receipts: bool = False


def load(path: Path | None) -> ShellSettings:
    """The settings in a file, or the defaults where no file is named and none stands in the usual place.

    Raises `SettingsError` with the file, the key and the nearest right one.
    """
    if path is None:
        path = _usual_place()
        if not path.exists():
            return ShellSettings()
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise SettingsError(f"The settings file {path} cannot be read: {error.strerror}.") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(f"The settings file {path} is not TOML: {error}.") from None
    section = document.get("shell", {})
    for found, known, where in (
        (document, SECTIONS, "section"),
        (section, ShellSettings.__struct_fields__, "key in [shell]"),
    ):
        for key in found:
            if key not in known:
                raise SettingsError(f"{path}: there is no {where} {key!r}.{_nearest(key, known)}")
    for key, words in _words().items():
        if (word := section.get(key, words[0])) not in words:
            raise SettingsError(f"{path}, [shell]: {key} cannot be {word!r}.{_nearest(str(word), words)}")
    try:
        return msgspec.convert(section, ShellSettings)
    except msgspec.ValidationError as error:
        raise SettingsError(f"{path}, [shell]: {error}.") from None


def data_folder(settings: ShellSettings) -> Path:
    """Where the shell keeps keys and messages: `data`, or the XDG data home (XDG Base Directory 0.8)."""
    if settings.data:
        return Path(settings.data).expanduser()
    home = os.environ.get("XDG_DATA_HOME") or "~/.local/share"
    return Path(home).expanduser() / "parley"


def _usual_place() -> Path:
    named = os.environ.get(ENVIRONMENT)
    if named:
        return Path(named)
    home = os.environ.get("XDG_CONFIG_HOME") or "~/.config"
    return Path(home).expanduser() / "parley" / "settings.toml"


def _words() -> dict[str, tuple[str, ...]]:
    """The keys that take one of a few words, and which."""
    types = get_type_hints(ShellSettings)
    return {key: get_args(kind) for key, kind in types.items() if get_origin(kind) is Literal}


def _nearest(key: str, known: tuple[str, ...]) -> str:
    close = difflib.get_close_matches(key, known, n=1)
    return f" Did you mean {close[0]!r}?" if close else f" There are: {', '.join(known)}."
