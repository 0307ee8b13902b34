"""A visibility for a while ends by itself, after a restart too, and when the phone book is back."""

import asyncio
from pathlib import Path
from time import time

import pytest

from shell import visibility
from shell.datafolder import AccountFolder
from shell.errors import NotConnected
from shell.visibility import Seen, SeenUntil
from wire.messages import Visibility

PATIENCE = 30.0  # seconds


def folder_in(path: Path) -> AccountFolder:
    (path / "account").mkdir(exist_ok=True)
    return AccountFolder(path / "account")


async def next_change(folder: AccountFolder, *, refused: int = 0, until: float | None = None) -> list[Seen]:
    """What is set when the time is up; `refused` times the phone book is not there."""
    changes: list[Seen] = []
    changed = asyncio.Event()

    async def change(seen: Seen) -> None:
        nonlocal refused
        if refused:
            refused -= 1
            raise NotConnected("The phone book is away.")
        changes.append(seen)
        changed.set()

    seen_until = SeenUntil(folder, change)
    if until is None:
        seen_until.start()
    else:
        seen_until.set(Seen(Visibility.AWAY, ("carol",)), until)
    async with asyncio.timeout(PATIENCE):
        await changed.wait()
    seen_until.stop()
    return changes


def test_it_goes_back_to_what_was_before(tmp_path: Path) -> None:
    folder = folder_in(tmp_path)
    assert asyncio.run(next_change(folder, until=time())) == [Seen(Visibility.AWAY, ("carol",))]


def test_what_ended_while_nobody_was_logged_in_ends_at_the_next_login(tmp_path: Path) -> None:
    async def set_and_leave() -> None:
        async def change(seen: Seen) -> None:
            raise AssertionError(seen)

        seen_until = SeenUntil(folder_in(tmp_path), change)
        seen_until.set(Seen(Visibility.ONLINE), time() + 3600)
        # A second one while the first lasts goes back to where the first began.
        seen_until.set(Seen(Visibility.HIDDEN), time() - 1)
        seen_until.stop()

    asyncio.run(set_and_leave())
    assert asyncio.run(next_change(folder_in(tmp_path))) == [Seen(Visibility.ONLINE)]


def test_it_is_tried_again_when_the_phone_book_is_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(visibility, "LOOK", 0.01)
    changes = asyncio.run(next_change(folder_in(tmp_path), refused=2, until=time()))
    assert changes == [Seen(Visibility.AWAY, ("carol",))]


def test_one_that_is_set_for_good_forgets_the_time(tmp_path: Path) -> None:
    async def work() -> float | None:
        async def change(seen: Seen) -> None:
            raise AssertionError(seen)

        seen_until = SeenUntil(folder_in(tmp_path), change)
        seen_until.set(Seen(Visibility.ONLINE), time() + 3600)
        seen_until.set(Seen(Visibility.BUSY), None)
        return seen_until.when

    assert asyncio.run(work()) is None
    assert folder_in(tmp_path).until() is None


def test_a_damaged_file_is_no_obstacle(tmp_path: Path) -> None:
    folder = folder_in(tmp_path)
    (tmp_path / "account" / "visibility.toml").write_text('when = "soon"')
    assert folder.until() is None
