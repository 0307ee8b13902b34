"""The server's TLS against the standard library's client, over real sockets."""

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Callable, Coroutine
from pathlib import Path
from typing import Any, cast

import pytest
import uvloop

from server.listener import tls_context
from server.tls import TlsConnection
from wire.certificates import make_identity

PATIENCE = 20.0
MIB = 1024 * 1024
Run = Callable[[Coroutine[Any, Any, None]], None]


class Upper(asyncio.Protocol):
    """Echoes, unless told otherwise."""

    def __init__(self) -> None:
        self.received = bytearray()
        self.lost = asyncio.Event()
        self.last_words = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        self.received += data
        if self.last_words:
            self.transport.write(self.last_words)
            self.transport.close()
        else:
            self.transport.write(data)

    def connection_lost(self, exc: Exception | None) -> None:
        self.lost.set()


class Book:
    """A listening socket with TLS, and what stands above each of its connections."""

    def __init__(self, folder: Path) -> None:
        identity = make_identity("test")
        file = folder / "server.pem"
        file.write_bytes(identity.certificate_pem + identity.key_pem)
        self._context = tls_context(file, None)
        self.uppers: list[Upper] = []
        self.secured: list[TlsConnection] = []

    def _made(self) -> TlsConnection:
        self.uppers.append(Upper())
        self.secured.append(TlsConnection(self._context, self.uppers[-1]))
        return self.secured[-1]

    @contextlib.asynccontextmanager
    async def listening(self) -> AsyncIterator[int]:
        server = await asyncio.get_running_loop().create_server(self._made, "127.0.0.1", 0)
        yield int(server.sockets[0].getsockname()[1])
        server.close()
        for secured in self.secured:
            secured.abort()


@pytest.fixture
def book(tmp_path: Path) -> Book:
    return Book(tmp_path)


@pytest.fixture(params=["asyncio", "uvloop"])
def run(request: pytest.FixtureRequest) -> Run:
    factory = uvloop.new_event_loop if request.param == "uvloop" else asyncio.new_event_loop

    def runs(work: Coroutine[Any, Any, None]) -> None:
        with asyncio.Runner(loop_factory=factory) as runner:
            runner.run(asyncio.wait_for(work, PATIENCE))

    return runs


def client_context(newest: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3) -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.maximum_version = newest
    return context


async def dialed(port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    return await asyncio.open_connection("127.0.0.1", port, ssl=client_context())


@pytest.mark.parametrize("size", [1, 16 * 1024, 16 * 1024 + 1, MIB])
def test_what_is_sent_arrives_both_ways(book: Book, run: Run, size: int) -> None:
    sent = bytes(range(256)) * (size // 256) + b"x" * (size % 256)

    async def work() -> None:
        async with book.listening() as port:
            reader, writer = await dialed(port)
            writer.write(sent)
            assert await reader.readexactly(size) == sent
            assert book.uppers[0].received == sent
            writer.close()
            await book.uppers[0].lost.wait()

    run(work())


def test_last_words_are_read_though_the_client_goes_on_sending(book: Book, run: Run) -> None:
    async def work() -> None:
        async with book.listening() as port:
            reader, writer = await dialed(port)
            writer.write(b"first")
            await reader.readexactly(5)
            book.uppers[0].last_words = b"go away"
            with contextlib.suppress(ConnectionError):
                for _ in range(64):
                    writer.write(b"x" * 64 * 1024)
            assert await reader.read() == b"go away"
            assert book.uppers[0].transport.is_closing()
            writer.close()
            await book.uppers[0].lost.wait()
            assert len(book.uppers[0].received) < MIB

    run(work())


def test_what_came_before_a_goodbye_is_answered(book: Book, run: Run) -> None:
    async def work() -> None:
        async with book.listening() as port:
            incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
            client = client_context().wrap_bio(incoming, outgoing)
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            while True:
                with contextlib.suppress(ssl.SSLWantReadError):
                    client.do_handshake()
                    break
                writer.write(outgoing.read())
                incoming.write(await reader.read(65536))
            client.write(b"and goodbye")
            with contextlib.suppress(ssl.SSLWantReadError):
                client.unwrap()
            writer.write(outgoing.read())
            await book.uppers[0].lost.wait()  # with nobody hanging up on it
            incoming.write(await reader.read())
            assert client.read(65536) == b"and goodbye"
            writer.close()

    run(work())


def test_nothing_is_read_while_reading_is_paused(book: Book, run: Run) -> None:
    async def work() -> None:
        async with book.listening() as port:
            reader, writer = await dialed(port)
            writer.write(b"one")
            await reader.readexactly(3)
            book.uppers[0].transport.pause_reading()
            writer.write(b"two")
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(reader.readexactly(3), 0.1)
            book.uppers[0].transport.resume_reading()
            assert await reader.readexactly(3) == b"two"
            writer.close()

    run(work())


def test_an_old_version_is_refused_with_an_alert(book: Book, run: Run) -> None:
    async def work() -> None:
        async with book.listening() as port:
            with pytest.raises(ssl.SSLError, match="ALERT_PROTOCOL_VERSION"):
                await asyncio.open_connection(
                    "127.0.0.1", port, ssl=client_context(ssl.TLSVersion.TLSv1_2), server_hostname=""
                )
            with pytest.raises(ssl.SSLError):
                await book.secured[0].shaken()

    run(work())


@pytest.mark.parametrize("bytes_sent", [b"GET / HTTP/1.1\r\n\r\n", b"\x00" * 5, b"\x16\x03\x01\xff\xff" * 9])
def test_what_is_no_tls_ends_the_connection(book: Book, run: Run, bytes_sent: bytes) -> None:
    async def work() -> None:
        async with book.listening() as port:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(bytes_sent)
            await reader.read()
            writer.close()
            with pytest.raises((ssl.SSLError, ConnectionError)):
                await book.secured[0].shaken()
            assert not hasattr(book.uppers[0], "transport"), "nobody above hears of it"

    run(work())


def test_a_damaged_record_ends_the_connection(book: Book, run: Run) -> None:
    async def work() -> None:
        async with book.listening() as port:
            reader, writer = await dialed(port)
            writer.write(b"one")
            await reader.readexactly(3)
            book.secured[0].data_received(b"\x17\x03\x03\x00\x20" + bytes(32))
            with contextlib.suppress(ssl.SSLError):
                await reader.read()
            await book.uppers[0].lost.wait()
            assert book.uppers[0].received == b"one"
            writer.close()

    run(work())
