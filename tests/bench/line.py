"""The line between two shells: round trips to *delivered*, messages a second, first words, files.

A message counts once its receipt is back, so that two disks have it. What it is held against, in the same
run: a raw UDP echo on the same event loop; the same message through ngircd over TLS, answered by a client
that has put the same row on the same disk; the QUIC library alone with a bare loop; the stdlib's TLS.
"""

import asyncio
import contextlib
import itertools
import os
import socket
import ssl
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import cast

import uvloop

from shell.datafolder import DataFolder
from shell.line.effects import KeepOutgoing
from shell.line.model import Outgoing, State
from shell.line.moving import LOW_WATER
from shell.line.quic import Connected, QuicEvent, Received
from shell.line.transfer import Phase
from shell.mailbox import Mailbox
from shell.messenger import Messenger
from tests.bench.bare import QuicClient, QuicEcho
from tests.bench.book import PASSWORD, Book, Town
from tests.bench.figures import Figure, median
from tests.bench.partner import READY, identity, irc_login, message_ids
from tests.bench.peers import Ngircd
from tests.bench.processes import LOAD_CORE, PATIENCE, Process, free_port
from wire.certificates import Fingerprint
from wire.names import NameKey

TITLE = "The line between two shells on loopback"
TEXT = "x" * 100
IN_FLIGHT = 256  # messages written at a time where many are
WARM_UP = 50  # round trips before those that count
CHUNK = 256 * 1024  # bytes read at once
MIB, MB = 2**20, 1e6
SETTLE = 30.0  # seconds that one message may take
ECHO, MESSAGE, IRC = "raw UDP echo", "message to delivered", "ngircd with TLS and the same row on disk"
QUIC, ROW = "QUIC library alone", "QUIC library and that row, all else waits"
MAILBOXES = "QUIC library and two mailboxes, no rules"
ROUND_TRIP, RATE, FIRST, FILE = 6.0, 2_000.0, 60.0, 25.0
"""To reach: times the raw echo; messages/s; milliseconds; MB/s."""


def run(quick: bool) -> list[Figure]:
    """Measures all in turns."""
    return uvloop.run(_run(quick))


async def _run(quick: bool) -> list[Figure]:
    count, size, strangers = (300, 32 * MIB, 3) if quick else (2_000, 256 * MIB, 15)
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {LOAD_CORE})
    try:
        with tempfile.TemporaryDirectory(prefix="parley-bench-") as folder, ExitStack() as stack:
            return await _measured(Path(folder), stack, count, size, strangers)
    finally:
        os.sched_setaffinity(0, before)


