"""The phone book as the shell sees it: log in, ask, be told, and come back by itself when the line drops.

async with PhoneBook("127.0.0.1:6969", folder) as book:
    await book.login("alice", password, identity)
    page = await book.request(ListPeople(), People)
"""

import asyncio
import contextlib
import logging
import random
from collections.abc import Callable
from time import time
from types import TracebackType
from typing import Self, TypeVar

import wire
from shell.connection import Connection, open_connection
from shell.datafolder import DataFolder, KnownPhoneBook
from shell.disk import on_disk
from shell.errors import DataFolderError, NotConnected, NotLoggedIn, PhoneBookKeyChanged
from wire.certificates import Identity, show_fingerprint
from wire.errors import BadFrame, ErrorCode, Refused
from wire.limits import HEARTBEAT
from wire.messages import (
    CloseReason,
    Closing,
    Done,
    Endpoint,
    Hello,
    Login,
    Logout,
    Message,
    NewToken,
    Passwd,
    Ping,
    Reset,
    Resume,
    Session,
    SetEndpoints,
    Signup,
    Welcome,
)
from wire.times import steady

log = logging.getLogger(__name__)
ReplyT = TypeVar("ReplyT", bound=Message)

ENDS_SESSION = (
    CloseReason.KICKED,
    CloseReason.REPLACED,
    CloseReason.PASSWORD_CHANGED,
    CloseReason.BANNED,
    CloseReason.DELETED,
)
PASSES = (ErrorCode.BUSY, ErrorCode.RATE_LIMITED, ErrorCode.SHUTTING_DOWN, ErrorCode.STORAGE_FAILED)
"""What a phone book says that will hear of it again; with others, the session is over."""
FIRST_RETRY, MAX_RETRY = 0.25, 30.0  # seconds between attempts to come back, doubling, with jitter


