"""What operators change, against a whole phone book and real shells' connections."""

import asyncio
import contextlib
import re
import sqlite3
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import TypeVar

import pytest

from server.access import Registration, Target, target_of
from server.account import AccountId
from server.actions import (
    AnyChange,
    Delete,
    ExportAccounts,
    Failed,
    ImportAccounts,
    Inspect,
    ListAccounts,
    ListBans,
    ListEntries,
    ListInvites,
    MakeBackup,
    MakeInvites,
    PlaceBan,
    Prune,
    ReloadSettings,
    ResetPassword,
    Restore,
    SetRegistration,
    Undo,
    VerifyJournal,
)
from server.codes import code_digest
from server.console_audit import described
from server.embedded import EmbeddedPhoneBook
from server.journal import Entry
from server.ledger import AnyWrite, PutRemoved
from server.operator import LocalOperator
from shell.datafolder import DataFolder
from shell.phonebook import PhoneBook
from tests.unit.server.test_phonebook import PASSWORD, account, fill, settings
from wire.certificates import make_identity
from wire.errors import Banned, ErrorCode, Refused
from wire.messages import CloseReason, Closing, Message, Profile, Session, Visibility, Whois
from wire.names import name_key

T = TypeVar("T")

NEW = "an entirely new one"
SOON = 60.0  # seconds
ALICE, BOB = make_identity("alice"), make_identity("bob")


class House:
    """A phone book, its operator, and clients of it."""

    def __init__(self, folder: Path, **changes: object) -> None:
        self.folder = folder
        self.book = EmbeddedPhoneBook(settings(folder, **changes))
        self.operator = LocalOperator(self.book)
        self.pushed: list[Message] = []
        self._push = asyncio.Event()

    @contextlib.asynccontextmanager
    async def client(self) -> AsyncIterator[PhoneBook]:
        address = "{}:{}".format(*self.book.address)
        async with PhoneBook(address, DataFolder(self.folder / "client"), on_push=self._pushed) as book:
            yield book
            book.session = None  # it is not taken up again

    async def told(self) -> None:
        """Waits for the first push."""
        async with asyncio.timeout(10):
            await self._push.wait()

    def refused(self, attempt: Callable[[PhoneBook], Awaitable[object]]) -> Refused:
        """How an attempt on a connection of its own is refused."""

        async def work() -> Refused:
            try:
                async with self.client() as client:
                    await attempt(client)
            except Refused as error:
                return error
            raise AssertionError("it was not refused")

        return asyncio.run(work())

    def _pushed(self, push: Message) -> None:
        self.pushed.append(push)
        self._push.set()

    def done(self, attempt: Callable[[PhoneBook], Awaitable[T]]) -> T:
        """What came of an attempt that must succeed."""

        async def work() -> T:
            async with self.client() as client:
                return await attempt(client)

        return asyncio.run(work())


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    made = House(tmp_path)
    yield made
    made.book.stop()


def login(name: str) -> Callable[[PhoneBook], Awaitable[Session]]:
    return lambda client: client.login(name, PASSWORD, make_identity(name))


def signup(name: str, invite: str = "") -> Callable[[PhoneBook], Awaitable[Session]]:
    return lambda client: client.signup(name, PASSWORD, make_identity(name), invite=invite)


def test_an_invite_lets_one_person_in_once(house: House) -> None:
    house.operator.ask(SetRegistration(Registration.INVITE))
    made = house.operator.ask(MakeInvites(2, time.time() + SOON))
    first, second = made.codes
    assert house.refused(signup("alice")).code == ErrorCode.INVITE_NEEDED
    assert house.refused(signup("alice", "0000-0000-0000-0000")).code == ErrorCode.INVITE_REFUSED
    house.done(signup("alice", first.lower().replace("-", " ")))
    assert house.refused(signup("bob", first)).code == ErrorCode.INVITE_REFUSED
    assert [invite.used_by for invite in house.operator.ask(ListInvites()).invites] == ["alice", ""]
    house.operator.ask(Undo(made.number or 0))
    assert house.refused(signup("bob", second)).code == ErrorCode.INVITE_REFUSED
    assert [invite.used_by for invite in house.operator.ask(ListInvites()).invites] == ["alice"]


