"""What strangers may send to the phone book costs the others nothing."""

import asyncio
import base64
import contextlib
import json
import resource
from pathlib import Path

import pytest

from server.embedded import EmbeddedPhoneBook
from server.settings import ServerSettings
from shell.datafolder import DataFolder
from shell.phonebook import PhoneBook
from tests.e2e.strangers import HELLO, PING, bystander, raw
from tests.e2e.world import PASSWORD, PATIENCE, Server
from wire.certificates import make_identity
from wire.errors import ErrorCode
from wire.limits import MAX_FRAME
from wire.messages import METHODS

MIB = 2**20


@pytest.mark.parametrize(
    ("line", "code"),
    [
        (b"{\n", ErrorCode.PARSE_ERROR),
        (b"\xff\xfe\n", ErrorCode.PARSE_ERROR),
        (b'{"x":' + b"[" * 60_000 + b"\n", ErrorCode.PARSE_ERROR),
        (b"[]\n", ErrorCode.INVALID_REQUEST),
        (b"x" * (MAX_FRAME + 1), ErrorCode.INVALID_REQUEST),
        (b'{"jsonrpc":"2.0","id":' + b"9" * 4000 + b',"method":"ping"}\n', ErrorCode.INVALID_REQUEST),
    ],
)
def test_a_broken_line_gets_its_error_and_ends_only_its_connection(
    server: Server, tmp_path: Path, line: bytes, code: int
) -> None:
    async def talk() -> None:
        async with bystander(server.address, tmp_path / "bob"), raw(server.address) as client:
            await client.send(HELLO)
            assert "result" in await client.answer()
            await client.send(line)
            found = await client.code()
            assert code is None or found == code
            assert await client.ended()

    asyncio.run(talk())


def resident(server: Server) -> int:
    """Bytes of memory that the phone book holds."""
    pages = int(Path(f"/proc/{server.process.pid}/statm").read_text().split()[1])
    return pages * resource.getpagesize()


def test_64_mib_without_a_line_feed_are_neither_read_nor_kept(server: Server, tmp_path: Path) -> None:
    async def talk() -> None:
        async with bystander(server.address, tmp_path / "bob"), raw(server.address) as client:
            await client.send(HELLO)
            assert "result" in await client.answer()
            before, told = resident(server), asyncio.create_task(client.code())
            with contextlib.suppress(ConnectionError):
                async with asyncio.timeout(PATIENCE):
                    for _ in range(64):
                        await client.send(b"x" * MIB)
                        await asyncio.sleep(0)  # lets the loop see the end
            assert await told == ErrorCode.INVALID_REQUEST
            assert resident(server) - before < 8 * MIB

    asyncio.run(talk())


def test_a_wrong_request_is_answered_and_the_connection_lives(server: Server) -> None:
    async def talk() -> None:
        async with raw(server.address) as client:
            await client.send(HELLO)
            await client.answer()
            await client.send({"jsonrpc": "2.0", "id": 2, "method": "frobnicate", "params": {}})
            assert await client.code() == ErrorCode.METHOD_NOT_FOUND
            await client.send({"jsonrpc": "2.0", "id": 3, "method": "login", "params": {"name": 7}})
            assert await client.code() == ErrorCode.INVALID_PARAMS
            await client.send({"jsonrpc": "2.0", "id": 4, "method": "ping", "extra": [1]})
            assert (await client.answer())["id"] == 4

    asyncio.run(talk())


@pytest.mark.parametrize(
    "line",
    [
        PING,
        b'{"jsonrpc":"2.0","id":2,"method":"whois","params":{}}\n',
        b'{"jsonrpc":"2.0","id":2,"method":"nonsense","params":{}}\n',
    ],
)
def test_a_stream_of_requests_is_throttled_right_or_wrong(tmp_path: Path, line: bytes) -> None:
    settings = ServerSettings(
        "127.0.0.1:0", str(tmp_path / "server"), argon2_memory_kib=8, requests_per_second=10
    )

    async def talk(address: str) -> None:
        async with raw(address) as client:
            await client.send(HELLO, line * 200)
            assert "result" in await client.answer()
            codes = [(await client.answer()).get("error", {}).get("code") for _ in range(200)]
            assert codes.count(ErrorCode.RATE_LIMITED) > 100

    with EmbeddedPhoneBook(settings) as book:
        asyncio.run(talk("{}:{}".format(*book.address)))


