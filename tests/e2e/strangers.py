"""Connections to a phone book that send what they like, and somebody honest beside them."""

import asyncio
import contextlib
import json
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from shell.datafolder import DataFolder
from shell.phonebook import PhoneBook
from tests.e2e.world import PASSWORD, PATIENCE
from wire.certificates import make_identity
from wire.messages import ListPeople, People

HELLO = {"jsonrpc": "2.0", "id": 1, "method": "hello", "params": {"major": 1, "minor": 0, "client": "test"}}
PING = json.dumps({"jsonrpc": "2.0", "id": "x" * 60, "method": "ping", "params": {}}).encode() + b"\n"


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

    def stop_reading(self) -> None:
        """Lets the other side's buffers fill."""
        self.writer.transport.pause_reading()  # type: ignore[attr-defined]

    def read_on(self) -> None:
        self.writer.transport.resume_reading()  # type: ignore[attr-defined]

    async def everything(self) -> bytes:
        """All bytes up to the end of the connection."""
        found = b""
        with contextlib.suppress(ConnectionError):
            while more := await self.reader.read(2**16):
                found += more
        return found

    async def ended(self) -> bool:
        async with asyncio.timeout(PATIENCE):
            try:
                return await self.reader.read() == b""
            except ConnectionError:
                return True


@asynccontextmanager
async def raw(address: str, source: str = "127.0.0.1") -> AsyncIterator[Raw]:
    """A TLS connection from any loopback address."""
    host, port = address.split(":")
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    reader, writer = await asyncio.open_connection(
        host, int(port), ssl=context, limit=2**22, local_addr=(source, 0)
    )
    try:
        yield Raw(reader, writer)
    finally:
        writer.close()


@asynccontextmanager
async def bystander(address: str, folder: Path) -> AsyncIterator[PhoneBook]:
    """Somebody honest, who must notice nothing."""
    async with PhoneBook(address, DataFolder(folder)) as book:
        await book.signup("bob", PASSWORD, make_identity("bob"))
        yield book
        page = await book.request(ListPeople(), People)
        assert [person.name for person in page.people] == ["bob"]