def test_an_invite_that_made_no_account_is_not_used_up(house: House) -> None:
    house.done(signup("alice"))
    house.operator.ask(SetRegistration(Registration.INVITE))
    (code,) = house.operator.ask(MakeInvites(1, time.time() + SOON)).codes
    assert house.refused(signup("alice", code)).code == ErrorCode.NAME_TAKEN
    short = house.refused(lambda client: client.signup("bob", "short", BOB, invite=code))
    assert short.code == ErrorCode.BAD_PASSWORD
    house.done(signup("bob", code))


def test_of_many_who_use_one_invite_at_once_one_gets_in(house: House) -> None:
    house.operator.ask(SetRegistration(Registration.INVITE))
    (code,) = house.operator.ask(MakeInvites(1, time.time() + SOON)).codes

    async def one(name: str) -> bool:
        try:
            async with house.client() as client:
                await signup(name, code)(client)
        except Refused as error:
            assert error.code in (ErrorCode.INVITE_REFUSED, ErrorCode.NAME_TAKEN)
            return False
        return True

    async def all_at_once() -> list[bool]:
        names = ["alice", "alice", "bob", "carol", "bob"]
        return await asyncio.gather(*map(one, names))

    assert asyncio.run(all_at_once()).count(True) == 1
    assert len(house.operator.ask(ListAccounts()).accounts) == 1


def test_after_a_crash_in_between_an_invite_is_still_good_for_the_same_name_only(house: House) -> None:
    house.operator.ask(SetRegistration(Registration.INVITE))
    (code,) = house.operator.ask(MakeInvites(1, time.time() + SOON)).codes
    # As it stands on disk when the phone book was killed between taking the code and making the account.
    taken = house.book.server.ledger.take_invite(code_digest(code), name_key("alice"), time.time())
    assert house.book.call(taken)
    assert house.refused(signup("bob", code)).code == ErrorCode.INVITE_REFUSED
    house.done(signup("Alice", code))


def test_an_invite_runs_out(house: House) -> None:
    house.operator.ask(SetRegistration(Registration.INVITE))
    (code,) = house.operator.ask(MakeInvites(1, time.time() - 1)).codes
    assert house.refused(signup("alice", code)).code == ErrorCode.INVITE_REFUSED


def test_a_token_sets_a_new_password_once_and_ends_what_the_old_one_began(house: House) -> None:
    house.done(signup("alice"))
    made = house.operator.ask(ResetPassword("ALICE", time.time() + SOON))
    (token,) = made.codes

    def reset(name: str, token: str, password: str = NEW) -> Callable[[PhoneBook], Awaitable[Session]]:
        return lambda client: client.login(name, password, ALICE, reset=token)

    # The old password holds until the token is used; a wrong token, name or password does not use it up.
    house.done(lambda client: client.login("alice", PASSWORD, ALICE))
    assert house.refused(reset("alice", "0000-0000-0000-0000")).code == ErrorCode.WRONG_CREDENTIALS
    assert house.refused(reset("alice", token, "short")).code == ErrorCode.BAD_PASSWORD
    nobody, wrong = house.refused(reset("nobody", token)), house.refused(reset("alice", "1234"))
    assert (str(nobody), nobody.code) == (str(wrong), wrong.code)

    async def work() -> None:
        async with house.client() as old, house.client() as new:
            await old.login("alice", PASSWORD, ALICE)
            await reset("alice", token)(new)
            await house.told()
            assert old.session is None

    asyncio.run(work())
    assert (
        house.refused(lambda client: client.login("alice", PASSWORD, ALICE)).code
        == ErrorCode.WRONG_CREDENTIALS
    )
    assert house.refused(reset("alice", token)).code == ErrorCode.WRONG_CREDENTIALS
    house.done(lambda client: client.login("alice", NEW, ALICE))


