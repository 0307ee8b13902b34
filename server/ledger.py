"""What operators decided, on disk beside the accounts: the journal, bans, invites, reset tokens, removed
accounts, the registration. SQLite on a thread and a connection of its own; a decision and its entry in the
journal are one transaction, with `synchronous=FULL`.
"""

import asyncio
import sqlite3
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar, assert_never

import msgspec

from server.access import Ban, Registration, Target
from server.account import Account, AccountId
from server.actions import Failed, InviteInfo, Verdict
from server.errors import DataFolderError
from server.journal import FIRST, Entry, Link, link, read, verify
from wire.errors import ErrorCode, Refused
from wire.names import NameKey

T = TypeVar("T")

BUSY = 10.0  # seconds to wait for a change of an account to be written first
UNDO_LIFE = 30 * 86_400.0  # seconds in which a removed account can be brought back

_LINK = "number, undoes, CAST(content AS BLOB), CAST(digest AS BLOB)"  # a forger may leave other types


class Write(msgspec.Struct, frozen=True):
    """The base of what is written together with an entry."""


class PutBan(Write, frozen=True):
    """A ban holds."""

    ban: Ban


class DropBan(Write, frozen=True):
    """A ban holds no more."""

    target: Target


class PutInvites(Write, frozen=True):
    """One-time codes for sign-ups; they belong to the entry."""

    digests: tuple[bytes, ...]
    expires: float


class DropInvites(Write, frozen=True):
    """Those codes of an entry that were not used."""

    entry: int


class PutReset(Write, frozen=True):
    """A one-time token for a new password, in the place of an older one."""

    digest: bytes
    account: AccountId
    expires: float


class DropReset(Write, frozen=True):
    """The token of an entry."""

    entry: int


class PutRemoved(Write, frozen=True):
    """Accounts as they were before they were removed; they belong to the entry."""

    accounts: tuple[Account, ...]


class PutRegistration(Write, frozen=True):
    """Who may sign up; None leaves it to the settings."""

    registration: Registration | None


AnyWrite = PutBan | DropBan | PutInvites | DropInvites | PutReset | DropReset | PutRemoved | PutRegistration


