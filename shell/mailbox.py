"""The mailbox: contacts and messages of one account in SQLite, written by one thread with group commit.

Whatever is handed over while a commit runs shares the next one, so a burst of messages costs few of them.

A commit survives kill -9 as soon as it is made, and power loss once the disk has confirmed it
(`synchronous=FULL`), which takes many times as long. What others are told rests on the latter. Two things
need not wait for it: one's own message on its way, because nobody is told yet that it is safe, and what
became of one, because it would be asked for again. Both are confirmed soon after, or by the next commit that
waits; and `settle` waits, before anybody reads "queued". What became of a message has no commit of its own
where another follows: it goes along.
"""

import asyncio
import contextlib
import logging
import os
import queue
import sqlite3
import threading
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from time import time
from typing import Any, TypeVar

import msgspec

from shell import finding, ledger, letters, roster
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

SCHEMA_VERSION = 2
MAX_GROUP = 256  # jobs that share one commit
MAX_JOBS = 10_000  # jobs that may wait for the disk
MAX_NOTES = 10_000  # notes that may wait; beyond, some are forgotten, and asked for again
NOTE_AFTER = 0.05  # seconds after which notes are committed where nothing took them along
CONFIRM_AGAIN = 2.0  # seconds until that is tried again where the disk refused it
CONFIRM_AFTER = 0.05  # seconds of quiet after which commits that did not wait are confirmed by the disk
WAL_BYTES = 4 * 1024 * 1024 + 64 * 1024  # of the log file between checkpoints, 1,000 pages by default
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
    choices TEXT, answers BLOB NOT NULL DEFAULT x'', kept REAL NOT NULL,
    UNIQUE (peer, outgoing, id)
);
CREATE INDEX unsettled ON messages (peer, number) WHERE state IN ('queued', 'held');
CREATE INDEX read_there ON messages (peer, number) WHERE state = 'read';
CREATE INDEX unseen ON messages (peer) WHERE seen = 0 AND outgoing = 0;
"""
STEPS = (
    # A default of the moment writes no row anew, and nothing counts as old by the upgrade.
    "ALTER TABLE messages ADD COLUMN kept REAL NOT NULL DEFAULT {now}",
)
"""What leads from each version to the next. A step is never changed once it was released, only followed."""


class Job(msgspec.Struct, frozen=True):
    """Something to be done with the file, and who waits for it."""

    question: Callable[[sqlite3.Connection], Any]
    loop: asyncio.AbstractEventLoop
    answer: "asyncio.Future[Any]"
    durable: bool
    """Whether the answer waits for the disk to confirm it."""


class Mailbox:
    """One account's mailbox; its methods are awaited on the event loop and run on its own thread."""

    def __init__(self, path: Path) -> None:
        """Opens or makes the file (mode 0600). Raises `MailboxFailed`."""
        self._path = path
        self._jobs: queue.SimpleQueue[Job | None] = queue.SimpleQueue()
        self._closed = False
        self._handing_over = threading.Lock()  # nothing comes behind the end, which waits on another thread
        self._full = True
        self._unconfirmed = False
        self._confirm_after = CONFIRM_AFTER
        self._notes: deque[KeepState] = deque(maxlen=MAX_NOTES)
        self._noting: asyncio.TimerHandle | None = None
        try:
            path.touch(mode=0o600)
            path.chmod(0o600)  # a copy may have let others in
            self._connection = sqlite3.connect(
                path, timeout=BUSY_TIMEOUT, isolation_level=None, check_same_thread=False
            )
            with contextlib.ExitStack() as unless_ready:
                unless_ready.callback(self._connection.close)
                _prepare(self._connection, path)
                unless_ready.pop_all()
        except (sqlite3.Error, OSError) as error:
            raise MailboxFailed(f"The mailbox {path} cannot be opened: {error}") from None
        self._thread = threading.Thread(target=self._work, name="mailbox", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Finishes what was handed over and closes the file."""
        with self._handing_over:
            self._closed = True
            self._jobs.put(None)
        self._thread.join()
        self._connection.close()

    async def keep(self, effects: Sequence[Keep]) -> list[Any]:
        """Commits all of it at once; the answers come in the same order.

        Raises `MailboxFailed` where the disk refuses, and then nothing of it was kept.
        """
        durable = not all(isinstance(effect, KeepOutgoing) for effect in effects)
        return await self._do(
            lambda connection: [keep(connection, effect) for effect in effects], durable=durable
        )

    def note(self, states: Iterable[KeepState]) -> None:
        """Commits these along with whatever is handed over next, or soon; called on the event loop.

        What is read afterwards has them. Nobody waits for them, as what became of a message would be asked
        for again: so they cost no commit of their own where messages follow each other.
        """
        self._notes.extend(states)
        if self._noting is None:
            self._noting = asyncio.get_running_loop().call_later(NOTE_AFTER, self._commit_notes)

    def _commit_notes(self) -> None:
        self._noting = None
        if self._notes and not self._closed:
            loop = asyncio.get_running_loop()
            answer: asyncio.Future[None] = loop.create_future()
            answer.add_done_callback(asyncio.Future.exception)  # looked at: it is tried again
            self._jobs.put(Job(lambda connection: None, loop, answer, durable=False))

    async def read(self, question: Callable[[sqlite3.Connection], T]) -> T:
        """Runs a function on the mailbox's thread, inside a transaction; what it writes is confirmed."""
        return await self._do(question, durable=True)

    async def settle(self) -> None:
        """Waits until all that was kept survives power loss. Raises `MailboxFailed`."""
        await self._do(lambda connection: None, durable=True)

    async def _do(self, question: Callable[[sqlite3.Connection], T], *, durable: bool) -> T:
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[T] = loop.create_future()
        with self._handing_over:
            if self._closed:
                raise MailboxFailed("The mailbox is closed.")
            if self._jobs.qsize() >= MAX_JOBS:
                raise MailboxFailed(f"The disk is too slow: {MAX_JOBS} writes wait.")
            self._jobs.put(Job(question, loop, answer, durable))
        return await answer

    def _work(self) -> None:
        _lengthen_log(self._connection, self._path)
        ended = False
        while not ended:
            group: list[Job] = []
            try:
                waits = self._unconfirmed or bool(self._notes)
                job = self._jobs.get(timeout=self._confirm_after if waits else None)
            except queue.Empty:
                self._commit([])
                continue
            while job is not None:
                group.append(job)
                if len(group) >= MAX_GROUP or self._jobs.empty():
                    break
                job = self._jobs.get()
            ended = job is None
            if group or ended:
                self._commit(group)

    def _commit(self, group: list[Job]) -> None:
        durable = not group or any(job.durable for job in group)
        notes: list[KeepState] = []
        try:
            self._wait_for_disk(wait=durable)
            before = self._connection.total_changes
            self._connection.execute("BEGIN IMMEDIATE")
            while self._notes:
                notes.append(self._notes.popleft())
                keep(self._connection, notes[-1])
            answers = [job.question(self._connection) for job in group]
            changed = self._connection.total_changes != before
            if durable and self._unconfirmed and not changed:
                # A commit without a change would not reach the disk, and what came before it neither.
                self._connection.execute(f"PRAGMA user_version={SCHEMA_VERSION}")
            self._connection.execute("COMMIT")
        except Exception as error:  # the thread's edge: one bad job must not end it
            if not isinstance(error, sqlite3.Error):
                log.exception("event=mailbox_fault")
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
            self._notes.extendleft(reversed(notes))
            if len(group) > 1 and not isinstance(error, sqlite3.OperationalError):
                # It is not the disk: what is wrong with one of them is no reason to refuse the others.
                for job in group:
                    self._commit([job])
                return
            failure = MailboxFailed(f"The mailbox {self._path} could not be written: {error}")
            _tell(group, [failure] * len(group))
            self._confirm_after = CONFIRM_AGAIN
            return
        self._confirm_after = CONFIRM_AFTER
        self._unconfirmed = not durable and (changed or self._unconfirmed)
        _tell(group, answers)

    def _wait_for_disk(self, *, wait: bool) -> None:
        """Whether the next commit returns only when the disk has confirmed it, and all before it."""
        if wait is not self._full:
            self._connection.execute(f"PRAGMA synchronous={'FULL' if wait else 'NORMAL'}")
            self._full = wait


def _tell(group: list[Job], answers: list[Any]) -> None:
    """Wakes the event loop once for all of them."""
    for loop in {job.loop for job in group}:
        pairs = [(job.answer, answer) for job, answer in zip(group, answers, strict=True) if job.loop is loop]
        loop.call_soon_threadsafe(_answer, pairs)


def _answer(pairs: "list[tuple[asyncio.Future[Any], Any]]") -> None:
    for future, answer in pairs:
        if future.done():
            continue
        if isinstance(answer, MailboxFailed):
            future.set_exception(answer)
        else:
            future.set_result(answer)


def _lengthen_log(connection: sqlite3.Connection, path: Path) -> None:
    """Gives the write-ahead log its full length at once.

    A disk confirms bytes in place two to three times as fast as bytes that make a file longer. Zeros are no
    valid frame, so SQLite takes the log to end before them (https://www.sqlite.org/walformat.html).
    """
    log_file = path.with_name(f"{path.name}-wal")
    try:
        connection.execute("BEGIN IMMEDIATE")  # nobody else writes meanwhile
        length = log_file.stat().st_size
        try:
            with log_file.open("r+b") as file:
                file.seek(length)
                file.write(bytes(max(0, WAL_BYTES - length)))
                file.flush()
                os.fsync(file.fileno())
        except OSError:
            os.truncate(log_file, length)  # on a disk that is all but full, others need the room
            raise
        connection.execute("ROLLBACK")
    except (OSError, sqlite3.Error) as error:  # it is as safe without, only slower
        log.info("event=log_not_lengthened error=%r", error)
        if connection.in_transaction:
            connection.execute("ROLLBACK")


def _prepare(connection: sqlite3.Connection, path: Path) -> None:
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=FULL")
    connection.execute("PRAGMA secure_delete=ON")  # what is forgotten does not stay in free pages
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    if version > SCHEMA_VERSION:
        raise MailboxFailed(f"The mailbox {path} was written by a newer Parley; update this one.")
    if version == 0:
        schema = SCHEMA + finding.SCHEMA + ledger.SCHEMA + roster.SCHEMA
        connection.executescript(f"BEGIN;{schema}PRAGMA user_version={SCHEMA_VERSION};COMMIT;")
    elif version < SCHEMA_VERSION:
        _bring_up_to_date(connection, time())


def _bring_up_to_date(connection: sqlite3.Connection, now: float) -> None:
    """All steps or none; `now` is in seconds since the epoch."""
    connection.execute("BEGIN IMMEDIATE")
    version = connection.execute("PRAGMA user_version").fetchone()[0]  # another process may have been here
    for step in STEPS[version - 1 :]:
        connection.execute(step.replace("{now}", repr(now)))
    connection.execute(f"PRAGMA user_version={SCHEMA_VERSION}")
    connection.execute("COMMIT")


def keep(connection: sqlite3.Connection, effect: Keep) -> Any:
    """Writes one thing and answers as its effect says; the caller commits."""
    match effect:
        case KeepOutgoing(message):
            return letters.keep_outgoing(connection, message)
        case KeepIncoming(message, _, max_held):
            return letters.keep_incoming(connection, message, time(), max_held)
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