def test_a_ban_does_not_use_a_token_up_nor_tell_of_itself_without_one(house: House) -> None:
    house.done(signup("alice"))
    (token,) = house.operator.ask(ResetPassword("alice", time.time() + SOON)).codes
    ban = house.operator.ask(PlaceBan(target_of("alice"))).number

    def reset(token: str) -> Callable[[PhoneBook], Awaitable[Session]]:
        return lambda client: client.login("alice", NEW, ALICE, reset=token)

    for _ in range(2 * house.book.server.settings.login_failures_per_account):  # nor does it count as a guess
        assert house.refused(reset(token)).code == ErrorCode.BANNED
    assert house.refused(reset("1234")).code == ErrorCode.WRONG_CREDENTIALS
    house.operator.ask(Undo(ban or 0))
    house.done(reset(token))
    house.done(lambda client: client.login("alice", NEW, ALICE))


def test_a_token_can_be_revoked_and_a_new_one_takes_its_place(house: House) -> None:
    house.done(signup("alice"))
    first = house.operator.ask(ResetPassword("alice", time.time() + SOON))
    second = house.operator.ask(ResetPassword("alice", time.time() + SOON))
    for token, number in ((first.codes[0], None), (second.codes[0], second.number)):
        if number is not None:
            house.operator.ask(Undo(number))
        attempt = lambda client, token=token: client.login("alice", "another password", ALICE, reset=token)  # noqa: E731
        assert house.refused(attempt).code == ErrorCode.WRONG_CREDENTIALS


def test_no_code_and_no_token_rests_on_disk_or_in_the_journal(house: House) -> None:
    house.done(signup("alice"))
    codes = house.operator.ask(MakeInvites(3, time.time() + SOON)).codes
    codes += house.operator.ask(ResetPassword("alice", time.time() + SOON)).codes
    house.book.stop()
    kept = b"".join(file.read_bytes() for file in house.book.server.folder.iterdir() if file.is_file())
    for code in codes:
        assert code.encode() not in kept
        assert code.replace("-", "").encode() not in kept


def test_whoever_is_banned_is_told_why_and_until_when(house: House) -> None:
    house.done(signup("bob"))
    until = time.time() + SOON

    async def work() -> None:
        async with house.client() as client:
            session = await client.login("bob", PASSWORD, BOB)
            await asyncio.to_thread(house.operator.ask, PlaceBan(target_of("BOB"), until, reason="spam"))
            await house.told()
            (closing,) = house.pushed
            assert isinstance(closing, Closing)
            assert closing.reason is CloseReason.BANNED
            assert "spam" in closing.text
        async with house.client() as again:
            again.session = session
            with pytest.raises(Banned):
                await again._resume()

    asyncio.run(work())
    told = house.refused(lambda client: client.login("bob", PASSWORD, BOB))
    assert isinstance(told, Banned)
    assert told.reason == "spam"
    assert told.until == until
    # Whoever does not know the password does not learn of the ban.
    guessed = house.refused(lambda client: client.login("bob", "not the password", BOB))
    assert guessed.code == ErrorCode.WRONG_CREDENTIALS
    house.operator.ask(PlaceBan(target_of("carol")))
    assert house.refused(signup("Carol")).code == ErrorCode.NAME_TAKEN


def test_a_banned_address_does_not_get_past_hello(house: House) -> None:
    house.operator.ask(PlaceBan(target_of("127.0.0.0/8"), reason="loopback"))
    told = house.refused(lambda client: client.login("bob", PASSWORD, BOB))
    assert isinstance(told, Banned)
    assert told.reason == "loopback"
    assert "connection" not in str(told)


def test_restart_keeps_bans_registration_and_journal(tmp_path: Path) -> None:
    first = House(tmp_path)
    first.operator.ask(PlaceBan(target_of("192.0.2.0/24"), reason="flood"))
    first.operator.ask(PlaceBan(target_of("bob"), time.time() + SOON))
    first.operator.ask(SetRegistration(Registration.CLOSED))
    first.operator.ask(MakeInvites(1, time.time() + SOON))
    first.book.stop()
    second = House(tmp_path)
    try:
        bans = second.operator.ask(ListBans()).bans
        assert {ban.target: ban.reason for ban in bans} == {"192.0.2.0/24": "flood", "bob": ""}
        assert second.refused(signup("alice")).code == ErrorCode.REGISTRATION_CLOSED
        assert len(second.operator.ask(ListInvites()).invites) == 1
        assert second.operator.ask(VerifyJournal()).entries == 4
        assert second.operator.ask(Undo(3)).number == 5
        second.done(signup("alice"))
    finally:
        second.book.stop()


