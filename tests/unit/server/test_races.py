"""Two changes of one account at the same moment: what is confirmed holds, and nothing that it ended lives on.

A real phone book; only one of its threads is held for a while, so that the order is the one that is meant.
"""

import asyncio
import contextlib
import sqlite3
import threading
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from server.access import Ban, Registration, target_of
from server.access_codes import AccessCodes
from server.actions import (
    Delete,
    ListInvites,
    MakeInvites,
    PlaceBan,
    ResetPassword,
    SetRegistration,
    Undo,
)
from server.embedded import EmbeddedPhoneBook
from server.lane import Lane
from server.operator import LocalOperator
from shell.datafolder import DataFolder
from shell.errors import NotConnected
from shell.phonebook import PhoneBook
from tests.unit.server.test_phonebook import PASSWORD, settings
from wire.certificates import make_identity
from wire.errors import ErrorCode, Refused
from wire.messages import (
    CloseReason,
    Closing,
    Done,
    Message,
    SetVisibility,
    Status,
    Visibility,
)
from wire.names import name_key

ALICE = make_identity("alice")
FIRST, SECOND = "the first new password", "the second new password"
PATIENCE = 10.0  # seconds


class House:
    """A phone book whose threads can be held, and clients of it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.book = EmbeddedPhoneBook(settings(folder))
        self.server = self.book.server
        self.operator = LocalOperator(self.book)
        self.pushed: list[Message] = []

    @contextlib.asynccontextmanager
    async def client(self) -> AsyncIterator[PhoneBook]:
        address = "{}:{}".format(*self.book.address)
        async with PhoneBook(
            address, DataFolder(self.folder / "client"), on_push=self.pushed.append
        ) as client:
            yield client
            client.session = None  # it is not taken up again

    async def right(self, password: str) -> bool:
        """Whether it is alice's password."""
        async with self.client() as client:
            try:
                await client.login("alice", password, ALICE)
            except Refused as refused:
                assert refused.code == ErrorCode.WRONG_CREDENTIALS
                return False
            return True

    @contextlib.contextmanager
    def held(self, lane: Lane) -> Iterator[threading.Event]:
        """What is asked of a lane of the accounts meanwhile is done in one turn afterwards, in that order.

        Gives what says that the lane has come so far.
        """
        reached, opened = threading.Event(), threading.Event()

        def wait(connection: sqlite3.Connection) -> None:
            reached.set()
            opened.wait(PATIENCE)

        async def hold() -> asyncio.Task[None]:
            task = asyncio.create_task(lane.run(wait))
            await asyncio.sleep(0)
            return task

        self.book.call(hold())
        try:
            yield reached
        finally:
            opened.set()


async def until(true: Callable[[], bool]) -> None:
    """Waits for the phone book's threads to come so far."""
    async with asyncio.timeout(PATIENCE):
        while not true():  # noqa: ASYNC110 - another thread's
            await asyncio.sleep(0.001)


async def outcome(work: Coroutine[Any, Any, object]) -> ErrorCode | None:
    """How it was refused, if it was; a connection that was ended says no more."""
    try:
        await work
    except Refused as refused:
        return ErrorCode(refused.code)
    return None


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    made = House(tmp_path)
    yield made
    made.book.stop()


def test_a_reset_that_was_confirmed_is_not_undone_by_a_change_under_way(house: House) -> None:
    async def work() -> None:
        async with house.client() as thief, house.client() as owner:
            await thief.signup("alice", PASSWORD, ALICE)
            (token,) = house.operator.ask(ResetPassword("alice", time.time() + PATIENCE)).codes
            opened, passwords = threading.Event(), house.server.passwords
            passwords._pool.submit(opened.wait, PATIENCE)
            changing = asyncio.create_task(outcome(thief.passwd(PASSWORD, FIRST)))
            await until(lambda: passwords.waiting == 1)  # the old password is being verified
            resetting = asyncio.create_task(owner.login("alice", SECOND, ALICE, reset=token))
            await until(lambda: passwords.waiting == 2)  # its hash comes before the other's
            opened.set()
            await resetting
            await until(lambda: thief.session is None)
            with contextlib.suppress(NotConnected):  # its session was taken over
                await changing
            await until(lambda: passwords.waiting == 0)
        assert await house.right(SECOND)
        assert not await house.right(FIRST)

    asyncio.run(work())


