"""The accounts on disk: SQLite in WAL mode, `synchronous=FULL`; one thread writes, one reads.

What a method confirms survives kill -9 and power loss.
"""

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from server.account import NOTHING, Account, AccountId
from server.database import open_database
from server.errors import DataFolderError, NameInUse, Overtaken
from server.lane import Lane, Work
from server.schema import STEPS
from wire.errors import ErrorCode, Refused
from wire.messages import Visibility
from wire.names import NameKey, skeleton

T = TypeVar("T")

SCAN = 10_000  # keys that one turn compares with a pattern; 2 ms

_COLUMNS = (
    "id, key, name, password_hash, created, fingerprint, visibility, allowed, last_seen, epoch, active, "
    "blocked"
)
_INSERT = f"INSERT INTO accounts ({_COLUMNS[4:]}, skeleton) VALUES ({'?, ' * 11}?)"
_BY_KEY = f"SELECT {_COLUMNS} FROM accounts WHERE key = ?"
_BY_ID = f"SELECT {_COLUMNS} FROM accounts WHERE id = ?"


class SqliteAccounts:
    """The embedded `AccountStore`.

    Nothing is kept in memory but what SQLite and the system keep: an account that was asked about before
    must not be answered for sooner than one that was not, or the time would tell who is hidden.
    """

    def __init__(self, path: Path) -> None:
        """Raises `DataFolderError`."""
        self.path = path
        try:
            self._changes = Lane("accounts", lambda: open_database(path, STEPS), changes=True)
            self._reads = Lane("accounts-reads", lambda: _connect(path), changes=False)
        except sqlite3.Error as error:
            raise DataFolderError(f"The accounts in {path} cannot be opened: {error}.") from None

    def close(self) -> None:
        """Ends the threads after what was begun."""
        self._reads.close()
        self._changes.close()

    @property
    def waiting(self) -> int:
        """Reads and writes that wait for their turn."""
        return self._reads.waiting + self._changes.waiting

    async def create(self, account: Account) -> Account:
        """See `AccountStore`."""
        values = (*_row(account), skeleton(account.name))

        def insert(connection: sqlite3.Connection) -> int:
            return int(connection.execute(_INSERT, values).lastrowid or 0)

        try:
            account_id = await self._run(self._changes, insert)
        except sqlite3.IntegrityError:
            raise NameInUse(account.name) from None
        return msgspec.structs.replace(account, id=AccountId(account_id))

    async def find(self, key: NameKey) -> Account | None:
        """See `AccountStore`."""
        return await self._run(self._reads, lambda connection: _one(connection, _BY_KEY, key))

    async def find_all(self, keys: Sequence[NameKey]) -> list[Account]:
        """See `AccountStore`."""

        def read(connection: sqlite3.Connection) -> list[Account]:
            found = (_one(connection, _BY_KEY, key) for key in keys)
            return [account for account in found if account is not None]

        return await self._run(self._reads, read)

    async def get(self, account_id: AccountId) -> Account | None:
        """See `AccountStore`."""
        return await self._run(self._reads, lambda connection: _one(connection, _BY_ID, account_id))

    async def settled(self, account_id: AccountId) -> Account | None:
        """See `AccountStore`."""
        # A turn of changes that changes nothing writes nothing: a crowd that comes back waits for no fsync.
        return await self._run(self._changes, lambda connection: _one(connection, _BY_ID, account_id))

    async def page(self, after: NameKey, pattern: str, limit: int) -> list[Account]:
        """See `AccountStore`."""
        wild = "*" in pattern or "?" in pattern
        # A beginning is a range of keys, which the index answers at once.
        beginning = pattern.partition("*")[0].partition("?")[0]
        reach = f"{beginning}\U0010ffff"
        low = max(after, beginning)
        inclusive = low != after
        if not wild:
            return await self._run(
                self._reads, lambda connection: _range(connection, low, inclusive, reach, limit)
            )
        # A pattern looks at every key of the range: so many at a time that others get their turn in between.
        found: list[Account] = []
        glob = pattern.replace("[", "[[]")
        while True:
            scan = partial(
                _scan, low=low, inclusive=inclusive, reach=reach, glob=glob, limit=limit - len(found)
            )
            matching, looked_at = await self._run(self._reads, scan)
            found += matching
            if looked_at is None or len(found) >= limit:
                return found
            low, inclusive = looked_at, False

    async def update(
        self,
        account_id: AccountId,
        *,
        new_epoch: bool = False,
        provided: Mapping[str, Any] = NOTHING,
        **changes: Any,
    ) -> Account:
        """See `AccountStore`."""
        return await self._run(self._changes, _change(account_id, changes, provided, new_epoch=new_epoch))

    async def redeem(self, account_id: AccountId, digest: bytes, now: float, **changes: Any) -> Account:
        """See `AccountStore`."""
        change = _change(account_id, changes, NOTHING, new_epoch=True)

        def write(connection: sqlite3.Connection) -> Account:
            used = connection.execute(
                "DELETE FROM resets WHERE digest = ? AND account = ? AND expires > ?",
                (digest, account_id, now),
            )
            if not used.rowcount:
                raise Overtaken("The token is not good.")
            return change(connection)

        return await self._run(self._changes, write)

    async def count(self) -> int:
        """See `AccountStore`."""
        return await self._run(
            self._reads,
            lambda connection: int(connection.execute("SELECT count(*) FROM accounts").fetchone()[0]),
        )

    async def add(self, accounts: list[Account]) -> None:
        """See `AccountStore`."""

        def insert(connection: sqlite3.Connection) -> None:
            columns = f"{_COLUMNS}, skeleton"
            rows = [(account.id, *_row(account), skeleton(account.name)) for account in accounts]
            connection.executemany(f"INSERT INTO accounts ({columns}) VALUES ({'?, ' * 12}?)", rows)

        try:
            await self._run(self._changes, insert)
        except sqlite3.IntegrityError as error:
            raise NameInUse(str(error)) from None

    async def idle(self, since: float, limit: int) -> list[Account]:
        """See `AccountStore`."""
        statement = (
            f"SELECT {_COLUMNS} FROM accounts WHERE max(active, last_seen, created) < ? ORDER BY key LIMIT ?"
        )
        rows = await self._run(
            self._reads, lambda connection: connection.execute(statement, (since, limit)).fetchall()
        )
        return [_account(row) for row in rows]

    async def remove(self, accounts: list[Account]) -> None:
        """See `AccountStore`."""
        ids = [(account.id,) for account in accounts]

        def delete(connection: sqlite3.Connection) -> None:
            connection.executemany("DELETE FROM accounts WHERE id = ?", ids)

        await self._run(self._changes, delete)

    async def _run(self, lane: Lane, work: Work[T]) -> T:
        try:
            return await lane.run(work)
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


