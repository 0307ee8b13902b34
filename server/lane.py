"""One thread of a database with one connection: what is asked of it while it works is done in its next turn.

A turn of changes is one transaction, so that many who wait share one commit, and one `fsync`.
"""

import asyncio
import sqlite3
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

T = TypeVar("T")
Work = Callable[[sqlite3.Connection], T]

TURN = 256  # pieces of work in one turn at most, so that the first of them do not wait long for the last


class Lane:
    """Does work in the order it was asked. All methods but `close` run on the event loop's thread."""

    def __init__(self, name: str, opened: Callable[[], sqlite3.Connection], *, changes: bool) -> None:
        """Opens the connection on the thread; raises what `opened` raises. Without `changes` it reads."""
        self._changes = changes
        self._thread = ThreadPoolExecutor(1, name)
        self._waiting: list[tuple[Work[Any], asyncio.Future[Any]]] = []
        self._busy = self._closed = False
        try:
            self._connection = self._thread.submit(opened).result()
        except BaseException:
            self._thread.shutdown()
            raise

    def close(self) -> None:
        """Ends the thread after what was begun."""
        self._closed = True
        self._thread.submit(self._connection.close)
        self._thread.shutdown()

    @property
    def waiting(self) -> int:
        """How much work waits for a turn."""
        return len(self._waiting)

    async def run(self, work: Work[T]) -> T:
        """What the work returns, or raises, once its turn is committed. Raises `sqlite3.Error`."""
        if self._closed:
            raise sqlite3.ProgrammingError("it is closed")
        done: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._waiting.append((work, done))
        if not self._busy:
            self._begin_turn()
        return await done

    def _begin_turn(self) -> None:
        self._busy = True
        turn, self._waiting = self._waiting[:TURN], self._waiting[TURN:]
        works = [work for work, _ in turn]
        outcomes = asyncio.get_running_loop().run_in_executor(self._thread, self._do, works)

        def settle(outcomes: asyncio.Future[list[Any]]) -> None:
            self._busy = False
            if self._waiting and not self._closed:
                self._begin_turn()
            failed = outcomes.exception()
            for index, (_, done) in enumerate(turn):
                outcome = failed or outcomes.result()[index]
                if done.done():  # nobody waits for it any more
                    continue
                if isinstance(outcome, BaseException):
                    done.set_exception(outcome)
                else:
                    done.set_result(outcome)

        outcomes.add_done_callback(settle)

    def _do(self, works: list[Work[Any]]) -> list[Any]:
        """On the thread: for each its result, or the error that undid it and nothing else."""
        if not self._changes:
            return [_outcome(work, self._connection) for work in works]
        outcomes: list[Any] = []
        with self._connection:
            self._connection.execute("BEGIN IMMEDIATE")
            for work in works:
                self._connection.execute("SAVEPOINT work")
                outcomes.append(_outcome(work, self._connection))
                if isinstance(outcomes[-1], Exception):
                    # Where a full disk undid the whole turn, this raises, and all of the turn fail.
                    self._connection.execute("ROLLBACK TO work")
                self._connection.execute("RELEASE work")
        return outcomes


def _outcome(work: Work[Any], connection: sqlite3.Connection) -> Any:
    try:
        return work(connection)
    except Exception as error:  # the edge of one piece of work: whoever asked for it gets it raised
        return error