def test_a_deleted_account_is_gone_and_comes_back_as_it_was(house: House) -> None:
    house.done(lambda client: client.signup("alice", PASSWORD, ALICE))
    before = house.operator.ask(Inspect("alice")).account

    async def work() -> None:
        async with house.client() as client:
            session = await client.login("alice", PASSWORD, ALICE)
            number = (await asyncio.to_thread(house.operator.ask, Delete("Alice"))).number
            await house.told()
        async with house.client() as again:
            again.session = session
            with pytest.raises(Refused, match="over"):
                await again._resume()
        # Whoever signs up next gets no number that an old resume token speaks of.
        async with house.client() as bob:
            await bob.signup("bob", PASSWORD, BOB)
            with pytest.raises(Refused, match="no account alice"):
                await bob.request(Whois("alice"), Profile)
            await asyncio.to_thread(house.operator.ask, Undo(number or 0))
            assert (await bob.request(Whois("alice"), Profile)).name == "alice"

    asyncio.run(work())
    after = house.operator.ask(Inspect("alice")).account
    assert (after.created, after.fingerprint) == (before.created, before.fingerprint)
    house.done(lambda client: client.login("alice", PASSWORD, ALICE))


def test_the_number_of_a_deleted_account_is_never_given_again(house: House) -> None:
    accounts = house.book.server.accounts
    first = house.book.call(accounts.create(account("alice")))
    house.book.call(accounts.remove([first]))
    second = house.book.call(accounts.create(account("bob")))
    assert second.id != first.id
    with pytest.raises(Refused, match="deleted"):
        house.book.call(accounts.update(AccountId(first.id), epoch=9))


def test_what_was_given_to_a_deleted_account_lets_nobody_into_an_imported_one_of_its_number(
    house: House, tmp_path: Path
) -> None:
    session = house.done(signup("alice"))
    (token,) = house.operator.ask(ResetPassword("alice", time.time() + SOON)).codes
    file = tmp_path / "accounts.toml"
    house.operator.ask(ExportAccounts(str(file)))
    house.operator.ask(Delete("alice"))
    there = file.read_text(encoding="utf-8")
    # Another phone book's first account, whose owner logged in as often.
    there = re.sub("created = .*", f"created = {time.time() - SOON}", there.replace('"alice"', '"bob"'))
    file.write_text(there, encoding="utf-8")
    house.operator.ask(ImportAccounts(str(file)))
    assert house.refused(resume(session)).code == ErrorCode.RESUME_REFUSED
    attempt = lambda client: client.login("bob", NEW, BOB, reset=token)  # noqa: E731
    assert house.refused(attempt).code == ErrorCode.WRONG_CREDENTIALS
    house.done(lambda client: client.login("bob", PASSWORD, BOB))


def test_an_undone_deletion_brings_no_session_back(house: House) -> None:
    session = house.done(signup("alice"))
    for _ in range(2):
        house.done(resume(session))
        house.operator.ask(Undo(house.operator.ask(Delete("alice")).number or 0))
        assert house.refused(resume(session)).code == ErrorCode.RESUME_REFUSED
        session = house.done(login("alice"))


def resume(session: Session) -> Callable[[PhoneBook], Awaitable[None]]:
    async def work(client: PhoneBook) -> None:
        client.session = session
        await client._resume()

    return work


def test_a_name_that_was_taken_in_between_is_not_brought_back_and_the_journal_says_so(house: House) -> None:
    house.done(signup("alice"))
    number = house.operator.ask(Delete("alice")).number
    house.done(lambda client: client.signup("ALICE", "another password", ALICE))
    with pytest.raises(Refused, match="Not brought back, since the names are taken: alice"):
        house.operator.ask(Undo(number or 0))
    *_, failed = house.operator.ask(ListEntries(9)).entries
    assert isinstance(failed.action, Failed)
    assert "taken" in failed.action.reason
    assert not house.operator.ask(VerifyJournal()).fault


