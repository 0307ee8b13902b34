"""Knocks that wait for somebody: who wants to talk, and since when; no words. SQLite in WAL mode.

Every knock is written before it is answered, whether somebody is there or not, so that the answer says
nothing about that. A knock is a hint: it survives kill -9 (`synchronous=NORMAL`), not always power loss.
"""

import asyncio
import math
import sqlite3
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from server.errors import DataFolderError
from wire.errors import ErrorCode, Refused
from wire.messages import Knocked
from wire.names import NameKey, name_key

T = TypeVar("T")

UNHEARD = -math.inf  # the time of a knock of somebody who is blocked: older than any account
MAX_KNOCKS = 100  # people who may wait for one account; beyond, the oldest knock goes

_SCHEMA = """
CREATE TABLE IF NOT EXISTS knocks (
    callee TEXT NOT NULL, caller TEXT NOT NULL, name TEXT NOT NULL, time REAL NOT NULL,
    PRIMARY KEY (callee, caller)
) WITHOUT ROWID
"""


class Knocks:
    """The knocks of all accounts."""

    def __init__(self, path: Path) -> None:
        """Raises `DataFolderError`."""
        self._thread = ThreadPoolExecutor(1, "knocks")
        try:
            self._connection = self._thread.submit(_open, path).result()
        except sqlite3.Error as error:
            self._thread.shutdown()
            raise DataFolderError(f"The knocks in {path} cannot be opened: {error}.") from None

    def close(self) -> None:
        """Ends the thread after what was begun."""
        self._thread.submit(self._connection.close)
        self._thread.shutdown()

    async def leave(self, callee: NameKey, caller: str, when: float) -> None:
        """Keeps a knock, one for each caller; one of `UNHEARD` is written as all are, and never handed over.

        Raises `Refused(STORAGE_FAILED)`.
        """

        def write() -> None:
            with self._connection:
                self._connection.execute(
                    "INSERT OR REPLACE INTO knocks (callee, caller, name, time) VALUES (?, ?, ?, ?)",
                    (callee, name_key(caller), caller, when),
                )
                self._connection.execute(
                    "DELETE FROM knocks WHERE callee = ?1 AND caller NOT IN"
                    " (SELECT caller FROM knocks WHERE callee = ?1 ORDER BY time DESC LIMIT ?2)",
                    (callee, MAX_KNOCKS),
                )

        await self._run(write)

    async def take(self, callee: NameKey, since: float) -> list[Knocked]:
        """The knocks for somebody whose account is from `since`, oldest first; they are gone then.

        Raises `Refused(STORAGE_FAILED)`.
        """

        def take() -> list[tuple[str, float]]:
            with self._connection:
                rows: list[tuple[str, float]] = self._connection.execute(
                    "DELETE FROM knocks WHERE callee = ? RETURNING name, time", (callee,)
                ).fetchall()
            return rows

        rows = sorted(await self._run(take), key=lambda row: row[1])
        return [Knocked(name, when) for name, when in rows if when >= since]

    async def _run(self, work: Callable[[], T]) -> T:
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, work)
        except sqlite3.Error as error:
            raise Refused(
                ErrorCode.STORAGE_FAILED, f"The phone book could not keep that ({error})."
            ) from None


def _open(path: Path) -> sqlite3.Connection:
    path.touch(mode=0o600)
    connection = sqlite3.connect(path, check_same_thread=False)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=NORMAL")
    connection.execute(_SCHEMA)
    return connection
