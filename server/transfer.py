"""Accounts as TOML: everything that the phone book knows of them, password hashes included, and back again.

What was exported and imported exports to the same bytes, ids and epochs included; that a resume token fits no
other account of the same id is the matter of `server.tokens`.
"""

import os
import re
import sqlite3
import stat
import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

import msgspec
import tomli_w
from argon2 import exceptions, extract_parameters
from msgspec import Meta

from server.account import Account, AccountId
from server.errors import TransferFailed
from settings.file import explained, key_of
from wire.errors import BadName
from wire.limits import FINGERPRINT_BYTES, MAX_ALLOWED, MAX_BLOCKED, MAX_NAME
from wire.messages import Visibility
from wire.names import NameKey, check_name, is_key, name_key, skeleton
from wire.times import Moment

FORMAT = 1
MAX_FILE = 1 << 30  # bytes; about two million accounts
MAX_NUMBER = 1 << 53  # of an id or an epoch; both are counted on from there, and SQLite's end is 2^63
_HEADER = re.compile(r"\s*\[\[\s*account\s*\]\]")
_HEX = f"^[0-9a-f]{{{2 * FINGERPRINT_BYTES}}}$"


Blocked = tuple[Annotated[str, Meta(max_length=MAX_NAME)], Moment]
"""To whom an account looks offline, and since when."""


class Row(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One `[[account]]`."""

    id: Annotated[int, Meta(ge=1, le=MAX_NUMBER)]
    name: str
    password_hash: Annotated[str, Meta(max_length=256)]
    created: Moment
    last_seen: Moment
    fingerprint: Annotated[str, Meta(pattern=_HEX)]
    visibility: Visibility
    allowed: Annotated[tuple[Annotated[str, Meta(max_length=MAX_NAME)], ...], Meta(max_length=MAX_ALLOWED)]
    epoch: Annotated[int, Meta(ge=0, le=MAX_NUMBER)]
    active: Moment
    blocked: Annotated[tuple[Blocked, ...], Meta(max_length=MAX_BLOCKED)] = ()


class Document(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The whole file."""

    format: int
    account: tuple[dict[str, object], ...] = ()


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
        text = _content(source).decode()
        document = msgspec.convert(tomllib.loads(text), Document)
    except OSError as error:
        raise TransferFailed(f"{source} cannot be read: {(error.strerror or str(error)).lower()}.") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise TransferFailed(f"{source} is not TOML: {error}.") from None
    except msgspec.ValidationError as error:
        raise TransferFailed(f"{source}: {error}.") from None
    if document.format != FORMAT:
        raise TransferFailed(f"{source} has format {document.format}; this Parley reads {FORMAT}.")
    accounts: list[Account] = []
    twins = _Twins()
    for number, table in enumerate(document.account):
        try:
            accounts.append(_account(msgspec.convert(table, Row)))
            twins.add(accounts[-1])
        except msgspec.ValidationError as error:
            wrong = _Wrong(key_of(error), explained(error, table))
        except _Wrong as error:
            wrong = error
        else:
            continue
        raise TransferFailed(f"{source}, {_place(text, number, wrong.key)}: {str(wrong).rstrip('.')}.")
    return accounts


def _content(source: Path) -> bytes:
    """All of a file; a device may have no end, and a pipe nobody who writes.

    Raises `TransferFailed` and OSError.
    """
    with os.fdopen(os.open(source, os.O_RDONLY | os.O_NONBLOCK), "rb") as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise TransferFailed(f"{source} is no file.")
        content = file.read(MAX_FILE + 1)
    if len(content) > MAX_FILE:
        raise TransferFailed(f"{source} has more than {MAX_FILE:,} bytes.")
    return content


class _Wrong(Exception):
    """What cannot be in an account, and the key of it."""

    def __init__(self, key: str, reason: str) -> None:
        super().__init__(reason)
        self.key = key


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


def _account(row: Row) -> Account:
    """Raises `_Wrong`."""
    try:
        name = check_name(row.name)
        extract_parameters(row.password_hash)
    except BadName as error:
        raise _Wrong("name", f"name is {row.name[:MAX_NAME]!r}: {error}") from None
    except exceptions.InvalidHashError:
        raise _Wrong("password_hash", "password_hash is none of Argon2") from None
    for where, keys in (("allowed", row.allowed), ("blocked", [key for key, _ in row.blocked])):
        for key in keys:
            if not is_key(key):
                raise _Wrong(where, f"{where} has {key!r}, which is no name in small letters")
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


class _Twins:
    """Accounts that may not both be."""

    def __init__(self) -> None:
        self._ids: dict[int, str] = {}
        self._alikes: dict[str, str] = {}

    def add(self, account: Account) -> None:
        """One more. Raises `_Wrong` where it has the id of another or looks like one."""
        alike = skeleton(account.name)
        if account.id in self._ids:
            raise _Wrong("id", f"id is {account.id}, as that of {self._ids[account.id]}")
        if alike in self._alikes:
            raise _Wrong("name", f"name is {account.name!r}, which looks like {self._alikes[alike]!r}")
        self._ids[account.id] = self._alikes[alike] = account.name


def _place(text: str, number: int, key: str) -> str:
    """The line of a key of the account of a number; of its beginning where the key is not found there."""
    begun, beginning = -1, 0
    for at, line in enumerate(text.split("\n"), 1):
        if _HEADER.match(line):
            begun += 1
            if begun > number:
                break
            beginning = at
        elif begun == number and line.partition("=")[0].strip() == key:
            return f"line {at}"
    return f"line {beginning}" if begun >= number else f"account {number + 1}"
