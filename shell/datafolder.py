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

import hashlib
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

import msgspec

from shell.errors import DataFolderError
from shell.line.transfer import Taking
from shell.privatefiles import make_folder, read_toml, write_toml
from wire.names import NameKey

if TYPE_CHECKING:  # nobody is logged in before the prompt
    from shell.accountfolder import AccountFolder, KnownAccount

_BOOK_DIGITS = 16  # hexadecimal digits that tell one phone book from another in a folder's name
_MAX_FOLDER_NAME = 255  # bytes of a file's name that file systems take (NAME_MAX of limits.h)
_BOOK_FILE = "phone-book.toml"
_MAX_ADDRESSES = 8  # under which one phone book is known
_CLOCK_TOLERANCE = 60.0  # seconds; contacts' knocks allow for an hour


class Joined(msgspec.Struct, frozen=True):
    """What `parley` goes back to when it is started with no settings."""

    server: str
    """The phone book, `host:port`."""
    user: str = ""
    host: bool = False
    """Whether the phone book is one's own and has to be started."""


class KnownPhoneBook(msgspec.Struct, frozen=True):
    """What is known of a phone book while it is away."""

    ticket_key: bytes
    addresses: tuple[str, ...]
    """`host:port`, the one that worked last first."""
    clock_ahead: float
    """Seconds by which its clock is ahead of this machine's."""


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

    def pin(self, address: str, fingerprint: str) -> None:
        """Remembers the key (`SHA256:…`) of the phone book at `host:port`."""
        try:
            known = tomllib.loads(self.known_phone_books.read_text(encoding="utf-8"))
        except FileNotFoundError:
            known = {}
        known[address] = fingerprint
        write_toml(self.known_phone_books, known)

    def joined(self) -> Joined | None:
        """What was joined last; None before the first time, or where the file says nothing usable."""
        return read_toml(self._joined, Joined)

    def join(self, joined: Joined) -> None:
        """Remembers what was joined."""
        write_toml(self._joined, joined)

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
        write_toml(self._groups, groups)

    @property
    def _groups(self) -> Path:
        return self.path / "groups.toml"

    def account(self, ticket_key: bytes, key: NameKey) -> "AccountFolder":
        """The folder of one account at one phone book, which its ticket key tells from all others."""
        from shell.accountfolder import AccountFolder

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


def _folder_name(key: NameKey) -> str:
    quoted = quote(key, safe="")  # whatever a key is, its folder is one of its own: `..` is none
    if len(quoted) > _MAX_FOLDER_NAME:  # nine bytes for each character of some scripts, and twelve of others
        digest = hashlib.sha256(key.encode()).hexdigest()[:_BOOK_DIGITS]
        return f"{quoted[: _MAX_FOLDER_NAME - len(digest) - 1]}~{digest}"
    return quoted.replace(".", "%2E", 1) if key.startswith(".") else quoted
