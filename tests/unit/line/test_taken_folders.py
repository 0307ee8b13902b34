"""Folders that arrive while something ends it: they are there whole, once, or not at all."""

import asyncio
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from shell.events import FileStopped
from shell.line import sink, unpacking
from shell.line.transfer import Phase, Transfer
from tests.unit.line.lines import PATIENCE, Person, Town, offered, over, two
from wire.frames import LineClose, StopReason
from wire.names import name_key

GoOn = Callable[[], None]


class Unpacking:
    """Unpacking on a disk that is as slow as a test wants it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.begun, self.go = threading.Event(), threading.Event()
        monkeypatch.setattr(sink, "unpack", self._unpack)

    def _unpack(self, archive: Path, folder: Path, go_on: GoOn) -> None:
        unpacking.unpack(archive, folder, go_on)
        self.begun.set()
        until = time.monotonic() + PATIENCE
        while not self.go.wait(0.001):
            go_on()
            assert time.monotonic() < until, "nothing ended it"

    async def until_begun(self) -> None:
        assert await asyncio.to_thread(self.begun.wait, PATIENCE)


def plans(folder: Path) -> Path:
    (folder / "plans" / "deep").mkdir(parents=True)
    (folder / "plans" / "a.txt").write_text("a")
    (folder / "plans" / "deep" / "b.txt").write_text("b")
    return folder / "plans"


def held(person: Person) -> list[str]:
    return sorted(path.relative_to(person.folder).as_posix() for path in person.folder.rglob("*"))


WHOLE = ["plans", "plans/a.txt", "plans/deep", "plans/deep/b.txt"]


async def unpacking_begins(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> tuple[Unpacking, Town, Person, Person, Transfer, Transfer]:
    slow = Unpacking(monkeypatch)
    town, alice, bob = await two(folder)
    sent = await alice.line.files.send("bob", plans(folder))
    taken = await bob.line.files.take((await offered(bob)).number)
    await slow.until_begun()
    return slow, town, alice, bob, sent, taken


@pytest.mark.parametrize("by_sender", [True, False])
def test_what_is_cancelled_while_it_is_unpacked_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, by_sender: bool
) -> None:
    async def talk() -> None:
        _, town, alice, bob, sent, taken = await unpacking_begins(tmp_path, monkeypatch)
        await (alice.line.files.end(sent.number) if by_sender else bob.line.files.end(taken.number))
        assert (await over(bob, taken)).reason is StopReason.CANCELLED
        if by_sender:
            await bob.until(lambda events: bool(bob.told(FileStopped)))
        assert held(bob) == []
        assert (await over(alice, sent)).reason is StopReason.CANCELLED
        for person in (alice, bob):
            await town.leave(person)

    asyncio.run(talk())


def test_whoever_quits_waits_for_no_unpacking_and_it_goes_on_next_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def talk() -> None:
        slow, town, alice, bob, sent, taken = await unpacking_begins(tmp_path, monkeypatch)
        await town.leave(bob)
        assert [path.name for path in bob.folder.iterdir() if path.name[0] != "."] == []
        slow.go.set()
        bob = await town.enter(Person("bob", tmp_path, town, bob.identity))
        assert (await over(bob, taken)).path == str(bob.folder / "plans")
        assert (await over(alice, sent)).phase is Phase.DONE
        assert held(bob) == WHOLE
        for person in (alice, bob):
            await town.leave(person)

    asyncio.run(talk())


def test_a_line_that_is_lost_while_it_is_unpacked_brings_it_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def talk() -> None:
        slow, town, alice, bob, sent, taken = await unpacking_begins(tmp_path, monkeypatch)
        channel = bob.line.channel_to(name_key("alice"))
        assert channel is not None
        bob.line.drop(channel, LineClose.DONE, "as a test wants it")
        slow.go.set()
        assert (await over(bob, taken)).path == str(bob.folder / "plans")
        assert (await over(alice, sent)).phase is Phase.DONE
        assert held(bob) == WHOLE
        for person in (alice, bob):
            await town.leave(person)

    asyncio.run(talk())


def test_what_nobody_foresaw_ends_a_transfer_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(archive: Path, folder: Path, go_on: GoOn) -> None:
        (folder / "a.txt").write_text("half of it")
        raise RecursionError

    monkeypatch.setattr(sink, "unpack", fail)

    async def talk() -> None:
        town, alice, bob = await two(tmp_path)
        sent = await alice.line.files.send("bob", plans(tmp_path))
        taken = await bob.line.files.take((await offered(bob)).number)
        assert (await over(bob, taken)).reason is StopReason.DISK_FAILED
        assert (await over(alice, sent)).reason is StopReason.DISK_FAILED
        assert held(bob) == []
        for person in (alice, bob):
            await town.leave(person)

    asyncio.run(talk())


def test_a_disk_of_one_name_for_each_file_takes_files_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(path: Path, target: Path) -> None:
        raise PermissionError

    monkeypatch.setattr(Path, "hardlink_to", refuse)
    (tmp_path / "a.txt").write_text("new")

    async def talk() -> None:
        town, alice, bob = await two(tmp_path)
        bob.folder.mkdir()
        (bob.folder / "a.txt").write_text("old")
        await alice.line.files.send("bob", tmp_path / "a.txt")
        taken = await bob.line.files.take((await offered(bob)).number)
        assert (await over(bob, taken)).path == str(bob.folder / "a (2).txt")
        assert held(bob) == ["a (2).txt", "a.txt"]
        assert [(bob.folder / name).read_text() for name in held(bob)] == ["new", "old"]
        for person in (alice, bob):
            await town.leave(person)

    asyncio.run(talk())