def _one(connection: sqlite3.Connection, statement: str, value: object) -> Account | None:
    row = connection.execute(statement, (value,)).fetchone()
    return _account(row) if row else None


def _change(
    account_id: AccountId, changes: Mapping[str, Any], provided: Mapping[str, Any], *, new_epoch: bool
) -> Work[Account]:
    assignments = [f"{column} = ?" for column in changes] + ["epoch = epoch + 1"] * new_epoch
    conditions = ["id = ?", *(f"{column} = ?" for column in provided)]
    statement = (
        f"UPDATE accounts SET {', '.join(assignments)} WHERE {' AND '.join(conditions)} RETURNING {_COLUMNS}"
    )
    values = [*map(_column, changes.values()), account_id, *map(_column, provided.values())]

    def write(connection: sqlite3.Connection) -> Account:
        rows: list[tuple[Any, ...]] = connection.execute(statement, values).fetchall()
        if rows:
            return _account(rows[0])
        if _one(connection, _BY_ID, account_id) is not None:
            raise Overtaken("The account was changed meanwhile.")
        raise Refused(ErrorCode.UNKNOWN_NAME, "That account was deleted.")

    return write


def _range(
    connection: sqlite3.Connection, low: str, inclusive: bool, reach: str, limit: int
) -> list[Account]:
    compared = ">=" if inclusive else ">"
    statement = f"SELECT {_COLUMNS} FROM accounts WHERE key {compared} ? AND key < ? ORDER BY key LIMIT ?"
    return [_account(row) for row in connection.execute(statement, (low, reach, limit)).fetchall()]


def _scan(
    connection: sqlite3.Connection, *, low: str, inclusive: bool, reach: str, glob: str, limit: int
) -> tuple[list[Account], NameKey | None]:
    """The first accounts that match, and the last key that was looked at where keys are left to look at."""
    compared = ">=" if inclusive else ">"
    last = connection.execute(
        f"SELECT key FROM accounts WHERE key {compared} ? AND key < ? ORDER BY key LIMIT 1 OFFSET ?",
        (low, reach, SCAN),
    ).fetchone()
    rows = connection.execute(
        f"SELECT {_COLUMNS} FROM accounts WHERE key {compared} ? AND key < ? AND key <= ? AND key GLOB ?"
        " ORDER BY key LIMIT ?",
        (low, reach, last[0] if last else reach, glob, limit),
    ).fetchall()
    return [_account(row) for row in rows], last[0] if last else None


def _connect(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(path, check_same_thread=False)  # its lane closes it from another thread


def _column(value: Any) -> Any:
    match value:
        case Visibility():
            return value.value
        case tuple():
            return " ".join(value)
        case dict():
            return msgspec.json.encode(value).decode()
        case _:
            return value


def _row(account: Account) -> tuple[Any, ...]:
    return tuple(_column(getattr(account, column)) for column in _COLUMNS[4:].split(", "))


def _account(row: tuple[Any, ...]) -> Account:
    (
        id_,
        key,
        name,
        password_hash,
        created,
        fingerprint,
        visibility,
        allowed,
        last_seen,
        epoch,
        active,
        blocked,
    ) = row
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
        active,
        msgspec.json.decode(blocked, type=dict[NameKey, float]),
    )
