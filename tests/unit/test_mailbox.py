"""When the mailbox waits for the disk, and when it need not."""

import asyncio
import sqlite3
import threading
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from time import time

import pytest

from shell import finding
from shell.errors import MailboxFailed
from shell.finding import Span
from shell.line.effects import KeepIncoming, KeepOutgoing, KeepState
from shell.line.model import Incoming, Kept, MessageId, Outgoing, State
from shell.mailbox import CONFIRM_AFTER, NOTE_AFTER, SCHEMA_VERSION, WAL_BYTES, Mailbox
from tests.unit.line.lines import PATIENCE
from wire.names import NameKey

MAILBOXES = Path(__file__).parent / "mailboxes"
BOB = NameKey("bob")
OUT = KeepOutgoing(Outgoing(MessageId(bytes(16)), BOB, "hello", 1.0))
DELIVERED = KeepState(OUT.message.id, BOB, State.DELIVERED)
IN = KeepIncoming(Incoming(MessageId(bytes(16)), BOB, "hello", 1.0), 1)


@pytest.fixture
def mailbox(tmp_path: Path) -> Iterator[Mailbox]:
    opened = Mailbox(tmp_path / "mailbox.db")
    yield opened
    opened.close()


def commits(mailbox: Mailbox, work: Callable[[], Awaitable[object]]) -> list[str]:
    """How each commit that changed something was made: `FULL` waits for the disk, `NORMAL` does not."""
    made: list[str] = []
    mode = "FULL"

    def seen(statement: str) -> None:
        nonlocal mode
        if statement.startswith("PRAGMA synchronous="):
            mode = statement.partition("=")[2]
        elif statement.startswith(("INSERT", "UPDATE", "PRAGMA user_version=")):
            made.append(mode)

    async def watched() -> None:
        await mailbox.read(lambda connection: connection.set_trace_callback(seen))
        await work()
        await mailbox.read(lambda connection: connection.set_trace_callback(None))

    asyncio.run(watched())
    return made


def test_what_others_are_told_waits_for_the_disk(mailbox: Mailbox) -> None:
    assert commits(mailbox, lambda: mailbox.keep([IN])) == ["FULL"]
    assert set(commits(mailbox, lambda: mailbox.keep([OUT, IN]))) == {"FULL"}


def test_ones_own_message_waits_only_before_it_is_called_queued(mailbox: Mailbox) -> None:
    async def write() -> None:
        await mailbox.keep([OUT])
        await mailbox.settle()
        await mailbox.settle()  # everything is confirmed: nothing is left to do

    assert commits(mailbox, write) == ["NORMAL", "FULL"]


def test_a_quiet_moment_confirms_by_itself(mailbox: Mailbox) -> None:
    async def write_and_rest() -> None:
        await mailbox.keep([OUT])
        async with asyncio.timeout(PATIENCE):
            while mailbox._unconfirmed:  # noqa: ASYNC110 - another thread's
                await asyncio.sleep(CONFIRM_AFTER / 10)

    assert commits(mailbox, write_and_rest) == ["NORMAL", "FULL"]


def state(connection: sqlite3.Connection) -> str:
    """Of the one message."""
    return str(connection.execute("SELECT state FROM messages").fetchone()[0])


def test_what_became_of_a_message_goes_to_disk_along_with_the_next(mailbox: Mailbox) -> None:
    begun: list[str] = []

    async def write() -> None:
        await mailbox.keep([OUT])
        await mailbox.read(lambda connection: connection.set_trace_callback(begun.append))
        mailbox.note([DELIVERED])
        await mailbox.keep([IN])
        await mailbox.read(lambda connection: connection.set_trace_callback(None))

    asyncio.run(write())
    kept = [
        statement.split()[0] for statement in begun if statement.startswith(("UPDATE", "INSERT", "COMMIT"))
    ]
    assert kept[kept.index("UPDATE") :] == ["UPDATE", "INSERT", "COMMIT"]


def test_what_became_of_a_message_is_read_at_once(mailbox: Mailbox) -> None:
    async def write() -> str:
        await mailbox.keep([OUT])
        mailbox.note([DELIVERED])
        return await mailbox.read(state)

    assert asyncio.run(write()) == "delivered"


