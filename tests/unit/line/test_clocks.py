"""Setting a clock, at any time, harms neither what was written nor what the phone book signed."""

import asyncio
import time
from functools import partial
from pathlib import Path

import pytest

from shell.datafolder import DataFolder
from shell.phonebook import PhoneBook
from tests.unit.line.lines import PATIENCE, two
from tests.unit.line.test_line import texts

YEAR = 365 * 86_400


def jumped(seconds: float) -> float:
    return time.monotonic() + seconds


def test_setting_the_clock_changes_neither_order_nor_number(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def talk() -> None:
        town, alice, bob = await two(tmp_path)
        jumps = (0, YEAR, -20 * YEAR, 5, -5)
        for jump in jumps:
            monkeypatch.setattr("shell.line.line.time", partial(jumped, jump))
            await alice.line.write("bob", f"jump {jump}")
            await bob.line.write("alice", f"jump {jump}")
        for reader in (alice, bob):
            await reader.until(partial(lambda person, events: len(texts(person)) == len(jumps), reader))
            assert texts(reader) == [f"jump {jump}" for jump in jumps]
        for person in (alice, bob):
            await town.leave(person)

    asyncio.run(talk())


def test_the_phone_books_clock_goes_on_whatever_is_set_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    book = PhoneBook("192.0.2.1", DataFolder(tmp_path))
    before = book.now()
    monkeypatch.setattr("shell.phonebook.time", lambda: 0.0)
    assert 0 <= book.now() - before < PATIENCE
