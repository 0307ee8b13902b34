"""What is kept of files on their way: the SQL of the table `transfers`. Runs on the mailbox's thread."""

import sqlite3

from shell.line.transfer import MAX_REMEMBERED, Phase, Transfer, TransferId
from wire.frames import StopReason, TransferKind
from wire.names import NameKey

SCHEMA = """
CREATE TABLE transfers (
    id BLOB PRIMARY KEY, number INTEGER NOT NULL, peer TEXT NOT NULL, name TEXT NOT NULL,
    outgoing INTEGER NOT NULL, kind TEXT NOT NULL, title TEXT NOT NULL, size INTEGER,
    path TEXT NOT NULL, stamp TEXT NOT NULL, phase TEXT NOT NULL, reason TEXT
);
"""


def keep_transfers(connection: sqlite3.Connection, transfers: list[Transfer]) -> None:
    """What is known of transfers now; those that were over long ago are forgotten."""
    connection.executemany(
        "INSERT OR REPLACE INTO transfers VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        [
            (
                transfer.id,
                transfer.number,
                transfer.peer,
                transfer.name,
                transfer.outgoing,
                transfer.kind.value,
                transfer.title,
                transfer.size,
                transfer.path,
                transfer.stamp,
                transfer.phase.value,
                transfer.reason.value if transfer.reason else None,
            )
            for transfer in transfers
        ],
    )
    connection.execute(
        "DELETE FROM transfers WHERE phase NOT IN ('offered', 'moving') AND number <= ?",
        (max(transfer.number for transfer in transfers) - MAX_REMEMBERED,),
    )


def transfers(connection: sqlite3.Connection) -> list[Transfer]:
    """Those that are not over, and the last ones that are, oldest first."""
    rows = connection.execute("SELECT * FROM transfers ORDER BY number")
    return [
        Transfer(
            TransferId(id_),
            number,
            NameKey(peer),
            name,
            bool(outgoing),
            TransferKind(kind),
            title,
            size,
            path,
            stamp,
            Phase(phase),
            StopReason(reason) if reason else None,
        )
        for id_, number, peer, name, outgoing, kind, title, size, path, stamp, phase, reason in rows
    ]
