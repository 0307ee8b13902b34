"""Strangers who guess passwords, open connections and say nothing, or use up the open files."""

import asyncio
import base64
import contextlib
import math
import resource
import socket
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from server.embedded import EmbeddedPhoneBook
from server.settings import ServerSettings
from shell.datafolder import DataFolder
from shell.phonebook import PhoneBook
from tests.e2e.strangers import HELLO, Raw, bystander, raw
from tests.e2e.world import PASSWORD, PATIENCE, Server, until
from wire.certificates import make_identity
from wire.errors import ErrorCode, Refused
from wire.messages import ListPeople, People

CERTIFICATE = base64.b64encode(make_identity("carol").certificate).decode()
LIMITED = ("bash", "-c", 'ulimit -n 256; exec "$@"', "limited")


def cheap(folder: Path, **changes: Any) -> ServerSettings:
    """Password hashes that cost next to nothing."""
    defaults = ServerSettings("127.0.0.1:0", str(folder / "server"), argon2_time=1, argon2_memory_kib=8)
    return msgspec.structs.replace(defaults, **changes)


async def greeted(client: Raw) -> Raw:
    await client.send(HELLO)
    assert "result" in await client.answer()
    return client


async def fails(client: Raw, name: str) -> int:
    """The code with which a wrong password is refused."""
    parameters = {"name": name, "password": "a wrong password", "certificate": CERTIFICATE}
    await client.send({"jsonrpc": "2.0", "id": 2, "method": "login", "params": parameters})
    error = (await client.answer())["error"]
    if error["code"] == ErrorCode.RATE_LIMITED:
        assert error["data"]["retry_after"] > 0
    return int(error["code"])


@pytest.fixture
def book(tmp_path: Path) -> Iterator[EmbeddedPhoneBook]:
    with EmbeddedPhoneBook(cheap(tmp_path)) as running:
        yield running


def address_of(book: EmbeddedPhoneBook) -> str:
    return "{}:{}".format(*book.address)


def crowd(address: str, sources: list[str], each: int, stack: contextlib.ExitStack) -> list[socket.socket]:
    """TCP connections that send the beginning of a TLS handshake and then nothing."""
    host, port = address.split(":")
    opened = []
    for source in sources:
        for _ in range(each):
            sock = stack.enter_context(socket.socket())
            sock.bind((source, 0))
            sock.connect((host, int(port)))
            with contextlib.suppress(ConnectionError):
                sock.sendall(b"\x16\x03\x01")
            opened.append(sock)
    return opened


def most_guesses(free: int, began: float) -> int:
    """Waits double from one second on: what a guesser gets judged in the time that this machine took."""
    return free + 2 + math.ceil(math.log2(1 + time.monotonic() - began))


def test_one_account_guessed_from_fifty_addresses_is_slowed_and_its_owner_is_not(
    book: EmbeddedPhoneBook, tmp_path: Path
) -> None:
    async def talk() -> None:
        async with bystander(address_of(book), tmp_path / "bob") as bob:
            await bob.logout()
            identity = make_identity("bob")
            await bob.login("bob", PASSWORD, identity)  # from here on bob is known to come from here
            codes: Counter[int] = Counter()
            began = time.monotonic()
            for number in range(50):
                async with raw(address_of(book), f"127.0.1.{number + 1}") as client:
                    await greeted(client)
                    for _ in range(3):
                        codes[await fails(client, "BOB")] += 1
            judged = codes[ErrorCode.WRONG_CREDENTIALS]
            assert judged <= most_guesses(5, began)
            assert codes.total() == 150
            await bob.logout()
            await bob.login("bob", PASSWORD, identity)
            assert book.server.counts["login-throttled"] == 150 - judged

    asyncio.run(talk())


def test_a_thousand_accounts_guessed_from_one_address_are_slowed(book: EmbeddedPhoneBook) -> None:
    async def talk() -> None:
        codes: Counter[int] = Counter()
        began = time.monotonic()
        async with raw(address_of(book), "127.0.1.1") as client:
            await greeted(client)
            for number in range(1_000):
                codes[await fails(client, f"user{number}")] += 1
        async with raw(address_of(book), "127.0.1.2") as client:
            await greeted(client)
            assert await fails(client, "user1") == ErrorCode.WRONG_CREDENTIALS, "others may try"
        assert codes[ErrorCode.WRONG_CREDENTIALS] <= most_guesses(20, began)
        assert codes.total() == 1_000

    asyncio.run(talk())


def test_two_thousand_silent_connections_keep_nobody_out(server: Server, tmp_path: Path) -> None:
    async def talk() -> None:
        with contextlib.ExitStack() as stack:
            async with bystander(server.address, tmp_path / "bob"):
                await asyncio.to_thread(
                    crowd, server.address, [f"127.0.2.{number + 1}" for number in range(10)], 200, stack
                )
                newcomer = PhoneBook(server.address, DataFolder(tmp_path / "carol"))
                await newcomer.connect()
                await newcomer.close()

    asyncio.run(talk())


