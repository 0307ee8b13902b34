"""Backups of a key: only the passphrase opens them, and a file of anything else breaks nothing."""

import base64
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shell.errors import BackupError
from shell.keybackup import NONCE_BYTES, SALT_BYTES, Backup, open_backup, seal
from shell.line.model import Consent, Contact
from wire.certificates import make_identity
from wire.messages import Endpoint
from wire.names import NameKey

SALT, NONCE = bytes(SALT_BYTES), bytes(NONCE_BYTES)
PASSPHRASE = "seven wooden boats"


def backup() -> Backup:
    alice, bob = make_identity("alice"), make_identity("bob")
    contact = Contact(
        NameKey("bob"),
        "Bob",
        Consent.ACCEPTED,
        bob.fingerprint,
        verified=True,
        certificate=bob.certificate,
        endpoints=(Endpoint("192.0.2.7", 7001),),
    )
    return Backup(
        "alice", "192.0.2.1:6969", "SHA256:x", bytes(32), alice.certificate_pem, alice.key_pem, (contact,)
    )


SEALED = seal(backup(), PASSPHRASE, SALT, NONCE)


def test_a_backup_comes_back_as_it_was_however_it_was_pasted() -> None:
    original = backup()
    text = seal(original, PASSPHRASE, SALT, NONCE)
    assert open_backup(text, PASSPHRASE) == original
    pasted = "here it is:\r\n" + text.replace("\n", "\r\n  ") + "\r\nbye"
    assert open_backup(pasted, PASSPHRASE) == original


@pytest.mark.parametrize(
    "changes", [{"name": ".."}, {"key_pem": make_identity("alice").key_pem}, {"certificate_pem": b"none"}]
)
def test_a_backup_of_no_usable_account_is_refused(changes: dict[str, Any]) -> None:
    sealed = seal(msgspec.structs.replace(backup(), **changes), PASSPHRASE, SALT, NONCE)
    with pytest.raises(BackupError, match="no usable account"):
        open_backup(sealed, PASSPHRASE)


def test_nothing_of_the_key_stands_in_the_clear() -> None:
    raw = base64.b64decode("".join(SEALED.splitlines()[1:-1]))
    for word in (b"PRIVATE", b"alice", b"bob", b"192.0.2"):
        assert word not in raw


def test_another_passphrase_does_not_open_it() -> None:
    for wrong in ("", "Seven wooden boats", PASSPHRASE + " "):
        with pytest.raises(BackupError, match="passphrase is not right"):
            open_backup(SEALED, wrong)


def test_what_it_takes_to_open_it_cannot_be_changed() -> None:
    raw = msgspec.msgpack.decode(base64.b64decode("".join(SEALED.splitlines()[1:-1])))
    header = msgspec.msgpack.decode(raw[0])
    for field, value in (
        ("time", 1),
        ("memory", 2**40),
        ("memory", 1),
        ("lanes", 10**6),
        ("salt", b"x" * 16),
    ):
        changed = msgspec.msgpack.encode([msgspec.msgpack.encode({**header, field: value}), raw[1]])
        text = "\n".join(
            (SEALED.splitlines()[0], base64.b64encode(changed).decode(), SEALED.splitlines()[-1])
        )
        with pytest.raises(BackupError):
            open_backup(text, PASSPHRASE)


@given(st.text() | st.binary().map(lambda data: base64.b64encode(data).decode()))
@settings(deadline=None)
def test_a_file_of_anything_is_one_clear_error(content: str) -> None:
    for text in (content, f"-----BEGIN PARLEY KEYS-----\n{content}\n-----END PARLEY KEYS-----\n"):
        with pytest.raises(BackupError):
            open_backup(text, PASSPHRASE)
