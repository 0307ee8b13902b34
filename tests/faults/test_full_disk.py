"""A full disk under the phone book: the old password works, the server lives, the error is said."""

import asyncio
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from shell.datafolder import DataFolder
from shell.phonebook import PhoneBook
from tests.e2e.world import PASSWORD, Server
from wire.certificates import make_identity
from wire.errors import ErrorCode, Refused

DISK = "4m"
BLOCK = 4096  # bytes


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