def test_an_undo_that_failed_can_be_done_again_and_brings_back_who_is_missing(house: House) -> None:
    house.done(signup("alice"))
    house.done(signup("bob"))
    number = house.operator.ask(Prune(time.time() + SOON)).number or 0
    house.done(lambda client: client.signup("ALICE", "another password", ALICE))
    with pytest.raises(Refused, match="names are taken: alice"):
        house.operator.ask(Undo(number))
    assert house.operator.ask(ListEntries(9)).entries[0].undone_by is None
    house.operator.ask(Delete("alice"))
    again = house.operator.ask(Undo(number))
    assert again.hit == ("alice",)
    for name in ("alice", "bob"):
        house.done(login(name))
    assert house.operator.ask(ListEntries(9)).entries[0].undone_by == again.number
    with pytest.raises(Refused, match="taken back by entry 5 already"):
        house.operator.ask(Undo(number))


def test_after_a_crash_in_between_the_journal_says_what_was_not_done(tmp_path: Path) -> None:
    house = House(tmp_path)
    for name in ("alice", "bob"):
        house.done(signup(name))
    number = house.operator.ask(Delete("alice")).number or 0

    def killed_in_between(action: AnyChange, *writes: AnyWrite) -> House:
        """As it stands on disk when the phone book was killed between the entry and what it says."""
        ledger = house.book.server.ledger
        undoes = number if isinstance(action, Restore) else None
        entry = Entry(ledger.last + 1, time.time(), "alice", action, ("carol",), 1, undoes=undoes)
        house.book.call(ledger.record(entry, writes))
        house.book.stop()
        again = House(tmp_path)
        *_, failed = again.operator.ask(ListEntries(9)).entries
        assert failed.action == Failed(entry.number, reason="The phone book ended before that was done.")
        return again

    house = killed_in_between(Restore(number))
    house.operator.ask(Undo(number))
    house.done(login("alice"))
    bob = house.book.call(house.book.server.accounts.find(name_key("bob")))
    assert bob is not None
    house = killed_in_between(Delete("bob"), PutRemoved((bob,)))
    house.done(login("bob"))
    house = killed_in_between(ImportAccounts("accounts.toml"))
    house.operator.ask(Delete("bob"))
    house.book.stop()
    house = House(tmp_path)  # what was done is not doubted
    assert isinstance(house.operator.ask(ListEntries(1)).entries[0].action, Delete)
    house.book.stop()


def test_backups_exports_and_new_settings_are_in_the_journal_and_so_is_what_failed(
    house: House, tmp_path: Path
) -> None:
    backup, accounts = MakeBackup(str(tmp_path / "b.tar")), ExportAccounts(str(tmp_path / "a.toml"))
    house.operator.ask(backup)
    house.operator.ask(accounts)
    house.operator.ask(ReloadSettings())
    with pytest.raises(Refused, match="never overwrites"):
        house.operator.ask(backup)
    entries = house.operator.ask(ListEntries(9)).entries
    assert [entry.action for entry in entries[:4]] == [backup, accounts, ReloadSettings(), backup]
    assert entries[4].action == Failed(4, reason=f"{backup.path} exists; a backup never overwrites a file.")
    assert {described(entry.action, "") for entry in entries[:3]} == {
        f"backup {backup.path}",
        f"export {accounts.path}",
        "settings reload",
    }
    with pytest.raises(Refused, match="cannot be taken back"):
        house.operator.ask(Undo(1))
    assert not house.operator.ask(VerifyJournal()).fault


