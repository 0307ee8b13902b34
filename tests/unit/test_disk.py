"""What the event loop leaves to other threads is done to its end; and it leaves all of it to them."""

import asyncio
import os
import sys
import threading
import traceback
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest

from server.embedded import EmbeddedPhoneBook
from server.settings import ServerSettings
from shell.api import Entered, Visibility, enter
from shell.datafolder import DataFolder
from shell.disk import on_disk, opened
from shell.errors import DataFolderError, NotConnected
from shell.events import FileOffered
from shell.line.transfer import Phase
from shell.phonebook import PhoneBook
from shell.visibility import Seen
from tests.unit.line.lines import PATIENCE

PASSWORD = "a password of no worth"
ROOT = Path(__file__).parents[2]
DISK = frozenset(
    [
        "open",
        "os.chmod",
        "os.link",
        "os.listdir",
        "os.mkdir",
        "os.remove",
        "os.rename",
        "os.rmdir",
        "os.scandir",
        "os.truncate",
        "sqlite3.connect",
    ]
)
"""What CPython tells of work with files (https://docs.python.org/3/library/audit_events.html)."""


class Watch:
    """Counts what threads do with files below a folder, by where in the code."""

    def __init__(self) -> None:
        self.folder: str | None = None
        self.threads: set[int] = set()
        self.seen: Counter[str] = Counter()
        sys.addaudithook(self._hook)  # which stays as long as the process

    def _hook(self, event: str, arguments: tuple[object, ...]) -> None:
        if self.folder is None or event not in DISK or threading.get_ident() not in self.threads:
            return
        paths = (os.fsdecode(path) for path in arguments if isinstance(path, str | bytes | os.PathLike))
        if any(path.startswith(self.folder) for path in paths):
            ours = [frame for frame in traceback.extract_stack() if frame.filename.startswith(str(ROOT))]
            self.seen[f"{event}: {' < '.join(f'{frame.name} {frame.lineno}' for frame in ours[-2::-1])}"] += 1


@pytest.fixture(scope="module")
def watch() -> Watch:
    return Watch()


@pytest.fixture
def book(tmp_path: Path) -> Iterator[EmbeddedPhoneBook]:
    settings = ServerSettings(
        listen="127.0.0.1:0", data=str(tmp_path / "server"), argon2_time=1, argon2_memory_kib=8_192
    )
    started = EmbeddedPhoneBook(settings)
    yield started
    started.stop()


async def until_offered(somebody: Entered) -> AsyncIterator[FileOffered]:
    """What is offered, once."""
    async for event in somebody:
        if isinstance(event, FileOffered):
            yield event
            return


def test_no_event_loop_works_with_the_disk(book: EmbeddedPhoneBook, watch: Watch, tmp_path: Path) -> None:
    host, port = book.address
    server = f"{host}:{port}"
    plan = tmp_path / "plan.txt"
    plan.write_text("a plan")

    async def talk() -> None:
        watch.threads = {threading.get_ident()}
        watch.threads |= {
            thread.ident or 0 for thread in threading.enumerate() if thread.name == "phone-book"
        }
        assert len(watch.threads) == 2
        watch.folder = str(tmp_path)
        async with (
            enter("alice", PASSWORD, server=server, data=tmp_path / "alice", signup=True) as alice,
            enter("bob", PASSWORD, server=server, data=tmp_path / "bob", signup=True) as bob,
        ):
            await bob.line.accept("alice")
            assert (await alice.send("bob", "hello", patience=PATIENCE)).value == "delivered"
            await alice.line.accept("bob")
            sent = await alice.line.files.send("bob", plan)
            offers = [event.number async for event in until_offered(bob)]
            await bob.line.files.take(offers[-1])
            assert (await alice.line.files.over(sent.number)).phase is Phase.DONE
            await alice.appearance.set(Seen(Visibility.BUSY), 2**31)
            await alice.logout()
            await alice.login("alice", PASSWORD)
            assert alice.appearance.until == 2**31

    try:
        asyncio.run(talk())
    finally:
        watch.folder = None
    assert not watch.seen


def test_the_watch_sees_what_an_event_loop_would_do(watch: Watch, tmp_path: Path) -> None:
    async def write() -> None:
        watch.threads, watch.folder = {threading.get_ident()}, str(tmp_path)
        (tmp_path / "file").write_text("written")

    try:
        asyncio.run(write())
    finally:
        watch.folder = None
    assert sum(watch.seen.values()) == 1
    watch.seen.clear()


class Slow:
    """Work that takes until it is let go."""

    def __init__(self) -> None:
        self.begun, self.go, self.done = threading.Event(), threading.Event(), False

    def work(self) -> "Slow":
        self.begun.set()
        assert self.go.wait(PATIENCE)
        self.done = True
        return self


@pytest.mark.parametrize("way", [on_disk, lambda work: opened(work, lambda slow: None)])
def test_whoever_is_cancelled_is_so_when_it_is_done(way: Callable[..., object]) -> None:
    async def cancel() -> None:
        slow = Slow()

        async def wait() -> None:
            await way(slow.work)  # type: ignore[misc]

        waiting = asyncio.create_task(wait())
        assert await asyncio.to_thread(slow.begun.wait, PATIENCE)
        waiting.cancel()
        await asyncio.sleep(0)
        assert not waiting.done()
        slow.go.set()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        assert slow.done

    asyncio.run(cancel())


def test_what_was_opened_for_whoever_is_cancelled_is_closed() -> None:
    async def cancel() -> None:
        slow, closed = Slow(), list[Slow]()
        waiting = asyncio.create_task(opened(slow.work, closed.append))
        assert await asyncio.to_thread(slow.begun.wait, PATIENCE)
        waiting.cancel()
        slow.go.set()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        assert closed == [slow]

    asyncio.run(cancel())


def test_what_the_disk_refuses_is_raised() -> None:
    def refuse() -> None:
        raise DataFolderError("refused")

    with pytest.raises(DataFolderError, match="refused"):
        asyncio.run(on_disk(refuse))


def test_a_connection_that_is_lost_while_the_disk_works_is_none(
    book: EmbeddedPhoneBook, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    host, port = book.address
    folder = DataFolder(tmp_path / "alice")
    monkeypatch.setattr(folder, "remember_phone_book", lambda *known: book.stop())

    async def connect() -> None:
        phone_book = PhoneBook(f"{host}:{port}", folder)
        with pytest.raises(NotConnected):
            await phone_book.connect()
        assert not phone_book.connected

    asyncio.run(connect())


def test_a_second_cancellation_does_not_end_the_wait() -> None:
    async def cancel() -> None:
        slow, closed = Slow(), list[Slow]()
        waiting = asyncio.create_task(opened(slow.work, closed.append))
        assert await asyncio.to_thread(slow.begun.wait, PATIENCE)
        for _ in range(2):
            waiting.cancel()
            await asyncio.sleep(0)
            await asyncio.sleep(0)
        assert not waiting.done()
        slow.go.set()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        assert closed == [slow]

    asyncio.run(cancel())
