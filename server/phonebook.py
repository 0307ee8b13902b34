"""The phone book, whole: store, rules and connections on one event loop."""

import asyncio
import contextlib
import logging
import secrets
import ssl
from collections.abc import Callable, Coroutine
from pathlib import Path
from time import monotonic, time
from typing import TYPE_CHECKING, Any

from cryptography import x509
from cryptography.hazmat.primitives import serialization

from server.acceptor import Acceptor
from server.access import Access, Registration
from server.access_codes import AccessCodes
from server.accounts import SqliteAccounts
from server.actions import Overview
from server.administration import Administration
from server.busy_poll import BusyPoll
from server.connection import Connection
from server.datafolder import DataFolder
from server.directory import DISCONNECTED, Directory
from server.effects import Happened
from server.entrance import Entrance
from server.introductions import Introductions
from server.knocks import Knocks
from server.ledger import SqliteLedger
from server.listener import listening_pair, tls_context, usable_address
from server.operator_socket import OperatorSocket
from server.passwords import Passwords
from server.performer import Performer
from server.service import Service
from server.settings import ServerSettings, data_folder, listen_address
from server.throttles import Throttles
from server.tokens import TokenMint
from server.udp import UdpPort
from server.unix import CONSOLE_SOCKET
from server.upkeep import Upkeep
from wire.certificates import Fingerprint, fingerprint
from wire.errors import ErrorCode, Refused
from wire.messages import CloseReason
from wire.names import NameKey
from wire.relay import PASS_BYTES
from wire.tickets import Ticket, sign_ticket

if TYPE_CHECKING:
    from server.metrics import Metrics

log = logging.getLogger(__name__)

