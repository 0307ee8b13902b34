"""The shell's data folder: keys, mailboxes, and the pinned keys of phone books. Mode 0700, files 0600.

known-phone-books.toml            address -> fingerprint
groups.toml                       groups of names
joined.toml                       the phone book and the account that `join` chose last
<phone book>/<user>/identity.pem  the user's key and certificate
<phone book>/<user>/mailbox.db    contacts and messages
<phone book>/<user>/visibility.toml  the visibility and when it ends
"""

import hashlib
import os
import tomllib
from pathlib import Path
from typing import Literal
from urllib.parse import quote

import msgspec
import tomli_w

from shell.errors import DataFolderError
from shell.line.transfer import Taking
from wire.certificates import Identity, make_identity, show_fingerprint
from wire.names import NameKey

_KEY_BEGINS = b"-----BEGIN PRIVATE KEY-----"
_BOOK_DIGITS = 16  # hexadecimal digits that tell one phone book from another in a folder's name


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


class DataFolder:
    """One person's folder; made on first use."""

    def __init__(self, path: Path, taking: Taking | None = None) -> None:
        """Raises `DataFolderError` where it cannot be made or used."""
        self.path = path
        self.taking = taking or Taking(path / "files")
        """What is taken of files of others, and where it is saved."""
        _make_folder(path)

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
        try:
            known = tomllib.loads(self.known_phone_books.read_text(encoding="utf-8"))
        except FileNotFoundError:
            known = {}
        known[address] = show_fingerprint(fingerprint)
        _write(self.known_phone_books, tomli_w.dumps(known).encode())

    def joined(self) -> "Joined | None":
        """What was joined last; None before the first time, or where the file says nothing usable."""
        try:
            return msgspec.toml.decode(self._joined.read_bytes(), type=Joined)
        except (OSError, ValueError, msgspec.DecodeError):
            return None

    def join(self, joined: "Joined") -> None:
        """Remembers what was joined."""
        _write(self._joined, tomli_w.dumps(msgspec.to_builtins(joined)).encode())

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
        _write(self._groups, tomli_w.dumps(groups).encode())

    @property
    def _groups(self) -> Path:
        return self.path / "groups.toml"

    def account(self, ticket_key: bytes, key: NameKey) -> "AccountFolder":
        """The folder of one account at one phone book, which its ticket key tells from all others."""
        book = hashlib.sha256(ticket_key).hexdigest()[:_BOOK_DIGITS]
        return AccountFolder(self.path / book / quote(key, safe=""))


class AccountFolder:
    """One account's key and mailbox. Nothing is written before `save`."""

    def __init__(self, path: Path) -> None:
        self._path = path

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
        _write(self._visibility, tomli_w.dumps(msgspec.to_builtins(kept)).encode())

    @property
    def _visibility(self) -> Path:
        return self._path / "visibility.toml"

    def identity(self, name: str) -> Identity:
        """The account's identity, a new one where there is none yet."""
        file = self._path / "identity.pem"
        try:
            pem = file.read_bytes()
        except FileNotFoundError:
            return make_identity(name)
        except OSError as error:
            raise DataFolderError(f"The key {file} cannot be read: {error.strerror}.") from None
        begin = pem.find(_KEY_BEGINS)
        if begin <= 0:
            raise DataFolderError(f"The key file {file} is damaged; restore it or move it away.")
        return Identity(pem[:begin], pem[begin:])

    def save(self, identity: Identity) -> None:
        """Keeps the identity, unless one is there."""
        _make_folder(self._path)
        file = self._path / "identity.pem"
        if not file.exists():
            _write(file, identity.certificate_pem + identity.key_pem)


def _make_folder(path: Path) -> None:
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise DataFolderError(f"The data folder {path} cannot be made: {error.strerror}.") from None
    if not os.access(path, os.W_OK | os.X_OK):
        raise DataFolderError(f"The data folder {path} cannot be written.")


def _write(path: Path, content: bytes) -> None:
    """Writes all of it or nothing, and only its owner may read it."""
    new = path.with_suffix(".new")
    try:
        descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        new.replace(path)
    except OSError as error:
        raise DataFolderError(f"{path} cannot be written: {error.strerror}.") from None