def test_hello_comes_first_and_speaks_this_version(server: Server) -> None:
    async def talk() -> None:
        async with raw(server.address) as client:
            await client.send({"jsonrpc": "2.0", "id": 2, "method": "ping", "params": {}})
            assert await client.code() == ErrorCode.HELLO_FIRST
        async with raw(server.address) as client:
            await client.send({**HELLO, "params": {"major": 99, "minor": 0, "client": "future"}})
            answer = await client.answer()
            assert answer["error"]["code"] == ErrorCode.VERSION_MISMATCH
            assert "99.0" in answer["error"]["message"]
            assert await client.ended()

    asyncio.run(talk())


def test_nothing_is_told_before_login(server: Server) -> None:
    parameters = {
        "list": {},
        "whois": {"name": "bob"},
        "passwd": {"old": "a", "new": "b"},
        "visibility": {"visibility": "hidden"},
        "watch": {"names": ["bob"]},
        "unwatch": {"names": ["bob"]},
        "introduce": {"name": "bob"},
        "knock": {"name": "bob"},
        "block": {"blocked": ["bob"]},
        "endpoints": {"endpoints": []},
        "logout": {},
    }
    assert {*parameters, "hello", "signup", "login", "resume", "reset", "ping"} == set(METHODS)

    async def talk() -> None:
        async with raw(server.address) as client:
            await client.send(HELLO)
            await client.answer()
            for number, (method, params) in enumerate(parameters.items(), start=2):
                await client.send({"jsonrpc": "2.0", "id": number, "method": method, "params": params})
                assert await client.code() == ErrorCode.LOGIN_REQUIRED, method

    asyncio.run(talk())


def test_another_users_token_is_no_use(server: Server, tmp_path: Path) -> None:
    async def talk() -> None:
        async with PhoneBook(server.address, DataFolder(tmp_path / "bob")) as book:
            session = await book.signup("bob", PASSWORD, make_identity("bob"))
            await book.logout()
        async with raw(server.address) as client:
            await client.send(HELLO)
            await client.answer()
            for token in (session.token, "", "x" * 512, session.token[:-4] + "AAAA"):
                await client.send({"jsonrpc": "2.0", "id": 2, "method": "resume", "params": {"token": token}})
                assert await client.code() == ErrorCode.RESUME_REFUSED

    asyncio.run(talk())


def test_a_client_that_never_reads_is_cut(server: Server, tmp_path: Path) -> None:
    async def talk() -> None:
        async with bystander(server.address, tmp_path / "bob"), raw(server.address) as client:
            client.stop_reading()
            await client.send(HELLO)
            with pytest.raises(ConnectionError):
                async with asyncio.timeout(PATIENCE):
                    while True:
                        await client.send(PING * 100)
                        await asyncio.sleep(0)  # lets the loop see the end

    asyncio.run(talk())


def test_a_slow_reader_that_reads_on_learns_why_it_was_cut(tmp_path: Path) -> None:
    settings = ServerSettings(listen="127.0.0.1:0", data=str(tmp_path / "server"), send_buffer_kib=64)

    async def talk(book: EmbeddedPhoneBook) -> None:
        async with raw("{}:{}".format(*book.address)) as client, asyncio.timeout(PATIENCE):
            client.stop_reading()
            await client.send(HELLO)
            while "too-slow" not in book.server.counts:
                await client.send(PING * 100)
            client.read_on()
            last = (await client.everything()).splitlines()[-1]
            assert json.loads(last)["params"]["reason"] == "too-slow"

    with EmbeddedPhoneBook(settings) as book:
        asyncio.run(talk(book))


def test_the_same_answer_for_a_wrong_password_and_for_nobody(server: Server, tmp_path: Path) -> None:
    async def talk() -> None:
        async with bystander(server.address, tmp_path / "bob"), raw(server.address) as client:
            await client.send(HELLO)
            await client.answer()
            answers = []
            certificate = base64.b64encode(make_identity("x").certificate).decode()
            for name in ("bob", "nobody"):
                params = {"name": name, "password": "wrong password", "certificate": certificate}
                await client.send({"jsonrpc": "2.0", "id": 2, "method": "login", "params": params})
                answers.append(await client.answer())
            assert answers[0] == answers[1]

    asyncio.run(talk())
