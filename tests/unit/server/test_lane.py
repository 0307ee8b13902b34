"""Changes share commits without sharing their failures."""

import asyncio
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from server import accounts
from server.account import Account, AccountId
from server.accounts import SqliteAccounts
from server.lane import TURN, Lane
from wire.names import NameKey, name_key


@pytest.fixture
def statements() -> list[str]:
    return []


@pytest.fixture
def lane(tmp_path: Path, statements: list[str]) -> Iterator[Lane]:
    def opened() -> sqlite3.Connection:
        connection = sqlite3.connect(tmp_path / "test.db", check_same_thread=False, isolation_level=None)
        connection.execute("CREATE TABLE numbers (n INTEGER UNIQUE)")
        connection.set_trace_callback(statements.append)
        return connection

    made = Lane("test", opened, changes=True)
    yield made
    made.close()


def adding(*numbers: int) -> Callable[[sqlite3.Connection], int]:
    def work(connection: sqlite3.Connection) -> int:
        for number in numbers:
            connection.execute("INSERT INTO numbers VALUES (?)", (number,))
        return sum(numbers)

    return work


def kept(connection: sqlite3.Connection) -> list[int]:
    return [row[0] for row in connection.execute("SELECT n FROM numbers ORDER BY n")]


def test_changes_that_wait_share_a_commit(lane: Lane, statements: list[str]) -> None:
    async def work() -> None:
        count = 2 * TURN
        results = await asyncio.gather(*(lane.run(adding(number)) for number in range(count)))
        assert results == list(range(count))
        # The first turn has what was there when it began; the others all that waited, up to the bound.
        assert statements.count("COMMIT") <= 4
        assert await lane.run(kept) == list(range(count))

    asyncio.run(work())


def test_a_change_that_fails_undoes_itself_alone(lane: Lane) -> None:
    def broken(connection: sqlite3.Connection) -> None:
        connection.execute("INSERT INTO numbers VALUES (50)")
        raise KeyError("an account that is gone")

    async def work() -> None:
        first = asyncio.gather(
            lane.run(adding(1)),
            lane.run(adding(2, 3, 1)),
            lane.run(broken),
            lane.run(adding(4)),
            return_exceptions=True,
        )
        one, twice, gone, four = await first
        assert (one, four) == (1, 4)
        assert isinstance(twice, sqlite3.IntegrityError)
        assert isinstance(gone, KeyError)
        assert await lane.run(kept) == [1, 4]

    asyncio.run(work())


def test_whoever_stops_waiting_keeps_nobody_else_from_an_answer(lane: Lane) -> None:
    async def work() -> None:
        given_up = asyncio.create_task(lane.run(adding(1)))
        waiting = asyncio.create_task(lane.run(adding(2)))
        await asyncio.sleep(0)
        given_up.cancel()
        assert await waiting == 2
        assert given_up.cancelled() or await asyncio.wait([given_up])

    asyncio.run(work())


def test_what_was_confirmed_is_read(tmp_path: Path) -> None:
    async def work() -> None:
        store = SqliteAccounts(tmp_path / "accounts.db")

        async def one(name: str) -> None:
            made = await store.create(Account(AccountId(0), NameKey(name), name, "", 1.0, bytes(32)))
            for number in range(1, 6):
                await store.update(made.id, last_seen=float(number), new_epoch=True)
                by_key, by_id = await asyncio.gather(store.find(made.key), store.get(made.id))
                assert by_key is not None
                assert by_key == by_id
                assert (by_key.last_seen, by_key.epoch) == (float(number), number)

        await asyncio.gather(*(one(f"person{chr(97 + number)}") for number in range(12)))
        assert len(await store.find_all([name_key("persona"), name_key("nobody"), name_key("personb")])) == 2
        store.close()

    asyncio.run(work())


def test_a_pattern_is_looked_for_in_turns(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(accounts, "SCAN", 3)
    names = [f"{first}.{second}" for first in "bcdfg" for second in "hklmn"]

    async def work() -> None:
        store = SqliteAccounts(tmp_path / "accounts.db")
        for name in names:
            await store.create(Account(AccountId(0), NameKey(name), name, "", 1.0, bytes(32)))
        for pattern, expected in (
            ("*", sorted(names)),
            ("*.m", [f"{first}.m" for first in "bcdfg"]),
            ("c.?", [f"c.{second}" for second in "hklmn"]),
            ("g*n", ["g.n"]),
            ("*z*", []),
        ):
            found: list[str] = []
            while page := await store.page(NameKey(found[-1] if found else ""), pattern, 2):
                found += [account.name for account in page]
            assert found == expected, pattern
        store.close()

    asyncio.run(work())
