"""One account's folder in the data folder: its key, what was chosen for it, and who is in it now."""

import asyncio
import contextlib
import fcntl
import logging
import os
from itertools import chain, count
from pathlib import Path
from typing import Literal

import msgspec

from shell.disk import on_disk
from shell.errors import DataFolderError
from shell.privatefiles import keep_private, make_folder, read_toml, write, write_toml
from wire.certificates import Identity, make_identity
from wire.messages import Visibility

log = logging.getLogger(__name__)

_KEY_BEGINS = b"-----BEGIN PRIVATE KEY-----"
_ACCOUNT_FILE, _LOCK_FILE = "account.toml", "in-use.lock"
CLAIM_PATIENCE = 5.0  # seconds for another shell to leave an account, which it does when its session ends
_CLAIM_PAUSE = 0.05  # seconds between two tries

_Visibility = Literal["", "online", "away", "busy", "contacts", "hidden"]


class Kept(msgspec.Struct, frozen=True, omit_defaults=True):
    """The visibility as it was chosen, when it ends, and what comes then."""

    visibility: _Visibility
    but: tuple[str, ...] = ()
    until: float | None = None
    """Seconds since the epoch; None for one that does not end."""
    then: _Visibility = ""
    then_but: tuple[str, ...] = ()


class KnownAccount(msgspec.Struct, frozen=True):
    """What is known of an account while the phone book is away."""

    name: str
    """As it was written at sign-up."""
    visibility: Visibility = Visibility.ONLINE
    udp_port: int = 0
    """Of the last run: contacts who look for this shell where it was find it there."""


class AccountFolder:
    """One account's key and mailbox. Nothing is written before `save`."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = -1

    async def claim(self) -> None:
        """Has the folder for this shell alone, until `release`: what two keep at once, one of them undoes.

        Raises `DataFolderError` where another shell does not leave it within `CLAIM_PATIENCE`.
        """
        if self._lock >= 0:
            return
        locked = False
        try:
            locked = await self._wait_for_lock()
        finally:
            if not locked:
                self.release()
        if not locked:
            raise DataFolderError(
                f"Another shell is in this account with the same data folder ({self._path}); leave it first, "
                "or give this one a folder of its own with --data."
            )

    async def _wait_for_lock(self) -> bool:
        for _ in range(round(CLAIM_PATIENCE / _CLAIM_PAUSE)):
            if await on_disk(self._take_lock):
                return True
            await asyncio.sleep(_CLAIM_PAUSE)
        return False

    def _take_lock(self) -> bool:
        self.release()
        make_folder(self._path)
        file = self._path / _LOCK_FILE
        try:
            self._lock = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except FileNotFoundError:  # another shell has cleared the folder at this moment
            return False
        except OSError as error:
            with contextlib.suppress(OSError):
                self._path.rmdir()  # where nothing is in it
            raise DataFolderError(f"{file} cannot be written: {error.strerror}.") from None
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        except OSError as error:  # some network file systems have no locks: it is as it was without one
            log.info("event=no_lock folder=%s reason=%r", self._path, error.strerror)
        return os.fstat(self._lock).st_nlink > 0  # the lock of a folder that was cleared keeps nobody out

    def release(self) -> None:
        """Leaves the folder to others, if it was claimed."""
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1

    def missing(self) -> list[Path]:
        """The files that an account needs and that are not there."""
        needed = (self.key_file, self._path / _ACCOUNT_FILE, self.mailbox)
        return [file for file in needed if not file.exists()]

    def clear(self, files: list[Path]) -> None:
        """Removes these files of a claimed folder, and the folder where nothing else is in it."""
        lock = self._path / _LOCK_FILE
        with contextlib.suppress(OSError):
            for file in files:
                for name in (file.name, f"{file.name}-wal", f"{file.name}-shm"):
                    file.with_name(name).unlink(missing_ok=True)
            if all(file == lock for file in self._path.iterdir()):
                lock.unlink(missing_ok=True)
                self._path.rmdir()

    @property
    def mailbox(self) -> Path:
        """The mailbox's file."""
        return self._path / "mailbox.db"

    def kept_visibility(self) -> Kept | None:
        """The visibility that was chosen here; None before that, and where the file says nothing usable."""
        return read_toml(self._visibility, Kept)

    def keep_visibility(self, kept: Kept) -> None:
        """Remembers the visibility and when it ends."""
        write_toml(self._visibility, kept)

    @property
    def _visibility(self) -> Path:
        return self._path / "visibility.toml"

    def identity(self, name: str) -> Identity:
        """The account's identity, a new one where there is none yet."""
        file = self.key_file
        try:
            keep_private(file)
            pem = file.read_bytes()
        except FileNotFoundError:
            return make_identity(name)
        except OSError as error:
            raise DataFolderError(f"The key {file} cannot be read: {error.strerror}.") from None
        begin = max(0, pem.find(_KEY_BEGINS))
        identity = Identity(pem[:begin], pem[begin:])
        try:
            identity.check()
        except ValueError:
            raise DataFolderError(f"The key file {file} is damaged; restore it or move it away.") from None
        return identity

    def save(self, identity: Identity) -> None:
        """Keeps the identity, unless one is there."""
        make_folder(self._path)
        if not self.key_file.exists():
            write(self.key_file, identity.certificate_pem + identity.key_pem)

    def restore(self, identity: Identity, *, replace: bool) -> Path | None:
        """Puts an identity in the place of whatever is there; where the other one is kept, if there was one.

        Raises `DataFolderError` where another one is there and it may not `replace` that.
        """
        make_folder(self._path)
        content, kept = identity.certificate_pem + identity.key_pem, None
        if self.key_file.exists() and self.key_file.read_bytes() != content:
            if not replace:
                raise DataFolderError(
                    f"There is another key in {self.key_file}; with --replace that of the backup takes its "
                    "place, and contacts who pinned the other one are warned."
                )
            kept = self._place_for_old_key()
            self.key_file.replace(kept)
        write(self.key_file, content)
        return kept

    def _place_for_old_key(self) -> Path:
        """Never where another key is already: it may be the only one that contacts know."""
        names = chain(("",), (f"-{number}" for number in count(2)))
        places = (self._path / f"identity-before-import{number}.pem" for number in names)
        return next(place for place in places if not place.exists())

    def known(self) -> KnownAccount | None:
        """What is known of the account while the phone book is away."""
        return read_toml(self._path / _ACCOUNT_FILE, KnownAccount)

    def remember(self, account: KnownAccount) -> None:
        """Keeps it; only where it has changed."""
        if self.known() != account:
            write_toml(self._path / _ACCOUNT_FILE, account)

    @property
    def key_file(self) -> Path:
        """The file of the user's key and certificate."""
        return self._path / "identity.pem"
