"""Takes connections from the listening socket: admission first, then the TLS handshake, within bounds.

A connection that may not be there is told why as long as few others are being told; beyond that, and near the
limit of open files, it is closed at once. Those who are there notice nothing of either.
"""

import asyncio
import contextlib
import errno
import logging
import os
import resource
import socket
import ssl
from collections import OrderedDict
from collections.abc import Callable, Coroutine
from typing import Any, assert_never, cast

from server.admission import Admission, Admit, Deny, Displace, Waiting, Why
from server.connection import END_PATIENCE, Connection
from server.settings import ServerSettings
from server.throttles import Prefix, prefix_of
from server.tls import TlsConnection
from wire.errors import ErrorCode, Refused
from wire.rpc import encode_error

log = logging.getLogger(__name__)

ACCEPTS_AT_ONCE = 64  # connections that one turn of the loop takes, so that the others get their turn
FAREWELLS = 64  # connections that are being told, at once, that they may not be there
OTHER_FILES = 32  # open files besides connections: databases, logs, the listening socket, a backup
ACCEPT_PAUSE = 0.5  # seconds without accepting where even the spare descriptor is of no use
FULL_RETRY = 5.0  # seconds after which somebody who found no room may try again
_NO_DESCRIPTOR = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)
_SENTENCES = {
    Why.FULL: "The phone book has no room for more connections.",
    Why.ADDRESS: "There are too many connections from your address.",
    Why.UNPROVEN: "Too many connections wait for a login.",
}


