"""The shell's data folder: keys, mailboxes, and the pinned keys of phone books. Mode 0700, files 0600.

known-phone-books.toml            address -> fingerprint
groups.toml                       groups of names
joined.toml                       the phone book and the account that `join` chose last
<phone book>/phone-book.toml      where it was reached, and what must be known of it while it is away
<phone book>/<user>/identity.pem  the user's key and certificate
<phone book>/<user>/account.toml  what must be known of the account while the phone book is away
<phone book>/<user>/mailbox.db    contacts and messages
<phone book>/<user>/visibility.toml  the visibility and when it ends
<phone book>/<user>/in-use.lock   locked by the shell that is in the account
"""

import asyncio
import contextlib
import fcntl
import hashlib
import logging
import os
import tomllib
from itertools import chain, count
from pathlib import Path
from typing import Literal
from urllib.parse import quote

import msgspec
import tomli_w

from shell.errors import DataFolderError
from shell.line.transfer import Taking
from shell.privatefiles import keep_private, make_folder, read_toml, write, write_toml
from wire.certificates import Identity, make_identity, show_fingerprint
from wire.messages import Visibility
from wire.names import NameKey

log = logging.getLogger(__name__)

_KEY_BEGINS = b"-----BEGIN PRIVATE KEY-----"
_BOOK_DIGITS = 16  # hexadecimal digits that tell one phone book from another in a folder's name
_MAX_FOLDER_NAME = 255  # bytes of a file's name that file systems take (NAME_MAX of limits.h)
_BOOK_FILE, _ACCOUNT_FILE, _LOCK_FILE = "phone-book.toml", "account.toml", "in-use.lock"
_MAX_ADDRESSES = 8  # under which one phone book is known
CLAIM_PATIENCE = 5.0  # seconds for another shell to leave an account, which it does when its session ends
_CLAIM_PAUSE = 0.05  # seconds between two tries
_CLOCK_TOLERANCE = 60.0  # seconds; contacts' knocks allow for an hour


class Joined(msgspec.Struct, frozen=True):
    """What `parley` goes back to when it is started with no settings."""

    server: str
    """The phone book, `host:port`."""
    user: str = ""
    host: bool = False
    """Whether the phone book is one's own and has to be started."""


_Visibility = Literal["", "online", "away", "busy", "contacts", "hidden"]


class Kept(msgspec.Struct, frozen=True, omit_defaults=True):
    """The visibility as it was chosen, when it ends, and what comes then."""

    visibility: _Visibility
    but: tuple[str, ...] = ()
    until: float | None = None
    """Seconds since the epoch; None for one that does not end."""
    then: _Visibility = ""
    then_but: tuple[str, ...] = ()


class KnownPhoneBook(msgspec.Struct, frozen=True):
    """What is known of a phone book while it is away."""

    ticket_key: bytes
    addresses: tuple[str, ...]
    """`host:port`, the one that worked last first."""
    clock_ahead: float
    """Seconds by which its clock is ahead of this machine's."""


class KnownAccount(msgspec.Struct, frozen=True):
    """What is known of an account while the phone book is away."""

    name: str
    """As it was written at sign-up."""
    visibility: Visibility = Visibility.ONLINE
    udp_port: int = 0
    """Of the last run: contacts who look for this shell where it was find it there."""


