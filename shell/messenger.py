"""One person's messenger: the phone book, the mailbox and the line of whoever is logged in.

Lives on the event loop's thread; the commands reach it through `shell.bridge`.
"""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeVar

from shell import letters
from shell.datafolder import DataFolder
from shell.errors import AlreadyLoggedIn, NotConnected, NotLoggedIn, UdpPortTaken
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
from shell.ladder import Facts
from shell.line.impairment import Impairment
from shell.line.line import Line
from shell.line.model import Consent
from shell.mailbox import Mailbox
from shell.phonebook import PhoneBook
from shell.visibility import Appearance, Seen
from shell.whereabouts import Whereabouts
from wire.certificates import Identity
from wire.errors import ErrorCode, Refused
from wire.limits import PAGE
from wire.messages import (
    CloseReason,
    Closing,
    Done,
    Endpoint,
    Introduce,
    Introduced,
    Introduction,
    Knock,
    Knocked,
    ListPeople,
    Message,
    Moved,
    Notice,
    People,
    Person,
    Presence,
    Profile,
    Session,
    SetVisibility,
    Status,
    Statuses,
    Visibility,
    Watch,
    Whois,
)
from wire.names import NameKey, name_key
from wire.tickets import Ticket, open_ticket

log = logging.getLogger(__name__)

T = TypeVar("T")

MAX_PEOPLE = 10_000  # people that one `list` fetches, page by page