def test_one_address_has_so_many_connections_and_is_told(tmp_path: Path) -> None:
    settings = cheap(tmp_path, unauthenticated_per_address=3)

    async def talk(book: EmbeddedPhoneBook) -> None:
        async with contextlib.AsyncExitStack() as stack:
            for _ in range(3):
                await greeted(await stack.enter_async_context(raw(address_of(book), "127.0.1.1")))
            refused = await stack.enter_async_context(raw(address_of(book), "127.0.1.1"))
            answer = await refused.answer()
            assert (answer["id"], answer["error"]["code"]) == (None, ErrorCode.BUSY)
            assert answer["error"]["data"]["retry_after"] > 0
            assert await refused.ended()
            await greeted(await stack.enter_async_context(raw(address_of(book), "127.0.1.2")))
        until(lambda: not book.server.connections, "all places to be free again")
        async with raw(address_of(book), "127.0.1.1") as client:
            await greeted(client)

    with EmbeddedPhoneBook(settings) as book:
        asyncio.run(talk(book))


def test_a_shell_learns_that_there_is_no_room_for_it(tmp_path: Path) -> None:
    settings = cheap(tmp_path, max_connections=1)

    async def talk(book: EmbeddedPhoneBook) -> None:
        async with PhoneBook(address_of(book), DataFolder(tmp_path / "alice")) as alice:
            await alice.signup("alice", PASSWORD, make_identity("alice"))
            bob = PhoneBook(address_of(book), DataFolder(tmp_path / "bob"))
            with pytest.raises(Refused, match="no room") as caught:
                await bob.connect()
            assert (caught.value.code, caught.value.retry_after > 0) == (ErrorCode.BUSY, True)

    with EmbeddedPhoneBook(settings) as book:
        asyncio.run(talk(book))


def test_whoever_begins_a_handshake_or_a_line_and_never_ends_it_is_cut(tmp_path: Path) -> None:
    settings = cheap(tmp_path, handshake_seconds=1, line_seconds=1)

    async def talk(book: EmbeddedPhoneBook) -> None:
        async with PhoneBook(address_of(book), DataFolder(tmp_path / "alice")) as alice:
            session = await alice.signup("alice", PASSWORD, make_identity("alice"))
            await alice.close()
            async with raw(address_of(book)) as client:
                await greeted(client)
                resume = {"jsonrpc": "2.0", "id": 3, "method": "resume", "params": {"token": session.token}}
                await client.send(resume)
                assert "result" in await client.answer()
                await client.send(b'{"jsonrpc"')
                assert await client.code() == ErrorCode.INVALID_REQUEST
                assert await client.ended()

    with EmbeddedPhoneBook(settings) as book, contextlib.ExitStack() as stack:
        hung = crowd(address_of(book), ["127.0.1.1"], 20, stack)
        gone = crowd(address_of(book), ["127.0.1.1"], 20, stack)
        for sock in gone:
            sock.close()
        asyncio.run(talk(book))
        for sock in hung:
            sock.settimeout(PATIENCE)
            with contextlib.suppress(ConnectionError):
                assert sock.recv(100) == b""
        until(lambda: not book.server.connections, "no connection to be left")
        until(lambda: book.server.counts.get("handshake-failed") == 40, "each of them to be counted")


def test_few_open_files_are_enough_for_those_who_are_there(tmp_path: Path) -> None:
    async def talk(server: Server) -> None:
        with contextlib.ExitStack() as stack:
            async with bystander(server.address, tmp_path / "bob"):
                await asyncio.to_thread(
                    crowd, server.address, [f"127.0.2.{number + 1}" for number in range(4)], 100, stack
                )
                async with raw(server.address) as client:
                    await greeted(client)

    with Server(tmp_path / "server", under=LIMITED) as server:
        asyncio.run(talk(server))
        code, log = server.terminate()
        assert code == 0
        assert "Traceback" not in log


def test_where_no_file_can_be_opened_newcomers_are_hung_up_on_and_come_back_later(
    server: Server, tmp_path: Path
) -> None:
    limits = resource.prlimit(server.process.pid, resource.RLIMIT_NOFILE)
    used = len(list(Path(f"/proc/{server.process.pid}/fd").iterdir()))

    async def talk() -> None:
        with contextlib.ExitStack() as stack:
            async with bystander(server.address, tmp_path / "bob") as bob:
                resource.prlimit(server.process.pid, resource.RLIMIT_NOFILE, (used + 5, limits[1]))
                opened = await asyncio.to_thread(crowd, server.address, ["127.0.2.1"], 30, stack)
                for sock in opened[-5:]:
                    sock.settimeout(PATIENCE)
                    with contextlib.suppress(ConnectionError):
                        assert sock.recv(1) == b"", "it is hung up on, not left waiting"
                await bob.request(ListPeople(), People)
                resource.prlimit(server.process.pid, resource.RLIMIT_NOFILE, limits)
                async with raw(server.address) as client:
                    await greeted(client)

    asyncio.run(talk())