class DataFolder:
    """One person's folder; made on first use."""

    def __init__(self, path: Path, taking: Taking | None = None) -> None:
        """Raises `DataFolderError` where it cannot be made or used."""
        self.path = path
        self.taking = taking or Taking(path / "files")
        """What is taken of files of others, and where it is saved."""
        make_folder(path)

    @property
    def known_phone_books(self) -> Path:
        """The file of pinned phone books, which a person may edit."""
        return self.path / "known-phone-books.toml"

    def pinned(self, address: str) -> str | None:
        """The pinned fingerprint (`SHA256:…`) of the phone book at `host:port`."""
        try:
            known = tomllib.loads(self.known_phone_books.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return None
        except (OSError, ValueError) as error:
            raise DataFolderError(f"{self.known_phone_books} cannot be read: {error}.") from None
        found = known.get(address)
        return found if isinstance(found, str) else None

    def pin(self, address: str, fingerprint: bytes) -> None:
        """Remembers the key of the phone book at `host:port`."""
        self.pin_shown(address, show_fingerprint(fingerprint))

    def pin_shown(self, address: str, fingerprint: str) -> None:
        """Remembers it, given as it is shown (`SHA256:…`)."""
        try:
            known = tomllib.loads(self.known_phone_books.read_text(encoding="utf-8"))
        except FileNotFoundError:
            known = {}
        known[address] = fingerprint
        write(self.known_phone_books, tomli_w.dumps(known).encode())

    def joined(self) -> "Joined | None":
        """What was joined last; None before the first time, or where the file says nothing usable."""
        try:
            return msgspec.toml.decode(self._joined.read_bytes(), type=Joined)
        except (OSError, ValueError, msgspec.DecodeError):
            return None

    def join(self, joined: "Joined") -> None:
        """Remembers what was joined."""
        write(self._joined, tomli_w.dumps(msgspec.to_builtins(joined)).encode())

    @property
    def _joined(self) -> Path:
        return self.path / "joined.toml"

    def groups(self) -> dict[str, tuple[str, ...]]:
        """The groups that `group` made. Raises `DataFolderError` for a file that cannot be read."""
        try:
            return msgspec.toml.decode(self._groups.read_bytes(), type=dict[str, tuple[str, ...]])
        except FileNotFoundError:
            return {}
        except (OSError, ValueError, msgspec.DecodeError) as error:
            raise DataFolderError(f"{self._groups} cannot be read: {error}.") from None

    def keep_group(self, name: str, members: tuple[str, ...] | None) -> None:
        """Makes a group or changes it; None removes it."""
        groups = self.groups()
        groups.pop(name, None)
        if members is not None:
            groups[name] = members
        write(self._groups, tomli_w.dumps(groups).encode())

    @property
    def _groups(self) -> Path:
        return self.path / "groups.toml"

    def account(self, ticket_key: bytes, key: NameKey) -> "AccountFolder":
        """The folder of one account at one phone book, which its ticket key tells from all others."""
        return AccountFolder(self._book(ticket_key) / _folder_name(key))

    def remember_phone_book(self, ticket_key: bytes, address: str, clock_ahead: float) -> None:
        """Keeps what must be known of a phone book while it is away; only where it has changed."""
        folder = self._book(ticket_key)
        known = read_toml(folder / _BOOK_FILE, KnownPhoneBook)
        addresses = (address, *(known.addresses if known else ()))
        fresh = KnownPhoneBook(
            ticket_key, tuple(dict.fromkeys(addresses))[:_MAX_ADDRESSES], round(clock_ahead, 1)
        )
        near = known is not None and abs(known.clock_ahead - clock_ahead) < _CLOCK_TOLERANCE
        if known is None or known.addresses != fresh.addresses or not near:
            make_folder(folder)
            write_toml(folder / _BOOK_FILE, fresh)

    def known_phone_book(self, address: str, key: NameKey) -> KnownPhoneBook | None:
        """The phone book at `host:port` where this account has been, as it was known last."""
        found: list[tuple[float, KnownPhoneBook]] = []
        for file in self.path.glob(f"*/{_BOOK_FILE}"):
            known = read_toml(file, KnownPhoneBook)
            if (
                known is not None
                and address in known.addresses
                and (file.parent / _folder_name(key)).exists()
            ):
                found.append((file.stat().st_mtime, known))
        return max(found, key=lambda pair: pair[0])[1] if found else None

    def known(
        self, address: str, key: NameKey
    ) -> "tuple[KnownPhoneBook, AccountFolder, KnownAccount] | None":
        """What it takes to open an account while the phone book at `host:port` is away."""
        book = self.known_phone_book(address, key)
        folder = self.account(book.ticket_key, key) if book else None
        account = folder.known() if folder else None
        return (book, folder, account) if book and folder and account else None

    def _book(self, ticket_key: bytes) -> Path:
        return self.path / hashlib.sha256(ticket_key).hexdigest()[:_BOOK_DIGITS]


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
            if self._take_lock():
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
        try:
            return msgspec.toml.decode(self._visibility.read_bytes(), type=Kept)
        except (OSError, ValueError, msgspec.DecodeError):
            return None

    def keep_visibility(self, kept: Kept) -> None:
        """Remembers the visibility and when it ends."""
        write(self._visibility, tomli_w.dumps(msgspec.to_builtins(kept)).encode())

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


def _folder_name(key: NameKey) -> str:
    quoted = quote(key, safe="")  # whatever a key is, its folder is one of its own: `..` is none
    if len(quoted) > _MAX_FOLDER_NAME:  # nine bytes for each character of some scripts, and twelve of others
        digest = hashlib.sha256(key.encode()).hexdigest()[:_BOOK_DIGITS]
        return f"{quoted[: _MAX_FOLDER_NAME - len(digest) - 1]}~{digest}"
    return quoted.replace(".", "%2E", 1) if key.startswith(".") else quoted
