"""The phone book, whole: store, rules and connections on one event loop."""

import asyncio
import contextlib
import logging
import socket
import ssl
from collections.abc import Callable, Coroutine
from pathlib import Path
from time import time
from typing import Any, assert_never

from cryptography import x509
from cryptography.hazmat.primitives import serialization

from server.accounts import AccountId, SqliteAccounts
from server.connection import Connection
from server.datafolder import DataFolder
from server.directory import Directory
from server.effects import Close, Effect, Happened, KeepLastSeen, Push, SessionId
from server.listener import listening_socket, tls_context, usable_address
from server.passwords import Passwords
from server.service import Service
from server.settings import ServerSettings, data_folder, listen_address
from server.tokens import TokenMint
from wire.certificates import Fingerprint, fingerprint
from wire.errors import ErrorCode, Refused
from wire.messages import CloseReason
from wire.tickets import Ticket, sign_ticket

log = logging.getLogger(__name__)

SWEEP = 5.0  # seconds between looks for clients that are silent or do not log in
FLUSH_PATIENCE = 2.0  # seconds at the end for clients to read why it ends
KIB = 1024


class PhoneBookServer:
    """One phone book. All methods but the constructor run on its event loop's thread."""

    def __init__(self, settings: ServerSettings) -> None:
        """Opens the data folder. Raises `DataFolderError`, `SettingsError`."""
        self.settings = settings
        self.started = time()
        self._folder = DataFolder(data_folder(settings))
        with contextlib.ExitStack() as undo:
            undo.callback(self._folder.close)
            self._tls = self._load_certificate()
            self.accounts = SqliteAccounts(self._folder.accounts)
            undo.pop_all()
        self.directory = Directory(
            self._sign,
            open_addresses=settings.addresses == "members",
            introductions_per_minute=settings.introductions_per_minute,
        )
        self.passwords = Passwords(settings)
        self.service = Service(
            settings,
            self.directory,
            self.accounts,
            self.passwords,
            TokenMint(self._folder.token_secret),
            ticket_key=self._folder.ticket_key.public_key().public_bytes_raw(),
            perform=self.perform,
        )
        self.connections: set[Connection] = set()
        self.counts: dict[str, int] = {}
        """How often each kind of event happened since the start."""
        self.watchers: set[Callable[[Happened], None]] = set()
        self.address = ("", 0)
        self._bound: dict[SessionId, Connection] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._nobody_left = asyncio.Event()
        self._nobody_left.set()
        self._server: asyncio.Server | None = None

    async def start(self) -> None:
        """Listens. Raises `PortTaken`."""
        host, port = listen_address(self.settings.listen)
        bound = listening_socket(host, port)
        self.address = usable_address(bound), bound.getsockname()[1]
        self._server = await self._accept(bound)
        self._sweeper = asyncio.create_task(self._sweep(), name="sweep")
        log.info("event=listening address=%s port=%d", *self.address)

    async def stop(self, text: str = "") -> None:
        """Tells everybody, lets them read it, and closes everything."""
        if self._server is not None:
            self._server.close()
        for connection in list(self.connections):
            if connection.client.session_id is None:
                connection.abort()
        self.perform(self.directory.close_all(CloseReason.SHUTDOWN, text))
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(FLUSH_PATIENCE):
                await self._nobody_left.wait()
        for connection in list(self.connections):
            connection.abort()
        self._sweeper.cancel()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(FLUSH_PATIENCE):
                await asyncio.gather(*self._tasks, return_exceptions=True)
        self.close()

    def close(self) -> None:
        """Lets go of the data folder."""
        self.passwords.close()
        self.accounts.close()
        self._folder.close()

    @property
    def folder(self) -> Path:
        """The data folder."""
        return self._folder.path

    @property
    def fingerprint(self) -> Fingerprint:
        """The fingerprint of the TLS certificate, which shells pin."""
        return self._fingerprint

    def perform(self, effects: list[Effect]) -> None:
        """Carries out what the directory decided."""
        for effect in effects:
            match effect:
                case Push(session, message):
                    if session in self._bound:
                        self._bound[session].push(message)
                case Close(session, reason, text):
                    connection = self._bound.pop(session, None)
                    if connection is not None:
                        connection.close(reason, text)
                case KeepLastSeen(account_id, when):
                    self._task(self._keep_last_seen(account_id, when))
                case Happened(what=what):
                    self.counts[what] = self.counts.get(what, 0) + 1
                    log.info("event=%s name=%r detail=%r", what, effect.name, effect.detail)
                    for watcher in tuple(self.watchers):  # consoles come and go on other threads
                        watcher(effect)
                case _:
                    assert_never(effect)

    def connection_of(self, session: SessionId) -> Connection | None:
        """The connection of a session."""
        return self._bound.get(session)

    # --- inside -----------------------------------------------------------------------------------------

    async def _accept(self, bound: socket.socket) -> asyncio.Server:
        return await asyncio.get_running_loop().create_server(
            self._connected,
            sock=bound,
            ssl=self._tls,
            ssl_handshake_timeout=self.settings.login_seconds,
        )

    def _load_certificate(self) -> ssl.SSLContext:
        settings = self.settings
        certificate = (
            Path(settings.tls_certificate).expanduser() if settings.tls_certificate else self._folder.tls
        )
        key = Path(settings.tls_key).expanduser() if settings.tls_key else None
        context = tls_context(certificate, key)
        first = x509.load_pem_x509_certificates(certificate.read_bytes())[0]
        self._fingerprint = fingerprint(first.public_bytes(serialization.Encoding.DER))
        return context

    def _sign(self, ticket: Ticket) -> bytes:
        return sign_ticket(ticket, self._folder.ticket_key)

    def _connected(self) -> Connection:
        connection = Connection(
            self.service,
            self._task,
            self.settings.send_buffer_kib * KIB,
            on_session=self._session_begun,
            on_lost=self._disconnected,
        )
        self.connections.add(connection)
        self._nobody_left.clear()
        if len(self.connections) > self.settings.max_connections:
            full = Refused(
                ErrorCode.BUSY, "The phone book has no room for more connections.", retry_after=SWEEP
            )
            asyncio.get_running_loop().call_soon(connection.refuse, full)
        return connection

    def _session_begun(self, connection: Connection) -> None:
        session = connection.client.session_id
        if connection.lost:  # it went away while its password was hashed
            self._disconnected(connection)
        elif session is not None:
            self._bound[session] = connection

    def _disconnected(self, connection: Connection) -> None:
        self.connections.discard(connection)
        if not self.connections:
            self._nobody_left.set()
        session = connection.client.session_id
        if session is not None:
            connection.client.session_id = None
            self._bound.pop(session, None)
            self.perform(self.directory.close(session, time(), "disconnected"))

    async def _keep_last_seen(self, account_id: AccountId, when: float) -> None:
        with contextlib.suppress(Refused):  # a full disk was logged; when somebody was here is no promise
            await self.accounts.update(account_id, last_seen=when)

    async def _sweep(self) -> None:
        while True:
            await asyncio.sleep(min(SWEEP, self.settings.silence_seconds / 4))
            now = asyncio.get_running_loop().time()
            for connection in list(self.connections):
                if now - connection.heard_at > self.settings.silence_seconds:
                    connection.abort()
                elif (
                    connection.client.session_id is None
                    and now - connection.connected_at > self.settings.login_seconds
                ):
                    connection.refuse(
                        Refused(
                            ErrorCode.LOGIN_REQUIRED,
                            f"Nobody logged in within {self.settings.login_seconds} s.",
                        )
                    )

    def _task(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            log.error("event=task_fault", exc_info=task.exception())
