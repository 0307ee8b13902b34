"""Accounts out and in again: exact, whole or not at all, and what is wrong is named."""

import asyncio
import os
import sqlite3
import tempfile
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from server.account import Account, AccountId
from server.accounts import SqliteAccounts, read_all
from server.embedded import EmbeddedPhoneBook
from server.errors import NameInUse, TransferFailed
from server.transfer import MAX_NUMBER, export_accounts, read_accounts
from shell.datafolder import DataFolder
from shell.phonebook import PhoneBook
from tests.strategies import names
from tests.unit.server.test_phonebook import settings as server_settings
from wire.certificates import make_identity
from wire.limits import MAX_NAME
from wire.messages import Done, SetBlocked, SetVisibility, Visibility
from wire.names import NameKey, name_key, skeleton
from wire.times import MAX_TIME

HASH = "$argon2id$v=19$m=19456,t=2,p=1$c2FsdHNhbHRzYWx0$ZGlnZXN0ZGlnZXN0ZGlnZXN0ZGln"
moments = st.floats(min_value=0, max_value=MAX_TIME)


def account(name: str, number: int = 1, **fields: Any) -> Account:
    made = Account(AccountId(number), name_key(name), name, HASH, 1.5, bytes(range(32)), last_seen=2.5)
    return msgspec.structs.replace(made, **fields)


accounts = st.lists(
    st.builds(
        account,
        names,
        st.integers(1, MAX_NUMBER),
        created=moments,
        last_seen=moments,
        active=moments,
        fingerprint=st.binary(min_size=32, max_size=32),
        visibility=st.sampled_from(Visibility),
        allowed=st.lists(names.map(name_key), max_size=3).map(tuple),
        epoch=st.integers(0, MAX_NUMBER),
    ),
    max_size=8,
    unique_by=(lambda made: made.id, lambda made: skeleton(made.name)),
)


@given(accounts)
def test_what_was_exported_comes_back_exactly(
    tmp_path_factory: pytest.TempPathFactory, made: list[Account]
) -> None:
    folder = tmp_path_factory.mktemp("transfer")
    assert export_accounts(made, folder / "accounts.toml") == len(made)
    assert read_accounts(folder / "accounts.toml") == made
    assert (folder / "accounts.toml").stat().st_mode & 0o777 == 0o600


def test_an_import_exports_to_the_same_bytes(tmp_path: Path) -> None:
    made = [account("alice", 7, allowed=(NameKey("bob"),), epoch=3), account("Bob", 2, created=1.1e9 + 1 / 3)]
    export_accounts(made, tmp_path / "one.toml")
    store = SqliteAccounts(tmp_path / "accounts.db")
    asyncio.run(store.add(read_accounts(tmp_path / "one.toml")))
    export_accounts(read_all(tmp_path / "accounts.db"), tmp_path / "two.toml")
    store.close()
    assert (tmp_path / "one.toml").read_bytes() == (tmp_path / "two.toml").read_bytes()


