"""A session that ends slowly and one that begins meanwhile."""

import asyncio
import logging
import signal
import threading
import time
from pathlib import Path

import pytest

from shell.datafolder import DataFolder
from shell.errors import NotConnected, NotLoggedIn
from shell.events import Event, Reconnected, SessionEnded
from shell.messenger import Messenger
from shell.visibility import Seen
from shell.whereabouts import Whereabouts
from tests.e2e.world import PASSWORD, PATIENCE, Server, parley, shell, sign_up, until
from wire.errors import Refused
from wire.messages import Endpoint, Status, Visibility
from wire.names import name_key


def test_a_second_shell_with_one_data_folder_takes_the_place_of_the_first(
    server: Server, tmp_path: Path
) -> None:
    options = ("--server", server.address, "--data", str(tmp_path / "alice"))
    with shell(server.address, tmp_path / "alice") as first:
        sign_up(first, "alice")
        second = parley(*options, "-c", "login alice", "-c", "status")
        assert second.returncode == 0, second.stderr
        first.see("Your session was taken over")
        first.see("^parley> ?$")
        first.enter("login alice")
        first.see("^Password: ?$")
        first.enter(PASSWORD)
        first.see("^alice> ?$")


def test_a_login_waits_for_the_session_before_to_end(server: Server, tmp_path: Path) -> None:
    async def talk() -> None:
        ended, disk_is_done = asyncio.Event(), threading.Event()

        def heard(event: Event) -> None:
            if isinstance(event, SessionEnded):
                ended.set()

        def slow(path: Path) -> None:
            disk_is_done.wait(PATIENCE)

        here = Messenger(server.address, DataFolder(tmp_path / "here"), 0, heard)
        elsewhere = Messenger(server.address, DataFolder(tmp_path / "elsewhere"), 0, lambda event: None)
        await here.signup("alice", PASSWORD)
        unpacking = asyncio.create_task(here.line.files._carrier.on_disk(slow, tmp_path))
        async with asyncio.timeout(PATIENCE):
            await elsewhere.login("alice", PASSWORD)
            await ended.wait()
            again = asyncio.create_task(here.login("alice", PASSWORD))
            await asyncio.sleep(0.1)  # that login could have come in by now
            disk_is_done.set()
            await unpacking
            assert await again == "alice"
            # The end of the first session does not reach into the second.
            assert [person.name for person in await here.people("*", None)] == ["alice"]
            assert here.line.port
            assert await here.mailbox.read(lambda connection: connection.in_transaction)
        for messenger in (here, elsewhere):
            await messenger.close()

    asyncio.run(talk())


def test_whoever_comes_in_while_the_phone_book_is_away_stays_offline_to_whom_they_blocked(
    server: Server, tmp_path: Path
) -> None:
    async def talk() -> None:
        back = asyncio.Event()

        def heard(event: Event) -> None:
            if isinstance(event, Reconnected):
                back.set()

        folder = DataFolder(tmp_path / "alice")
        alice = Messenger(server.address, folder, 0, heard)
        bob = Messenger(server.address, DataFolder(tmp_path / "bob"), 0, lambda event: None)
        await bob.signup("bob", PASSWORD)
        await alice.signup("alice", PASSWORD)
        await alice.block("bob")
        leaving = folder.account(alice.book.ticket_key, name_key("alice"))
        for messenger in (alice, bob):
            await messenger.close()
        server.kill()
        await leaving.claim()  # as another shell does that has not left yet
        coming = asyncio.create_task(alice.login_away("alice", PASSWORD))
        restarted = await asyncio.to_thread(server.restarted)
        with restarted:
            await asyncio.sleep(1.5)  # the phone book could be back in here by now
            leaving.release()
            async with asyncio.timeout(PATIENCE):
                await coming
                await back.wait()
                assert (await alice.whois("bob")).name == "bob"  # asked after all that follows a return
                await bob.login("bob", PASSWORD)
                assert (await bob.whois("alice")).status is Status.OFFLINE
            for messenger in (alice, bob):
                await messenger.close()

    asyncio.run(talk())


def test_a_refused_name_leaves_nothing_that_hinders_the_next_try(server: Server, tmp_path: Path) -> None:
    async def talk() -> None:
        here = Messenger(server.address, DataFolder(tmp_path / "here"), 0, lambda event: None)
        elsewhere = Messenger(server.address, DataFolder(tmp_path / "elsewhere"), 0, lambda event: None)
        await here.signup("alice", PASSWORD)
        await elsewhere.reach()
        before = set(tmp_path.joinpath("elsewhere").rglob("*"))
        for enter, name, password in (
            (elsewhere.signup, "alice", PASSWORD),
            (elsewhere.login, "alice", "not her password"),
            (elsewhere.signup, "..", PASSWORD),
            (elsewhere.signup, "", PASSWORD),
            (elsewhere.signup, "a" * 100, PASSWORD),
            (elsewhere.signup, "bob", "short"),
        ):
            with pytest.raises(Refused):
                await enter(name, password)
            await elsewhere.reach()
            assert set(tmp_path.joinpath("elsewhere").rglob("*")) == before
        assert await elsewhere.signup("bob", PASSWORD) == "bob"
        for messenger in (here, elsewhere):
            await messenger.close()

    asyncio.run(talk())