class Messenger:
    """At most one account at a time; `tell` gets every event, on the event loop's thread."""

    def __init__(
        self,
        server: str,
        folder: DataFolder,
        udp_port: int,
        tell: Callable[[Event], None],
        *,
        tells_read: bool = False,
        stun: str = "",
    ) -> None:
        self._folder = folder
        self._udp_port = udp_port
        self._tell = tell
        self._tells_read = tells_read
        self._stun = stun
        self._line: Line | None = None
        self._whereabouts: Whereabouts | None = None
        self._mailbox: Mailbox | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._watched: set[str] = set()
        self._farewell = ""
        self.unread_at_login: list[tuple[NameKey, int]] = []
        self._appearance: Appearance | None = None
        self.statuses: dict[NameKey, Status] = {}
        """What was last seen of people; the toolbar and completion look here."""
        self.book = PhoneBook(
            server,
            folder,
            on_push=self._pushed,
            on_lost=self._lost,
            on_back=self._back,
            on_end=self._ended,
        )

    @property
    def user(self) -> str | None:
        """The name that is logged in."""
        return self.book.session.name if self.book.session else None

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
        if self.book.session is not None:
            raise AlreadyLoggedIn(f"You are logged in as {self.book.session.name}; `logout` first.")
        await self.book.connect()

    async def signup(self, name: str, password: str, invite: str = "") -> str:
        """Makes an account and logs in; the name as the phone book keeps it."""
        return await self._begin(name, password, lambda *who: self.book.signup(*who, invite=invite))

    async def login(self, name: str, password: str, reset: str = "") -> str:
        """Logs in, with a reset token under a new password; the name as it was written at sign-up."""
        return await self._begin(name, password, lambda *who: self.book.login(*who, reset=reset))

    async def logout(self) -> None:
        """Ends the session. What waits in the outbox stays on disk.

        Lines end first: whoever hears that this user is offline has heard the goodbye.
        """
        await self._hang_up()
        await self.book.logout()

    async def close(self) -> None:
        """Leaves: lines, mailbox, connection."""
        await self._hang_up()
        if self.book.connected and self.book.session is not None:
            with contextlib.suppress(NotConnected, Refused):
                await self.book.logout()
        await self.book.close()

    # --- people -----------------------------------------------------------------------------------------

    async def people(self, pattern: str, status: Status | None, limit: int = MAX_PEOPLE) -> list[Person]:
        """Everybody with an account whose name fits, up to `limit`."""
        found: list[Person] = []
        after = ""
        while len(found) < limit:
            page = await self.book.request(ListPeople(pattern, status, after), People)
            found += page.people
            for person in page.people:
                self.statuses[name_key(person.name)] = person.status
            if not page.more or not page.people:
                break
            after = page.people[-1].name
        return found[:limit]

    async def whois(self, name: str) -> Profile:
        """What the phone book tells of somebody."""
        profile = await self.book.request(Whois(name), Profile)
        self.statuses[name_key(profile.name)] = profile.status
        return profile

    async def watch(self, name: str) -> Status | None:
        """Asks to be told of somebody's comings and goings; their status now."""
        seen = await self._watch([name])
        if name_key(name) in seen:
            self._watched.add(name)
        return seen.get(name_key(name))

    async def knock(self, name: str) -> None:
        """Leaves word for somebody that one wants to talk; nothing comes back of whether they are there."""
        await self.book.request(Knock(name), Done)

    async def accept(self, name: str) -> None:
        """Consents to somebody's messages, and lets them see what contacts may see."""
        await self.line.accept(name)
        await self.appearance.contacts_changed()

    async def looked_at(self, name: str) -> None:
        """The user has seen what somebody wrote."""
        self.line.looked_at(name)

    async def way_to(self, name: str) -> Facts:
        """All that is known of the way to somebody."""
        line = self.line
        profile, away, unknown = None, "", ""
        try:
            profile = await self.whois(name)
        except NotConnected as error:
            away = str(error)
        except Refused as error:
            if error.code != ErrorCode.UNKNOWN_NAME:
                raise
            unknown = str(error)
        return Facts(
            name=profile.name if profile else name,
            contact=line.core.contact(name),
            no_phone_book=away,
            no_account=unknown,
            profile=profile,
            outside=self._whereabouts.outside if self._whereabouts else None,
            own_port=line.port,
            own_hosts=line.network.endpoint.interfaces.hosts,
            attempt=line.network.last_attempt(name),
            failure=line.last_failure(name),
            path=line.path(name),
            measured=await line.network.measure(line.core.line_of(name)),
        )

    async def impair(self, impairment: Impairment) -> None:
        """Makes this shell's own network worse."""
        self.line.network.endpoint.socket.impair(impairment)

    async def trace(self, *, on: bool) -> None:
        """Tells every datagram and frame of the line, or no more."""
        self.line.network.trace(self._tell if on else None)

    # --- inside -----------------------------------------------------------------------------------------

    async def _begin(
        self,
        name: str,
        password: str,
        enter: Callable[[str, str, Identity, tuple[Endpoint, ...]], Awaitable[Session]],
    ) -> str:
        await self.reach()
        folder = self._folder.account(self.book.ticket_key, name_key(name))
        identity = folder.identity(name)
        self._line = Line(identity, self, self._tell, self._folder.taking, tells_read=self._tells_read)
        self._whereabouts = Whereabouts(self.book, self._line, self._stun)
        try:
            await self._bind(self._line)
            # Whoever waits for this user calls as soon as the session begins: its endpoint goes along.
            session = await enter(name, password, identity, await self._whereabouts.first())
            folder.save(identity)
            self._mailbox = Mailbox(folder.mailbox)
            self.unread_at_login = await self._mailbox.read(letters.unread)
            self._line.keep_quiet(quiet=session.visibility is Visibility.HIDDEN)
            await self._line.start(self._mailbox)
            await self._whereabouts.publish()  # an outside address may have come meanwhile
            self._whereabouts.watch()
            self._appearance = Appearance(
                folder,
                session.visibility,
                self._publish,
                lambda seen: self._tell(VisibilityEnded(seen.visibility)),
            )
            self._appearance.start()
            await self._watch(self._line.core.watched())
        except BaseException:
            await self._hang_up()
            await self.book.close()
            raise
        return session.name

    async def _publish(self, seen: Seen) -> None:
        await self.book.request(SetVisibility(seen.visibility, seen.allowed(self.line.core)), Done)
        self.line.keep_quiet(quiet=seen.visibility is Visibility.HIDDEN)

    async def _bind(self, line: Line) -> None:
        try:
            await line.bind(self._udp_port)
        except OSError as error:
            raise UdpPortTaken(
                f"UDP port {self._udp_port} cannot be used ({(error.strerror or str(error)).lower()}); "
                "choose another with --port."
            ) from None

    async def _hang_up(self) -> None:
        whereabouts, self._whereabouts = self._whereabouts, None
        if whereabouts is not None:
            whereabouts.stop()
        line, self._line = self._line, None
        mailbox, self._mailbox = self._mailbox, None
        if self._appearance is not None:
            self._appearance.stop()
            self._appearance = None
        if line is not None:
            await line.stop()
        if mailbox is not None:
            mailbox.close()
        self.statuses.clear()
        self._watched.clear()

    async def _watch(self, names: list[str]) -> dict[NameKey, Status]:
        seen: dict[NameKey, Status] = {}
        for start in range(0, len(names), PAGE):
            request = Watch(tuple(names[start : start + PAGE]))
            for person in (await self.book.request(request, Statuses)).people:
                seen[name_key(person.name)] = person.status
                self._seen(person.name, person.status)
        return seen

    def _seen(self, name: str, status: Status) -> None:
        self.statuses[name_key(name)] = status
        if self._line is not None:
            self._line.presence(name, online=status is not Status.OFFLINE)

    def _pushed(self, push: Message) -> None:
        match push:
            case Presence(name, status):
                self._seen(name, status)
                self._tell(StatusChanged(name, status))
            case Introduced(introduction):
                if self._line is not None:
                    self._line.introduced(introduction)
                self._spawn(self._refresh())
            case Moved(name, endpoints):
                if self._line is not None:
                    self._line.network.moved(name, endpoints)
            case Knocked(name, knocked):
                contact = self._line.core.contact(name) if self._line is not None else None
                if contact is None or contact.consent is not Consent.BLOCKED:
                    self._tell(KnockArrived(name, knocked))
            case Notice(text):
                self._tell(NoticeArrived(text))
            case Closing(CloseReason.SHUTDOWN | CloseReason.TOO_SLOW, text):
                # The connection drops now, and the session is taken up again.
                words = f" It says: {text}" if text else ""
                self._farewell = f"The phone book has stopped.{words}"
            case Closing(reason, text):
                self._tell(SessionEnded(reason, text))
                self._spawn(self._leave())
            case _:
                log.info("event=unknown_push type=%s", type(push).__name__)

    def _lost(self, reason: str) -> None:
        farewell, self._farewell = self._farewell, ""
        self._tell(Disconnected(farewell or reason))
        if self._line is not None:
            self._line.book_lost()

    def _back(self) -> None:
        self._tell(Reconnected())
        if self._line is not None:
            self._line.book_back()
        self._spawn(self._catch_up())

    def _ended(self, reason: str) -> None:
        self._tell(SessionEnded(CloseReason.SHUTDOWN, reason))
        self._spawn(self._leave())

    async def _catch_up(self) -> None:
        """What may have changed while the phone book was away: who is there, and where this shell is."""
        with contextlib.suppress(NotConnected, Refused, NotLoggedIn):
            line = self.line
            if self._whereabouts is not None:
                await self._whereabouts.publish(again=True)
            line.network.look_for_the_silent()
            await self._watch(sorted({*line.core.watched(), *self._watched}))

    async def _refresh(self) -> None:
        """NATs forget, and whoever is about to call must know the outside address of now."""
        if self._whereabouts is not None:
            await self._whereabouts.refresh()

    async def _leave(self) -> None:
        await self._hang_up()
        await self.book.close()

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    # --- what the line needs (shell.line.line.Introducer) -----------------------------------------------

    async def introduce(self, name: str) -> Introduction:
        """Asks to be introduced to somebody, who is told where this shell is now."""
        await self._refresh()
        return await self.book.request(Introduce(name), Introduction)

    def open_ticket(self, signed: bytes) -> Ticket:
        """The ticket, if this phone book signed it and it has not expired by its clock."""
        return open_ticket(signed, self.book.ticket_key, self.book.now())

    def now(self) -> float:
        """The phone book's clock, seconds since the epoch."""
        return self.book.now()


def _logged_in(part: T | None) -> T:
    if part is None:
        raise NotLoggedIn("You are not logged in; type `login NAME` or `signup NAME`.")
    return part
