"""kill -9 of the phone book during a thousand changes of accounts: each one that was confirmed is there."""

import asyncio
import contextlib
from pathlib import Path

from shell.datafolder import DataFolder
from shell.errors import NotConnected
from shell.phonebook import PhoneBook
from tests.e2e.world import Server
from wire.certificates import make_identity
from wire.errors import ErrorCode, Refused

PEOPLE, CHANGES = 10, 100
KILLED_AFTER = PEOPLE * CHANGES // 2
IDENTITY = make_identity("alice")


def password(number: int) -> str:
    return f"the password number {number}"


async def log_in(address: str, folder: Path, name: str, number: int) -> bool:
    async with PhoneBook(address, DataFolder(folder)) as book:
        try:
            await book.login(name, password(number), IDENTITY)
        except Refused as error:
            assert error.code == ErrorCode.WRONG_CREDENTIALS
            return False
    return True


def test_what_was_confirmed_before_kill_9_is_there(tmp_path: Path) -> None:
    settings = tmp_path / "settings.toml"
    settings.write_text("[server]\nargon2_time = 1\nargon2_memory_kib = 8\n")
    confirmed = [0] * PEOPLE

    async def change(server: Server, person: int) -> None:
        book = PhoneBook(server.address, DataFolder(tmp_path / f"shell{person}"))
        await book.connect()
        await book.signup(f"user{person}", password(0), IDENTITY)
        with contextlib.suppress(NotConnected):
            for number in range(1, CHANGES + 1):
                await book.passwd(password(number - 1), password(number))
                confirmed[person] = number
                if sum(confirmed) == KILLED_AFTER:
                    server.process.kill()
        book.session = None
        await book.close()

    async def work(server: Server) -> None:
        await asyncio.gather(*(change(server, person) for person in range(PEOPLE)))

    async def look(address: str) -> None:
        for person, number in enumerate(confirmed):
            folder, name = tmp_path / f"shell{person}", f"user{person}"
            # One more change may have been kept without its confirmation having come back.
            assert await log_in(address, folder, name, number) or await log_in(
                address, folder, name, number + 1
            ), f"{name} lost the change {number}"

    with Server(tmp_path / "server", "127.0.0.1:0", "--settings", str(settings)) as server:
        asyncio.run(work(server))
    assert KILLED_AFTER <= sum(confirmed) < PEOPLE * CHANGES
    with Server(tmp_path / "server", "127.0.0.1:0", "--settings", str(settings)) as again:
        asyncio.run(look(again.address))
