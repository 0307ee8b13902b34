"""The data folder: each account has its place, each phone book is known again, and the log is private."""

import logging
import stat
from pathlib import Path

import pytest

from shell.accountfolder import KnownAccount
from shell.datafolder import DataFolder
from shell.main import PrivateLog
from wire.certificates import make_identity
from wire.limits import MAX_NAME
from wire.messages import Visibility
from wire.names import NameKey, check_name, name_key

TICKET_KEY = bytes(32)
ALICE = NameKey("alice")


@pytest.mark.parametrize("name", ["\N{CJK UNIFIED IDEOGRAPH-660E}", "\U00020000"])  # 3 and 4 bytes
def test_the_longest_name_of_every_script_has_a_key_and_a_folder(tmp_path: Path, name: str) -> None:
    folder = DataFolder(tmp_path)
    longest = check_name(name * MAX_NAME)
    accounts = [folder.account(TICKET_KEY, name_key(longest[:length])) for length in (MAX_NAME, MAX_NAME - 1)]
    for account in accounts:
        account.save(make_identity(longest))
    assert accounts[0].identity(longest) != accounts[1].identity(longest)


@pytest.mark.parametrize("key", [".", "..", "../alice", "/", ".alice"])
def test_every_account_has_a_folder_of_its_own_inside(tmp_path: Path, key: str) -> None:
    account = DataFolder(tmp_path / "data").account(TICKET_KEY, NameKey(key))
    book = DataFolder(tmp_path / "data").account(TICKET_KEY, ALICE).mailbox.parent.parent
    assert account.mailbox.resolve().parent.parent == book.resolve()


def test_the_log_is_its_owners_alone_also_after_it_was_rotated(tmp_path: Path) -> None:
    handler = PrivateLog(tmp_path / "parley.log", maxBytes=100, backupCount=1)
    for _ in range(4):
        handler.emit(logging.makeLogRecord({"msg": "x" * 80}))
    handler.close()
    files = list(tmp_path.iterdir())
    assert len(files) == 2
    assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o600}


def test_what_is_known_of_a_phone_book_is_found_by_each_of_its_addresses(tmp_path: Path) -> None:
    folder = DataFolder(tmp_path)
    assert folder.known_phone_book("192.0.2.1:6969", ALICE) is None
    folder.remember_phone_book(TICKET_KEY, "192.0.2.1:6969", 3.0)
    assert folder.known_phone_book("192.0.2.1:6969", ALICE) is None, "no data of this account"
    account = folder.account(TICKET_KEY, ALICE)
    account.save(make_identity("alice"))
    account.remember(KnownAccount("Alice", Visibility.HIDDEN, 7001))
    folder.remember_phone_book(TICKET_KEY, "book.example:6969", 7200.0)
    for address in ("192.0.2.1:6969", "book.example:6969"):
        known = folder.known_phone_book(address, ALICE)
        assert known is not None
        assert (known.ticket_key, known.clock_ahead) == (TICKET_KEY, 7200.0)
    assert account.known() == KnownAccount("Alice", Visibility.HIDDEN, 7001)
    for damaged in ("", "ticket_key = 7", "\x00"):
        next(tmp_path.glob("*/phone-book.toml")).write_text(damaged)
        assert folder.known_phone_book("192.0.2.1:6969", ALICE) is None
