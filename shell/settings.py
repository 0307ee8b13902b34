"""The `[shell]` section of a settings file. What a person wrote there is read, never written."""

import os
from pathlib import Path
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from settings.file import BadSettings, read_section
from shell.errors import SettingsError
from shell.line.transfer import Taking

MIB = 2**20
ENVIRONMENT = "PARLEY_SETTINGS"
Bound = Annotated[int, Meta(ge=1, le=10_000)]


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
    groups: dict[str, tuple[str, ...]] = {}
    start: tuple[str, ...] = ()
    read_receipts: bool = False
    files: str = ""
    max_file_mib: Annotated[int, msgspec.Meta(ge=0)] = 4096
    max_requests: Bound = 100
    messages_per_request: Bound = 20


def load(path: Path | None) -> ShellSettings:
    """The settings in a file, or the defaults where no file is named and none stands in the usual place.

    Raises `SettingsError` with the file, the key and the nearest right one.
    """
    if path is None:
        path = _usual_place()
        if not path.exists():
            return ShellSettings()
    try:
        return read_section(path, "shell", ShellSettings)
    except BadSettings as error:
        raise SettingsError(str(error)) from None


def data_folder(settings: ShellSettings) -> Path:
    """Where the shell keeps keys and messages: `data`, or the XDG data home (XDG Base Directory 0.8)."""
    if settings.data:
        return Path(settings.data).expanduser()
    home = os.environ.get("XDG_DATA_HOME") or "~/.local/share"
    return Path(home).expanduser() / "parley"


def taking(settings: ShellSettings) -> Taking:
    """What is taken of files of others, and where it is saved: `files`, or beside keys and messages."""
    folder = Path(settings.files).expanduser() if settings.files else data_folder(settings) / "files"
    return Taking(folder, settings.max_file_mib * MIB)


def _usual_place() -> Path:
    named = os.environ.get(ENVIRONMENT)
    if named:
        return Path(named)
    home = os.environ.get("XDG_CONFIG_HOME") or "~/.config"
    return Path(home).expanduser() / "parley" / "settings.toml"