def test_of_a_new_password_and_a_login_with_the_old_one_the_first_holds(house: House) -> None:
    changes = house.server.accounts._changes

    async def work() -> None:
        async with house.client() as changer, house.client() as comer:
            await changer.signup("alice", PASSWORD, ALICE)
            with house.held(changes):
                changing = asyncio.create_task(outcome(changer.passwd(PASSWORD, FIRST)))
                await until(lambda: changes.waiting == 1)
                coming = asyncio.create_task(outcome(comer.login("alice", PASSWORD, ALICE)))
                await until(lambda: changes.waiting == 2)
            assert await changing is None
            assert await coming == ErrorCode.WRONG_CREDENTIALS
        assert await house.right(FIRST)
        async with house.client() as changer, house.client() as comer:
            await changer.login("alice", FIRST, ALICE)
            with house.held(changes):
                coming = asyncio.create_task(outcome(comer.login("alice", FIRST, ALICE)))
                await until(lambda: changes.waiting == 1)
                changing = asyncio.create_task(outcome(changer.passwd(FIRST, SECOND)))
                await until(lambda: changes.waiting == 2)
            assert await coming is None
            with contextlib.suppress(NotConnected):  # its session was taken over
                await changing
            assert house.server.directory.session_of(name_key("alice")) is not None
        assert await house.right(FIRST)
        assert not await house.right(SECOND)

    asyncio.run(work())


@pytest.mark.parametrize("end", [CloseReason.KICKED, CloseReason.DELETED])
def test_a_token_that_was_read_before_the_kick_gets_no_session_after_it(
    house: House, end: CloseReason
) -> None:
    accounts, directory = house.server.accounts, house.server.directory

    async def end_account() -> None:
        account = directory.sessions()[0].account
        if end is CloseReason.DELETED:
            await accounts.remove([account])
        else:
            await accounts.update(account.id, new_epoch=True)
        house.server.perform(directory.kick(account.key, "", 0.0, end))

    async def work() -> None:
        async with house.client() as here, house.client() as there:
            there.session = await here.signup("alice", PASSWORD, ALICE)
            with contextlib.ExitStack() as second:
                with house.held(accounts._reads):
                    coming = asyncio.create_task(outcome(there._resume()))
                    await until(lambda: accounts._reads.waiting == 1 or bool(house.pushed))
                    reached = second.enter_context(house.held(accounts._reads))
                await until(reached.is_set)  # whatever was read waits for the end of its turn
                await asyncio.to_thread(house.book.call, end_account())
            await coming
            assert directory.count == 0

    asyncio.run(work())


def test_a_login_beside_the_deletion_is_not_brought_back_either(house: House) -> None:
    changes = house.server.accounts._changes

    async def work() -> None:
        async with house.client() as here, house.client() as there:
            await here.signup("alice", PASSWORD, ALICE)
            find = house.server.accounts.find(name_key("alice"))
            with house.held(changes):
                coming = asyncio.create_task(there.login("alice", PASSWORD, ALICE))
                await until(lambda: changes.waiting == 1)
                deleting = asyncio.create_task(asyncio.to_thread(house.operator.ask, Delete("alice")))
                await until(house.server.administration._changes._one_at_a_time.locked)
                await asyncio.to_thread(house.book.call, find)  # the deletion has read the account before
            session = await coming
            number = (await deleting).number or 0
        await asyncio.to_thread(house.operator.ask, Undo(number))
        async with house.client() as thief:
            thief.session = session
            assert await outcome(thief._resume()) == ErrorCode.RESUME_REFUSED
        assert await house.right(PASSWORD)

    asyncio.run(work())


