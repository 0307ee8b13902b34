import asyncio
import subprocess
import sys
from pathlib import Path

import pytest

from shell.datafolder import DataFolder
from shell.phonebook import PhoneBook
from tests.e2e.world import PASSWORD, PATIENCE, Server, environment, parley
from wire.certificates import make_identity
from wire.errors import Refused
from wire.messages import (
    CloseReason,
    Closing,
    Done,
    Message,
    Profile,
    SetVisibility,
    Status,
    Visibility,
    Whois,
)

ALICE = make_identity("alice")


def server_fails(*arguments: str) -> tuple[int, str]:
    """Exit code and the one line on stderr of a server that cannot start."""
    ended = subprocess.run(
        [sys.executable, "-m", "server.main", "--headless", *arguments],
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
        env=environment(),
    )
    assert ended.stderr.count("\n") == 1, ended.stderr
    assert "Traceback" not in ended.stderr
    return ended.returncode, ended.stderr


def test_sigterm_tells_everybody_and_ends_with_0(server: Server, tmp_path: Path) -> None:
    async def talk() -> list[Message]:
        told: list[Message] = []
        lost = asyncio.Event()
        book = PhoneBook(
            server.address,
            DataFolder(tmp_path / "alice"),
            on_push=told.append,
            on_lost=lambda reason: lost.set(),
        )
        await book.connect()
        await book.signup("alice", PASSWORD, ALICE)
        code, _ = await asyncio.to_thread(server.terminate)
        assert code == 0
        async with asyncio.timeout(PATIENCE):
            await lost.wait()
        await book.close()
        return told

    (closing,) = asyncio.run(talk())
    assert isinstance(closing, Closing)
    assert closing.reason is CloseReason.SHUTDOWN


def test_what_was_confirmed_survives_kill_9(server: Server, tmp_path: Path) -> None:
    async def change() -> None:
        async with PhoneBook(server.address, DataFolder(tmp_path / "alice")) as book:
            await book.signup("alice", "the first password", ALICE)
            await book.passwd("the first password", PASSWORD)
            await book.request(SetVisibility(Visibility.BUSY), Done)
            server.kill()

    async def look(address: str) -> None:
        async with PhoneBook(address, DataFolder(tmp_path / "alice")) as book:
            with pytest.raises(Refused, match="not right"):
                await book.login("alice", "the first password", ALICE)
            session = await book.login("alice", PASSWORD, ALICE)
            assert session.visibility is Visibility.BUSY

    asyncio.run(change())
    with server.restarted() as again:
        assert again.address == server.address
        asyncio.run(look(again.address))


def test_a_session_comes_back_by_itself_after_a_restart(server: Server, tmp_path: Path) -> None:
    async def talk() -> None:
        back = asyncio.Event()
        book = PhoneBook(server.address, DataFolder(tmp_path / "alice"), on_back=back.set)
        await book.connect()
        await book.signup("alice", PASSWORD, ALICE)
        server.kill()
        with server.restarted():
            async with asyncio.timeout(PATIENCE):
                await back.wait()
            profile = await book.request(Whois("alice"), Profile)
            assert profile.status is Status.ONLINE
            await book.close()

    asyncio.run(talk())


def test_a_restart_after_sigterm_binds_the_same_port_at_once(server: Server, tmp_path: Path) -> None:
    assert (
        parley("--server", server.address, "--data", str(tmp_path / "a"), "-c", "signup alice").returncode
        == 0
    )
    server.terminate()
    with server.restarted() as again:
        assert again.fingerprint == server.fingerprint


def test_a_second_server_is_refused_on_the_port_and_on_the_folder(server: Server, tmp_path: Path) -> None:
    code, line = server_fails("--listen", server.address, "--data", str(tmp_path / "other"))
    assert code == 3
    assert "Something else listens" in line
    code, line = server_fails("--listen", "127.0.0.1:0", "--data", str(server.folder))
    assert code == 1
    assert "Another phone book" in line


def test_a_data_folder_that_cannot_be_is_named(tmp_path: Path) -> None:
    in_the_way = tmp_path / "file"
    in_the_way.write_text("not a folder")
    code, line = server_fails("--listen", "127.0.0.1:0", "--data", str(in_the_way / "data"))
    assert code == 1
    assert str(in_the_way) in line


def test_a_misspelt_setting_is_named_with_the_nearest(tmp_path: Path) -> None:
    settings = tmp_path / "settings.toml"
    settings.write_text('[server]\nlisten_adress = ":0"\n')
    code, line = server_fails("--settings", str(settings), "--data", str(tmp_path / "data"))
    assert code == 1
    assert "listen_adress" in line
    code, line = server_fails("--listen", "nonsense", "--data", str(tmp_path / "data"))
    assert code == 1
    assert "HOST:PORT" in line


def test_without_a_terminal_commands_come_from_a_pipe_and_then_it_serves_on(tmp_path: Path) -> None:
    server = subprocess.Popen(
        [sys.executable, "-m", "server.main", "--listen", "127.0.0.1:0", "--data", str(tmp_path / "server")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=environment(),
    )
    assert server.stdin is not None
    assert server.stdout is not None
    try:
        server.stdin.write("accounts\n")
        server.stdin.close()
        address = server.stdout.readline().removeprefix("Listening on ").strip()
        assert "Key fingerprint" in server.stdout.readline()
        assert server.stdout.readline() == "No accounts.\n"
        signed = parley("--server", address, "--data", str(tmp_path / "a"), "-c", "signup alice")
        assert signed.returncode == 0, signed.stderr
        server.terminate()
        assert server.wait(PATIENCE) == 0
    finally:
        server.kill()
        server.wait()


def test_keys_and_accounts_are_for_their_owner_only(server: Server) -> None:
    assert server.folder.stat().st_mode & 0o777 == 0o700
    for file in server.folder.iterdir():
        assert file.stat().st_mode & 0o077 == 0, file


def test_the_log_has_no_password(server: Server, tmp_path: Path) -> None:
    parley("--server", server.address, "--data", str(tmp_path / "a"), "-c", "signup alice", "-c", "list")
    _, log = server.terminate()
    assert "event=signup" in log
    assert PASSWORD not in log
