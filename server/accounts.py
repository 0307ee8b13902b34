"""The accounts on disk: SQLite in WAL mode, `synchronous=FULL`, one thread, one commit a change.

What a method confirms survives kill -9 and power loss. The store sits behind `AccountStore`, so that another
database can take its place.
"""

import asyncio
import sqlite3
from collections import OrderedDict
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NewType, Protocol, TypeVar

import msgspec

from server.database import open_database
from server.errors import DataFolderError, NameInUse
from wire.errors import ErrorCode, Refused
from wire.messages import Visibility
from wire.names import NameKey, skeleton

T = TypeVar("T")
AccountId = NewType("AccountId", int)

CACHED = 50_000  # accounts kept in memory; about 1 KiB each

STEPS = (
    """
CREATE TABLE accounts (
    id INTEGER PRIMARY KEY, key TEXT NOT NULL UNIQUE, skeleton TEXT NOT NULL UNIQUE, name TEXT NOT NULL,
    password_hash TEXT NOT NULL, created REAL NOT NULL, fingerprint BLOB NOT NULL,
    visibility TEXT NOT NULL, allowed TEXT NOT NULL, last_seen REAL NOT NULL, epoch INTEGER NOT NULL
)""",
)
"""The schema as `server.database` builds it: a step is never changed once it was released, only followed."""
_COLUMNS = "id, key, name, password_hash, created, fingerprint, visibility, allowed, last_seen, epoch"


class Account(msgspec.Struct, frozen=True):
    """One account."""

    id: AccountId
    key: NameKey
    name: str
    password_hash: str
    created: float
    """Seconds since the epoch, UTC."""
    fingerprint: bytes
    visibility: Visibility = Visibility.ONLINE
    allowed: tuple[NameKey, ...] = ()
    """Who sees the account as online where its visibility is `contacts` or `hidden`."""
    last_seen: float = 0.0
    """When the account was last visible to everybody."""
    epoch: int = 0
    """Counts sessions; a resume token of another epoch does not hold."""


class AccountStore(Protocol):
    """What the phone book needs of its store. All raise `Refused(STORAGE_FAILED)` where it fails."""

    async def create(self, account: Account) -> Account:
        """Keeps a new account; `id` is given by the store. Raises `NameInUse`."""
        ...

    async def find(self, key: NameKey) -> Account | None:
        """The account of a name."""
        ...

    async def get(self, account_id: AccountId) -> Account | None:
        """The account of an id."""
        ...

    async def page(self, after: NameKey, pattern: str, limit: int) -> list[Account]:
        """Accounts by key; `pattern` is a beginning, or has `*` and `?`."""
        ...

    async def update(self, account_id: AccountId, *, new_epoch: bool = False, **changes: Any) -> Account:
        """Keeps changed fields and, where asked, counts a new epoch; the account as it is then."""
        ...

    async def count(self) -> int:
        """How many accounts there are."""
        ...

    async def add(self, accounts: list[Account]) -> None:
        """Keeps accounts of elsewhere with their ids, all or none. Raises `NameInUse`."""
        ...


