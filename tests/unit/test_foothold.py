"""What a login puts on the disk before it asks: never at the cost of what another one has there."""

import asyncio
from pathlib import Path

import pytest

from shell.accountfolder import AccountFolder, KnownAccount
from shell.disk import on_disk
from shell.errors import DataFolderError
from shell.foothold import foothold
from tests.unit.line.lines import PATIENCE
from wire.certificates import make_identity
from wire.errors import ErrorCode, Refused
from wire.messages import Visibility

HERE = KnownAccount("alice")


async def enter(folder: AccountFolder, refused: ErrorCode | None = None) -> None:
    """A login that the phone book lets in, unless it is refused."""
    try:
        async with foothold(folder, make_identity("alice"), HERE) as mailbox:
            if refused is not None:
                raise Refused(refused, "no")
    finally:
        folder.release()
    if mailbox is not None:
        await on_disk(mailbox.close)


def files(path: Path) -> set[str]:
    return {file.name for file in path.iterdir()} if path.exists() else set()


def test_a_login_that_comes_second_clears_nothing_of_the_first(tmp_path: Path) -> None:
    path = tmp_path / "account"

    async def race() -> None:
        first, second = AccountFolder(path), AccountFolder(path)
        await first.claim()
        coming = asyncio.create_task(enter(second))
        async with asyncio.timeout(PATIENCE):
            while second._lock < 0:  # noqa: ASYNC110 - nothing tells that it waits
                await asyncio.sleep(0.001)
        async with foothold(first, make_identity("alice"), HERE) as mailbox:
            pass
        assert mailbox is not None
        await on_disk(mailbox.close)
        kept = files(path)
        first.release()
        with pytest.raises(DataFolderError, match="Another shell"):
            await coming
        assert files(path) == kept
        assert "identity.pem" in kept

    asyncio.run(race())


@pytest.mark.parametrize("code", [ErrorCode.STORAGE_FAILED, ErrorCode.BANNED, ErrorCode.INTERNAL_ERROR])
def test_a_refusal_that_may_come_after_the_account_leaves_its_key(tmp_path: Path, code: ErrorCode) -> None:
    with pytest.raises(Refused):
        asyncio.run(enter(AccountFolder(tmp_path / "account"), code))
    assert "identity.pem" in files(tmp_path / "account")


def test_a_refusal_that_comes_before_it_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(Refused):
        asyncio.run(enter(AccountFolder(tmp_path / "account"), ErrorCode.NAME_TAKEN))
    assert files(tmp_path / "account") == set()


def test_what_was_known_of_an_account_is_still_known(tmp_path: Path) -> None:
    folder = AccountFolder(tmp_path)
    known = KnownAccount("Alice", Visibility.HIDDEN, 4242)
    folder.remember(known)
    with pytest.raises(Refused):
        asyncio.run(enter(folder, ErrorCode.WRONG_CREDENTIALS))
    assert folder.known() == known
