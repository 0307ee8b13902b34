"""What strangers may send to the phone book costs the others nothing."""

import asyncio
import base64
import json
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from shell.datafolder import DataFolder
from shell.phonebook import PhoneBook
from tests.e2e.world import PASSWORD, PATIENCE, Server
from wire.certificates import make_identity
from wire.errors import ErrorCode
from wire.limits import MAX_FRAME
from wire.messages import METHODS, ListPeople, People

HELLO = {"jsonrpc": "2.0", "id": 1, "method": "hello", "params": {"major": 1, "minor": 0, "client": "test"}}


class Raw:
    """A TLS connection that sends what it likes."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    async def send(self, *lines: bytes | dict[str, Any]) -> None:
        for line in lines:
            self.writer.write(line if isinstance(line, bytes) else json.dumps(line).encode() + b"\n")
        await self.writer.drain()

    async def answer(self) -> dict[str, Any]:
        async with asyncio.timeout(PATIENCE):
            line = await self.reader.readline()
        found: dict[str, Any] = json.loads(line)
        return found

    async def code(self) -> int:
        return int((await self.answer())["error"]["code"])

    async def ended(self) -> bool:
        async with asyncio.timeout(PATIENCE):
            try:
                return await self.reader.read() == b""
            except ConnectionError:
                return True


@asynccontextmanager
async def raw(server: Server) -> AsyncIterator[Raw]:
    host, port = server.address.split(":")
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    reader, writer = await asyncio.open_connection(host, int(port), ssl=context, limit=2**22)
    try:
        yield Raw(reader, writer)
    finally:
        writer.close()


@asynccontextmanager
async def bystander(server: Server, folder: Path) -> AsyncIterator[PhoneBook]:
    """Somebody honest, who must notice nothing."""
    async with PhoneBook(server.address, DataFolder(folder)) as book:
        await book.signup("bob", PASSWORD, make_identity("bob"))
        yield book
        page = await book.request(ListPeople(), People)
        assert [person.name for person in page.people] == ["bob"]


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
        async with bystander(server, tmp_path / "bob"), raw(server) as client:
            await client.send(HELLO)
            assert "result" in await client.answer()
            await client.send(line)
            found = await client.code()
            assert code is None or found == code
            assert await client.ended()

    asyncio.run(talk())


def test_a_wrong_request_is_answered_and_the_connection_lives(server: Server) -> None:
    async def talk() -> None:
        async with raw(server) as client:
            await client.send(HELLO)
            await client.answer()
            await client.send({"jsonrpc": "2.0", "id": 2, "method": "frobnicate", "params": {}})
            assert await client.code() == ErrorCode.METHOD_NOT_FOUND
            await client.send({"jsonrpc": "2.0", "id": 3, "method": "login", "params": {"name": 7}})
            assert await client.code() == ErrorCode.INVALID_PARAMS
            await client.send({"jsonrpc": "2.0", "id": 4, "method": "ping", "extra": [1]})
            assert (await client.answer())["id"] == 4

    asyncio.run(talk())


def test_hello_comes_first_and_speaks_this_version(server: Server) -> None:
    async def talk() -> None:
        async with raw(server) as client:
            await client.send({"jsonrpc": "2.0", "id": 2, "method": "ping", "params": {}})
            assert await client.code() == ErrorCode.HELLO_FIRST
        async with raw(server) as client:
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
        "endpoints": {"endpoints": []},
        "logout": {},
    }
    assert {*parameters, "hello", "signup", "login", "resume", "ping"} == set(METHODS)

    async def talk() -> None:
        async with raw(server) as client:
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
        async with raw(server) as client:
            await client.send(HELLO)
            await client.answer()
            for token in (session.token, "", "x" * 512, session.token[:-4] + "AAAA"):
                await client.send({"jsonrpc": "2.0", "id": 2, "method": "resume", "params": {"token": token}})
                assert await client.code() == ErrorCode.RESUME_REFUSED

    asyncio.run(talk())


def test_a_client_that_never_reads_is_cut(server: Server, tmp_path: Path) -> None:
    async def talk() -> None:
        async with bystander(server, tmp_path / "bob"), raw(server) as client:
            sock = client.writer.get_extra_info("socket")
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            client.writer.transport.pause_reading()  # type: ignore[attr-defined]
            await client.send(HELLO)
            ping = (
                json.dumps({"jsonrpc": "2.0", "id": "x" * 60, "method": "ping", "params": {}}).encode()
                + b"\n"
            )
            with pytest.raises(ConnectionError):
                async with asyncio.timeout(PATIENCE):
                    for _ in range(2_000):
                        await client.send(ping * 100)

    asyncio.run(talk())


def test_the_same_answer_for_a_wrong_password_and_for_nobody(server: Server, tmp_path: Path) -> None:
    async def talk() -> None:
        async with bystander(server, tmp_path / "bob"), raw(server) as client:
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
