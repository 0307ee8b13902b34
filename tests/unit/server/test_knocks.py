"""Knocks wait on disk, one for each caller, and are handed over once."""

import asyncio
from pathlib import Path

from server.knocks import MAX_KNOCKS, Knocks
from wire.messages import Knocked
from wire.names import name_key

BOB = name_key("bob")


def test_a_knock_survives_a_restart_and_comes_once(tmp_path: Path) -> None:
    async def leave() -> None:
        knocks = Knocks(tmp_path / "knocks.db")
        await knocks.leave(BOB, "Alice", 1.0)
        await knocks.leave(BOB, "carol", 2.0)
        await knocks.leave(BOB, "alice", 3.0)
        knocks.close()

    async def take() -> None:
        knocks = Knocks(tmp_path / "knocks.db")
        assert await knocks.take(BOB, 0.0) == [Knocked("carol", 2.0), Knocked("alice", 3.0)]
        assert await knocks.take(BOB, 0.0) == []
        knocks.close()

    asyncio.run(leave())
    asyncio.run(take())


def test_knocks_for_an_older_account_of_the_name_are_not_handed_over(tmp_path: Path) -> None:
    async def work() -> None:
        knocks = Knocks(tmp_path / "knocks.db")
        await knocks.leave(BOB, "alice", 1.0)
        assert await knocks.take(BOB, 2.0) == []
        knocks.close()

    asyncio.run(work())


def test_many_knocks_are_bounded_and_the_oldest_go(tmp_path: Path) -> None:
    async def work() -> None:
        knocks = Knocks(tmp_path / "knocks.db")
        for number in range(MAX_KNOCKS + 5):
            await knocks.leave(BOB, f"caller{number}", float(number))
        taken = await knocks.take(BOB, 0.0)
        assert [knocked.time for knocked in taken] == [float(number) for number in range(5, MAX_KNOCKS + 5)]
        knocks.close()

    asyncio.run(work())