async def _measured(folder: Path, stack: ExitStack, count: int, size: int, strangers: int) -> list[Figure]:
    names = ["friend", *(f"stranger{number}" for number in range(strangers))]
    ircd = stack.enter_context(Ngircd(folder, tls=True)) if Ngircd.installed() else None
    book = stack.enter_context(Book(await asyncio.to_thread(Town, folder / "book", 1)))
    server = f"127.0.0.1:{book.port}"
    stack.enter_context(_partner(folder, "friends", server, str(folder), *names))
    shell = Messenger(server, DataFolder(folder / "alice"), 0, _nothing)
    await shell.signup("alice", PASSWORD)
    large = folder / "large"
    large.write_bytes(os.urandom(MIB) * (size // MIB))
    try:
        firsts = [await _first(shell, name) for name in names[1:]]
        await _settled(shell, "friend")
        trips = await _round_trips(folder, stack, shell, ircd, count)
        rate = await _rate(shell, count * 5)
        bare, ours, tls = await _files(folder, stack, shell, large, size)
    finally:
        await shell.close()
    first = Figure("first message to a stranger, p50", median(firsts) * 1e3, "ms", goal=FIRST)
    figures = [figure for what, seconds in trips.items() for figure in _trips(what, seconds)]
    medians = {what: Figure(f"{what}, p50", median(seconds) * 1e6, "µs") for what, seconds in trips.items()}
    message = medians[MESSAGE]
    figures.append(message.compared(medians[ECHO], at_most=ROUND_TRIP))
    if ircd is not None:
        figures.append(message.compared(medians[IRC], at_most=1.0))
        figures.append(medians[ROW].compared(medians[IRC]))
    else:
        figures.append(Figure(IRC, 0.0, "µs", note="not installed"))
    figures += [medians[what].compared(medians[ECHO]) for what in (ROW, MAILBOXES)]
    figures.append(message.compared(medians[MAILBOXES]))
    bare_rate, tls_rate = Figure("file, QUIC library alone", bare, "MB/s"), Figure("file, TLS", tls, "MB/s")
    file_rate = Figure("file between shells, on disk and checked", ours, "MB/s", goal=FILE, at_least=True)
    return [
        *figures,
        Figure("messages one way, delivered", rate, "/s", goal=RATE, at_least=True),
        first,
        bare_rate,
        tls_rate,
        file_rate,
        file_rate.compared(bare_rate, at_least=0.5),
        file_rate.compared(tls_rate),
    ]


def _trips(what: str, trips: Sequence[float]) -> list[Figure]:
    tail = statistics.quantiles(trips, n=100)[98]
    return [Figure(f"{what}, p50", median(trips) * 1e6, "µs"), Figure(f"{what}, p99", tail * 1e6, "µs")]


def _nothing(event: object) -> None:
    """Nobody looks."""


def _partner(folder: Path, *arguments: str) -> Process:
    """Another process, once it is ready."""
    log = folder / f"{arguments[0]}.log"
    partner = Process([sys.executable, "-m", "tests.bench.partner", *arguments], log)
    deadline = time.monotonic() + PATIENCE
    while READY not in log.read_text(errors="replace"):
        if time.monotonic() > deadline or partner.process.poll() is not None:
            partner.kill()
            raise RuntimeError(f"{arguments[0]} does not start: {log.read_text(errors='replace')[-500:]}")
        time.sleep(0.01)
    return partner


# --- messages -------------------------------------------------------------------------------------------


async def _settled(shell: Messenger, name: str) -> State:
    written = await shell.line.write(name, TEXT)
    return (await shell.line.settled(written, SETTLE)).state


async def _first(shell: Messenger, name: str) -> float:
    """Seconds to bring the first message to somebody who was never called: introduction, handshake, disk."""
    began = time.perf_counter()
    state = await _settled(shell, name)
    if state is not State.HELD:
        raise RuntimeError(f"the first message to {name} is {state.value}")
    return time.perf_counter() - began


async def _round_trips(
    folder: Path, stack: ExitStack, shell: Messenger, ircd: Ngircd | None, count: int
) -> dict[str, list[float]]:
    """Seconds of each trip by what it is, in turns of fifty, so that all meet the same machine."""
    port = free_port()
    stack.enter_context(_partner(folder, "echo", str(port), str(folder)))
    echo: _Echo = await _Echo.to(port)
    kinds = ("quic-echo", "quic-row", "quic-mailbox")
    quic, row, mailboxes = [await _quic(folder, stack, kind) for kind in kinds]
    own, ids = stack.enter_context(contextlib.closing(Mailbox(folder / "own.db"))), message_ids()

    async def message() -> None:
        if await _settled(shell, "friend") is not State.DELIVERED:
            raise RuntimeError("a message was not delivered")

    async def kept() -> None:
        await own.keep([KeepOutgoing(Outgoing(next(ids), NameKey("friend"), TEXT, time.time()))])
        await mailboxes.trip(TEXT.encode())

    trips: dict[str, Callable[[], Awaitable[None]]] = {
        ECHO: echo.trip,
        MESSAGE: message,
        QUIC: lambda: quic.trip(TEXT.encode()),
        ROW: lambda: row.trip(TEXT.encode()),
        MAILBOXES: kept,
    }
    if ircd is not None:
        stack.enter_context(_partner(folder, "irc", str(ircd.port), str(folder)))
        trips[IRC] = _irc_trip(ircd.port)
    measured: dict[str, list[float]] = {what: [] for what in trips}
    for turn in range(-1, max(1, count // WARM_UP)):
        for what, trip in trips.items():
            for _ in range(WARM_UP):
                began = time.perf_counter()
                await trip()
                if turn >= 0:
                    measured[what].append(time.perf_counter() - began)
    return measured


async def _quic(folder: Path, stack: ExitStack, kind: str) -> QuicEcho:
    """Connected to a partner of this kind."""
    port = free_port()
    stack.enter_context(_partner(folder, kind, str(port), str(folder)))
    quic: QuicEcho = await QuicEcho.to(port, identity(folder).fingerprint)
    await quic.connected()
    return quic


class _Echo(asyncio.DatagramProtocol):
    """The caller of the raw echo."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.DatagramTransport, transport)
        self._answer: asyncio.Future[None] | None = None

    @classmethod
    async def to(cls, port: int) -> "_Echo":
        """One that is connected."""
        loop = asyncio.get_running_loop()
        _, protocol = await loop.create_datagram_endpoint(cls, remote_addr=("127.0.0.1", port))
        return protocol

    async def trip(self) -> None:
        """There and back."""
        self._answer = asyncio.get_running_loop().create_future()
        self._transport.sendto(TEXT.encode())
        await self._answer

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        if self._answer is not None and not self._answer.done():
            self._answer.set_result(None)


def _irc_trip(port: int) -> Callable[[], Awaitable[None]]:
    connection = irc_login(port, "asker")

    async def trip() -> None:
        # Blocking on purpose: no event loop is the fastest that a client in Python can be.
        connection.write(f"PRIVMSG friend :{TEXT}\r\n".encode())
        connection.flush()
        while b" PRIVMSG asker :" not in connection.readline():
            pass

    return trip


async def _rate(shell: Messenger, count: int) -> float:
    """Messages a second that are written, and delivered."""
    left = itertools.count()

    async def write() -> None:
        while next(left) < count:
            await _settled(shell, "friend")

    began = time.perf_counter()
    await asyncio.gather(*(write() for _ in range(IN_FLIGHT)))
    return count / (time.perf_counter() - began)


# --- files ----------------------------------------------------------------------------------------------


async def _files(
    folder: Path, stack: ExitStack, shell: Messenger, large: Path, size: int
) -> tuple[float, float, float]:
    """MB/s of the QUIC library alone, between shells, and of TLS over TCP; the best of two turns each."""
    quic, tls = free_port(), free_port()
    stack.enter_context(_partner(folder, "quic", str(quic), str(folder)))
    stack.enter_context(_partner(folder, "tls", str(tls), str(folder)))
    rates: tuple[list[float], list[float], list[float]] = [], [], []
    for _ in range(2):
        rates[0].append(await _timed(_quic_file(folder, quic, large)))
        rates[1].append(await _timed(_shell_file(shell, large)))
        rates[2].append(await _timed(asyncio.to_thread(_tls_file, tls, large)))
    bare, ours, plain = (size / MB / min(seconds) for seconds in rates)
    return bare, ours, plain


async def _timed(work: Awaitable[None]) -> float:
    began = time.perf_counter()
    await work
    return time.perf_counter() - began


async def _shell_file(shell: Messenger, large: Path) -> None:
    sent = await shell.line.files.send("friend", large)
    ended = await shell.line.files.over(sent.number)
    if ended.phase is not Phase.DONE:
        raise RuntimeError(f"the file was {ended.reason}")


async def _quic_file(folder: Path, port: int, large: Path) -> None:
    source = await _QuicSource.to(port, identity(folder).fingerprint, large)
    await source.done


class _QuicSource(QuicClient):
    """Feeds the QUIC library as fast as it goes, with the chunks of a file."""

    def __init__(self, fingerprint: Fingerprint, large: Path) -> None:
        super().__init__(fingerprint)
        self._chunks = _chunks(large)
        self._stream: int | None = None
        self.done = asyncio.get_running_loop().create_future()

    def heard(self, event: QuicEvent) -> None:
        """The handshake, or the word that all has come."""
        match event:
            case Connected():
                self._stream = self.quic.open_stream(b"")
                self.quic.send(b"hello")
            case Received() if not self.done.done():
                self.done.set_result(None)
            case _:
                pass

    def flush(self) -> None:
        """Sends what there is, and reads on while the path takes it."""
        super().flush()
        while self._stream is not None and self.quic.queued(self._stream) <= LOW_WATER:
            chunk = next(self._chunks, None)
            if chunk is None:
                break
            self.quic.send_on(self._stream, chunk, end=not chunk)
            super().flush()


def _chunks(large: Path) -> Iterator[bytes]:
    """A file, then nothing for its end."""
    with large.open("rb", buffering=0) as file:
        while data := file.read(CHUNK):
            yield data
    yield b""


def _tls_file(port: int, large: Path) -> None:
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    with (
        socket.create_connection(("127.0.0.1", port)) as plain,
        context.wrap_socket(plain) as connection,
        large.open("rb", buffering=0) as file,
    ):
        connection.sendall(large.stat().st_size.to_bytes(8))
        while data := file.read(CHUNK):
            connection.sendall(data)
        connection.recv(64)