def test_whatever_members_make_exports_and_imports_to_the_same(tmp_path: Path) -> None:
    book = EmbeddedPhoneBook(server_settings(tmp_path))
    phrase = st.lists(st.text(max_size=MAX_NAME), max_size=5).map(tuple)

    @given(st.sampled_from(Visibility), phrase, phrase)
    @example(Visibility.HIDDEN, ("a b c", "\ufdfa" * MAX_NAME, "ß" * MAX_NAME), ("\ufdfa" * MAX_NAME, "Bob"))
    @settings(max_examples=50, deadline=None)
    def work(visibility: Visibility, allowed: tuple[str, ...], blocked: tuple[str, ...]) -> None:
        async def say() -> None:
            await client.request(SetVisibility(visibility, tuple(filter(None, allowed))), Done)
            await client.request(SetBlocked(tuple(filter(None, blocked))), Done)

        runner.run(say())
        file = Path(tempfile.mkdtemp(dir=tmp_path)) / "accounts.toml"
        made = list(read_all(book.server.accounts.path))
        assert export_accounts(made, file) == 1
        assert read_accounts(file) == made

    with asyncio.Runner() as runner:
        client = PhoneBook("{}:{}".format(*book.address), DataFolder(tmp_path / "client"))
        try:
            runner.run(client.connect())
            runner.run(client.signup("ß" * (MAX_NAME // 2), "correct horse battery", make_identity("alice")))
            work()
        finally:
            runner.run(client.close())
            book.stop()


def test_an_import_that_meets_somebody_changes_nothing(tmp_path: Path) -> None:
    async def work() -> None:
        store = SqliteAccounts(tmp_path / "accounts.db")
        await store.create(account("alice"))
        for twin in (account("A1ice", 9), account("dave", 1)):
            with pytest.raises(NameInUse):
                await store.add([account("bob", 5), twin])
        assert await store.count() == 1
        store.close()

    asyncio.run(work())


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("format = 1", "format = 2", "format 2"),
        ('name = "alice"', 'name = "al ice"', "al ice"),
        ('name = "alice"', 'nickname = "alice"', "nickname"),
        ('name = "bob"', 'name = "a1ice"', ", line 18: name is 'a1ice', which looks like 'alice'."),
        ("id = 8", "id = 7", ", line 17: id is 7, as that of alice."),
        ("id = 7", "id = 99999999999999999999", ", line 4: id is 99999999999999999999: "),
        ("id = 7", f"id = {2**63 - 1}", f", line 4: id is {2**63 - 1}: expected `int` <= {MAX_NUMBER}."),
        ("id = 8", "id = 0", ", line 17: id is 0: expected `int` >= 1."),
        ("epoch = 0", f"epoch = {2**63 - 1}", f"epoch is {2**63 - 1}: expected `int` <= {MAX_NUMBER}."),
        ("created = 1.5", "created = inf", ", line 7: created is inf: expected `float` <= "),
        ("last_seen = 2.5", "last_seen = nan", ", line 8: last_seen is nan: expected `float` >= 0.0."),
        ("active = 0.0", "active = -1.0", "active is -1.0: expected `float` >= 0.0."),
        ("blocked = []", 'blocked = [["carol", inf]]', "blocked is [['carol', inf]]: expected `float` <= "),
        ("$argon2id", "$md5", "Argon2"),
        ('visibility = "online"', 'visibility = "loud"', "loud"),
        ('fingerprint = "00', 'fingerprint = "', "fingerprint"),
        ("[[account]]", "[[account", "TOML"),
        ("allowed = []", 'allowed = ["bo b"]', "bo b"),
        ("created = 1.5", "created = [[[[", "TOML"),
        ("epoch = 0", "epoch = 0\nepoch = 1", "TOML"),
    ],
)
def test_what_is_wrong_is_named_in_one_line(tmp_path: Path, old: str, new: str, words: str) -> None:
    file = tmp_path / "accounts.toml"
    export_accounts([account("alice", 7), account("bob", 8)], file)
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new, 1))
    with pytest.raises(TransferFailed) as caught:
        read_accounts(file)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_an_export_never_overwrites_and_never_stays_half(tmp_path: Path) -> None:
    file = tmp_path / "accounts.toml"
    file.write_text("mine")
    with pytest.raises(TransferFailed, match="exists"):
        export_accounts([], file)
    assert file.read_text() == "mine"
    with pytest.raises(TransferFailed):
        export_accounts(read_all(tmp_path / "nowhere.db"), tmp_path / "new.toml")
    assert not (tmp_path / "new.toml").exists()
    with pytest.raises(TransferFailed, match="no such file"):
        read_accounts(tmp_path / "nowhere.toml")
    with pytest.raises(sqlite3.Error):
        next(read_all(tmp_path / "nowhere.db"))


@pytest.mark.parametrize("endless", ["/dev/zero", "pipe"])
def test_what_is_no_file_is_refused_before_it_is_read(tmp_path: Path, endless: str) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(TransferFailed, match="is no file"):
        read_accounts(tmp_path / endless)
