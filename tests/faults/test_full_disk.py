"""A full disk under the phone book: the old password works, the server lives, the error is said. A full or
read-only one under a shell that signs up: no account is made whose key is nowhere.
"""

import asyncio
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from shell.datafolder import DataFolder
from shell.errors import DataFolderError, MailboxFailed
from shell.mailbox import Mailbox
from shell.messenger import Messenger
from shell.phonebook import PhoneBook
from tests.e2e.world import PASSWORD, Server
from wire.certificates import make_identity
from wire.errors import ErrorCode, Refused

DISK = "4m"
BLOCK = 4096  # bytes
MAX_BLOCKS = 200  # that a new account takes, at the very most


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    if os.geteuid() != 0:
        pytest.skip("mounting a small disk needs root")
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={DISK}", "tmpfs", str(folder)],
        capture_output=True,
        text=True,
        check=False,
    )
    if mounted.returncode != 0:
        pytest.skip(f"mount is not allowed here: {mounted.stderr.strip()}")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


def fill(folder: Path) -> Path:
    """A file that leaves no byte."""
    filler = folder / "filler"
    with filler.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(BLOCK))
        except OSError:
            return filler


def test_a_password_change_on_a_full_disk_changes_nothing(small_disk: Path, tmp_path: Path) -> None:
    async def talk(server: Server) -> None:
        alice = make_identity("alice")
        async with PhoneBook(server.address, DataFolder(tmp_path / "alice")) as book:
            await book.signup("alice", PASSWORD, alice)
            filler = fill(small_disk)
            with pytest.raises(Refused) as caught:
                for _ in range(100):  # what the database holds in reserve is used up first
                    await book.passwd(PASSWORD, PASSWORD)
            assert caught.value.code == ErrorCode.STORAGE_FAILED
            with pytest.raises(Refused):
                await book.passwd(PASSWORD, "another password")
            filler.unlink()
            await book.passwd(PASSWORD, "another password")
            await book.logout()
        async with PhoneBook(server.address, DataFolder(tmp_path / "alice")) as book:
            await book.login("alice", "another password", alice)

    with Server(small_disk / "server") as server:
        asyncio.run(talk(server))


def test_a_sign_up_that_the_phone_book_had_no_room_for_can_be_tried_again(
    small_disk: Path, tmp_path: Path
) -> None:
    """With each block more that is free it fails at another point, and the name is free until it does not."""
    alice = make_identity("alice")

    async def talk(server: Server) -> None:
        filler, refused = fill(small_disk), 0
        async with PhoneBook(server.address, DataFolder(tmp_path / "alice")) as book:
            for blocks in range(MAX_BLOCKS):
                os.truncate(filler, filler.stat().st_size - BLOCK * bool(blocks))
                try:
                    await book.signup("alice", PASSWORD, alice)
                except Refused as error:
                    assert error.code == ErrorCode.STORAGE_FAILED
                    refused += 1
                else:
                    break
            assert refused > 1
            filler.unlink()
            await book.logout()

    with Server(small_disk / "server") as server:
        asyncio.run(talk(server))


def files(folder: Path) -> set[Path]:
    return set(folder.rglob("*"))


def test_a_mailbox_whose_log_has_no_room_for_its_full_length_leaves_it_to_others(
    small_disk: Path,
) -> None:
    spare = os.statvfs(small_disk).f_bavail * BLOCK // 2
    with (small_disk / "filler").open("wb") as file:
        file.write(bytes(spare))
    mailbox = Mailbox(small_disk / "mailbox.db")
    try:
        asyncio.run(mailbox.settle())
        assert os.statvfs(small_disk).f_bavail * BLOCK > spare * 3 // 4
    finally:
        mailbox.close()


def test_a_sign_up_that_finds_no_room_makes_no_account(small_disk: Path, tmp_path: Path) -> None:
    """With each block more that is free it fails at another point, and the name is free until it does not."""

    async def talk(server: Server) -> None:
        alice = Messenger(server.address, DataFolder(small_disk / "alice"), 0, lambda event: None)
        await alice.reach()
        filler = fill(small_disk)
        before, refused = files(small_disk), 0
        for blocks in range(MAX_BLOCKS):
            os.truncate(filler, filler.stat().st_size - BLOCK * bool(blocks))
            try:
                await alice.signup("alice", PASSWORD)
            except (DataFolderError, MailboxFailed):
                refused += 1
                await alice.reach()
                assert files(small_disk) == before, "nothing is left of it"
            else:
                break
        assert refused > 1
        await alice.logout()
        await alice.login("alice", PASSWORD)
        await alice.close()

    with Server(tmp_path / "server") as server:
        asyncio.run(talk(server))


def test_a_sign_up_on_a_disk_that_became_read_only_makes_no_account(small_disk: Path, tmp_path: Path) -> None:
    async def talk(server: Server) -> None:
        alice = Messenger(server.address, DataFolder(small_disk / "alice"), 0, lambda event: None)
        await alice.reach()
        remount(small_disk, "ro")
        with pytest.raises(DataFolderError, match="cannot be"):
            await alice.signup("alice", PASSWORD)
        remount(small_disk, "rw")
        assert await alice.signup("alice", PASSWORD) == "alice"
        await alice.close()

    with Server(tmp_path / "server") as server:
        asyncio.run(talk(server))


def remount(folder: Path, how: str) -> None:
    subprocess.run(["mount", "-o", f"remount,{how}", str(folder)], check=True)