def test_two_who_log_in_at_once_where_the_hash_is_outdated_both_come_in(house: House) -> None:
    changes, passwords = house.server.accounts._changes, house.server.passwords

    async def work() -> None:
        async with house.client() as here, house.client() as there:
            await here.signup("alice", PASSWORD, ALICE)
            await here.logout()
            before = await asyncio.to_thread(house.book.call, house.server.accounts.find(name_key("alice")))
            assert before is not None
            dearer = msgspec.structs.replace(settings(house.folder), argon2_time=2)
            passwords.change(dearer)
            await until(lambda: not changes._busy)  # the logout is written as well
            with house.held(changes) as reached:
                assert await asyncio.to_thread(reached.wait, PATIENCE)
                coming = [
                    asyncio.create_task(outcome(client.login("alice", PASSWORD, ALICE)))
                    for client in (here, there)
                ]
                await until(lambda: changes.waiting == len(coming))
            assert await asyncio.gather(*coming) == [None, None]
            after = await asyncio.to_thread(house.book.call, house.server.accounts.find(name_key("alice")))
            assert after is not None
            assert passwords.outdated(before.password_hash)
            assert not passwords.outdated(after.password_hash)
        assert await house.right(PASSWORD)

    asyncio.run(work())


def test_a_session_that_was_taken_up_beside_a_new_password_ends_with_it(house: House) -> None:
    changes = house.server.accounts._changes

    async def work() -> None:
        async with house.client() as here, house.client() as there:
            there.session = stolen = await here.signup("alice", PASSWORD, ALICE)
            with house.held(changes):
                coming = asyncio.create_task(outcome(there._resume()))
                await until(lambda: changes.waiting == 1)
                changing = asyncio.create_task(outcome(here.passwd(PASSWORD, FIRST)))
                await until(lambda: changes.waiting == 2)
            assert await coming is None
            with contextlib.suppress(NotConnected):  # its session was taken over
                await changing
            await until(lambda: len(house.pushed) == 2)
            assert [push.reason for push in house.pushed if isinstance(push, Closing)] == [
                CloseReason.REPLACED,
                CloseReason.PASSWORD_CHANGED,
            ]
            assert house.server.directory.count == 0
        async with house.client() as again:
            again.session = stolen
            assert await outcome(again._resume()) == ErrorCode.RESUME_REFUSED
        assert await house.right(FIRST)

    asyncio.run(work())


def test_a_session_that_was_taken_up_beside_its_logout_ends_with_it(house: House) -> None:
    changes = house.server.accounts._changes

    async def work() -> None:
        async with house.client() as here, house.client() as there:
            there.session = await here.signup("alice", PASSWORD, ALICE)
            with house.held(changes):
                coming = asyncio.create_task(outcome(there._resume()))
                await until(lambda: changes.waiting == 1)
                leaving = asyncio.create_task(here.logout())
                await until(lambda: changes.waiting == 3)  # and when somebody was there last
            assert await coming is None
            await leaving
            assert house.server.directory.count == 0

    asyncio.run(work())


def test_a_visibility_that_was_stored_beside_a_reconnect_is_shown(house: House) -> None:
    changes = house.server.accounts._changes

    async def work() -> None:
        async with house.client() as here, house.client() as there:
            there.session = await here.signup("alice", PASSWORD, ALICE)
            with house.held(changes):
                coming = asyncio.create_task(there._resume())
                await until(lambda: changes.waiting == 1)
                hiding = asyncio.create_task(here.request(SetVisibility(Visibility.HIDDEN), Done))
                await until(lambda: changes.waiting == 2)
            await coming
            with contextlib.suppress(NotConnected):  # its session was taken over
                await hiding
            seen = house.server.directory.status_for
            await until(lambda: seen(name_key("bob"), name_key("alice")) is Status.OFFLINE)

    asyncio.run(work())


def test_who_signs_up_while_registration_is_closed_or_they_are_banned_makes_no_account(house: House) -> None:
    async def work() -> None:
        opened, passwords = threading.Event(), house.server.passwords
        changes = (
            (SetRegistration(Registration.CLOSED), ErrorCode.REGISTRATION_CLOSED),
            (SetRegistration(Registration.INVITE), ErrorCode.INVITE_NEEDED),
            (PlaceBan(target_of("127.0.0.1")), ErrorCode.BANNED),
        )
        for change, code in changes:
            await asyncio.to_thread(house.operator.ask, SetRegistration(Registration.OPEN))
            opened.clear()
            async with house.client() as client:
                passwords._pool.submit(opened.wait, PATIENCE)
                coming = asyncio.create_task(outcome(client.signup("alice", PASSWORD, ALICE)))
                await until(lambda: passwords.waiting == 1)
                if isinstance(change, PlaceBan):  # only the ban: carried out, it would cut the connection
                    house.server.access.ban(Ban(change.target))
                else:
                    await asyncio.to_thread(house.operator.ask, change)
                opened.set()
                assert await coming == code
        assert await asyncio.to_thread(house.book.call, house.server.accounts.count()) == 0

    asyncio.run(work())


