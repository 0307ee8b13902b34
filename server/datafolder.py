"""The server's data folder: keys, accounts, and the lock that keeps a second phone book out.

lock             held while a phone book runs here
server.pem       certificate and key of TLS
secrets.bin      the key that signs introductions, the secret of resume tokens
accounts.db      the accounts
console.sock     where consoles attach while a phone book runs
"""

import fcntl
import os
import secrets
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from server.errors import DataFolderError, FolderInUse
from wire.certificates import make_identity

KEY_BYTES = 32  # of the Ed25519 seed, and of the secret
TLS_FILE, SECRETS_FILE = "server.pem", "secrets.bin"


class DataFolder:
    """Makes the folder and its keys on first start, and holds the lock until `close`."""

    def __init__(self, path: Path) -> None:
        """Raises `DataFolderError`, `FolderInUse`."""
        self.path = path
        try:
            path.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._lock = os.open(path / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            raise DataFolderError(
                f"The data folder {path} cannot be used: {(error.strerror or str(error)).lower()}; "
                "choose another with --data."
            ) from None
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(self._lock)
            raise FolderInUse(f"Another phone book runs on the data folder {path}.") from None
        try:
            self._make_keys()
        except OSError as error:
            self.close()
            raise DataFolderError(f"The keys in {path} cannot be used: {error.strerror}.") from None

    @property
    def tls(self) -> Path:
        """Certificate and key of TLS, in one PEM file."""
        return self.path / TLS_FILE

    @property
    def accounts(self) -> Path:
        """The accounts' database."""
        return self.path / "accounts.db"

    def close(self) -> None:
        """Lets another phone book have the folder."""
        os.close(self._lock)

    def _make_keys(self) -> None:
        if not self.tls.exists():
            identity = make_identity("parley phone book")
            _write(self.tls, identity.certificate_pem + identity.key_pem)
        file = self.path / SECRETS_FILE
        if not file.exists():
            _write(file, secrets.token_bytes(2 * KEY_BYTES))
        content = file.read_bytes()
        if len(content) != 2 * KEY_BYTES:
            raise DataFolderError(f"{file} is damaged; restore it from a backup.")
        self.ticket_key = Ed25519PrivateKey.from_private_bytes(content[:KEY_BYTES])
        self.token_secret = content[KEY_BYTES:]


def _write(path: Path, content: bytes) -> None:
    """Writes all of it or nothing, and only its owner may read it."""
    new = path.with_suffix(".new")
    with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    new.replace(path)
