"""An account's folder: its key stays private and is never lost, and one shell at a time is in it."""

import asyncio
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from shell.datafolder import DataFolder
from shell.errors import DataFolderError
from tests.unit.line.lines import PATIENCE
from tests.unit.test_datafolder import ALICE, TICKET_KEY
from wire.certificates import make_identity


def test_a_key_that_others_may_read_is_taken_away_from_them(tmp_path: Path) -> None:
    account = DataFolder(tmp_path / "data").account(TICKET_KEY, ALICE)
    identity = make_identity("alice")
    account.save(identity)
    account.key_file.chmod(0o644)
    assert account.identity("alice") == identity
    assert stat.S_IMODE(account.key_file.stat().st_mode) == 0o600
    assert stat.S_IMODE(account.key_file.parent.stat().st_mode) == 0o700


def test_another_key_is_replaced_only_when_asked_and_is_kept(tmp_path: Path) -> None:
    account = DataFolder(tmp_path).account(TICKET_KEY, ALICE)
    here, backup = make_identity("alice"), make_identity("alice")
    assert account.restore(here, replace=False) is None
    assert account.restore(here, replace=False) is None, "the same key is no other one"
    with pytest.raises(DataFolderError, match="--replace"):
        account.restore(backup, replace=False)
    assert account.identity("alice") == here
    kept = account.restore(backup, replace=True)
    assert account.identity("alice") == backup
    assert kept is not None
    assert kept.read_bytes() == here.certificate_pem + here.key_pem
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    again = account.restore(make_identity("alice"), replace=True)
    assert again is not None
    assert again.read_bytes() == backup.certificate_pem + backup.key_pem
    assert kept.read_bytes() == here.certificate_pem + here.key_pem, "the first one is there all the same"


def test_a_key_file_that_is_cut_off_or_mixed_up_is_damaged(tmp_path: Path) -> None:
    account = DataFolder(tmp_path).account(TICKET_KEY, ALICE)
    identity = make_identity("alice")
    account.save(identity)
    whole = account.key_file.read_bytes()
    mixed = identity.certificate_pem + make_identity("alice").key_pem
    for content in (b"", whole[: len(whole) // 3], whole[:-60], identity.key_pem, mixed):
        account.key_file.write_bytes(content)
        with pytest.raises(DataFolderError, match="damaged"):
            account.identity("alice")


async def until(true: Callable[[], bool]) -> None:
    """Of what another thread does."""
    async with asyncio.timeout(PATIENCE):
        while not true():  # noqa: ASYNC110 - nothing tells of it
            await asyncio.sleep(0.001)


def test_one_shell_at_a_time_is_in_an_account(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shell.accountfolder.CLAIM_PATIENCE", 0.2)
    here = DataFolder(tmp_path).account(TICKET_KEY, ALICE)
    there = DataFolder(tmp_path).account(TICKET_KEY, ALICE)

    async def talk() -> None:
        await here.claim()
        with pytest.raises(DataFolderError, match="Another shell is in this account"):
            await there.claim()
        interrupted = asyncio.create_task(there.claim())
        await until(lambda: there._lock >= 0)
        interrupted.cancel()
        await asyncio.gather(interrupted, return_exceptions=True)
        assert there._lock < 0, "whoever stops waiting keeps no file open"
        waiting = asyncio.create_task(there.claim())
        await until(lambda: there._lock >= 0)
        here.release()
        await waiting
        there.release()
        await here.claim()
        here.release()

    asyncio.run(talk())


def test_whoever_waits_for_a_folder_that_is_cleared_has_the_new_one_alone(tmp_path: Path) -> None:
    first, second, third = (DataFolder(tmp_path).account(TICKET_KEY, ALICE) for _ in range(3))

    async def talk() -> None:
        await first.claim()
        first.save(make_identity("alice"))
        waiting = asyncio.create_task(second.claim())
        await until(lambda: second._lock >= 0)  # it has the lock file open
        first.clear([first.key_file])
        assert not first.mailbox.parent.exists()
        first.release()
        await waiting
        assert not third._take_lock()
        second.release()
        await third.claim()
        third.release()

    asyncio.run(talk())


def test_a_lock_that_cannot_be_is_said_in_one_line(tmp_path: Path) -> None:
    account = DataFolder(tmp_path).account(TICKET_KEY, ALICE)
    (account.mailbox.parent / "in-use.lock").mkdir(parents=True)
    with pytest.raises(DataFolderError, match="cannot be written"):
        asyncio.run(account.claim())
