"""What the mailbox refuses has not happened: nothing of it is said to others, or done later."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from shell.errors import MailboxFailed
from shell.events import FileOffered, StorageFailed
from shell.line import files
from shell.line.transfer import Phase, Transfer
from tests.unit.line.lines import PATIENCE, Person, offered, over, two
from wire.frames import LineClose, StopReason
from wire.names import name_key


def fill(person: Person, patch: pytest.MonkeyPatch) -> list[Callable[..., Any]]:
    """From now on the disk of somebody takes nothing; what was asked of it in vain."""
    refused: list[Callable[..., Any]] = []

    async def refuse(question: Callable[..., Any]) -> Any:
        refused.append(question)
        raise MailboxFailed("The disk is full.")

    patch.setattr(person.mailbox, "read", refuse)
    return refused


async def lose_line(alice: Person, bob: Person) -> None:
    """Until there is another one, and what is said first on it was heard."""
    channel = alice.line.channel_to(name_key(bob.name))
    if channel is not None:
        alice.line.drop(channel, LineClose.DONE, "as a test wants it")
    for one, other in ((alice, bob), (bob, alice)):
        await one.line.settled(await one.line.write(other.name, "hello"), 20.0)


def phases(person: Person) -> list[Phase]:
    return [transfer.phase for transfer in person.line.files.core]


def test_a_file_that_could_not_be_offered_is_not_offered_later(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("x")

    async def talk() -> None:
        town, alice, bob = await two(tmp_path)
        with pytest.MonkeyPatch.context() as patch:
            fill(alice, patch)
            with pytest.raises(MailboxFailed):
                await alice.line.files.send("bob", tmp_path / "secret")
        await lose_line(alice, bob)
        assert phases(alice) == []
        (tmp_path / "other").write_text("y")
        await alice.line.files.send("bob", tmp_path / "other")
        await offered(bob)
        assert [event.title for event in bob.told(FileOffered) if isinstance(event, FileOffered)] == ["other"]
        for person in (alice, bob):
            await town.leave(person)

    asyncio.run(talk())


def test_what_could_not_be_taken_or_ended_is_as_before(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("x")

    async def talk() -> None:
        town, alice, bob = await two(tmp_path)
        sent = await alice.line.files.send("bob", tmp_path / "a")
        number = (await offered(bob)).number
        with pytest.MonkeyPatch.context() as patch:
            fill(bob, patch)
            for action in (bob.line.files.take, bob.line.files.end):
                with pytest.raises(MailboxFailed):
                    await action(number)
                assert phases(bob) == [Phase.OFFERED]
        await lose_line(alice, bob)
        assert phases(alice) == phases(bob) == [Phase.OFFERED]
        taken = await bob.line.files.take(number)
        assert (await over(bob, taken)).phase is Phase.DONE
        assert (await over(alice, sent)).phase is Phase.DONE
        for person in (alice, bob):
            await town.leave(person)

    asyncio.run(talk())


def test_what_arrived_and_could_not_be_noted_arrives_once(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("x")

    async def talk() -> None:
        town, alice, bob = await two(tmp_path)
        sent = await alice.line.files.send("bob", tmp_path / "a")
        taken = await bob.line.files.take((await offered(bob)).number)
        with pytest.MonkeyPatch.context() as patch:
            fill(bob, patch)
            await bob.until(lambda events: bool(bob.told(StorageFailed)))
            assert phases(bob) == phases(alice) == [Phase.MOVING]
        await lose_line(alice, bob)
        assert (await over(bob, taken)).path == str(bob.folder / "a")
        assert (await over(alice, sent)).phase is Phase.DONE
        assert [path.name for path in bob.folder.iterdir()] == ["a"]
        for person in (alice, bob):
            await town.leave(person)

    asyncio.run(talk())


def test_what_could_not_be_noted_is_noted_on_the_same_line_when_the_disk_takes_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "NOTE_PAUSES", (0.001,) * 10_000)
    (tmp_path / "a").write_text("x")

    async def talk() -> None:
        town, alice, bob = await two(tmp_path)
        sent = await alice.line.files.send("bob", tmp_path / "a")
        taken = await bob.line.files.take((await offered(bob)).number)
        channel = bob.line.channel_to(name_key("alice"))
        with pytest.MonkeyPatch.context() as patch:
            tries = fill(bob, patch)
            async with asyncio.timeout(PATIENCE):
                while len(tries) < 3:  # noqa: ASYNC110 - nothing tells of it
                    await asyncio.sleep(0.001)
        assert (await over(bob, taken)).path == str(bob.folder / "a")
        assert (await over(alice, sent)).phase is Phase.DONE
        assert bob.line.channel_to(name_key("alice")) is channel
        assert len(bob.told(StorageFailed)) == 1
        for person in (alice, bob):
            await town.leave(person)

    asyncio.run(talk())


def test_what_waits_to_be_noted_is_cancelled_and_holds_no_session_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "NOTE_PAUSES", (2 * PATIENCE,))
    (tmp_path / "a").write_text("x")

    async def talk() -> None:
        town, alice, bob = await two(tmp_path)

        async def arrives_in_vain(patch: pytest.MonkeyPatch) -> Transfer:
            await alice.line.files.send("bob", tmp_path / "a")
            taken = await bob.line.files.take((await offered(bob)).number)
            fill(bob, patch)
            await bob.until(lambda events: bool(bob.told(StorageFailed)))
            bob.events.clear()
            return taken

        with pytest.MonkeyPatch.context() as patch:
            taken = await arrives_in_vain(patch)
        assert (await bob.line.files.end(taken.number)).phase is Phase.STOPPED
        async with asyncio.timeout(PATIENCE):
            with pytest.MonkeyPatch.context() as patch:
                await arrives_in_vain(patch)
                for person in (alice, bob):
                    await town.leave(person)

    asyncio.run(talk())


def test_a_file_that_filled_the_disk_is_gone_before_that_is_noted(tmp_path: Path) -> None:
    with (tmp_path / "large").open("wb") as file:
        file.truncate(1_000_000)

    async def talk() -> None:
        town, alice, bob = await two(tmp_path)
        sent = await alice.line.files.send("bob", tmp_path / "large")
        number = (await offered(bob)).number
        keep = bob.mailbox.read

        async def read(question: Callable[..., Any]) -> Any:
            if list(bob.folder.glob(".*.part")):
                raise MailboxFailed("The disk is full.")
            return await keep(question)

        def write(descriptor: int, data: bytes, offset: int) -> int:
            bob.mailbox.read = read  # type: ignore[method-assign]
            raise OSError(28, "No space left on device")

        taken = await bob.line.files.take(number)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("os.pwrite", write)
            assert (await over(bob, taken)).reason is StopReason.DISK_FAILED
        assert (await over(alice, sent)).reason is StopReason.DISK_FAILED
        assert list(bob.folder.iterdir()) == []
        for person in (alice, bob):
            await town.leave(person)

    asyncio.run(talk())
