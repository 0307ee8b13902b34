"""One person's messenger: who is logged in, how they come and go, and what the phone book tells meanwhile.

Lives on the event loop's thread; the commands reach it through `shell.bridge`.
"""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

from shell.account import OpenAccount, logged_in
from shell.accountfolder import AccountFolder, KnownAccount
from shell.datafolder import DataFolder
from shell.disk import on_disk
from shell.errors import AlreadyLoggedIn, NotConnected
from shell.events import (
    Disconnected,
    Event,
    KnockArrived,
    NoticeArrived,
    Reconnected,
    SessionEnded,
    StatusChanged,
)
from shell.foothold import foothold
from shell.introducer import BookIntroducer
from shell.line.line import Line
from shell.line.model import Consent, Rules
from shell.lookup import MAX_PEOPLE, Lookup
from shell.mailbox import Mailbox
from shell.phonebook import PhoneBook
from shell.visibility import Appearance, check_room_to_block
from wire import messages
from wire.certificates import Identity
from wire.errors import Refused
from wire.messages import CloseReason, Endpoint, Status, Visibility
from wire.names import NameKey, name_key

log = logging.getLogger(__name__)

Enter = Callable[[str, str, Identity, tuple[Endpoint, ...]], Awaitable[messages.Session]]


class Messenger:
    """At most one account at a time; `tell` gets every event, on the event loop's thread."""

    def __init__(
        self,
        server: str,
        folder: DataFolder,
        udp_port: int,
        tell: Callable[[Event], None],
        rules: Rules = Rules(),  # noqa: B008 - frozen
        *,
        stun: str = "",
    ) -> None:
        self._folder = folder
        self._udp_port = udp_port
        self._tell = tell
        self._rules = rules
        self._stun = stun
        self._account: OpenAccount | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._coming_or_going = asyncio.Lock()
        """A session begins when the one before has ended, however long that takes."""
        self._farewell = ""
        self.unread_at_login: list[tuple[NameKey, int]] = []
        self.book = PhoneBook(
            server,
            folder,
            on_push=self._pushed,
            on_lost=self._lost,
            on_back=self._back,
            on_end=self._ended,
        )
        self.lookup = Lookup(self.book, self._seen)
        """Who there is, also as known last."""
        self._introducer = BookIntroducer(self.book, self.lookup, self._refresh)

    @property
    def user(self) -> str | None:
        """The name that is logged in, if only to what this machine has of it."""
        return self._account.user if self._account is not None else None

    @property
    def statuses(self) -> dict[NameKey, Status]:
        """What was last seen of people in this session; the toolbar and completion look here."""
        return self.lookup.statuses

    @property
    def visibility(self) -> Visibility:
        """What others may see."""
        return self._account.visibility if self._account is not None else Visibility.ONLINE

    @property
    def appearance(self) -> Appearance:
        """What others may see of the account, and for how long. Raises `NotLoggedIn`."""
        return logged_in(self._account).appearance

    @property
    def line(self) -> Line:
        """The line of the account. Raises `NotLoggedIn`."""
        return logged_in(self._account).line

    @property
    def mailbox(self) -> Mailbox:
        """The mailbox of the account. Raises `NotLoggedIn`."""
        return logged_in(self._account).mailbox

    # --- sessions ---------------------------------------------------------------------------------------

    async def reach(self) -> None:
        """Connects and checks the phone book's key, before anybody types a password.

        Raises `AlreadyLoggedIn`, `NotConnected`, `PhoneBookKeyChanged`.
        """
        async with self._coming_or_going:
            await self._reach()

    async def signup(self, name: str, password: str, invite: str = "") -> str:
        """Makes an account and logs in; the name as the phone book keeps it."""
        return await self._begin(name, password, lambda *who: self.book.signup(*who, invite=invite))

    async def login(self, name: str, password: str, reset: str = "") -> str:
        """Logs in, with a reset token under a new password; the name as it was written at sign-up."""
        return await self._begin(name, password, lambda *who: self.book.login(*who, reset=reset))

    def known(self, name: str) -> bool:
        """Whether this machine has what it takes to log in to an account while the phone book is away."""
        return self._folder.known(self.book.host_and_port, name_key(name)) is not None

    async def login_away(self, name: str, password: str) -> str:
        """Opens what this machine has of an account while the phone book is away; logs in when it is back.

        Nobody can judge the password until then. That gives nothing away: whoever can read the data folder
        has all that is shown. Raises `NotConnected` where there is nothing of the account.
        """
        found = await on_disk(self._folder.known, self.book.host_and_port, name_key(name))
        if found is None:
            raise NotConnected(f"The phone book is away, and this machine has no data of {name}.")
        book, folder, known = found
        async with self._coming_or_going:
            identity = await on_disk(folder.identity, known.name)
            account = self._account = self._make(folder, identity)
            try:
                await account.bind(self._udp_port)
                self.book.take_for_known(book)
                self.unread_at_login = await account.open(known.visibility)
                account.away = known.name
                account.line.book_lost()
                # Last: whoever is blocked, too, must be known here when the phone book is back.
                self.book.login_later(known.name, password, identity)
            except BaseException:
                await self._drop()
                raise
        return known.name

    async def logout(self) -> None:
        """Ends the session. What waits in the outbox stays on disk.

        Lines end first: whoever hears that this user is offline has heard the goodbye.
        """
        # Whoever stops waiting is out all the same: a disk may take its time, and half a logout is none.
        await asyncio.shield(self._spawn(self._log_out()))

    async def _log_out(self) -> None:
        async with self._coming_or_going:
            session = self.book.session
            logged_in(self._account)
            await self._hang_up()
            await (self.book.logout() if session is not None else self.book.close())

    async def close(self) -> None:
        """Leaves: lines, mailbox, connection."""
        async with self._coming_or_going:
            await self._hang_up()
            if self.book.connected and self.book.session is not None:
                with contextlib.suppress(NotConnected, Refused):
                    await self.book.logout()
            await self.book.close()

    # --- people -----------------------------------------------------------------------------------------

    async def people(
        self, pattern: str, status: Status | None, limit: int = MAX_PEOPLE
    ) -> list[messages.Person]:
        """Everybody with an account whose name fits, up to `limit`."""
        found = await self.lookup.people(pattern, status, limit)
        if self._account is not None:
            self._spawn(self._account.keep_roster())
        return found

    async def whois(self, name: str) -> messages.Profile:
        """What the phone book tells of somebody."""
        return await self.lookup.whois(name)

    async def accept(self, name: str) -> None:
        """Consents to somebody's messages, and lets them see what contacts may see.

        Raises `ListFull` where they cannot see it; their messages come all the same.
        """
        account = logged_in(self._account)
        await account.line.accept(name)
        await account.people_changed()

    async def block(self, name: str) -> None:
        """Wants no word from somebody any more, and looks offline to them. Raises `ListFull`."""
        account = logged_in(self._account)
        check_room_to_block(account.line.core, name)
        await account.line.block(name)
        await account.people_changed()

    async def unblock(self, name: str) -> None:
        """Takes a block back."""
        account = logged_in(self._account)
        await account.line.unblock(name)
        await account.people_changed()

    async def looked_at(self, name: str) -> None:
        """The user has seen what somebody wrote."""
        self.line.looked_at(name)

    @property
    def outside(self) -> Endpoint | None:
        """Where others see this shell; None while that is not known."""
        return self._account.whereabouts.outside if self._account is not None else None

    async def trace(self, *, on: bool) -> None:
        """Tells every datagram and frame of the line, or no more."""
        self.line.network.trace(self._tell if on else None)

    # --- inside -----------------------------------------------------------------------------------------

    async def _reach(self) -> None:
        if self.user is not None:
            raise AlreadyLoggedIn(f"You are logged in as {self.user}; `logout` first.")
        await self.book.connect()

    async def _begin(self, name: str, password: str, enter: Enter) -> str:
        async with self._coming_or_going:
            await self._reach()
            folder = self._folder.account(self.book.ticket_key, name_key(name))
            identity = await on_disk(folder.identity, name)
            account = self._account = self._make(folder, identity)
            try:
                await account.bind(self._udp_port)
                # Whoever waits for this user calls as soon as the session begins: its endpoint goes along.
                endpoints = await account.whereabouts.first()
                here = KnownAccount(name, udp_port=account.line.port)
                async with foothold(folder, identity, here) as mailbox:
                    session = await enter(name, password, identity, endpoints)
                self.unread_at_login = await account.open(session.visibility, mailbox)
                await account.begun(session.visibility)
            except BaseException:
                await self._drop()
                raise
        return session.name

    def _make(self, folder: AccountFolder, identity: Identity) -> OpenAccount:
        line = Line(identity, self._introducer, self._tell, self._folder.taking, self._rules)
        return OpenAccount(folder, line, self.book, self.lookup, self._tell, self._stun)

    async def _hang_up(self) -> None:
        account, self._account = self._account, None
        try:
            if account is not None:
                await account.close()
        finally:
            self.lookup.clear()

    def _seen(self, name: str, status: Status) -> None:
        if self._account is not None:
            self._account.line.presence(name, online=status is not Status.OFFLINE)

    def _pushed(self, push: messages.Message) -> None:
        match push:
            case messages.Presence(name, status):
                self.lookup.seen(name, status)
                self._tell(StatusChanged(name, status))
            case messages.Introduced(introduction):
                if self._account is not None:
                    self._account.line.introduced(introduction)
                self._spawn(self._refresh())
            case messages.Moved(name, endpoints):
                if self._account is not None:
                    self._account.line.network.moved(name, endpoints)
            case messages.Knocked(name, knocked):
                contact = self._account.line.core.contact(name) if self._account is not None else None
                if contact is None or contact.consent is not Consent.BLOCKED:
                    self._tell(KnockArrived(name, knocked))
            case messages.Notice(text):
                self._tell(NoticeArrived(text))
            case messages.Closing(CloseReason.SHUTDOWN | CloseReason.TOO_SLOW, text):
                # The connection drops now, and the session is taken up again.
                words = f" It says: {text}" if text else ""
                self._farewell = f"The phone book has stopped.{words}"
            case messages.Closing(reason, text):
                self._spawn(self._leave(self._account))
                self._tell(SessionEnded(reason, text))
            case _:
                log.info("event=unknown_push type=%s", type(push).__name__)

    def _lost(self, reason: str) -> None:
        farewell, self._farewell = self._farewell, ""
        self._tell(Disconnected(farewell or reason))
        account = self._account
        if account is not None:
            account.line.book_lost()
            self.lookup.lost(account.line.core.watched())
            self._spawn(account.keep_roster())

    def _back(self) -> None:
        self._tell(Reconnected())
        account = self._account
        if account is None:
            return
        if account.away is not None and self.book.session is not None:
            account.away = None
            self._spawn(account.remember(self.book.session.visibility))
        account.line.book_back()
        self._spawn(account.catch_up())

    def _ended(self, reason: str) -> None:
        self._spawn(self._leave(self._account))
        self._tell(SessionEnded(CloseReason.SHUTDOWN, reason))

    async def _refresh(self) -> None:
        """NATs forget, and whoever is about to call must know the outside address of now."""
        if self._account is not None:
            await self._account.whereabouts.refresh()

    async def _leave(self, account: OpenAccount | None) -> None:
        """Ends the session of an account, unless it has ended already."""
        async with self._coming_or_going:
            if self._account is account:
                await self._drop()

    async def _drop(self) -> None:
        await self._hang_up()
        await self.book.close()

    def _spawn(self, work: Coroutine[Any, Any, None]) -> "asyncio.Task[None]":
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task
