"""The whole phone book in this process: pages, store, throttles."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from time import monotonic, time

import pytest

from server.access import target_of
from server.account import Account, AccountId
from server.accounts import SqliteAccounts
from server.actions import Change, Delete, Kick, PlaceBan
from server.connection import Connection
from server.datafolder import DataFolder as ServerFolder
from server.directory import DISCONNECTED
from server.embedded import EmbeddedPhoneBook
from server.errors import DataFolderError, FolderInUse, NameInUse
from server.operator import LocalOperator
from server.settings import ServerSettings
from shell.datafolder import DataFolder
from shell.phonebook import PhoneBook
from wire.certificates import make_identity
from wire.errors import Refused
from wire.limits import TICKET_LIFE
from wire.messages import (
    Done,
    Introduce,
    Introduction,
    ListPeople,
    Logout,
    Message,
    People,
    Presence,
    Profile,
    SetBlocked,
    Status,
    Statuses,
    Visibility,
    Watch,
    Whois,
)
from wire.names import NameKey, name_key
from wire.relay import PASS_BYTES
from wire.tickets import open_ticket

COUNT = 250
PASSWORD = "correct horse battery"


def settings(folder: Path, **changes: object) -> ServerSettings:
    return ServerSettings(
        listen="127.0.0.1:0",
        data=str(folder / "server"),
        argon2_time=1,
        argon2_memory_kib=64,
        **changes,  # type: ignore[arg-type]
    )


def account(name: str) -> Account:
    return Account(AccountId(0), name_key(name), name, "$argon2id$none", 1.0, bytes(32))


async def fill(path: Path, names: list[str]) -> None:
    accounts = SqliteAccounts(path)
    for name in names:
        await accounts.create(account(name))
    accounts.close()


def logged_in(folder: Path, book: EmbeddedPhoneBook, talk: Callable[[PhoneBook], Awaitable[None]]) -> None:
    async def work() -> None:
        address = "{}:{}".format(*book.address)
        async with PhoneBook(address, DataFolder(folder / "alice")) as client:
            await client.signup("alice", PASSWORD, make_identity("alice"))
            await talk(client)

    asyncio.run(work())


def test_pages_have_everybody_once_and_in_order(tmp_path: Path) -> None:
    ServerFolder(tmp_path / "server").close()
    names = [f"person.{chr(97 + number % 26)}{number:03}x" for number in range(COUNT)]
    asyncio.run(fill(tmp_path / "server" / "accounts.db", names))

    async def talk(client: PhoneBook) -> None:
        for pattern, expected in (
            ("", sorted([*names, "alice"])),
            ("person.a", sorted(name for name in names if name.startswith("person.a"))),
            ("*00?x", sorted(name for name in names if name[-4:-2] == "00")),
            ("nobody", []),
        ):
            found: list[str] = []
            while True:
                page = await client.request(ListPeople(pattern, None, found[-1] if found else ""), People)
                found += [person.name for person in page.people]
                if not page.more:
                    break
            assert found == expected, pattern
        online = await client.request(ListPeople("", Status.ONLINE), People)
        assert [person.name for person in online.people] == ["alice"]
        offline = await client.request(ListPeople("", Status.OFFLINE), People)
        assert "alice" not in [person.name for person in offline.people]
        assert offline.more

    with EmbeddedPhoneBook(settings(tmp_path)) as book:
        logged_in(tmp_path, book, talk)


def test_whoever_is_offline_is_found_behind_any_number_who_are_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("server.service.PAGE", 1)
    monkeypatch.setattr("server.directory.SLICE", 7, raising=False)

    async def fill_and_enter() -> None:
        for number in range(60):
            made = await book.server.accounts.create(account(f"bob{number:02}x"))
            book.server.directory.open(made, "192.0.2.1", (), 1.0)
        await book.server.accounts.create(account("carol"))

    async def talk(client: PhoneBook) -> None:
        for status, name in ((Status.OFFLINE, "carol"), (Status.ONLINE, "bob59x")):
            found = await client.request(ListPeople("", status, "bob58x"), People)
            assert [person.name for person in found.people] == [name]
            found = await client.request(ListPeople("", status), People)
            assert [person.name for person in found.people] == ["carol" if name == "carol" else "alice"]
        nobody = await client.request(ListPeople("", Status.BUSY), People)
        assert nobody == People(())

    with EmbeddedPhoneBook(settings(tmp_path)) as book:
        book.call(fill_and_enter())
        logged_in(tmp_path, book, talk)


def test_names_are_one_of_a_kind_also_to_the_eye(tmp_path: Path) -> None:
    async def work() -> None:
        accounts = SqliteAccounts(tmp_path / "accounts.db")
        await accounts.create(account("Alice"))
        for taken in ("alice", "ALICE", "A1ice"):
            with pytest.raises(NameInUse):
                await accounts.create(account(taken))
        accounts.close()

    asyncio.run(work())


def test_changes_at_once_do_not_undo_each_other(tmp_path: Path) -> None:
    async def work() -> None:
        accounts = SqliteAccounts(tmp_path / "accounts.db")
        made = await accounts.create(account("alice"))
        await asyncio.gather(
            accounts.update(made.id, password_hash="new", new_epoch=True),
            accounts.update(made.id, last_seen=7.0),
            accounts.update(made.id, visibility=Visibility.BUSY, allowed=(NameKey("bob"),), new_epoch=True),
        )
        found = await accounts.find(made.key)
        assert found is not None
        assert found == await accounts.get(made.id)
        assert (found.password_hash, found.last_seen, found.epoch) == ("new", 7.0, 2)
        assert (found.visibility, found.allowed) == (Visibility.BUSY, (NameKey("bob"),))
        accounts.close()

    asyncio.run(work())


def test_closed_registration_says_so(tmp_path: Path) -> None:
    with EmbeddedPhoneBook(settings(tmp_path, registration="closed")) as book:

        async def work() -> None:
            address = "{}:{}".format(*book.address)
            async with PhoneBook(address, DataFolder(tmp_path / "alice")) as client:
                with pytest.raises(Refused, match="no sign-ups"):
                    await client.signup("alice", PASSWORD, make_identity("alice"))

        asyncio.run(work())


def test_a_kick_ends_the_resume_token_as_well(tmp_path: Path) -> None:
    with EmbeddedPhoneBook(settings(tmp_path)) as book:

        async def work() -> None:
            address = "{}:{}".format(*book.address)
            told = asyncio.Event()
            client = PhoneBook(address, DataFolder(tmp_path / "alice"), on_push=lambda push: told.set())
            await client.connect()
            session = await client.signup("alice", PASSWORD, make_identity("alice"))
            await asyncio.to_thread(LocalOperator(book).ask, Kick("ALICE", reason="enough"))
            async with asyncio.timeout(10):
                await told.wait()
            await client.close()
            again = PhoneBook(address, DataFolder(tmp_path / "alice"))
            await again.connect()
            again.session = session
            with pytest.raises(Refused, match="session is over"):
                await again._resume()
            again.session = None
            await again.close()

        asyncio.run(work())


def test_a_client_that_vanished_is_offline_soon(tmp_path: Path) -> None:
    with EmbeddedPhoneBook(settings(tmp_path, silence_seconds=1)) as book:

        async def work() -> None:
            address = "{}:{}".format(*book.address)
            gone = asyncio.Event()
            seen: list[Message] = []

            def pushed(push: Message) -> None:
                seen.append(push)
                gone.set()

            silent = PhoneBook(address, DataFolder(tmp_path / "bob"))
            await silent.connect()
            await silent.signup("bob", PASSWORD, make_identity("bob"))
            silent.session = None  # nobody takes it up again
            async with PhoneBook(address, DataFolder(tmp_path / "alice"), on_push=pushed) as alice:
                await alice.signup("alice", PASSWORD, make_identity("alice"))
                await alice.request(Watch(("bob",)), Statuses)
                async with asyncio.timeout(20):
                    while not gone.is_set():
                        await alice.request(Whois("alice"), Profile)
                        await asyncio.sleep(0.1)
            assert seen == [Presence("bob", Status.OFFLINE)]
            await silent.close()

        asyncio.run(work())


def test_one_folder_has_one_phone_book(tmp_path: Path) -> None:
    with EmbeddedPhoneBook(settings(tmp_path)), pytest.raises(FolderInUse, match="Another phone book"):
        EmbeddedPhoneBook(settings(tmp_path))


def test_a_database_of_a_newer_version_is_refused(tmp_path: Path) -> None:
    import sqlite3

    asyncio.run(fill(tmp_path / "accounts.db", ["alice"]))
    with sqlite3.connect(tmp_path / "accounts.db") as connection:
        connection.execute("INSERT INTO versions VALUES (99, 0)")
    with pytest.raises(DataFolderError, match="newer"):
        SqliteAccounts(tmp_path / "accounts.db")


@pytest.mark.parametrize(
    "change",
    [
        Kick("alice", reason="enough"),
        PlaceBan(target_of("alice")),
        PlaceBan(target_of("127.0.0.0/8")),
        Delete("alice"),
    ],
)
def test_whom_the_operator_sends_away_has_no_way_through_the_relay(tmp_path: Path, change: Change) -> None:
    with EmbeddedPhoneBook(settings(tmp_path, relay=True)) as book:

        async def talk(client: PhoneBook) -> None:
            relay = book.server.udp.relay
            assert relay is not None
            relay.introduce(name_key("alice"), name_key("bob"), bytes(range(2 * PASS_BYTES)), 0.0)
            await asyncio.to_thread(LocalOperator(book).ask, change)
            assert relay.pairs == 0

        logged_in(tmp_path, book, talk)


def test_a_logout_and_a_block_end_what_the_relay_carries_and_a_lost_connection_does_not(
    tmp_path: Path,
) -> None:
    with EmbeddedPhoneBook(settings(tmp_path, relay=True)) as book:
        alice, bob, carol = (name_key(name) for name in ("alice", "bob", "carol"))

        async def talk(client: PhoneBook) -> None:
            relay = book.server.udp.relay
            assert relay is not None
            async with PhoneBook("{}:{}".format(*book.address), DataFolder(tmp_path / "bob")) as other:
                await other.signup("bob", PASSWORD, make_identity("bob"))
                relay.introduce(alice, bob, bytes(range(2 * PASS_BYTES)), monotonic())
                relay.introduce(alice, carol, bytes(range(100, 100 + 2 * PASS_BYTES)), monotonic())
                await client.request(SetBlocked(("bob",)), Done)
                assert relay.pairs == 1
                relay.introduce(alice, bob, bytes(range(2 * PASS_BYTES)), monotonic())
            async with asyncio.timeout(20):
                while not any(event.detail == DISCONNECTED for event in book.server.performer.recent):
                    await client.request(Whois("bob"), Profile)
            assert relay.pairs == 2
            await client.logout()
            assert relay.pairs == 0

        logged_in(tmp_path, book, talk)


def test_a_session_that_ended_holds_its_connection_no_more(tmp_path: Path) -> None:
    with EmbeddedPhoneBook(settings(tmp_path)) as book:

        async def work() -> None:
            address = "{}:{}".format(*book.address)
            async with PhoneBook(address, DataFolder(tmp_path / "alice")) as client:
                await client.signup("alice", PASSWORD, make_identity("alice"))
                begun = book.server.directory.session_of(name_key("alice"))
                assert begun is not None
                assert begun.id in book.server.performer.bound
                await client.logout()
                assert book.server.directory.session_of(name_key("alice")) is None
                assert begun.id not in book.server.performer.bound

        asyncio.run(work())


def test_whoever_logged_out_has_the_same_time_to_log_in_as_whoever_came(tmp_path: Path) -> None:
    with EmbeddedPhoneBook(settings(tmp_path)) as book:

        async def work() -> None:
            address = "{}:{}".format(*book.address)
            async with PhoneBook(address, DataFolder(tmp_path / "alice")) as client:
                await client.signup("alice", PASSWORD, make_identity("alice"))
                (connection,) = book.server.connections
                connection.connected_at -= book.server.settings.login_seconds + 1
                await client.request(Logout(), Done)
                for later, cut in ((0, False), (book.server.settings.login_seconds + 1, True)):
                    await asyncio.to_thread(book.call, judge(connection, monotonic() + later))
                    assert connection.lost is cut
                client.session = None

        async def judge(connection: Connection, now: float) -> None:
            book.server._judge(connection, now)

        asyncio.run(work())


@pytest.mark.parametrize("step", [-3_600.0, 3_600.0])
def test_a_clock_that_is_set_expires_no_ticket(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: float
) -> None:
    with EmbeddedPhoneBook(settings(tmp_path)) as book:

        async def work() -> None:
            address = "{}:{}".format(*book.address)
            async with (
                PhoneBook(address, DataFolder(tmp_path / "alice")) as alice,
                PhoneBook(address, DataFolder(tmp_path / "bob")) as bob,
            ):
                await alice.signup("alice", PASSWORD, make_identity("alice"))
                await bob.signup("bob", PASSWORD, make_identity("bob"))
                for module in ("service", "entrance"):
                    monkeypatch.setattr(f"server.{module}.time", lambda: time() + step)
                introduction = await alice.request(Introduce("bob"), Introduction)
                ticket = open_ticket(introduction.ticket, bob.ticket_key, bob.now())
                assert bob.now() + TICKET_LIFE == pytest.approx(ticket.expires, abs=TICKET_LIFE / 2)

        asyncio.run(work())
