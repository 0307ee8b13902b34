"""Folders that arrive while something ends it: they are there whole, once, or not at all."""

import asyncio
import hashlib
import os
import tarfile
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from shell.events import FileStopped
from shell.line import sink, unpacking
from shell.line.transfer import Phase, Transfer, TransferId
from tests.unit.line.lines import PATIENCE, Person, Town, offered, over, two
from wire.frames import LineClose, StopReason, TransferKind
from wire.names import NameKey, name_key

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
    """What is in somebody's folder; `os.walk` bears that it is being swept meanwhile."""
    found = (
        Path(folder, name) for folder, *both in os.walk(person.folder) for names in both for name in names
    )
    return sorted(path.relative_to(person.folder).as_posix() for path in found)


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


class Killed(BaseException):
    """As if the shell had got kill -9."""


@pytest.mark.parametrize("content", [b"x", b""])
@pytest.mark.parametrize("killed_at", ["nothing", "name", "content"])
def test_a_file_arrives_once_on_a_disk_of_one_name_for_each_file_whenever_the_shell_is_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, killed_at: str, content: bytes
) -> None:
    """It is killed when that much of it was there."""
    folder = tmp_path / "files"
    folder.mkdir()
    (folder / "a").touch()  # somebody else's
    made = Transfer(
        TransferId(bytes(16)), 1, NameKey("bob"), "bob", False, TransferKind.FILE, "a", len(content)
    )

    def refuse(path: Path, target: Path) -> None:
        if path.exists():
            raise FileExistsError
        raise PermissionError

    def kill_before_name(path: Path, flags: int, mode: int = 0o777) -> int:
        if Path(path).name == "a (2)":
            raise Killed
        return opened(path, flags, mode)

    def kill_before_content(path: Path, target: Path) -> None:
        raise Killed

    def kill_after_content(path: Path, target: Path) -> None:
        replaced(path, target)
        raise Killed

    opened, replaced = os.open, Path.replace
    monkeypatch.setattr(Path, "hardlink_to", refuse)

    async def take() -> None:
        with ThreadPoolExecutor(1) as writers:
            first = sink.DiskSink(folder, made, writers)
            await first.open()
            await first.write([content])
            with monkeypatch.context() as patch:
                match killed_at:
                    case "nothing":
                        patch.setattr(os, "open", kill_before_name)
                    case "name":
                        patch.setattr(Path, "replace", kill_before_content)
                    case _:
                        patch.setattr(Path, "replace", kill_after_content)
                with pytest.raises(Killed):
                    await first.finish(hashlib.sha256(content).digest())
            again = sink.DiskSink(folder, made, writers)
            saved = await again.saved()
            if killed_at == "nothing":
                assert saved is None
                assert await again.open() == len(content)
                saved = await again.finish(hashlib.sha256(content).digest())
            assert saved == str(folder / "a (2)")
            if killed_at == "content" and content:  # and it is moved away before that is noted
                (folder / "a (2)").rename(tmp_path / "elsewhere")
                third = sink.DiskSink(folder, made, writers)
                assert await third.saved() is None
                assert await third.open() == 0
                third.close()
                (folder / "a (2)").touch()
                assert await sink.DiskSink(folder, made, writers).saved() is None, "it has not arrived again"
                (tmp_path / "elsewhere").replace(folder / "a (2)")
            await again.settle()
            assert sorted(path.name for path in folder.iterdir()) == ["a", "a (2)"]
            assert [(folder / name).read_bytes() for name in ("a", "a (2)")] == [b"", content]

    asyncio.run(take())


@pytest.mark.parametrize("kind", [TransferKind.FILE, TransferKind.FOLDER])
def test_what_got_its_name_is_found_whatever_it_is_called_now(tmp_path: Path, kind: TransferKind) -> None:
    content = b"x" if kind is TransferKind.FILE else bytes(2 * tarfile.BLOCKSIZE)
    folder = tmp_path / "files"
    made = Transfer(TransferId(bytes(16)), 1, NameKey("bob"), "bob", False, kind, "a", len(content))

    async def take() -> None:
        with ThreadPoolExecutor(1) as writers:

            def next_run() -> sink.DiskSink:
                return sink.DiskSink(folder, made, writers)

            first = next_run()
            assert await first.saved() is None
            await first.open()
            await first.write([content])
            assert await first.finish(hashlib.sha256(content).digest()) == str(folder / "a")
            assert await next_run().saved() == str(folder / "a")
            (folder / "a").rename(folder / "b")
            assert await next_run().saved() == str(folder / "b")
            (folder / "b").rename(tmp_path / "elsewhere")
            again = next_run()
            assert await again.saved() is None
            # What is written from now on does not reach what was moved away.
            assert await again.open() == (0 if kind is TransferKind.FILE else len(content))
            await again.discard()
            assert list(folder.iterdir()) == []
            assert (tmp_path / "elsewhere").exists()

    asyncio.run(take())


def test_what_a_killed_shell_left_of_what_is_over_is_swept(tmp_path: Path) -> None:
    async def talk() -> None:
        town, alice, bob = await two(tmp_path)
        sent = await alice.line.files.send("bob", plans(tmp_path))
        taken = await bob.line.files.take((await offered(bob)).number)
        assert (await over(bob, taken)).phase is Phase.DONE
        assert (await over(alice, sent)).phase is Phase.DONE
        await town.leave(bob)
        part = f".{taken.id.hex()}.part"
        (bob.folder / part).write_text("left")
        (bob.folder / "plans" / part).write_text("")
        (bob.folder / f".{taken.id.hex()}.folder").mkdir()
        (bob.folder / f".{taken.id.hex()}.name").write_text("plans\n")
        (bob.folder / f".{bytes(16).hex()}.part").write_text("of somebody else")
        bob = await town.enter(Person("bob", tmp_path, town, bob.identity))
        async with asyncio.timeout(PATIENCE):
            while held(bob) != [f".{bytes(16).hex()}.part", *WHOLE]:  # noqa: ASYNC110 - nothing tells of it
                await asyncio.sleep(0.001)
        for person in (alice, bob):
            await town.leave(person)

    asyncio.run(talk())


def test_whoever_stops_waiting_leaves_nothing_half_done(tmp_path: Path) -> None:
    async def talk() -> None:
        town, alice, bob = await two(tmp_path)
        sent = await alice.line.files.send("bob", plans(tmp_path))
        number = (await offered(bob)).number
        slow = threading.Event()
        busy = asyncio.create_task(bob.mailbox.read(lambda connection: slow.wait(PATIENCE)))
        ending = asyncio.create_task(bob.line.files.end(number))
        while not bob.line.files.core.numbered(number).over:  # noqa: ASYNC110 - nothing tells of it
            await asyncio.sleep(0)
        ending.cancel()
        await asyncio.gather(ending, return_exceptions=True)
        slow.set()
        await busy
        assert (await over(alice, sent)).reason is StopReason.DECLINED
        for person in (alice, bob):
            await town.leave(person)

    asyncio.run(talk())
