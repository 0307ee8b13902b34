"""Databases grow up: from every old version, step by step, whole or not at all."""

import re
import sqlite3
import threading
import time
from pathlib import Path

import pytest

from server.accounts import SqliteAccounts, read_all
from server.database import open_database, snapshot, version_of
from server.ledger import SqliteLedger
from server.schema import STEPS
from wire.messages import Visibility

PATIENCE = 60.0  # seconds
DUMPS = Path(__file__).parent / "databases"
MADE_UP = ("CREATE TABLE t (a)", "ALTER TABLE t ADD COLUMN b DEFAULT 7", "CREATE TABLE u AS SELECT b FROM t")


def dumps() -> list[Path]:
    return sorted(DUMPS.glob("accounts-*.sql"))


def test_there_is_a_database_of_every_version_to_test_with() -> None:
    found = [int(re.findall(r"\d+", dump.name)[0]) for dump in dumps()]
    assert found == list(range(1, len(STEPS) + 1)), "dump a version before it changes: sqlite3 .dump"


@pytest.mark.parametrize("dump", dumps(), ids=lambda dump: dump.stem)
def test_accounts_of_every_old_version_are_read(dump: Path, tmp_path: Path) -> None:
    path = tmp_path / "accounts.db"
    with sqlite3.connect(path) as old:
        old.executescript(dump.read_text(encoding="utf-8"))
    old.close()
    SqliteAccounts(path).close()
    alice, bob = read_all(path)
    assert (alice.name, alice.epoch, alice.visibility) == ("Alice", 3, Visibility.CONTACTS)
    assert alice.allowed == ("bob", "carol")
    assert alice.blocked == ({"eve": 1763990000.5} if dump.stem.endswith("-3") else {})
    assert (bob.created, bob.last_seen, bob.fingerprint) == (1763990000.25, 1764000000.5, bytes(range(32)))
    again = sqlite3.connect(path)
    assert version_of(again) == len(STEPS)
    again.close()
    ledger = SqliteLedger(path)
    assert (ledger.last, ledger.registration) == (0, None)
    ledger.close()


def test_an_upgrade_makes_nobody_idle_and_gives_no_number_again(tmp_path: Path) -> None:
    path = tmp_path / "accounts.db"
    with sqlite3.connect(path) as old:
        old.executescript((DUMPS / "accounts-1.sql").read_text(encoding="utf-8"))
    old.close()
    began = time.time()
    SqliteAccounts(path).close()
    alice, bob = read_all(path)
    assert all(abs(account.active - began) < PATIENCE for account in (alice, bob))
    with sqlite3.connect(path) as now:
        now.execute("DELETE FROM accounts WHERE id = 2")
        assert now.execute("SELECT seq FROM sqlite_sequence WHERE name = 'accounts'").fetchone() == (2,)
    now.close()


@pytest.mark.parametrize("start", range(len(MADE_UP)))
def test_every_step_is_taken_once(tmp_path: Path, start: int) -> None:
    old = open_database(tmp_path / "x.db", MADE_UP[:start])
    if start:
        with old:
            old.execute("INSERT INTO t (a) VALUES (1)")
    old.close()
    for _ in range(2):
        new = open_database(tmp_path / "x.db", MADE_UP)
        assert version_of(new) == len(MADE_UP)
        assert new.execute("SELECT a, b FROM t").fetchall() == ([(1, 7)] if start else [])
        new.close()


def test_a_step_that_fails_leaves_everything_as_it_was(tmp_path: Path) -> None:
    open_database(tmp_path / "x.db", MADE_UP[:1]).close()
    with pytest.raises(sqlite3.Error):
        open_database(tmp_path / "x.db", (*MADE_UP[:1], "CREATE TABLE v (a); INSERT INTO nowhere VALUES (1)"))
    old = open_database(tmp_path / "x.db", MADE_UP[:1])
    assert version_of(old) == 1
    assert old.execute("SELECT count(*) FROM sqlite_master WHERE name = 'v'").fetchone() == (0,)
    old.close()


def test_a_newer_database_is_refused_and_left_alone(tmp_path: Path) -> None:
    open_database(tmp_path / "x.db", MADE_UP).close()
    before = (tmp_path / "x.db").read_bytes()
    with pytest.raises(sqlite3.Error, match="newer"):
        open_database(tmp_path / "x.db", MADE_UP[:2])
    assert (tmp_path / "x.db").read_bytes() == before


def test_a_snapshot_is_one_moment_of_a_database_that_is_written_to(tmp_path: Path) -> None:
    database = open_database(tmp_path / "x.db", ("CREATE TABLE pairs (one, other)",))
    ended = threading.Event()

    def write() -> None:
        number = 0
        while not ended.is_set():
            with database:
                database.execute("INSERT INTO pairs VALUES (?, ?)", (number, number))
                database.execute("UPDATE pairs SET other = other + 1, one = one + 1")
            number += 1

    writer = threading.Thread(target=write)
    writer.start()
    try:
        for number in range(10):
            snapshot(tmp_path / "x.db", tmp_path / f"{number}.db")
    finally:
        ended.set()
        writer.join()
        database.close()
    for number in range(10):
        copy = sqlite3.connect(tmp_path / f"{number}.db")
        assert copy.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        assert copy.execute("SELECT count(*) FROM pairs WHERE one <> other").fetchone() == (0,)
        copy.close()
