"""One person's messenger: the phone book, the mailbox and the line of whoever is logged in.

Lives on the event loop's thread; the commands reach it through `shell.bridge`.
"""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeVar

from shell import letters
from shell.datafolder import AccountFolder, DataFolder, KnownAccount
from shell.errors import AlreadyLoggedIn, ListFull, MailboxFailed, NotConnected, NotLoggedIn
from shell.events import (
    Disconnected,
    Event,
    KnockArrived,
    NoticeArrived,
    Reconnected,
    SessionEnded,
    StatusChanged,
    VisibilityEnded,
)
from shell.foothold import foothold
from shell.introducer import BookIntroducer
from shell.line.line import Line
from shell.line.model import Consent, Rules
from shell.lookup import MAX_PEOPLE, Lookup
from shell.mailbox import Mailbox
from shell.phonebook import PhoneBook
from shell.visibility import Appearance, Seen, check_room_to_block, share_blocked
from shell.whereabouts import Whereabouts, bind
from wire import messages
from wire.certificates import Identity
from wire.errors import Refused
from wire.messages import CloseReason, Endpoint, Status, Visibility
from wire.names import NameKey, name_key

log = logging.getLogger(__name__)

T = TypeVar("T")
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
        self._line: Line | None = None
        self._whereabouts: Whereabouts | None = None
        self._mailbox: Mailbox | None = None
        self._account: AccountFolder | None = None
        self._away: str | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._coming_or_going = asyncio.Lock()
        """A session begins when the one before has ended, however long that takes."""
        self._farewell = ""
        self.unread_at_login: list[tuple[NameKey, int]] = []
        self._appearance: Appearance | None = None
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
        return self.book.session.name if self.book.session else self._away

    @property
    def statuses(self) -> dict[NameKey, Status]:
        """What was last seen of people in this session; the toolbar and completion look here."""
        return self.lookup.statuses

    @property
    def visibility(self) -> Visibility:
        """What others may see."""
        return self._appearance.seen.visibility if self._appearance is not None else Visibility.ONLINE

    @property
    def appearance(self) -> Appearance:
        """What others may see of the account, and for how long. Raises `NotLoggedIn`."""
        return _logged_in(self._appearance)

    @property
    def line(self) -> Line:
        """The line of the account. Raises `NotLoggedIn`."""
        return _logged_in(self._line)

    @property
    def mailbox(self) -> Mailbox:
        """The mailbox of the account. Raises `NotLoggedIn`."""
        return _logged_in(self._mailbox)

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
        found = self._folder.known(self.book.host_and_port, name_key(name))
        if found is None:
            raise NotConnected(f"The phone book is away, and this machine has no data of {name}.")
        book, folder, account = found
        async with self._coming_or_going:
            identity = folder.identity(account.name)
            self._line = Line(identity, self._introducer, self._tell, self._folder.taking, self._rules)
            try:
                await bind(self._line, self._udp_port, account.udp_port)
                self.book.take_for_known(book)
                await self._open(folder, account.visibility)
                self._away = account.name
                self._line.book_lost()
                # Last: whoever is blocked, too, must be known here when the phone book is back.
                self.book.login_later(account.name, password, identity)
            except BaseException:
                await self._drop()
                raise
        return account.name

    async def logout(self) -> None:
        """Ends the session. What waits in the outbox stays on disk.

        Lines end first: whoever hears that this user is offline has heard the goodbye.
        """
        # Whoever stops waiting is out all the same: a disk may take its time, and half a logout is none.
        await asyncio.shield(self._spawn(self._log_out()))

    async def _log_out(self) -> None:
        async with self._coming_or_going:
            session = self.book.session
            _ = self.line  # raises where nobody is logged in
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
        self._spawn(self._keep_roster())
        return found

    async def whois(self, name: str) -> messages.Profile:
        """What the phone book tells of somebody."""
        return await self.lookup.whois(name)

    async def accept(self, name: str) -> None:
        """Consents to somebody's messages, and lets them see what contacts may see.

        Raises `ListFull` where they cannot see it; their messages come all the same.
        """
        await self.line.accept(name)
        await self._people_changed()

    async def block(self, name: str) -> None:
        """Wants no word from somebody any more, and looks offline to them. Raises `ListFull`."""
        check_room_to_block(self.line.core, name)
        await self.line.block(name)
        await self._people_changed()

    async def unblock(self, name: str) -> None:
        """Takes a block back."""
        await self.line.unblock(name)
        await self._people_changed()

    async def looked_at(self, name: str) -> None:
        """The user has seen what somebody wrote."""
        self.line.looked_at(name)

    @property
    def outside(self) -> Endpoint | None:
        """Where others see this shell; None while that is not known."""
        return self._whereabouts.outside if self._whereabouts else None

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
            identity = folder.identity(name)
            self._line = Line(identity, self._introducer, self._tell, self._folder.taking, self._rules)
            self._whereabouts = Whereabouts(self.book, self._line, self._stun)
            try:
                known = folder.known()
                await bind(self._line, self._udp_port, known.udp_port if known else 0)
                # Whoever waits for this user calls as soon as the session begins: its endpoint goes along.
                endpoints = await self._whereabouts.first()
                async with foothold(folder, identity, KnownAccount(name, udp_port=self.line.port)) as mailbox:
                    session = await enter(name, password, identity, endpoints)
                await self._open(folder, session.visibility, mailbox)
                await self._whereabouts.publish()  # an outside address may have come meanwhile
                self._whereabouts.watch()
                await self._remember(session.visibility)
                await share_blocked(self.book, self.line.core)
                await self.lookup.watch_all(self._line.core.watched())
            except BaseException:
                await self._drop()
                raise
        return session.name

    async def _publish(self, seen: Seen) -> None:
        allowed = seen.allowed(self.line.core)
        await self.book.request(messages.SetVisibility(seen.visibility, allowed), messages.Done)
        self.line.keep_quiet(quiet=seen.visibility is Visibility.HIDDEN)
        await self._remember(seen.visibility)

    async def _people_changed(self) -> None:
        """Contacts, or those who are blocked, are not who they were; told later where the book is away."""
        with contextlib.suppress(NotConnected):
            await share_blocked(self.book, self.line.core)
            await self.appearance.contacts_changed()

    async def _open(self, folder: AccountFolder, visibility: Visibility, new: Mailbox | None = None) -> None:
        """Takes up what the disk has of an account. Raises `DataFolderError`, `MailboxFailed`."""
        self._mailbox = new
        await folder.claim()
        self._account = folder
        folder.save(self.line.identity)  # unless it is there, as it should be
        self._mailbox = new or Mailbox(folder.mailbox)
        self.unread_at_login = await self._mailbox.read(letters.unread)
        await self.lookup.load(self._mailbox)
        self.line.keep_quiet(quiet=visibility is Visibility.HIDDEN)
        await self.line.start(self._mailbox)
        self._appearance = Appearance(
            folder, visibility, self._publish, lambda seen: self._tell(VisibilityEnded(seen.visibility))
        )
        self._appearance.start()

    async def _remember(self, visibility: Visibility) -> None:
        """Keeps what must be known of the account while the phone book is away."""
        if self._account is not None and self.user is not None:
            known = KnownAccount(self.user, visibility, self.line.port)
            await asyncio.to_thread(self._account.remember, known)

    async def _hang_up(self) -> None:
        whereabouts, self._whereabouts = self._whereabouts, None
        if whereabouts is not None:
            whereabouts.stop()
        line, self._line = self._line, None
        mailbox, self._mailbox = self._mailbox, None
        if self._appearance is not None:
            self._appearance.stop()
            self._appearance = None
        try:
            if line is not None:
                await line.stop()
        finally:
            if mailbox is not None:
                with contextlib.suppress(MailboxFailed):
                    await self.lookup.keep(mailbox)
                mailbox.close()
            if self._account is not None:
                self._account.release()
            self.lookup.clear()
            self._account = self._away = None

    async def _keep_roster(self) -> None:
        if self._mailbox is not None:
            with contextlib.suppress(MailboxFailed):
                await self.lookup.keep(self._mailbox)

    def _seen(self, name: str, status: Status) -> None:
        if self._line is not None:
            self._line.presence(name, online=status is not Status.OFFLINE)

    def _pushed(self, push: messages.Message) -> None:
        match push:
            case messages.Presence(name, status):
                self.lookup.seen(name, status)
                self._tell(StatusChanged(name, status))
            case messages.Introduced(introduction):
                if self._line is not None:
                    self._line.introduced(introduction)
                self._spawn(self._refresh())
            case messages.Moved(name, endpoints):
                if self._line is not None:
                    self._line.network.moved(name, endpoints)
            case messages.Knocked(name, knocked):
                contact = self._line.core.contact(name) if self._line is not None else None
                if contact is None or contact.consent is not Consent.BLOCKED:
                    self._tell(KnockArrived(name, knocked))
            case messages.Notice(text):
                self._tell(NoticeArrived(text))
            case messages.Closing(CloseReason.SHUTDOWN | CloseReason.TOO_SLOW, text):
                # The connection drops now, and the session is taken up again.
                words = f" It says: {text}" if text else ""
                self._farewell = f"The phone book has stopped.{words}"
            case messages.Closing(reason, text):
                self._spawn(self._leave(self._line))
                self._tell(SessionEnded(reason, text))
            case _:
                log.info("event=unknown_push type=%s", type(push).__name__)

    def _lost(self, reason: str) -> None:
        farewell, self._farewell = self._farewell, ""
        self._tell(Disconnected(farewell or reason))
        if self._line is not None:
            self._line.book_lost()
            self.lookup.lost(self._line.core.watched())
            self._spawn(self._keep_roster())

    def _back(self) -> None:
        self._tell(Reconnected())
        if self._away is not None and self.book.session is not None:
            self._away = None
            self._spawn(self._remember(self.book.session.visibility))
        if self._line is not None:
            self._line.book_back()
        self._spawn(self._catch_up())

    def _ended(self, reason: str) -> None:
        self._spawn(self._leave(self._line))
        self._tell(SessionEnded(CloseReason.SHUTDOWN, reason))

    async def _catch_up(self) -> None:
        """What may have changed while the phone book was away: who is there, and where this shell is."""
        with contextlib.suppress(NotConnected, Refused, NotLoggedIn, ListFull):
            line = self.line
            if self._whereabouts is None:  # this user came in without the phone book
                self._whereabouts = Whereabouts(self.book, line, self._stun)
                await self._whereabouts.first()
                self._whereabouts.watch()
            await self._whereabouts.publish(again=True)
            line.network.look_for_the_silent()
            await self.lookup.watch_all(line.core.watched())
            await self._people_changed()

    async def _refresh(self) -> None:
        """NATs forget, and whoever is about to call must know the outside address of now."""
        if self._whereabouts is not None:
            await self._whereabouts.refresh()

    async def _leave(self, line: Line | None) -> None:
        """Ends the session of a line, unless it has ended already."""
        async with self._coming_or_going:
            if self._line is line:
                await self._drop()

    async def _drop(self) -> None:
        await self._hang_up()
        await self.book.close()

    def _spawn(self, work: Coroutine[Any, Any, None]) -> "asyncio.Task[None]":
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task


def _logged_in(part: T | None) -> T:
    if part is None:
        raise NotLoggedIn("You are not logged in; type `login NAME` or `signup NAME`.")
    return part
