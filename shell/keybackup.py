"""Backups of an account's key: sealed under a passphrase, as text that can be printed or pasted. Pure.

The passphrase goes through Argon2id (RFC 9106 §4, second recommended option), the content is sealed with
ChaCha20-Poly1305 (RFC 8439), and what is needed to open it is authenticated along with it.
"""

import base64
import binascii
from typing import Annotated

import msgspec
from msgspec import Meta

from shell.errors import BackupError
from shell.line.model import Contact
from wire.certificates import Identity
from wire.errors import BadName
from wire.limits import KIB
from wire.names import check_name

MIN_PASSPHRASE = 8  # characters; NIST SP 800-63B §5.1.1.2 asks for at least eight
MAX_BACKUP = 16 * KIB * KIB  # bytes of a backup that is read; a contact takes about 1 KiB
SALT_BYTES, NONCE_BYTES, KEY_BYTES = 16, 12, 32
MAX_TIME, MAX_MEMORY, MAX_LANES = 16, KIB * KIB, 16  # passes, KiB and lanes that opening a backup may cost
_BEGIN, _END = "-----BEGIN PARLEY KEYS-----", "-----END PARLEY KEYS-----"
_COLUMNS = 64  # of base64, as in RFC 7468
_WRONG = "The passphrase is not right, or the file is damaged."


class Backup(msgspec.Struct, frozen=True):
    """What makes a new machine the same person: one account at one phone book."""

    name: str
    phone_book: str
    """Its address, `host:port`."""
    phone_book_key: str
    """Its pinned fingerprint, `SHA256:…`; empty where none was pinned."""
    ticket_key: bytes
    certificate_pem: bytes
    key_pem: bytes
    contacts: tuple[Contact, ...]

    @property
    def identity(self) -> Identity:
        """The account's key."""
        return Identity(self.certificate_pem, self.key_pem)


class _Header(msgspec.Struct, frozen=True):
    time: Annotated[int, Meta(ge=1, le=MAX_TIME)] = 3
    memory: Annotated[int, Meta(ge=8, le=MAX_MEMORY)] = 64 * KIB
    """KiB."""
    lanes: Annotated[int, Meta(ge=1, le=MAX_LANES)] = 4
    salt: bytes = b""
    nonce: bytes = b""


class _Sealed(msgspec.Struct, frozen=True, array_like=True):
    header: bytes
    content: bytes


def seal(backup: Backup, passphrase: str, salt: bytes, nonce: bytes) -> str:
    """The text of a backup. `salt` and `nonce` are fresh random bytes; it takes about 0.2 s."""
    from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

    header = _Header(salt=salt, nonce=nonce)
    head = msgspec.msgpack.encode(header)
    content = ChaCha20Poly1305(_key(passphrase, header)).encrypt(nonce, msgspec.msgpack.encode(backup), head)
    text = base64.b64encode(msgspec.msgpack.encode(_Sealed(head, content))).decode()
    lines = [text[start : start + _COLUMNS] for start in range(0, len(text), _COLUMNS)]
    return "\n".join((_BEGIN, *lines, _END, ""))


def open_backup(text: str, passphrase: str) -> Backup:
    """What `seal` sealed. Raises `BackupError`."""
    from cryptography.exceptions import InvalidTag
    from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

    _, begin, rest = text.partition(_BEGIN)
    body, end, _ = rest.partition(_END)
    if not begin or not end:
        raise BackupError("That is no file of `keys export`.")
    try:
        sealed = msgspec.msgpack.decode(base64.b64decode("".join(body.split()), validate=True), type=_Sealed)
        header = msgspec.msgpack.decode(sealed.header, type=_Header)
        opened = ChaCha20Poly1305(_key(passphrase, header)).decrypt(
            header.nonce, sealed.content, sealed.header
        )
    except (binascii.Error, msgspec.DecodeError, InvalidTag, ValueError):
        raise BackupError(_WRONG) from None
    try:
        backup = msgspec.msgpack.decode(opened, type=Backup)
    except msgspec.DecodeError:
        raise BackupError("A newer Parley made that file; update this one.") from None
    try:
        backup.identity.check()
        check_name(backup.name)
    except (ValueError, BadName) as error:
        raise BackupError(f"That file holds no usable account: {error}") from None
    return backup


def _key(passphrase: str, header: _Header) -> bytes:
    from argon2.low_level import Type, hash_secret_raw

    if len(header.salt) != SALT_BYTES or len(header.nonce) != NONCE_BYTES:
        raise ValueError("salt or nonce has another size")
    return hash_secret_raw(
        passphrase.encode(),
        header.salt,
        time_cost=header.time,
        memory_cost=header.memory,
        parallelism=header.lanes,
        hash_len=KEY_BYTES,
        type=Type.ID,
    )
