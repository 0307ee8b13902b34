"""Files that are their owner's alone, written whole or not at all."""

import contextlib
import logging
import os
import secrets
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import TypeVar

import msgspec

from shell.errors import DataFolderError

log = logging.getLogger(__name__)
T = TypeVar("T", bound=msgspec.Struct)

_UNIQUE = 8  # bytes of a name that nobody else takes
_OTHERS = stat.S_IRWXG | stat.S_IRWXO


def read_toml(path: Path, kind: type[T]) -> T | None:
    """What a file says; None for one that is missing or says nothing usable."""
    try:
        return msgspec.toml.decode(path.read_bytes(), type=kind)
    except (OSError, ValueError, msgspec.DecodeError):
        return None


def write_toml(path: Path, value: msgspec.Struct | Mapping[str, object]) -> None:
    """Writes it whole or not at all. Raises `DataFolderError`."""
    import tomli_w  # for a prompt files are only read

    write(path, tomli_w.dumps(msgspec.to_builtins(value)).encode())


def keep_private(path: Path) -> None:
    """Takes a secret away from others whom a copy or a restore has let in."""
    mode = path.stat().st_mode
    if mode & _OTHERS:
        log.warning("event=mode_mended file=%s mode=%o", path, stat.S_IMODE(mode))
        path.chmod(stat.S_IMODE(mode) & ~_OTHERS)


def make_folder(path: Path) -> None:
    """Makes a folder that is its owner's alone, unless one is there. Raises `DataFolderError`."""
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise DataFolderError(f"The data folder {path} cannot be made: {error.strerror}.") from None
    if not os.access(path, os.W_OK | os.X_OK):
        raise DataFolderError(f"The data folder {path} cannot be written.")


def write(path: Path, content: bytes) -> None:
    """Writes all of it or nothing, and only its owner may read it; of two at once the last one holds.

    Raises `DataFolderError`.
    """
    new = path.with_name(f".{path.name}.{secrets.token_hex(_UNIQUE)}.new")
    try:
        descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        new.replace(path)
    except OSError as error:
        with contextlib.suppress(OSError):
            new.unlink(missing_ok=True)  # a full disk needs the room
        raise DataFolderError(f"{path} cannot be written: {error.strerror}.") from None