SWEEP = 5.0  # seconds between looks for clients that are silent, slow or do not log in
SWEEPS = 4  # looks in the shortest patience of the settings, where that makes for more
FORGET = 3_600.0  # seconds between looks for what operators decided and whose time is over
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
            self._tls, self._fingerprint = self._load_certificate(settings)
            self.passwords = Passwords(settings)
            undo.callback(self.passwords.close)
            self.accounts = SqliteAccounts(self._folder.accounts)
            undo.callback(self.accounts.close)
            self.ledger = SqliteLedger(self._folder.accounts)
            undo.callback(self.ledger.close)
            self.knocks = Knocks(self._folder.path / "knocks.db")
            undo.pop_all()
        self.counts: dict[str, int] = {}
        """How often each kind of event happened since the start."""
        self.udp = UdpPort(settings, self.counts)
        self._busy_poll = BusyPoll()
        self.directory = Directory(open_addresses=settings.addresses == "members")
        self.access = Access(
            self.ledger.bans, self.ledger.registration or Registration(settings.registration)
        )
        self.throttles = Throttles(settings, salt=secrets.token_bytes(16))
        self.performer = Performer(
            self.directory, self.accounts, self.knocks, self.udp, self.counts, spawn=self._task
        )
        self.perform = self.performer.perform
        """Carries out what the directory decided."""
        mint = TokenMint(self._folder.token_secret)
        self.entrance = Entrance(
            self.directory,
            self.accounts,
            self.passwords,
            mint,
            self.throttles,
            self.access,
            AccessCodes(self.access, self.ledger),
            ticket_key=self._folder.ticket_key.public_key().public_bytes_raw(),
            perform=self.perform,
        )
        self.service = Service(
            settings,
            self.directory,
            Introductions(self.directory, self._sign, self._relay_passes),
            self.accounts,
            self.passwords,
            mint,
            self.throttles,
            self.knocks,
            self.entrance,
            perform=self.perform,
        )
        self.on_shutdown: Callable[[str], None] = lambda reason: None
        """Called when an operator wants the phone book to stop; gets what everybody shall be told."""
        self.administration = Administration(self, lambda reason: self.on_shutdown(reason))
        self.upkeep = Upkeep(self, lambda reason: self.on_shutdown(reason))
        self._consoles = OperatorSocket(
            self.folder / CONSOLE_SOCKET, self.administration.answer, lambda: self.overview
        )
        self.performer.watchers.add(self._consoles.happened)
        self._metrics: Metrics | None = None
        self.address = ("", 0)
        self._tasks: set[asyncio.Task[None]] = set()
        self._acceptor: Acceptor | None = None

    async def start(self) -> None:
        """Listens. Raises `PortTaken`."""
        with contextlib.suppress(Refused):  # a full disk or a damaged journal; the next change says so
            await self.administration.settle()
        host, port = listen_address(self.settings.listen)
        bound, datagrams = listening_pair(host, port)
        self.address = usable_address(bound), bound.getsockname()[1]
        self._acceptor = Acceptor(
            bound,
            self._tls,
            self.settings,
            make=self._new_connection,
            on_refused=self._refused,
            spawn=self._task,
        )
        loop = asyncio.get_running_loop()
        await loop.create_datagram_endpoint(lambda: self.udp, sock=datagrams)
        self._sweeper = asyncio.create_task(self._sweep(), name="sweep")
        self._forgetter = asyncio.create_task(self._forget(), name="forget")
        await self._consoles.start()
        if self.settings.metrics_listen:
            from server.metrics import Metrics  # for those who ask for figures only

            self._metrics = Metrics(self)
        log.info("event=listening address=%s port=%d", *self.address)

    async def stop(self, text: str = "") -> None:
        """Tells everybody, lets them read it, and closes everything."""
        if self._acceptor is not None:
            self._acceptor.stop()
        self.udp.close()
        for connection in list(self.connections):
            if connection.client.session_id is None:
                connection.abort()
        self.perform(self.directory.close_all(CloseReason.SHUTDOWN, text))
        if self._acceptor is not None:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(FLUSH_PATIENCE):
                    await self._acceptor.empty()
        for connection in list(self.connections):
            connection.abort()
        self._sweeper.cancel()
        self._forgetter.cancel()
        await self._consoles.stop()
        if self._metrics is not None:
            self._metrics.watching.cancel()
            await asyncio.to_thread(self._metrics.close)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(FLUSH_PATIENCE):
                await asyncio.gather(*self._tasks, return_exceptions=True)
        self.close()

    async def empty(self) -> None:
        """Waits until nobody is connected."""
        if self._acceptor is not None:
            await self._acceptor.empty()

    def close(self) -> None:
        """Lets go of the data folder."""
        self.passwords.close()
        self.accounts.close()
        self.knocks.close()
        self.ledger.close()
        self._folder.close()

    async def use(self, settings: ServerSettings) -> bool:
        """Other settings, and the certificate that is there now; whether it is another.

        Raises `SettingsError` where the certificate does not fit or no hash can be made, and then nothing has
        changed.
        """
        tls, found = await asyncio.to_thread(self._load_certificate, settings)
        await asyncio.to_thread(self.passwords.change, settings)
        had, self._fingerprint = self._fingerprint, found
        if self._acceptor is not None:
            self._acceptor.tls = tls
            self._acceptor.change(settings)
        self.settings = settings
        self.service.change(settings)
        self.throttles.change(settings)
        self.udp.change(settings)
        self.directory.open_addresses = settings.addresses == "members"
        self.set_registration(self.ledger.registration)
        return self._fingerprint != had

    @property
    def admitted(self) -> tuple[int, int]:
        """Connections, and those of them without a login."""
        admission = self._acceptor.admission if self._acceptor is not None else None
        return (admission.total, admission.unproven) if admission is not None else (0, 0)

    @property
    def room(self) -> int:
        """How many connections there may be: as the settings say, or what the system allows."""
        return self._acceptor.admission.room if self._acceptor is not None else self.settings.max_connections

    @property
    def metrics_port(self) -> int:
        """Where the figures are served; 0 where they are not."""
        return self._metrics.port if self._metrics is not None else 0

    @property
    def connections(self) -> set[Connection]:
        """All connections, those included that have not logged in."""
        return self._acceptor.connections if self._acceptor is not None else set()

    @property
    def folder(self) -> Path:
        """The data folder."""
        return self._folder.path

    @property
    def overview(self) -> Overview:
        """What the consoles' toolbars show."""
        host, port = self.address
        return Overview(f"[{host}]:{port}" if ":" in host else f"{host}:{port}", len(self.connections))

    @property
    def fingerprint(self) -> Fingerprint:
        """The fingerprint of the TLS certificate, which shells pin."""
        return self._fingerprint

    def set_registration(self, registration: Registration | None) -> None:
        """Who may sign up from now on; None: as the settings say."""
        self.ledger.registration = registration
        self.access.registration = registration or Registration(self.settings.registration)

    def turn_away(self) -> None:
        """Ends connections without a login from addresses that are banned."""
        for connection in list(self.connections):
            if connection.client.session_id is None and connection.connected_at:
                ban = self.access.address_ban(connection.client.address, time())
                if ban is not None:
                    connection.refuse(ban.refusal())

    # --- inside -----------------------------------------------------------------------------------------

    def _load_certificate(self, settings: ServerSettings) -> tuple[ssl.SSLContext | None, Fingerprint]:
        certificate = (
            Path(settings.tls_certificate).expanduser() if settings.tls_certificate else self._folder.tls
        )
        key = Path(settings.tls_key).expanduser() if settings.tls_key else None
        context = tls_context(certificate, key)
        first = x509.load_pem_x509_certificates(certificate.read_bytes())[0]
        return context, fingerprint(first.public_bytes(serialization.Encoding.DER))

    def _sign(self, ticket: Ticket) -> bytes:
        return sign_ticket(ticket, self._folder.ticket_key)

    def _relay_passes(self, one: NameKey, other: NameKey) -> tuple[bytes, bytes]:
        if self.udp.relay is None:
            return b"", b""
        return self.udp.relay.introduce(one, other, secrets.token_bytes(2 * PASS_BYTES), monotonic())

    def _new_connection(self) -> Connection:
        return Connection(
            self.service,
            self._task,
            self.settings.send_buffer_kib * KIB,
            busy_poll=self._busy_poll,
            on_session=self._session_begun,
            on_lost=self._disconnected,
        )

    def _refused(self, what: str, address: str) -> None:
        self.perform([Happened(time(), what, "", address=address)])

    def _session_begun(self, connection: Connection) -> None:
        session = connection.client.session_id
        if connection.lost:  # it went away while its password was hashed
            self._disconnected(connection)
        elif session is not None:
            self.performer.bound[session] = connection
            if self._acceptor is not None:
                self._acceptor.proven(connection)

    def _disconnected(self, connection: Connection) -> None:
        if self._acceptor is not None:
            self._acceptor.lost(connection)
        session = connection.client.session_id
        if session is not None:
            connection.client.session_id = None
            self.performer.bound.pop(session, None)  # the session may have ended before it was bound
            self.perform(self.directory.close(session, time(), DISCONNECTED))

    async def _sweep(self) -> None:
        while True:
            settings = self.settings
            shortest = min(settings.silence_seconds, settings.login_seconds, settings.line_seconds)
            await asyncio.sleep(min(SWEEP, shortest / SWEEPS))
            now = asyncio.get_running_loop().time()
            for connection in list(self.connections):
                if connection.connected_at:  # its handshake is done; until then it has a timeout of its own
                    self._judge(connection, now)

    async def _forget(self) -> None:
        """Keeps nothing of bans, codes and removed accounts whose time is over."""
        while True:
            with contextlib.suppress(Refused):  # a full disk was logged; the next round finds them again
                now = time()
                await self.ledger.forget_expired(now, self.access.forget_expired(now))
            await asyncio.sleep(FORGET)

    def _judge(self, connection: Connection, now: float) -> None:
        """Ends a connection that is silent, has not logged in, or does not finish its line."""
        settings = self.settings
        if now - connection.heard_at > settings.silence_seconds:
            connection.abort()
        elif connection.client.session_id is None and now - connection.nobody_since > settings.login_seconds:
            connection.refuse(
                Refused(ErrorCode.LOGIN_REQUIRED, f"Nobody logged in within {settings.login_seconds} s.")
            )
        elif connection.partial_at and now - connection.partial_at > settings.line_seconds:
            connection.refuse(
                Refused(ErrorCode.INVALID_REQUEST, f"A line took more than {settings.line_seconds} s.")
            )

    def _task(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            log.error("event=task_fault", exc_info=task.exception())