class SqliteAccounts:
    """The embedded store."""

    def __init__(self, path: Path) -> None:
        """Raises `DataFolderError`."""
        self._thread = ThreadPoolExecutor(1, "accounts")
        self._cache: OrderedDict[NameKey, Account] = OrderedDict()
        try:
            self._connection = self._thread.submit(open_database, path, STEPS).result()
        except sqlite3.Error as error:
            self._thread.shutdown()
            raise DataFolderError(f"The accounts in {path} cannot be opened: {error}.") from None

    def close(self) -> None:
        """Ends the thread after what was begun."""
        self._thread.submit(self._connection.close)
        self._thread.shutdown()

    async def create(self, account: Account) -> Account:
        """See `AccountStore`."""

        def insert() -> int:
            alike = skeleton(account.name)
            with self._connection:
                cursor = self._connection.execute(
                    f"INSERT INTO accounts ({_COLUMNS[4:]}, skeleton) VALUES ({'?, ' * 9}?)",
                    (*_row(account), alike),
                )
            return int(cursor.lastrowid or 0)

        try:
            account_id = await self._run(insert)
        except sqlite3.IntegrityError:
            raise NameInUse(account.name) from None
        return self._remember(msgspec.structs.replace(account, id=AccountId(account_id)))

    async def find(self, key: NameKey) -> Account | None:
        """See `AccountStore`."""
        cached = self._cache.get(key)
        if cached is not None:
            self._cache.move_to_end(key)
            return cached
        found = await self._run(lambda: self._one("key = ?", key))
        return self._remember(found) if found else None

    async def get(self, account_id: AccountId) -> Account | None:
        """See `AccountStore`."""
        return await self._run(lambda: self._one("id = ?", account_id))

    async def page(self, after: NameKey, pattern: str, limit: int) -> list[Account]:
        """See `AccountStore`."""
        glob = "*" in pattern or "?" in pattern
        low = max(after, "" if glob else pattern)
        # A beginning is a range of keys, which the index answers at once; a pattern looks at every key.
        condition, bound = (
            ("key GLOB ?", pattern.replace("[", "[[]")) if glob else ("key < ?", pattern + "\U0010ffff")
        )
        strictly = ">" if low == after else ">="
        rows = await self._run(
            lambda: self._connection.execute(
                f"SELECT {_COLUMNS} FROM accounts WHERE key {strictly} ? AND {condition}"
                " ORDER BY key LIMIT ?",
                (low, bound, limit),
            ).fetchall()
        )
        return [_account(row) for row in rows]

    async def update(self, account_id: AccountId, *, new_epoch: bool = False, **changes: Any) -> Account:
        """See `AccountStore`."""
        assignments = [f"{column} = ?" for column in changes] + ["epoch = epoch + 1"] * new_epoch
        values = [_column(value) for value in changes.values()]

        def write() -> tuple[Any, ...]:
            with self._connection:
                # Read in the same transaction, so that the cache never undoes another change.
                rows: list[tuple[Any, ...]] = self._connection.execute(
                    f"UPDATE accounts SET {', '.join(assignments)} WHERE id = ? RETURNING {_COLUMNS}",
                    (*values, account_id),
                ).fetchall()
            return rows[0]

        return self._remember(_account(await self._run(write)))

    async def count(self) -> int:
        """See `AccountStore`."""
        return await self._run(
            lambda: int(self._connection.execute("SELECT count(*) FROM accounts").fetchone()[0])
        )

    async def add(self, accounts: list[Account]) -> None:
        """See `AccountStore`."""

        def insert() -> None:
            columns = f"{_COLUMNS}, skeleton"
            rows = [(account.id, *_row(account), skeleton(account.name)) for account in accounts]
            with self._connection:
                self._connection.executemany(f"INSERT INTO accounts ({columns}) VALUES ({'?, ' * 10}?)", rows)

        try:
            await self._run(insert)
        except sqlite3.IntegrityError as error:
            raise NameInUse(str(error)) from None

    def _one(self, condition: str, value: object) -> Account | None:
        row = self._connection.execute(
            f"SELECT {_COLUMNS} FROM accounts WHERE {condition}", (value,)
        ).fetchone()
        return _account(row) if row else None

    def _remember(self, account: Account) -> Account:
        self._cache[account.key] = account
        self._cache.move_to_end(account.key)
        if len(self._cache) > CACHED:
            self._cache.popitem(last=False)
        return account

    async def _run(self, work: Callable[[], T]) -> T:
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, work)
        except sqlite3.IntegrityError:
            raise
        except sqlite3.Error as error:
            raise Refused(
                ErrorCode.STORAGE_FAILED,
                f"The phone book could not keep that ({error}); nothing was changed.",
            ) from None


def read_all(path: Path) -> Iterator[Account]:
    """All accounts of one moment by key, while others write. Raises `sqlite3.Error`."""
    connection = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)
    try:
        for row in connection.execute(f"SELECT {_COLUMNS} FROM accounts ORDER BY key"):
            yield _account(row)
    finally:
        connection.close()


def _column(value: Any) -> Any:
    match value:
        case Visibility():
            return value.value
        case tuple():
            return " ".join(value)
        case _:
            return value


def _row(account: Account) -> tuple[Any, ...]:
    return tuple(_column(getattr(account, column)) for column in _COLUMNS[4:].split(", "))


def _account(row: tuple[Any, ...]) -> Account:
    id_, key, name, password_hash, created, fingerprint, visibility, allowed, last_seen, epoch = row
    return Account(
        id_,
        key,
        name,
        password_hash,
        created,
        fingerprint,
        Visibility(visibility),
        tuple(allowed.split()),
        last_seen,
        epoch,
    )