def test_the_key_stays_where_nobody_knows_whether_the_account_was_made(
    server: Server, tmp_path: Path
) -> None:
    async def talk() -> None:
        folder = DataFolder(tmp_path / "alice")
        alice = Messenger(server.address, folder, 0, lambda event: None)
        await alice.reach()
        account = folder.account(alice.book.ticket_key, name_key("alice"))
        server.process.send_signal(signal.SIGSTOP)
        coming = asyncio.create_task(alice.signup("alice", PASSWORD))
        await asyncio.to_thread(until, account.mailbox.exists, "what must be there before the question")
        server.kill()
        with pytest.raises(NotConnected):
            await coming
        key = account.identity("alice")
        with await asyncio.to_thread(server.restarted):
            await alice.signup("alice", PASSWORD)
            assert (await alice.whois("alice")).fingerprint == key.fingerprint
            await alice.close()

    asyncio.run(talk())


def test_a_shell_looks_where_it_is_when_the_phone_book_came_and_went_and_came(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def gone_again(whereabouts: Whereabouts) -> tuple[Endpoint, ...]:
        monkeypatch.undo()
        raise NotConnected("There is no connection to the phone book.")

    async def talk() -> None:
        back = asyncio.Event()

        def heard(event: Event) -> None:
            if isinstance(event, Reconnected):
                back.set()

        alice = Messenger(server.address, DataFolder(tmp_path / "alice"), 0, heard)
        await alice.signup("alice", PASSWORD)
        await alice.close()
        server.kill()
        await alice.login_away("alice", PASSWORD)
        monkeypatch.setattr(Whereabouts, "first", gone_again)
        with await asyncio.to_thread(server.restarted):
            async with asyncio.timeout(PATIENCE):
                await back.wait()
                back.clear()
                alice.book.reconnect("for a test")
                await back.wait()
                await asyncio.to_thread(until, lambda: alice.outside is not None, "an outside address")
            await alice.close()

    asyncio.run(talk())


def test_a_visibility_that_is_set_while_the_session_ends_is_nobodys(server: Server, tmp_path: Path) -> None:
    async def talk() -> None:
        disk_is_done = threading.Event()

        def slow(path: Path) -> None:
            disk_is_done.wait(PATIENCE)

        alice = Messenger(server.address, DataFolder(tmp_path / "alice"), 0, lambda event: None)
        await alice.signup("alice", PASSWORD)
        busy = asyncio.create_task(alice.line.files._carrier.on_disk(slow, tmp_path))
        setting = asyncio.create_task(alice.appearance.set(Seen(Visibility.BUSY), time.time() + PATIENCE))
        await asyncio.sleep(0)  # it is asked for
        leaving = asyncio.create_task(alice.logout())
        async with asyncio.timeout(PATIENCE):
            with pytest.raises(NotLoggedIn):
                await setting
            disk_is_done.set()
            await asyncio.gather(busy, leaving)
        assert "visibility" not in {task.get_name() for task in asyncio.all_tasks()}
        await alice.close()

    asyncio.run(talk())


def test_a_logout_goes_on_when_nobody_waits_for_it(server: Server, tmp_path: Path) -> None:
    async def talk() -> None:
        disk_is_done = threading.Event()

        def slow(path: Path) -> None:
            disk_is_done.wait(PATIENCE)

        alice = Messenger(server.address, DataFolder(tmp_path / "alice"), 0, lambda event: None)
        await alice.signup("alice", PASSWORD)
        busy = asyncio.create_task(alice.line.files._carrier.on_disk(slow, tmp_path))
        leaving = asyncio.create_task(alice.logout())
        await asyncio.sleep(0.1)
        leaving.cancel()  # Ctrl-C
        disk_is_done.set()
        await busy
        async with asyncio.timeout(PATIENCE):
            assert await alice.login("alice", PASSWORD) == "alice"
            assert await alice.people("*", None)
        await alice.close()

    asyncio.run(talk())


def test_a_pins_file_that_cannot_be_read_for_a_while_does_not_end_the_way_back(
    server: Server, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)

    async def talk() -> None:
        folder = DataFolder(tmp_path / "alice")
        back = asyncio.Event()

        def heard(event: Event) -> None:
            if isinstance(event, Reconnected):
                back.set()

        alice = Messenger(server.address, folder, 0, heard)
        await alice.signup("alice", PASSWORD)
        good = folder.known_phone_books.read_text()
        folder.known_phone_books.write_text(good + '"half a li')
        alice.book.reconnect("for a test")
        async with asyncio.timeout(PATIENCE):
            await asyncio.to_thread(until, lambda: "reconnect_failed" in caplog.text, "a try that failed")
            folder.known_phone_books.write_text(good)
            await back.wait()
            assert [person.name for person in await alice.people("*", None)] == ["alice"]
        await alice.close()

    asyncio.run(talk())