def test_idle_accounts_are_those_without_a_session_seen_or_not(tmp_path: Path) -> None:
    made = House(tmp_path)
    made.book.stop()
    path = tmp_path / "server" / "accounts.db"
    asyncio.run(fill(path, ["ancient", "hidden", "recent"]))
    now = time.time()
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE accounts SET active = ? WHERE name = 'hidden'", (now - SOON,))
        connection.execute("UPDATE accounts SET last_seen = ? WHERE name = 'recent'", (now - SOON,))
    house = House(tmp_path)
    try:
        idle = house.operator.ask(ListAccounts("", now - 10 * SOON)).accounts
        assert [found.name for found in idle] == ["ancient"]
        assert len(house.operator.ask(ListAccounts("", now)).accounts) == 3

        async def work() -> None:
            async with house.client() as client:
                await client.signup("alice", PASSWORD, ALICE)
                tried = await asyncio.to_thread(house.operator.ask, Prune(now + SOON, dry_run=True))
                assert tried.hit == ("ancient", "hidden", "recent")  # alice is here

        asyncio.run(work())
        done = house.operator.ask(Prune(now - 10 * SOON, reason="spring cleaning"))
        assert (done.hit, done.undoable) == (("ancient",), True)
        assert [found.name for found in house.operator.ask(ListAccounts()).accounts] == [
            "alice",
            "hidden",
            "recent",
        ]
        house.operator.ask(Undo(done.number or 0))
        assert len(house.operator.ask(ListAccounts()).accounts) == 4
    finally:
        house.book.stop()


def test_hidden_sessions_count_as_activity_for_the_operator_alone(house: House) -> None:
    house.done(signup("alice"))
    deadline = time.monotonic() + 10
    while (found := house.operator.ask(Inspect("alice")).account).last_seen == found.created:
        assert time.monotonic() < deadline
    seen = found.last_seen
    house.book.call(house.book.server.accounts.update(AccountId(1), visibility=Visibility.HIDDEN))
    house.done(lambda client: client.login("alice", PASSWORD, ALICE))
    while (found := house.operator.ask(Inspect("alice")).account).online:
        assert time.monotonic() < deadline
    assert found.last_seen == seen
    assert found.active > seen


@pytest.mark.parametrize(
    "change",
    [
        SetRegistration(Registration.CLOSED, dry_run=True),
        MakeInvites(1, 5e9, dry_run=True),
        ResetPassword("alice", 5e9, dry_run=True),
        Delete("alice", dry_run=True),
        Prune(5e9, dry_run=True),
        PlaceBan(Target(name="alice"), dry_run=True),
    ],
)
def test_what_is_only_tried_changes_nothing(house: House, change: SetRegistration) -> None:
    house.done(signup("alice"))
    tried = house.operator.ask(change)
    assert (tried.number, tried.codes) == (None, ())
    house.done(lambda client: client.login("alice", PASSWORD, ALICE))
    assert house.operator.ask(ListEntries(9)).entries == ()
    assert house.operator.ask(ListInvites()).invites == ()
    house.done(signup("bob"))


def test_a_ban_cuts_connections_that_have_not_logged_in_as_well(house: House) -> None:
    async def work() -> None:
        lost = asyncio.Event()
        address = "{}:{}".format(*house.book.address)
        waiting = PhoneBook(address, DataFolder(house.folder / "waiting"))
        await waiting.connect()
        connection = waiting._connection
        assert connection is not None
        connection._on_lost = lambda reason: lost.set()
        await asyncio.to_thread(house.operator.ask, PlaceBan(target_of("127.0.0.1")))
        async with asyncio.timeout(10):
            await lost.wait()
        await waiting.close()

    asyncio.run(work())


def test_a_login_under_way_does_not_slip_past_a_ban(tmp_path: Path) -> None:
    house = House(tmp_path)
    house.done(signup("bob"))

    async def work() -> None:
        for number in range(1, 6):
            async with house.client() as client:
                login = asyncio.create_task(client.login("bob", PASSWORD, BOB))
                await asyncio.to_thread(house.operator.ask, PlaceBan(target_of("bob")))
                with contextlib.suppress(Refused):
                    await login
                details = await asyncio.to_thread(house.operator.ask, Inspect("bob"))
                assert details.session is None
            await asyncio.to_thread(house.operator.ask, Undo(2 * number - 1))

    try:
        asyncio.run(work())
    finally:
        house.book.stop()