def test_what_became_of_the_last_message_is_committed_when_nothing_follows(mailbox: Mailbox) -> None:
    async def write_and_rest() -> None:
        await mailbox.keep([OUT])
        mailbox.note([DELIVERED])
        async with asyncio.timeout(PATIENCE):
            while mailbox._notes or mailbox._unconfirmed:  # noqa: ASYNC110 - another thread's
                await asyncio.sleep(NOTE_AFTER / 10)

    assert set(commits(mailbox, write_and_rest)) == {"NORMAL", "FULL"}


def test_what_became_of_a_message_survives_the_end_and_a_refusal(tmp_path: Path) -> None:
    path = tmp_path / "mailbox.db"
    mailbox = Mailbox(path)

    def refuse(connection: sqlite3.Connection) -> None:
        raise sqlite3.OperationalError("disk I/O error")

    async def write() -> None:
        await mailbox.keep([OUT])
        mailbox.note([DELIVERED])
        with pytest.raises(MailboxFailed):
            await mailbox.read(refuse)

    asyncio.run(write())
    mailbox.close()
    assert state(sqlite3.connect(path)) == "delivered"


def test_a_log_of_full_length_is_read_as_any_other(tmp_path: Path) -> None:
    path = tmp_path / "mailbox.db"
    mailbox = Mailbox(path)
    log_file = tmp_path / "mailbox.db-wal"
    asyncio.run(mailbox.keep([OUT, IN]))
    assert log_file.stat().st_size == WAL_BYTES
    # As after kill -9: the log is there, and nobody put it into the database.
    copy = tmp_path / "copy.db"
    copy.write_bytes(path.read_bytes())
    (tmp_path / "copy.db-wal").write_bytes(log_file.read_bytes())
    mailbox.close()
    reopened = sqlite3.connect(copy)
    assert reopened.execute("SELECT outgoing, text FROM messages").fetchall() == [(1, "hello"), (0, "hello")]
    reopened.close()


def test_a_mailbox_of_every_old_version_is_read_and_nothing_of_it_counts_as_old(tmp_path: Path) -> None:
    for version in range(1, SCHEMA_VERSION):
        path = tmp_path / f"mailbox-{version}.db"
        with sqlite3.connect(path) as old:
            old.executescript((MAILBOXES / f"mailbox-{version}.sql").read_text(encoding="utf-8"))
        old.close()
        for _ in ("brought up to date", "as it is"):
            mailbox = Mailbox(path)
            assert (
                asyncio.run(mailbox.read(lambda connection: finding.expire(connection, time() - PATIENCE)))
                == 0
            )
            letters = asyncio.run(mailbox.read(lambda connection: finding.history(connection, Span(), 10)))
            mailbox.close()
            assert [(letter.name, letter.text, letter.written) for letter in letters] == [
                ("Bob", "an old word", 1700000000.5),
                ("Bob", "an old answer", 5.0),
            ]
        mailbox = Mailbox(path)
        assert asyncio.run(mailbox.keep([OUT, IN])) == [None, Kept.NEW]
        assert (
            asyncio.run(mailbox.read(lambda connection: finding.expire(connection, time() + PATIENCE))) == 2
        )
        mailbox.close()


def test_an_old_mailbox_that_cannot_be_brought_up_to_date_is_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "mailbox.db"
    with sqlite3.connect(path) as old:
        old.executescript((MAILBOXES / "mailbox-1.sql").read_text(encoding="utf-8"))
        old.execute("ALTER TABLE messages RENAME TO elsewhere")
    old.close()
    with pytest.raises(MailboxFailed, match="cannot be opened"):
        Mailbox(path)
    with sqlite3.connect(path) as old:
        assert old.execute("PRAGMA user_version").fetchone() == (1,)
    old.close()


def test_one_that_cannot_be_kept_takes_no_other_along(mailbox: Mailbox) -> None:
    impossible = KeepIncoming(Incoming(MessageId(b"x" * 16), BOB, "hello", float("nan")), 1)

    async def both() -> tuple[object, object]:
        begun, go_on = threading.Event(), threading.Event()

        def hold(connection: sqlite3.Connection) -> None:
            begun.set()
            go_on.wait(PATIENCE)

        held = asyncio.create_task(mailbox.read(hold))
        await asyncio.to_thread(begun.wait, PATIENCE)
        kept = asyncio.gather(mailbox.keep([impossible]), mailbox.keep([IN]), return_exceptions=True)
        await asyncio.sleep(0)
        go_on.set()
        await held
        return await kept

    refused, kept = asyncio.run(both())
    assert isinstance(refused, MailboxFailed)
    assert kept == [Kept.NEW]