class SqliteLedger:
    """The embedded ledger. All methods but the constructor raise `Refused(STORAGE_FAILED)` where it fails."""

    def __init__(self, path: Path) -> None:
        """Raises `DataFolderError`."""
        self._thread = ThreadPoolExecutor(1, "ledger")
        try:
            self._connection = self._thread.submit(_open, path).result()
            self.bans, self.registration, self.last = self._thread.submit(self._load).result()
        except (sqlite3.Error, msgspec.DecodeError, ValueError) as error:
            self._thread.shutdown()
            raise DataFolderError(f"What operators decided cannot be read from {path}: {error}.") from None

    bans: list[Ban]
    """As they were when it was opened."""
    registration: Registration | None
    """As it was when it was opened; None leaves it to the settings."""
    last: int
    """The number of the latest entry."""

    def close(self) -> None:
        """Ends the thread after what was begun."""
        self._thread.submit(self._connection.close)
        self._thread.shutdown()

    async def record(self, entry: Entry, writes: Sequence[AnyWrite]) -> bytes:
        """Keeps a decision with its entry; the entry's digest. Only one may be under way."""

        def work() -> bytes:
            with self._connection:
                row = self._connection.execute(
                    "SELECT digest FROM journal ORDER BY number DESC LIMIT 1"
                ).fetchone()
                made = link(entry, row[0] if row else FIRST)
                self._connection.execute(
                    "INSERT INTO journal VALUES (?, ?, ?, ?)",
                    (made.number, made.undoes, made.content, made.digest),
                )
                for write in writes:
                    self._apply(write, entry)
            return made.digest

        digest = await self._run(work)
        self.last = entry.number
        return digest

    async def entries(self, last: int) -> list[Entry]:
        """The last entries, oldest first."""
        return await self._run(
            lambda: [read(kept) for kept in self._links("ORDER BY number DESC LIMIT ?", last)][::-1]
        )

    async def entry(self, number: int) -> Entry | None:
        """One entry."""
        found = await self._run(lambda: [read(kept) for kept in self._links("WHERE number = ?", number)])
        return found[0] if found else None

    async def undone_by(self, number: int) -> int | None:
        """The latest entry that took another back; one that could not be carried out took nothing back."""

        def work() -> int | None:
            for tried in self._links("WHERE undoes = ? ORDER BY number DESC", number):
                # One change at a time: what became of it is the next entry.
                after = self._links("WHERE number = ?", tried.number + 1)
                if not after or not _says_failed(read(after[0]), tried.number):
                    return tried.number
            return None

        return await self._run(work)

    async def verify(self, noted: bytes | None) -> Verdict:
        """Goes through the whole chain."""

        def work() -> Verdict:
            rows = self._connection.execute(f"SELECT {_LINK} FROM journal ORDER BY number")
            return verify((Link(*kept) for kept in rows), self._highest(), noted)

        return await self._run(work)

    async def invites(self, now: float) -> list[InviteInfo]:
        """Codes that can still be used."""
        rows = await self._run(
            lambda: self._connection.execute(
                "SELECT entry, expires, coalesce(used_by, '') FROM invites WHERE expires > ? ORDER BY entry",
                (now,),
            ).fetchall()
        )
        return [InviteInfo(*row) for row in rows]

    async def take_invite(self, digest: bytes, key: NameKey, now: float) -> bool:
        """Whether the code is good for a name. From then on it is for that name only."""
        return await self._changed(
            "UPDATE invites SET used_by = ? WHERE digest = ? AND expires > ? AND settled = 0"
            " AND coalesce(used_by, ?) = ?",
            key, digest, now, key, key,
        )  # fmt: skip

    async def settle_invite(self, digest: bytes, *, used: bool) -> None:
        """The account was made, or was not and the code is free again."""
        sql = "SET settled = 1" if used else "SET used_by = NULL"
        await self._changed(f"UPDATE invites {sql} WHERE digest = ?", digest)

    async def good_reset(self, digest: bytes, account: AccountId | None, now: float) -> bool:
        """Whether the token is good for an account, for none never; `AccountStore.redeem` uses it up."""
        sql = "SELECT 1 FROM resets WHERE digest = ? AND account = ? AND expires > ?"
        found = await self._run(lambda: self._connection.execute(sql, (digest, account, now)).fetchone())
        return found is not None

    async def removed(self, entry: int, now: float) -> list[Account]:
        """The accounts that an entry removed, while they are kept."""
        rows = await self._run(
            lambda: self._connection.execute(
                "SELECT account FROM removed WHERE entry = ? AND until > ?", (entry, now)
            ).fetchall()
        )
        return [msgspec.json.decode(row[0], type=Account) for row in rows]

    async def forget_expired(self, now: float, bans: Sequence[Target]) -> None:
        """Drops bans that have run out, and codes, tokens and removed accounts whose time is over."""

        def work() -> None:
            with self._connection:
                for table, column in (("invites", "expires"), ("resets", "expires"), ("removed", "until")):
                    self._connection.execute(f"DELETE FROM {table} WHERE {column} <= ?", (now,))
                for target in bans:
                    self._connection.execute("DELETE FROM bans WHERE key = ?", (target.key,))

        await self._run(work)

    # --- on the thread ----------------------------------------------------------------------------------

    def _apply(self, write: AnyWrite, entry: Entry) -> None:
        execute = self._connection.execute
        match write:
            case PutBan(ban):
                execute(
                    "INSERT OR REPLACE INTO bans VALUES (?, ?)", (ban.target.key, msgspec.json.encode(ban))
                )
            case DropBan(target):
                execute("DELETE FROM bans WHERE key = ?", (target.key,))
            case PutInvites(digests, expires):
                for digest in digests:
                    execute("INSERT INTO invites VALUES (?, ?, ?, NULL, 0)", (digest, entry.number, expires))
            case DropInvites(number):
                execute("DELETE FROM invites WHERE entry = ? AND used_by IS NULL", (number,))
            case PutReset(digest, account, expires):
                execute("DELETE FROM resets WHERE account = ?", (account,))
                execute("INSERT INTO resets VALUES (?, ?, ?, ?)", (digest, entry.number, account, expires))
            case DropReset(number):
                execute("DELETE FROM resets WHERE entry = ?", (number,))
            case PutRemoved(accounts):
                for removed in accounts:
                    # Its number may come again with an import, and then its token must fit nobody.
                    execute("DELETE FROM resets WHERE account = ?", (removed.id,))
                    content = msgspec.json.encode(removed)
                    execute(
                        "INSERT INTO removed VALUES (?, ?, ?)",
                        (entry.number, content, entry.when + UNDO_LIFE),
                    )
            case PutRegistration(registration):
                execute("DELETE FROM policy WHERE name = 'registration'")
                if registration is not None:
                    execute("INSERT INTO policy VALUES ('registration', ?)", (registration.value,))
            case _:
                assert_never(write)

    def _load(self) -> tuple[list[Ban], Registration | None, int]:
        bans = [
            msgspec.json.decode(row[0], type=Ban) for row in self._connection.execute("SELECT ban FROM bans")
        ]
        row = self._connection.execute("SELECT value FROM policy WHERE name = 'registration'").fetchone()
        return bans, Registration(row[0]) if row else None, self._highest()

    def _highest(self) -> int:
        """The highest number that was ever given, also where its entry was removed since."""
        row = self._connection.execute("SELECT seq FROM sqlite_sequence WHERE name = 'journal'").fetchone()
        return int(row[0]) if row else 0

    def _links(self, which: str, value: int) -> list[Link]:
        return [
            Link(*row) for row in self._connection.execute(f"SELECT {_LINK} FROM journal {which}", (value,))
        ]

    async def _changed(self, sql: str, *values: object) -> bool:
        def work() -> bool:
            with self._connection:
                return self._connection.execute(sql, values).rowcount > 0

        return await self._run(work)

    async def _run(self, work: Callable[[], T]) -> T:
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, work)
        except sqlite3.Error as error:
            raise Refused(
                ErrorCode.STORAGE_FAILED,
                f"The phone book could not keep that ({error}); nothing was changed.",
            ) from None
        except UnicodeEncodeError:
            raise Refused(
                ErrorCode.INVALID_PARAMS,
                "The journal keeps text, and a word of that is none; nothing was done.",
            ) from None
        except (msgspec.DecodeError, ValueError) as error:
            raise Refused(ErrorCode.STORAGE_FAILED, f"The journal is damaged: {error}.") from None


def _says_failed(entry: Entry, number: int) -> bool:
    return isinstance(entry.action, Failed) and entry.action.entry == number


def _open(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, timeout=BUSY, check_same_thread=False)
    connection.execute("PRAGMA synchronous=FULL")
    return connection
