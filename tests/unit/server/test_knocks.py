"""Knocks wait on disk, one for each caller, and are handed over once; they tell nobody who is there."""

import asyncio
from collections.abc import Coroutine
from pathlib import Path
from typing import Any, cast

import pytest

from server.client import Client
from server.embedded import EmbeddedPhoneBook
from server.knocks import MAX_KNOCKS, UNHEARD, Knocks
from shell.datafolder import DataFolder
from shell.phonebook import PhoneBook
from tests.unit.server.test_phonebook import PASSWORD, settings
from wire.certificates import make_identity
from wire.messages import Done, Knock, Knocked, Message, SetBlocked, SetVisibility, Visibility
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


def test_a_knock_of_somebody_who_is_blocked_is_never_handed_over(tmp_path: Path) -> None:
    async def work() -> None:
        knocks = Knocks(tmp_path / "knocks.db")
        await knocks.leave(BOB, "alice", UNHEARD)
        await knocks.leave(BOB, "carol", 1.0)
        assert await knocks.take(BOB, 0.0) == [Knocked("carol", 1.0)]
        knocks.close()

    asyncio.run(work())


def test_a_knock_does_the_same_for_hidden_offline_and_blocked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("server.service.HAND_OVER", (60.0, 60.0), raising=False)

    def client(name: str) -> PhoneBook:
        return PhoneBook(address, DataFolder(tmp_path / name))

    async def knock(name: str) -> list[str]:
        """What is done on disk until the second of two knocks is answered; on the phone book's thread."""
        done: list[str] = []
        session = book.server.directory.session_of(name_key("alice"))
        assert session is not None
        connection = book.server.performer.bound.get(session.id)
        assert connection is not None
        writing = book.server.knocks._connection
        writing.set_trace_callback(
            lambda statement: done.append(statement.partition("(")[0].replace(name, ""))
        )
        for _ in range(2):
            assert await answered(connection.client, Knock(name)) == Done()
        writing.set_trace_callback(None)
        return done

    async def answered(asker: Client, request: Message) -> Message:
        return await cast(Coroutine[Any, Any, Message], book.server.service.answer(asker, request))

    async def work() -> None:
        async with client("alice") as alice, client("bob") as hidden, client("carol") as blocking:
            await alice.signup("alice", PASSWORD, make_identity("alice"))
            await hidden.signup("bob", PASSWORD, make_identity("bob"))
            await hidden.request(SetVisibility(Visibility.HIDDEN), Done)
            await blocking.signup("carol", PASSWORD, make_identity("carol"))
            await blocking.request(SetBlocked(("alice",)), Done)
            async with client("dave") as gone:
                await gone.signup("dave", PASSWORD, make_identity("dave"))
                await gone.logout()
            hidden_did, blocking_did, offline_did = [
                await asyncio.to_thread(book.call, knock(name)) for name in ("bob", "carol", "dave")
            ]
            assert hidden_did == offline_did
            assert blocking_did == offline_did
            assert len(offline_did) > 1

    with EmbeddedPhoneBook(settings(tmp_path)) as book:
        address = "{}:{}".format(*book.address)
        asyncio.run(work())
