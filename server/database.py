"""Databases of the data folder: SQLite in WAL mode, every commit on disk, and a version with its steps.

The table `versions` says how far a database has come. Each step is one transaction: an upgrade that is cut
short by a crash or a full disk leaves the database as it was.
"""

import sqlite3
from collections.abc import Sequence
from pathlib import Path
from time import time

_VERSIONS = "CREATE TABLE IF NOT EXISTS versions (version INTEGER PRIMARY KEY, reached REAL NOT NULL)"


def open_database(path: Path, steps: Sequence[str]) -> sqlite3.Connection:
    """The database, brought up to date; `steps[n]` is the SQL that leads from version n to n + 1.

    The connection serves any one thread at a time. Raises `sqlite3.Error`.
    """
    path.touch(mode=0o600)
    connection = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
    try:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=FULL")
        _upgrade(connection, steps)
    except BaseException:
        connection.close()
        raise
    connection.isolation_level = "DEFERRED"  # from here on, `with connection` is a transaction
    return connection


def version_of(connection: sqlite3.Connection) -> int:
    """How far a database has come; 0 for an empty one."""
    connection.execute(_VERSIONS)
    return int(connection.execute("SELECT coalesce(max(version), 0) FROM versions").fetchone()[0])


def snapshot(source: Path, target: Path) -> None:
    """Copies a database as it is at one moment, while others write to it. Raises `sqlite3.Error`."""
    reading = sqlite3.connect(f"{source.absolute().as_uri()}?mode=ro", uri=True)
    writing = sqlite3.connect(target)
    try:
        reading.backup(writing)  # all pages in one step: one read transaction of WAL, which blocks no writer
        writing.execute("PRAGMA journal_mode=DELETE")  # one file is all there is
    finally:
        writing.close()
        reading.close()


def _upgrade(connection: sqlite3.Connection, steps: Sequence[str]) -> None:
    version = version_of(connection)
    if version > len(steps):
        raise sqlite3.DatabaseError(
            f"a newer Parley wrote it (version {version}, this one knows {len(steps)}); update this one"
        )
    for number, step in enumerate(steps[version:], start=version + 1):
        connection.executescript(
            f"BEGIN IMMEDIATE;{step};INSERT INTO versions VALUES ({number}, {time()});COMMIT;"
        )