def room_for_connections(wanted: int) -> int:
    """How many connections the limit of open files allows; it is raised to what is wanted where it may be."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = wanted + FAREWELLS + OTHER_FILES
    if soft != resource.RLIM_INFINITY and soft < needed:
        soft = needed if hard == resource.RLIM_INFINITY else min(needed, hard)
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    room = wanted if soft == resource.RLIM_INFINITY else max(1, soft - FAREWELLS - OTHER_FILES)
    if room < wanted:
        log.warning("event=open-files-limit wanted=%d room=%d", wanted, room)
    return room


class _Farewell(asyncio.Protocol):
    """A connection that may not be there: it is told why, and that is all."""

    def __init__(self, refused: Refused, on_gone: Callable[["_Farewell"], None]) -> None:
        self._refused, self._on_gone = refused, on_gone

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """TLS is up."""
        told = cast(asyncio.Transport, transport)
        told.write(encode_error(None, self._refused))
        told.close()
        asyncio.get_running_loop().call_later(END_PATIENCE, told.abort)

    def connection_lost(self, exc: Exception | None) -> None:
        """It has been told, or has gone."""
        self._on_gone(self)


class Acceptor:
    """The connections of one listening socket."""

    def __init__(
        self,
        bound: socket.socket,
        tls: ssl.SSLContext | None,
        settings: ServerSettings,
        *,
        make: Callable[[], Connection],
        on_refused: Callable[[str, str], None],
        spawn: Callable[[Coroutine[Any, Any, None]], object],
    ) -> None:
        """`make` builds a connection, whose loss comes to `lost`; `on_refused` gets what happened and the
        address."""
        self.tls = tls
        """For the connections to come; None, which no setting allows, serves the benches."""
        self.admission = Admission(settings, room_for_connections(settings.max_connections))
        self.connections: set[Connection] = set()
        """All that were let in, during their handshake as well."""
        self._handshake_seconds = settings.handshake_seconds
        self._bound = bound
        self._make, self._on_refused, self._spawn = make, on_refused, spawn
        self._counted: set[Connection] = set()
        self._unproven: OrderedDict[Connection, float] = OrderedDict()
        """Those without a login, with the time at which they came, oldest first."""
        self._handshakes: dict[asyncio.BaseProtocol, asyncio.Task[Any]] = {}
        self._farewells: set[_Farewell] = set()
        self._nobody = asyncio.Event()
        self._nobody.set()
        self._spare: int | None = None
        self._open_spare()
        self._loop = asyncio.get_running_loop()
        bound.setblocking(False)
        self._loop.add_reader(bound, self._accept)

    def change(self, settings: ServerSettings) -> None:
        """Other limits from now on."""
        self._handshake_seconds = settings.handshake_seconds
        self.admission.change(settings, room_for_connections(settings.max_connections))

    def proven(self, connection: Connection) -> None:
        """Somebody logged in on it."""
        if connection in self._unproven:
            del self._unproven[connection]
            self.admission.prove(connection.client.prefix)

    def lost(self, connection: Connection) -> None:
        """A connection is over."""
        self._leave(connection)
        self.connections.discard(connection)
        if not self.connections:
            self._nobody.set()

    def stop(self) -> None:
        """Nobody comes in any more; handshakes are broken off."""
        if self._bound.fileno() >= 0:
            self._loop.remove_reader(self._bound)
            self._bound.close()
        for task in list(self._handshakes.values()):
            task.cancel()
        self._close_spare()

    async def empty(self) -> None:
        """Waits until nobody is there."""
        await self._nobody.wait()

    # --- inside -----------------------------------------------------------------------------------------

    def _accept(self) -> None:
        for _ in range(ACCEPTS_AT_ONCE):
            try:
                accepted, address = self._bound.accept()
            except BlockingIOError:
                return
            except OSError as error:
                if error.errno in _NO_DESCRIPTOR:
                    self._turn_away()
                    return
                continue  # the client was gone before it was accepted
            self._judge(accepted, str(address[0]).removeprefix("::ffff:"))

    def _judge(self, accepted: socket.socket, address: str) -> None:
        prefix = prefix_of(address)
        verdict = self.admission.ask(prefix, self._oldest())
        match verdict:
            case Admit():
                pass
            case Displace(crowd):
                self._displace(crowd)
            case Deny(why):
                self._deny(accepted, address, why)
                return
            case _:
                assert_never(verdict)
        connection = self._make()
        connection.client.address, connection.client.prefix = address, prefix
        self.admission.enter(prefix)
        self._counted.add(connection)
        self._unproven[connection] = self._loop.time()
        self.connections.add(connection)
        self._nobody.clear()
        self._spawn(self._handshake(accepted, connection, address, lambda: self.lost(connection)))

    def _oldest(self) -> Waiting | None:
        for connection, came in self._unproven.items():
            return Waiting(connection.client.prefix, self._loop.time() - came)
        return None

    def _deny(self, accepted: socket.socket, address: str, why: Why) -> None:
        self._on_refused(f"connection-refused-{why.value}", address)
        if len(self._farewells) >= FAREWELLS:
            accepted.close()
            return
        refused = Refused(ErrorCode.BUSY, _SENTENCES[why], retry_after=FULL_RETRY)
        farewell = _Farewell(refused, self._farewells.discard)
        self._farewells.add(farewell)
        self._spawn(self._handshake(accepted, farewell, address, lambda: self._farewells.discard(farewell)))

    async def _handshake(
        self, accepted: socket.socket, protocol: asyncio.Protocol, address: str, failed: Callable[[], None]
    ) -> None:
        task = asyncio.current_task()
        if task is not None:
            self._handshakes[protocol] = task
        secured = TlsConnection(self.tls, protocol) if self.tls is not None else None
        try:
            accepted.setblocking(False)
            accepted.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            async with asyncio.timeout(self._handshake_seconds):
                await self._loop.connect_accepted_socket(lambda: secured or protocol, accepted)
                if secured is not None:
                    await secured.shaken()
        except (OSError, asyncio.CancelledError):  # a timeout and a TLS alert are OSErrors; only we cancel it
            if secured is not None and not secured.is_closing():  # else it is on its way out, with an alert
                secured.abort()
            accepted.close()
            if isinstance(protocol, Connection):
                protocol.abort()  # the handshake may have been done at the moment of the cancellation
            self._on_refused("handshake-failed", address)
            failed()
        finally:
            self._handshakes.pop(protocol, None)

    def _displace(self, prefix: Prefix) -> None:
        """The oldest makes room; its place is free from now on, not when its last byte is sent."""
        oldest = next(connection for connection in self._unproven if connection.client.prefix == prefix)
        self._on_refused("connection-displaced", oldest.client.address)
        self._leave(oldest)
        task = self._handshakes.get(oldest)
        if task is not None:
            task.cancel()
        else:
            oldest.refuse(Refused(ErrorCode.BUSY, _SENTENCES[Why.UNPROVEN], retry_after=FULL_RETRY))

    def _leave(self, connection: Connection) -> None:
        if connection in self._counted:
            self._counted.discard(connection)
            self.admission.leave(connection.client.prefix, proven=connection not in self._unproven)
            self._unproven.pop(connection, None)

    def _turn_away(self) -> None:
        """No descriptor is left: the spare one serves to take the next in line and to hang up on it, as an
        unaccepted connection would wake the loop for ever."""
        log.warning("event=no-descriptors")
        self._close_spare()
        with contextlib.suppress(OSError):
            accepted, _ = self._bound.accept()
            accepted.close()
        self._open_spare()
        if self._spare is None:
            self._loop.remove_reader(self._bound)
            self._loop.call_later(ACCEPT_PAUSE, self._resume)

    def _resume(self) -> None:
        self._open_spare()
        if self._bound.fileno() >= 0:
            self._loop.add_reader(self._bound, self._accept)

    def _open_spare(self) -> None:
        if self._spare is None:
            with contextlib.suppress(OSError):
                self._spare = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)

    def _close_spare(self) -> None:
        if self._spare is not None:
            os.close(self._spare)
            self._spare = None
