"""The other side of what `line` measures, in a process of its own: `python -m tests.bench.partner KIND …`.

Each says `ready` once it can be measured, and runs until it is killed.
"""

import argparse
import asyncio
import socket
import ssl
from collections.abc import Coroutine, Iterator
from itertools import count
from pathlib import Path
from time import monotonic, time
from typing import Any, cast

import uvloop

from shell import letters
from shell.datafolder import DataFolder
from shell.line.effects import KeepIncoming
from shell.line.model import Incoming, MessageId
from shell.line.quic import Quic, QuicEvent, Received, StreamReceived
from shell.line.transfer import Taking
from shell.line.udp import udp_socket
from shell.mailbox import Mailbox
from shell.messenger import Messenger
from tests.bench.book import PASSWORD
from wire.certificates import Identity
from wire.names import NameKey

READY = "ready"
KEPT = b"kept"
READ = 1024 * 1024  # bytes at once from a TLS socket
MAX_BYTES = 2**40  # of a file that is taken


def main() -> None:
    """Runs one of them."""
    parser = argparse.ArgumentParser()
    kinds = parser.add_subparsers(dest="kind", required=True)
    for kind in ("echo", "quic", "quic-echo", "quic-row", "quic-mailbox", "tls", "irc"):
        added = kinds.add_parser(kind)
        added.add_argument("port", type=int)
        added.add_argument("folder", type=Path)
    added = kinds.add_parser("friends")
    added.add_argument("server")
    added.add_argument("folder", type=Path)
    added.add_argument("names", nargs="+")
    options = parser.parse_args()
    match options.kind:
        case "echo":
            uvloop.run(_served(_Echo(), options.port))
        case "quic":
            uvloop.run(_served(_QuicSink(identity(options.folder)), options.port))
        case "quic-echo":
            uvloop.run(_served(_QuicEcho(identity(options.folder)), options.port))
        case "quic-row":
            uvloop.run(_served(_QuicRow(identity(options.folder), options.folder), options.port))
        case "quic-mailbox":
            uvloop.run(_served(_QuicMailbox(identity(options.folder), options.folder), options.port))
        case "tls":
            _tls_sink(options.port, options.folder)
        case "irc":
            _irc_friend(options.port, options.folder)
        case _:
            uvloop.run(_friends(options.server, options.folder, options.names))


def message_ids() -> Iterator[MessageId]:
    """As many as one likes, each once."""
    return (MessageId(number.to_bytes(16)) for number in count())


def identity(folder: Path) -> Identity:
    """The one that `tests.bench.peers` made."""
    return Identity((folder / "bench.crt").read_bytes(), (folder / "bench.key").read_bytes())


def _ready() -> None:
    print(READY, flush=True)


