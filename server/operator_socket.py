"""Attached consoles: a Unix socket in the data folder, for the user who runs the phone book and for root.

The socket's mode is 0600, and whoever gets through in spite of it is judged by the credentials that the
kernel vouches for (SO_PEERCRED, unix(7)). Runs on the phone book's event loop.
"""

import asyncio
import contextlib
import logging
import os
import socket
from collections.abc import Awaitable, Callable
from pathlib import Path

import msgspec

import wire
from server.actions import AnyAction, Overview, Reply
from server.effects import Happened
from server.errors import DataFolderError
from server.operator_wire import (
    MAX_CALL,
    Answer,
    Call,
    Denied,
    Follow,
    Greeting,
    News,
    Pulse,
    ToConsole,
    decode_from_console,
    encode,
)
from server.unix import peer_uid, reachable, user_name
from wire.errors import BadFrame, ErrorCode, Refused
from wire.limits import KIB

log = logging.getLogger(__name__)

MAX_CONSOLES = 16  # attached at once
MAX_UNREAD = 256 * KIB  # bytes that a console may leave unread before news are left out
PULSE = 1.0  # seconds between looks whether the toolbars have something new

CarryOut = Callable[[AnyAction, str], Awaitable[Reply]]


class OperatorSocket:
    """Where consoles attach."""

    def __init__(self, path: Path, carry_out: CarryOut, overview: Callable[[], Overview]) -> None:
        self._path = path
        self._carry_out = carry_out
        self._overview = overview
        self._consoles: set[_Console] = set()
        self._server: asyncio.Server | None = None
        self._pulse: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Listens. Raises `DataFolderError`."""
        try:
            bound = _bound(self._path)
        except OSError as error:
            raise DataFolderError(
                f"The console's socket {self._path} cannot be made: {(error.strerror or str(error)).lower()}."
            ) from None
        self._server = await asyncio.start_unix_server(self._attached, sock=bound, limit=MAX_CALL)
        self._pulse = asyncio.create_task(self._send_pulse(), name="console-pulse")

    async def stop(self) -> None:
        """Sends everybody away and removes the socket."""
        if self._server is None:
            return
        self._server.close()
        if self._pulse is not None:
            self._pulse.cancel()
        for console in self._consoles:
            console.writer.close()
        self._path.unlink(missing_ok=True)

    def happened(self, event: Happened) -> None:
        """Tells the consoles that follow."""
        for console in self._consoles:
            console.tell(event)

    async def _attached(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            author = self._admitted(writer.get_extra_info("socket"))
        except Refused as denied:
            writer.write(encode(Denied(str(denied))))
            writer.close()
            return
        console = _Console(writer, author)
        self._consoles.add(console)
        log.info("event=console_attached author=%r", author)
        console.write(Greeting(wire.VERSION, author, self._overview()))
        try:
            with contextlib.suppress(ConnectionError):
                await self._serve(console, reader)
        finally:
            self._consoles.discard(console)
            writer.close()
            log.info("event=console_left author=%r", author)

    def _admitted(self, peer: socket.socket) -> str:
        """The Unix user at the other end. Raises `Refused` for anybody who may not operate."""
        if not hasattr(socket, "SO_PEERCRED"):
            raise Refused(
                ErrorCode.UNAVAILABLE, "This system does not tell who asks; use the server's own terminal."
            )
        uid = peer_uid(peer)
        name = user_name(uid)
        if uid not in (0, os.geteuid()):
            log.warning("event=console_refused author=%r", name)
            raise Refused(
                ErrorCode.LOGIN_REQUIRED,
                f"{name} may not operate this phone book; only {user_name(os.geteuid())} and root may.",
            )
        if len(self._consoles) >= MAX_CONSOLES:
            raise Refused(ErrorCode.BUSY, f"{MAX_CONSOLES} consoles are attached already; close one.")
        return name

    async def _serve(self, console: "_Console", reader: asyncio.StreamReader) -> None:
        while True:
            try:
                line = await reader.readline()
                if not line.endswith(b"\n"):
                    return
                asked = decode_from_console(line)
            except (BadFrame, ValueError) as error:  # ValueError: a line over the limit
                console.write(Denied(str(error)))
                return
            if isinstance(asked, Follow):
                console.following = asked.on
            else:
                console.write(await self._answer(asked, console.author))
                await console.writer.drain()

    async def _answer(self, call: Call, author: str) -> Answer:
        try:
            reply = await self._carry_out(call.action, author)
        except Refused as error:
            return Answer(call.number, error=error.to_object())
        except Exception:  # the edge of one call: the console goes on
            log.exception("event=action_fault action=%s", type(call.action).__name__)
            fault = Refused(ErrorCode.INTERNAL_ERROR, "Something went wrong inside; the log has the details.")
            return Answer(call.number, error=fault.to_object())
        return Answer(call.number, msgspec.Raw(msgspec.json.encode(reply)))

    async def _send_pulse(self) -> None:
        while True:
            await asyncio.sleep(PULSE)
            overview = self._overview()
            for console in self._consoles:
                console.pulse(overview)


class _Console:
    """One attached console."""

    def __init__(self, writer: asyncio.StreamWriter, author: str) -> None:
        self.writer = writer
        self.author = author
        self.following = False
        self._missed = 0
        self._shown: Overview | None = None

    @property
    def behind(self) -> bool:
        """Whether it does not read what it gets, as a stopped process."""
        return self.writer.transport.get_write_buffer_size() > MAX_UNREAD

    def write(self, line: ToConsole) -> None:
        if not self.writer.is_closing():
            self.writer.write(encode(line))

    def tell(self, event: Happened) -> None:
        if not self.following:
            return
        if self.behind:
            self._missed += 1
            return
        self.write(News(event, self._missed))
        self._missed = 0

    def pulse(self, overview: Overview) -> None:
        if overview != self._shown and not self.behind:
            self._shown = overview
            self.write(Pulse(overview))


def _bound(path: Path) -> socket.socket:
    """The socket, for its owner only from its first moment on."""
    path.unlink(missing_ok=True)  # of a phone book that was killed; the folder's lock says that none runs
    made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        os.fchmod(made.fileno(), 0o600)  # Linux gives the file the mode that the socket has
        with reachable(path) as address:
            made.bind(address)
        path.chmod(0o600)
        made.listen(MAX_CONSOLES)
    except OSError:
        made.close()
        raise
    return made