class PhoneBook:
    """One phone book, one session at most. Lives on the event loop's thread.

    `on_push` gets what the phone book says by itself; `on_lost` and `on_back` frame a dropped connection
    that is being mended; `on_end` says that the session is over for good.
    """

    def __init__(
        self,
        address: str,
        folder: DataFolder,
        *,
        on_push: Callable[[Message], None] = lambda push: None,
        on_lost: Callable[[str], None] = lambda reason: None,
        on_back: Callable[[], None] = lambda: None,
        on_end: Callable[[str], None] = lambda reason: None,
    ) -> None:
        self.address = address
        self._folder = folder
        self._on_push, self._on_lost = on_push, on_lost
        self._on_back, self._on_end = on_back, on_end
        self._connection: Connection | None = None
        self._welcome: Welcome | None = None
        self._clock_ahead = time() - steady()
        self._ticket_key: bytes | None = None
        self._pending: Login | None = None
        self._endpoints: tuple[Endpoint, ...] = ()
        self._keeping: asyncio.Task[None] | None = None
        self._mending: asyncio.Task[None] | None = None
        self.session: Session | None = None
        self.newly_pinned: str | None = None
        """The fingerprint that was pinned by this connection, to be compared with what the server shows."""

    async def __aenter__(self) -> Self:
        await self.connect()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    @property
    def connected(self) -> bool:
        """Whether requests can be made."""
        return self._connection is not None and self._mending is None

    @property
    def ticket_key(self) -> bytes:
        """The key that signs introductions. Raises `NotConnected` where no phone book is known."""
        if self._ticket_key is None:
            raise NotConnected("There is no connection to the phone book.")
        return self._ticket_key

    @property
    def host_and_port(self) -> str:
        """The address, always with its port."""
        return "{}:{}".format(*split_address(self.address))

    @property
    def local_host(self) -> str:
        """The IP address of this machine on the way to the phone book."""
        if self._connection is None:
            raise NotConnected("There is no connection to the phone book.")
        return self._connection.local_host

    @property
    def observed_host(self) -> str:
        """The IP address that the phone book sees this shell come from."""
        if self._welcome is None:
            raise NotConnected("There is no connection to the phone book.")
        return self._welcome.observed

    @property
    def remote(self) -> tuple[str, int]:
        """IP address and port of the phone book. Raises `NotConnected`."""
        if self._connection is None:
            raise NotConnected("There is no connection to the phone book.")
        return self._connection.remote

    def reconnect(self, reason: str) -> None:
        """Gives a connection up that cannot work any more, and comes back by itself."""
        if self._connection is not None:
            self._connection.abort(reason)

    def now(self) -> float:
        """The phone book's clock, seconds since the epoch.

        Two machines of a lab may differ by hours; and this one's may be set while the shell runs, so what
        counts is the time that has passed since the phone book told its own.
        """
        return steady() + self._clock_ahead

    async def connect(self) -> None:
        """Connects, checks the pin, says hello. Raises `NotConnected`, `PhoneBookKeyChanged`, `Refused`."""
        if self._connection is not None:
            return
        host, port = split_address(self.address)
        address = f"{host}:{port}"
        connection = await self._open(host, port, verify=False)
        try:
            shown = show_fingerprint(connection.certificate_fingerprint)
            pinned = await on_disk(self._folder.pinned, address)
            if pinned is None:
                self.newly_pinned = shown  # first: once it is on the disk nobody hears of it again
                await on_disk(self._folder.pin, address, shown)
            elif pinned != shown:
                connection.close()
                connection = await self._reopen_vouched(host, port, pinned, shown)
            hello = Hello(wire.PROTOCOL_MAJOR, wire.PROTOCOL_MINOR, f"parley/{wire.VERSION}")
            welcome = await connection.request(hello, Welcome)
            clock_ahead, ahead_of_this = welcome.time - steady(), welcome.time - time()
            await on_disk(self._folder.remember_phone_book, welcome.ticket_key, address, ahead_of_this)
            connection.check()
        except BaseException:
            connection.close()
            raise
        self._welcome, self._ticket_key, self._clock_ahead = welcome, welcome.ticket_key, clock_ahead
        self._connection = connection
        self._keeping = asyncio.create_task(self._keep_alive(connection), name="heartbeat")

    async def close(self) -> None:
        """Ends the connection. The session is left to be resumed or to time out; `logout` ends it."""
        for task in (self._mending, self._keeping):
            if task is not None:
                task.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await task
        self._mending = self._keeping = self._pending = None
        if self._connection is not None:
            self._connection.close()
        self._connection = self.session = None

    async def request(self, request: Message, reply_type: type[ReplyT]) -> ReplyT:
        """Asks the phone book for somebody who is logged in.

        Raises `NotLoggedIn`, `Refused` as the phone book says, `NotConnected` where it cannot be asked.
        """
        self._require_session()
        return await self._ask(request, reply_type)

    async def _ask(self, request: Message, reply_type: type[ReplyT]) -> ReplyT:
        if self._mending is not None:
            raise NotConnected("The phone book is away; the shell keeps trying to reach it.")
        if self._connection is None:
            await self.connect()
        if self._connection is None:
            raise NotConnected("There is no connection to the phone book.")
        return await self._connection.request(request, reply_type)

    async def signup(
        self,
        name: str,
        password: str,
        identity: Identity,
        endpoints: tuple[Endpoint, ...] = (),
        *,
        invite: str = "",
    ) -> Session:
        """Makes an account and logs in; `invite` is a code of the operator, where one is asked for."""
        return await self._begin(Signup(name, password, identity.certificate, endpoints, invite), endpoints)

    async def login(
        self,
        name: str,
        password: str,
        identity: Identity,
        endpoints: tuple[Endpoint, ...] = (),
        *,
        reset: str = "",
    ) -> Session:
        """Logs in; an older session of the account ends.

        With a one-time token of the operator as `reset`, the password is a new one that is set by it.
        """
        certificate = identity.certificate
        if reset:
            return await self._begin(Reset(name, reset, password, certificate, endpoints), endpoints)
        return await self._begin(Login(name, password, certificate, endpoints), endpoints)

    def take_for_known(self, known: KnownPhoneBook) -> None:
        """Goes by what is known of the phone book, until it answers."""
        self._ticket_key = known.ticket_key
        self._clock_ahead = time() + known.clock_ahead - steady()

    def login_later(self, name: str, password: str, identity: Identity) -> None:
        """Logs in as soon as the phone book answers; `on_back` tells that, or `on_end` that it refused."""
        self._pending = Login(name, password, identity.certificate)
        self._mending = asyncio.create_task(self._mend(), name="reconnect")

    async def passwd(self, old: str, new: str) -> None:
        """Changes the password; other sessions of the account end."""
        session = self._require_session()
        reply = await self.request(Passwd(old, new), NewToken)
        self.session = Session(session.name, reply.token, session.visibility)

    async def publish(self, endpoints: tuple[Endpoint, ...]) -> None:
        """Says where this shell's UDP socket can be reached."""
        self._endpoints = endpoints
        await self.request(SetEndpoints(endpoints), Done)

    async def logout(self) -> None:
        """Ends the session and the connection."""
        self._require_session()
        self.session = None
        try:
            if self.connected:
                await self._ask(Logout(), Done)
        finally:
            await self.close()

    # --- inside -----------------------------------------------------------------------------------------

    def _require_session(self) -> Session:
        if self.session is None and self._pending is not None:
            raise NotConnected("The phone book is away; the shell keeps trying to reach it.")
        if self.session is None:
            raise NotLoggedIn("You are not logged in; type `login NAME` or `signup NAME`.")
        return self.session

    async def _begin(self, request: Signup | Login | Reset, endpoints: tuple[Endpoint, ...]) -> Session:
        self._endpoints = endpoints
        self.session = await self._ask(request, Session)
        return self.session

    async def _open(self, host: str, port: int, *, verify: bool) -> Connection:
        return await open_connection(host, port, verify=verify, on_push=self._pushed, on_lost=self._dropped)

    async def _reopen_vouched(self, host: str, port: int, pinned: str, shown: str) -> Connection:
        """A key that is not the pinned one is taken only where a certificate authority vouches for it."""
        try:
            connection = await self._open(host, port, verify=True)
        except NotConnected:
            raise PhoneBookKeyChanged(
                f"The phone book at {self.address} shows the key {shown}, but {pinned} is pinned: it may be "
                f"somebody else. If you know that its key was changed, remove its line from "
                f"{self._folder.known_phone_books} and connect again."
            ) from None
        try:
            vouched = show_fingerprint(connection.certificate_fingerprint)
            await on_disk(self._folder.pin, f"{host}:{port}", vouched)
        except BaseException:
            connection.close()
            raise
        return connection

    def _pushed(self, push: Message) -> None:
        if isinstance(push, Closing) and push.reason in ENDS_SESSION:
            self.session = None
        self._on_push(push)

    def _dropped(self, reason: str) -> None:
        if self._connection is None:
            return
        self._connection = None
        if self._keeping is not None:
            self._keeping.cancel()
            self._keeping = None
        if self.session is None or self._mending is not None:
            return
        self._on_lost(reason)
        self._mending = asyncio.create_task(self._mend(), name="reconnect")

    async def _mend(self) -> None:
        """Tries to come back, ever less often, until it works or is refused."""
        delay = FIRST_RETRY
        try:
            while self.session is not None or self._pending is not None:
                await asyncio.sleep(delay * random.uniform(0.5, 1.0))  # noqa: S311 - spreads, hides nothing
                delay = min(MAX_RETRY, delay * 2)
                try:
                    await self.connect()
                    await self._resume()
                except PhoneBookKeyChanged as error:
                    self._give_up(str(error))
                except (NotConnected, DataFolderError, BadFrame) as error:
                    log.info("event=reconnect_failed reason=%r", str(error))
                    self._forget_connection()
                except Refused as error:
                    if error.code in PASSES:
                        self._forget_connection()
                        delay = max(delay, error.retry_after)
                        continue
                    self._give_up(f"The session could not be taken up again: {error} Log in again.")
                else:
                    self._mending = None
                    self._on_back()
                    return
        finally:
            self._mending = None

    async def _resume(self) -> None:
        session = self.session
        if self._connection is None:
            raise NotConnected("There is no connection to the phone book.")
        if self._pending is not None:
            self.session = await self._connection.request(self._pending, Session)
            self._pending = None
            return
        if session is None:
            raise NotConnected("There is no session to take up again.")
        self.session = await self._connection.request(Resume(session.token, self._endpoints), Session)

    def _give_up(self, reason: str) -> None:
        self._forget_connection()
        self.session = self._pending = None
        self._on_end(reason)

    def _forget_connection(self) -> None:
        connection, self._connection = self._connection, None
        if self._keeping is not None:
            self._keeping.cancel()
            self._keeping = None
        if connection is not None:
            connection.close()

    async def _keep_alive(self, connection: Connection) -> None:
        while True:
            await asyncio.sleep(HEARTBEAT)
            try:
                await connection.request(Ping(), Done)
            except (NotConnected, Refused) as error:
                log.info("event=heartbeat_failed reason=%r", str(error))
                return


def split_address(address: str, default_port: int = wire.DEFAULT_PORT) -> tuple[str, int]:
    """`host`, `host:port` or `[v6]:port` as a pair. Raises `NotConnected` for anything else."""
    host, colon, port = address.rpartition(":")
    if not colon or address.endswith("]") or (":" in host.strip("[]") and not host.startswith("[")):
        host, port = address, str(default_port)
    host = host.strip("[]")
    if not host or not port.isdecimal() or not 0 < int(port) < 2**16:
        raise NotConnected(f"{address!r} is no address of a phone book; write HOST or HOST:PORT.")
    return host, int(port)