def test_of_two_who_use_one_invite_for_one_name_at_once_one_goes_on(house: House) -> None:
    house.operator.ask(SetRegistration(Registration.INVITE))
    (code,) = house.operator.ask(MakeInvites(1, time.time() + PATIENCE)).codes
    codes = AccessCodes(house.server.access, house.server.ledger)
    inside: list[bool] = []

    async def use() -> ErrorCode | None:
        async with codes.invited(code, name_key("alice")):
            inside.append(True)
            await house.server.ledger.invites(0.0)  # as long as the other needs to come in as well
            await house.server.ledger.invites(0.0)
            assert len(inside) == 1
        return None

    async def both() -> tuple[ErrorCode | None, ErrorCode | None]:
        one, other = await asyncio.gather(outcome(use()), outcome(use()))
        return one, other

    assert house.book.call(both()) == (None, ErrorCode.INVITE_REFUSED)
    (invite,) = house.operator.ask(ListInvites()).invites
    assert invite.used_by == "alice"


def test_a_shell_that_comes_back_while_the_disk_is_full_tries_again(house: House) -> None:
    changes = house.server.accounts._changes

    def fill(connection: sqlite3.Connection) -> None:
        connection.execute("ROLLBACK")  # as SQLite does of itself where a write finds no room
        raise sqlite3.OperationalError("database or disk is full")

    async def drop() -> None:
        (connection,) = house.server.connections
        connection.abort()

    async def work() -> None:
        back, over = asyncio.Event(), list[str]()
        address = "{}:{}".format(*house.book.address)
        folder = DataFolder(house.folder / "client")
        async with PhoneBook(address, folder, on_back=back.set, on_end=over.append) as client:
            await client.signup("alice", PASSWORD, ALICE)
            with house.held(changes):
                await asyncio.to_thread(house.book.call, drop())
                await until(lambda: changes.waiting == 2)  # when she was last seen, and her coming back
                filling = asyncio.create_task(asyncio.to_thread(house.book.call, changes.run(fill)))
                await until(lambda: changes.waiting == 3)
            with pytest.raises(sqlite3.OperationalError):
                await filling
            async with asyncio.timeout(PATIENCE):
                await back.wait()
            assert not over
            client.session = None

    asyncio.run(work())


def test_an_account_that_is_deleted_while_its_invite_is_settled_gets_no_session(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    house.operator.ask(SetRegistration(Registration.INVITE))
    (code,) = house.operator.ask(MakeInvites(1, time.time() + PATIENCE)).codes
    settle, begun, go_on = house.server.ledger.settle_invite, threading.Event(), threading.Event()

    async def slow(digest: bytes, *, used: bool) -> None:
        begun.set()
        await until(go_on.is_set)
        await settle(digest, used=used)

    monkeypatch.setattr(house.server.ledger, "settle_invite", slow)

    async def work() -> None:
        async with house.client() as client:
            coming = asyncio.create_task(outcome(client.signup("alice", PASSWORD, ALICE, invite=code)))
            assert await asyncio.to_thread(begun.wait, PATIENCE)
            await asyncio.to_thread(house.operator.ask, Delete("alice"))
            go_on.set()
            assert await coming == ErrorCode.UNKNOWN_NAME

    asyncio.run(work())


def test_an_invite_that_cannot_be_noted_as_used_refuses_no_account(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    house.operator.ask(SetRegistration(Registration.INVITE))
    (code,) = house.operator.ask(MakeInvites(1, time.time() + PATIENCE)).codes

    async def full(digest: bytes, *, used: bool) -> None:
        raise Refused(ErrorCode.STORAGE_FAILED, "The disk is full; nothing was changed.")

    monkeypatch.setattr(house.server.ledger, "settle_invite", full)

    async def work() -> None:
        async with house.client() as here, house.client() as there:
            await here.signup("alice", PASSWORD, ALICE, invite=code)
            again = there.signup("bob", PASSWORD, make_identity("bob"), invite=code)
            assert await outcome(again) == ErrorCode.INVITE_REFUSED

    asyncio.run(work())
