"""The mailbox: contacts and messages of one account in SQLite, written by one thread with group commit.

Whatever is handed over while a commit runs shares the next one, so a burst of messages costs few of them.
`synchronous=FULL`: what was confirmed survives power loss, not only kill -9.
"""

import asyncio
import logging
import queue
import sqlite3
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

from shell import finding, ledger, letters
from shell.errors import MailboxFailed
from shell.line.effects import (
    DeclineHeld,
    Keep,
    KeepContact,
    KeepIncoming,
    KeepOutgoing,
    KeepRead,
    KeepSeen,
    KeepState,
    ReleaseHeld,
)

log = logging.getLogger(__name__)
T = TypeVar("T")

SCHEMA_VERSION = 1
MAX_GROUP = 256  # jobs that share one commit
MAX_JOBS = 10_000  # jobs that may wait for the disk
BUSY_TIMEOUT = 5.0  # seconds to wait for another process that has the mailbox open

SCHEMA = """
CREATE TABLE contacts (
    key TEXT PRIMARY KEY, name TEXT NOT NULL, consent TEXT NOT NULL,
    pinned BLOB, verified INTEGER NOT NULL, presented BLOB, read BLOB,
    certificate BLOB, endpoints TEXT NOT NULL
) WITHOUT ROWID;
CREATE TABLE messages (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    peer TEXT NOT NULL, outgoing INTEGER NOT NULL, id BLOB NOT NULL,
    text TEXT NOT NULL, written REAL NOT NULL, state TEXT NOT NULL, seen INTEGER NOT NULL DEFAULT 0,
    choices TEXT, answers BLOB NOT NULL DEFAULT x'',
    UNIQUE (peer, outgoing, id)
);
CREATE INDEX unsettled ON messages (peer, number) WHERE state IN ('queued', 'held');
CREATE INDEX read_there ON messages (peer, number) WHERE state = 'read';
CREATE INDEX unseen ON messages (peer) WHERE seen = 0 AND outgoing = 0;
"""

Job = tuple[Callable[[sqlite3.Connection], Any], asyncio.AbstractEventLoop, "asyncio.Future[Any]"]


class Mailbox:
    """One account's mailbox; its methods are awaited on the event loop and run on its own thread."""

    def __init__(self, path: Path) -> None:
        """Opens or makes the file (mode 0600). Raises `MailboxFailed`."""
        self._path = path
        self._jobs: queue.Queue[Job | None] = queue.Queue(MAX_JOBS)
        try:
            path.touch(mode=0o600)
            self._connection = sqlite3.connect(
                path, timeout=BUSY_TIMEOUT, isolation_level=None, check_same_thread=False
            )
            _prepare(self._connection, path)
        except (sqlite3.Error, OSError) as error:
            raise MailboxFailed(f"The mailbox {path} cannot be opened: {error}") from None
        self._thread = threading.Thread(target=self._work, name="mailbox", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Finishes what was handed over and closes the file."""
        self._jobs.put(None)
        self._thread.join()
        self._connection.close()

    async def keep(self, effects: Sequence[Keep]) -> list[Any]:
        """Commits all of it at once; the answers come in the same order.

        Raises `MailboxFailed` where the disk refuses, and then nothing of it was kept.
        """
        return await self.read(lambda connection: [keep(connection, effect) for effect in effects])

    async def read(self, question: Callable[[sqlite3.Connection], T]) -> T:
        """Runs a function on the mailbox's thread, inside a transaction."""
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[T] = loop.create_future()
        try:
            self._jobs.put_nowait((question, loop, answer))
        except queue.Full:
            raise MailboxFailed(f"The disk is too slow: {MAX_JOBS} writes wait.") from None
        return await answer

    def _work(self) -> None:
        ended = False
        while not ended:
            group: list[Job] = []
            job = self._jobs.get()
            while job is not None:
                group.append(job)
                if len(group) >= MAX_GROUP or self._jobs.empty():
                    break
                job = self._jobs.get()
            ended = job is None
            if group:
                self._commit(group)

    def _commit(self, group: list[Job]) -> None:
        try:
            self._connection.execute("BEGIN IMMEDIATE")
            answers = [question(self._connection) for question, _, _ in group]
            self._connection.execute("COMMIT")
        except Exception as error:  # the thread's edge: one bad job must not end it
            if not isinstance(error, sqlite3.Error):
                log.exception("event=mailbox_fault")
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
            failure = MailboxFailed(f"The mailbox {self._path} could not be written: {error}")
            for _, loop, answer in group:
                loop.call_soon_threadsafe(_fail, answer, failure)
            return
        for (_, loop, answer), result in zip(group, answers, strict=True):
            loop.call_soon_threadsafe(_answer, answer, result)


def _answer(future: "asyncio.Future[Any]", result: Any) -> None:
    if not future.done():
        future.set_result(result)


def _fail(future: "asyncio.Future[Any]", failure: Exception) -> None:
    if not future.done():
        future.set_exception(failure)


def _prepare(connection: sqlite3.Connection, path: Path) -> None:
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=FULL")
    connection.execute("PRAGMA secure_delete=ON")  # what is forgotten does not stay in free pages
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    if version > SCHEMA_VERSION:
        raise MailboxFailed(f"The mailbox {path} was written by a newer Parley; update this one.")
    if version == 0:
        connection.executescript(
            f"BEGIN;{SCHEMA}{finding.SCHEMA}{ledger.SCHEMA}PRAGMA user_version={SCHEMA_VERSION};COMMIT;"
        )


def keep(connection: sqlite3.Connection, effect: Keep) -> Any:
    """Writes one thing and answers as its effect says; the caller commits."""
    match effect:
        case KeepOutgoing(message):
            return letters.keep_outgoing(connection, message)
        case KeepIncoming(message):
            return letters.keep_incoming(connection, message)
        case KeepState(message_id, peer, state):
            return letters.keep_state(connection, message_id, peer, state)
        case KeepRead(peer, up_to):
            return letters.keep_read(connection, peer, up_to)
        case KeepSeen(peer):
            return letters.mark_seen(connection, peer)
        case KeepContact(contact):
            return letters.keep_contact(connection, contact)
        case ReleaseHeld(peer):
            return letters.release_held(connection, peer)
        case DeclineHeld(peer):
            return letters.decline_held(connection, peer)