class _Echo(asyncio.DatagramProtocol):
    """The limit of a round trip in Python: nothing but the event loop."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        self._transport.sendto(data, addr)


class _QuicSink(_Echo):
    """The limit of a file: the QUIC library, a socket, and what arrives is thrown away."""

    def __init__(self, own: Identity) -> None:
        self._own = own
        self._lines: dict[tuple[str, int], Quic] = {}
        self._timers: dict[tuple[str, int], asyncio.TimerHandle] = {}

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        address = addr[0], addr[1]
        quic = self._lines.get(address)
        if quic is None:
            quic = self._lines[address] = Quic.answer(self._own, data)
        quic.receive(data, monotonic())
        for event in quic.events():
            self._heard(address, event)
        self._flush(address)

    def _heard(self, address: tuple[str, int], event: QuicEvent) -> None:
        if isinstance(event, StreamReceived) and event.end:
            self._lines[address].send(b"all of it")

    def _flush(self, address: tuple[str, int]) -> None:
        quic = self._lines[address]
        for datagram in quic.transmit(monotonic()):
            self._transport.sendto(datagram, address)
        timer = self._timers.pop(address, None)
        if timer is not None:
            timer.cancel()
        deadline = quic.deadline()
        if deadline is not None:
            loop = asyncio.get_running_loop()
            self._timers[address] = loop.call_later(max(0.0, deadline - monotonic()), self._expire, address)

    def _expire(self, address: tuple[str, int]) -> None:
        self._lines[address].expire(monotonic())
        self._flush(address)


class _QuicEcho(_QuicSink):
    """The limit of a round trip: the QUIC library and a socket, and each word comes back."""

    def _heard(self, address: tuple[str, int], event: QuicEvent) -> None:
        if isinstance(event, Received):
            self._lines[address].send(event.data)


class _QuicRow(_QuicSink):
    """The limit of a message: each word is answered once its row is on disk, for which all else waits."""

    def __init__(self, own: Identity, folder: Path) -> None:
        super().__init__(own)
        self._rows = _Rows(folder / "row.db")

    def _heard(self, address: tuple[str, int], event: QuicEvent) -> None:
        if isinstance(event, Received):
            self._rows.keep(event.data.decode())
            self._lines[address].send(KEPT)


class _QuicMailbox(_QuicSink):
    """The same where nothing waits for the disk but the answer."""

    def __init__(self, own: Identity, folder: Path) -> None:
        super().__init__(own)
        self._mailbox = Mailbox(folder / "mailbox.db")
        self._ids = message_ids()
        self._keeping: set[asyncio.Task[None]] = set()

    def _heard(self, address: tuple[str, int], event: QuicEvent) -> None:
        if isinstance(event, Received):
            task = asyncio.get_running_loop().create_task(self._keep(address, event.data.decode()))
            self._keeping.add(task)
            task.add_done_callback(self._keeping.discard)

    async def _keep(self, address: tuple[str, int], text: str) -> None:
        message = Incoming(next(self._ids), NameKey("alice"), text, time())
        await self._mailbox.keep([KeepIncoming(message, 1)])
        self._lines[address].send(KEPT)
        self._flush(address)


class _Rows:
    """Rows as a mailbox writes them, each confirmed by the disk before the call returns."""

    def __init__(self, path: Path) -> None:
        self._rows = Mailbox(path)._connection  # its thread is idle: nothing is ever handed over
        self._ids = message_ids()

    def keep(self, text: str) -> None:
        """One message of somebody else."""
        message = Incoming(next(self._ids), NameKey("alice"), text, time())
        self._rows.execute("BEGIN IMMEDIATE")
        letters.keep_incoming(self._rows, message, message.written)
        self._rows.execute("COMMIT")


async def _served(protocol: asyncio.DatagramProtocol, port: int) -> None:
    loop = asyncio.get_running_loop()
    await loop.create_datagram_endpoint(lambda: protocol, sock=udp_socket(port))
    _ready()
    await asyncio.Event().wait()


def _tls_sink(port: int, folder: Path) -> None:
    """Writes what each connection brings to a file, and says so once it is on disk."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.load_cert_chain(folder / "bench.crt", folder / "bench.key")
    with socket.create_server(("127.0.0.1", port)) as listening:
        _ready()
        while True:
            plain, _ = listening.accept()
            with context.wrap_socket(plain, server_side=True) as connection:
                size = int.from_bytes(connection.recv(8))
                with (folder / "tls.received").open("wb", buffering=0) as file:
                    while size > 0 and (data := connection.recv(READ)):
                        file.write(data)
                        size -= len(data)
                connection.sendall(b"all of it")


def _irc_friend(port: int, folder: Path) -> None:
    """Answers each private message once its row is on disk, as a mailbox writes it."""
    rows = _Rows(folder / "irc.db")
    connection = irc_login(port, "friend")
    _ready()
    while line := connection.readline():
        if b" PRIVMSG friend :" not in line:
            continue
        rows.keep(line.partition(b" PRIVMSG friend :")[2].strip().decode())
        connection.write(b"PRIVMSG asker :%s\r\n" % KEPT)
        connection.flush()


def irc_login(port: int, nick: str) -> Any:
    """A connection to ngircd over TLS as somebody, as a file for both ways."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    plain = socket.create_connection(("127.0.0.1", port))
    plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    connection = context.wrap_socket(plain).makefile("rwb")
    connection.write(f"NICK {nick}\r\nUSER bench 0 * :bench\r\n".encode())
    connection.flush()
    while b" 376 " not in connection.readline():
        pass
    return connection


async def _friends(server: str, folder: Path, names: list[str]) -> None:
    """People at real shells, who take every file; the first of them has accepted alice."""
    shells = [await friend(server, folder, name) for name in names]
    await shells[0].line.accept("alice")
    _ready()
    await asyncio.Event().wait()


async def friend(server: str, folder: Path, name: str) -> Messenger:
    """One of them."""
    busy: set[asyncio.Task[None]] = set()

    def spawn(work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        busy.add(task)
        task.add_done_callback(busy.discard)

    async def take(number: int) -> None:
        await shell.line.files.take(number)

    def heard(event: object) -> None:
        number = getattr(event, "number", None)
        if type(event).__name__ == "FileOffered" and number is not None:
            spawn(take(number))

    taking = Taking(folder / f"{name}-files", MAX_BYTES)
    shell = Messenger(server, DataFolder(folder / name, taking), 0, heard)
    await shell.signup(name, PASSWORD)
    return shell


if __name__ == "__main__":
    main()
