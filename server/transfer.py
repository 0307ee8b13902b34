"""Accounts as TOML: everything that the phone book knows of them, password hashes included, and back again.

What was exported and imported exports to the same bytes. Ids and epochs are kept, so that no resume token
ever fits another account.
"""

import os
import sqlite3
import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

import msgspec
import tomli_w
from argon2 import exceptions, extract_parameters
from msgspec import Meta

from server.accounts import Account, AccountId
from server.errors import TransferFailed
from wire.errors import BadName
from wire.limits import FINGERPRINT_BYTES, MAX_ALLOWED, MAX_BLOCKED, MAX_NAME
from wire.messages import Visibility
from wire.names import NameKey, check_name, is_key, name_key, skeleton

FORMAT = 1
MAX_FILE = 1 << 30  # bytes; about two million accounts
_HEX = f"^[0-9a-f]{{{2 * FINGERPRINT_BYTES}}}$"


Blocked = tuple[Annotated[str, Meta(max_length=MAX_NAME)], float]
"""To whom an account looks offline, and since when."""


class Row(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One `[[account]]`."""

    id: Annotated[int, Meta(ge=1, le=2**63 - 1)]
    name: str
    password_hash: Annotated[str, Meta(max_length=256)]
    created: float
    last_seen: float
    fingerprint: Annotated[str, Meta(pattern=_HEX)]
    visibility: Visibility
    allowed: Annotated[tuple[Annotated[str, Meta(max_length=MAX_NAME)], ...], Meta(max_length=MAX_ALLOWED)]
    epoch: Annotated[int, Meta(ge=0, le=2**63 - 1)]
    active: float
    blocked: Annotated[tuple[Blocked, ...], Meta(max_length=MAX_BLOCKED)] = ()


class Document(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The whole file."""

    format: int
    account: tuple[Row, ...] = ()


def export_accounts(accounts: Iterable[Account], target: Path) -> int:
    """Writes accounts to a new file of mode 0600; how many. Raises `TransferFailed`, and no file stays."""
    count = 0
    try:
        descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError as error:
        raise TransferFailed(
            f"{target} cannot be written: {(error.strerror or str(error)).lower()}."
        ) from None
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(tomli_w.dumps({"format": FORMAT}).encode())
            for account in accounts:
                row = msgspec.to_builtins(_row(account))
                file.write(f"\n[[account]]\n{tomli_w.dumps(row)}".encode())
                count += 1
            file.flush()
            os.fsync(file.fileno())
    except (OSError, sqlite3.Error) as error:
        target.unlink(missing_ok=True)
        raise TransferFailed(f"{target} could not be written: {error}.") from None
    return count


def read_accounts(source: Path) -> list[Account]:
    """The accounts in a file. Raises `TransferFailed` with what is wrong where."""
    try:
        if source.stat().st_size > MAX_FILE:
            raise TransferFailed(f"{source} has more than {MAX_FILE:,} bytes.")
        document = msgspec.convert(tomllib.loads(source.read_text(encoding="utf-8")), Document)
    except OSError as error:
        raise TransferFailed(f"{source} cannot be read: {(error.strerror or str(error)).lower()}.") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise TransferFailed(f"{source} is not TOML: {error}.") from None
    except msgspec.ValidationError as error:
        raise TransferFailed(f"{source}: {error}.") from None
    if document.format != FORMAT:
        raise TransferFailed(f"{source} has format {document.format}; this Parley reads {FORMAT}.")
    accounts = [_account(source, row) for row in document.account]
    _refuse_twins(source, accounts)
    return accounts


def _row(account: Account) -> Row:
    return Row(
        account.id,
        account.name,
        account.password_hash,
        account.created,
        account.last_seen,
        account.fingerprint.hex(),
        account.visibility,
        account.allowed,
        account.epoch,
        account.active,
        tuple(account.blocked.items()),
    )


def _account(source: Path, row: Row) -> Account:
    try:
        name = check_name(row.name)
        extract_parameters(row.password_hash)
    except (BadName, exceptions.InvalidHashError) as error:
        reason = str(error) or "its password_hash is none of Argon2"
        raise TransferFailed(f"{source}, account {row.name[:MAX_NAME]!r}: {reason}") from None
    for key in (*row.allowed, *(key for key, _ in row.blocked)):
        if not is_key(key):
            reason = f"it allows or blocks {key!r}, which is no name in small letters"
            raise TransferFailed(f"{source}, account {name!r}: {reason}.")
    return Account(
        AccountId(row.id),
        name_key(name),
        name,
        row.password_hash,
        row.created,
        bytes.fromhex(row.fingerprint),
        row.visibility,
        tuple(map(NameKey, row.allowed)),
        row.last_seen,
        row.epoch,
        row.active,
        {NameKey(key): since for key, since in row.blocked},
    )


def _refuse_twins(source: Path, accounts: list[Account]) -> None:
    ids: dict[int, str] = {}
    alikes: dict[str, str] = {}
    for account in accounts:
        for twin in (ids.get(account.id), alikes.get(skeleton(account.name))):
            if twin is not None:
                raise TransferFailed(f"{source}: {twin} and {account.name} have one id, or look alike.")
        ids[account.id] = alikes[skeleton(account.name)] = account.name
