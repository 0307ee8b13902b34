"""Backups of the data folder while the phone book runs, and the way back.

A backup is a tar archive of the folder's databases, as they were at one moment each, and keys. It holds
every secret of the phone book and is for its owner's eyes only (mode 0600).
"""

import contextlib
import os
import shutil
import sqlite3
import tarfile
import tempfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path, PurePath
from typing import IO

from server.database import open_database, snapshot
from server.datafolder import SECRETS_FILE, TLS_FILE, DataFolder
from server.errors import BackupFailed
from server.schema import STEPS

MAX_RESTORED = 1 << 40  # bytes of one file; a damaged archive must not fill the disk
DATABASE = ".db"


def back_up(folder: Path, target: Path) -> int:
    """Writes a backup; how many bytes it has. Raises `BackupFailed`, and then there is no file."""
    if target.exists():
        raise BackupFailed(f"{target} exists; a backup never overwrites a file.")
    try:
        with tempfile.TemporaryDirectory(prefix=".backup-", dir=target.parent) as working:
            made = Path(working) / "backup.tar"
            # Its mode from the beginning: a file system without modes refuses to change one.
            private = partial(os.open, mode=0o600)
            with open(made, "xb", opener=private) as new, tarfile.open(fileobj=new, mode="w") as archive:
                for file in _kept(folder):
                    if file.suffix == DATABASE:
                        copy = Path(working) / file.name
                        snapshot(file, copy)
                        archive.add(copy, file.name)
                        copy.unlink()
                    else:
                        archive.add(file, file.name)
            _sync(made)
            _place(made, target)
            _sync(target.parent)
            return target.stat().st_size
    except (OSError, sqlite3.Error, tarfile.TarError) as error:
        raise BackupFailed(f"The backup {target} could not be written: {_why(error)}.") from None


def _place(made: Path, target: Path) -> None:
    """Gives a file its name, and never takes the place of another that came meanwhile, as a rename would."""
    try:
        os.link(made, target)
    except FileExistsError:
        raise
    except OSError:  # no hard links, as on exFAT: an empty file of our own is what the rename replaces
        os.close(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
        try:
            made.replace(target)
        except OSError:
            target.unlink()
            raise


def restore(source: Path, folder: Path) -> None:
    """Makes a data folder of a backup. Raises `BackupFailed`; the folder is complete or not there."""
    folder = folder.resolve()  # that of a systemd unit with a user of its own is a link
    if folder.exists() and any(folder.iterdir()):
        raise BackupFailed(
            f"The folder {folder} is not empty; restore into a new one, and move it after that."
        )
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with contextlib.ExitStack() as stack:
            working = Path(tempfile.mkdtemp(prefix=".restore-", dir=folder.parent))
            stack.callback(shutil.rmtree, working, ignore_errors=True)
            archive = stack.enter_context(tarfile.open(source, "r:"))
            for name, content in _members(archive):
                descriptor = os.open(working / name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
                with os.fdopen(descriptor, "wb") as new:
                    shutil.copyfileobj(content, new)
                    new.flush()
                    os.fsync(new.fileno())
            _judge(working)
            _sync(working)
            if folder.exists():
                folder.rmdir()
            working.rename(folder)
            _sync(folder.parent)
    except (OSError, sqlite3.Error, tarfile.TarError, EOFError) as error:
        raise BackupFailed(f"{source} could not be restored: {_why(error)}.") from None


def _kept(folder: Path) -> Iterator[Path]:
    """Databases and keys; not what else lies there, such as logs and earlier backups."""
    for file in sorted(folder.iterdir()):
        if file.is_file() and (file.suffix == DATABASE or file.name in (TLS_FILE, SECRETS_FILE)):
            yield file


def _members(archive: tarfile.TarFile) -> Iterator[tuple[str, IO[bytes]]]:
    """Plain files with plain names; anything else is no backup of ours."""
    for member in archive:
        content = archive.extractfile(member) if member.isreg() else None
        if content is None or PurePath(member.name).name != member.name or member.size > MAX_RESTORED:
            raise tarfile.ReadError(f"it has {member.name[:64]!r}, which no backup has")
        yield member.name, content


def _judge(folder: Path) -> None:
    """Whether a phone book could start on it. Raises `BackupFailed`."""
    if not (folder / "accounts.db").exists():
        raise BackupFailed("That is no backup of a phone book: it has no accounts.")
    for file in folder.glob(f"*{DATABASE}"):
        connection = sqlite3.connect(file)
        try:
            (verdict,) = connection.execute("PRAGMA integrity_check").fetchone()
        finally:
            connection.close()
        if verdict != "ok":
            raise BackupFailed(f"{file.name} of the backup is damaged: {verdict}.")
    open_database(folder / "accounts.db", STEPS).close()
    DataFolder(folder).close()
    (folder / "lock").unlink()


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _why(error: Exception) -> str:
    return (error.strerror or str(error)).lower() if isinstance(error, OSError) else str(error)
