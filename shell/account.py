"""What is open of the account that is logged in: its line, its mailbox, what others see of it and where they
reach it. Lives on the event loop's thread; `shell.messenger` says who is logged in.
"""

import contextlib
from collections.abc import Callable
from typing import TypeVar

from shell import letters
from shell.accountfolder import AccountFolder, KnownAccount
from shell.disk import on_disk, opened
from shell.errors import ListFull, MailboxFailed, NotConnected, NotLoggedIn
from shell.events import Event, VisibilityEnded
from shell.line.line import Line
from shell.lookup import Lookup
from shell.mailbox import Mailbox
from shell.phonebook import PhoneBook
from shell.visibility import Appearance, Seen, share_blocked
from shell.whereabouts import Whereabouts, bind
from wire.errors import Refused
from wire.messages import Done, SetVisibility, Visibility
from wire.names import NameKey

T = TypeVar("T")


class OpenAccount:
    """One account, from before its session begins until the session has ended."""

    def __init__(
        self,
        folder: AccountFolder,
        line: Line,
        book: PhoneBook,
        lookup: Lookup,
        tell: Callable[[Event], None],
        stun: str,
    ) -> None:
        self.line = line
        self.whereabouts = Whereabouts(book, line, stun)
        self.away: str | None = None
        """The name of a user who came in without the phone book, until that is back."""
        self._folder = folder
        self._book = book
        self._lookup = lookup
        self._tell = tell
        self._mailbox: Mailbox | None = None
        self._appearance: Appearance | None = None

    @property
    def mailbox(self) -> Mailbox:
        """Its mailbox. Raises `NotLoggedIn`."""
        return logged_in(self._mailbox)

    @property
    def appearance(self) -> Appearance:
        """What others may see of it, and for how long. Raises `NotLoggedIn`."""
        return logged_in(self._appearance)

    @property
    def visibility(self) -> Visibility:
        """What others may see."""
        return self._appearance.seen.visibility if self._appearance is not None else Visibility.ONLINE

    @property
    def user(self) -> str | None:
        """The name that is logged in, if only to what this machine has of it."""
        return self._book.session.name if self._book.session is not None else self.away

    # --- coming -----------------------------------------------------------------------------------------

    async def bind(self, udp_port: int) -> None:
        """Takes a UDP port; 0 for that of the last run, or any. Raises `UdpPortTaken`."""
        known = await on_disk(self._folder.known)
        await bind(self.line, udp_port, known.udp_port if known is not None else 0)

    async def open(self, visibility: Visibility, new: Mailbox | None = None) -> list[tuple[NameKey, int]]:
        """Takes up what the disk has of it, `new` the mailbox where it is; who wrote what is unread.

        Raises `DataFolderError`, `MailboxFailed`.
        """
        self._mailbox = new
        await self._folder.claim()
        await on_disk(self._folder.save, self.line.identity)  # unless it is there, as it should be
        if new is None:
            self._mailbox = await opened(lambda: Mailbox(self._folder.mailbox), Mailbox.close)
        mailbox = self.mailbox
        unread = await mailbox.read(letters.unread)
        await self._lookup.load(mailbox)
        self.line.keep_quiet(quiet=visibility is Visibility.HIDDEN)
        await self.line.start(mailbox)
        kept = await on_disk(self._folder.kept_visibility)
        self._appearance = Appearance(
            kept,
            visibility,
            self._publish,
            self._folder.keep_visibility,
            lambda seen: self._tell(VisibilityEnded(seen.visibility)),
        )
        self._appearance.start()
        return unread

    async def begun(self, visibility: Visibility) -> None:
        """Its session has begun: the phone book hears the rest, and tells of those who matter."""
        await self.whereabouts.publish()  # an outside address may have come meanwhile
        self.whereabouts.watch()
        await self.remember(visibility)
        await share_blocked(self._book, self.line.core)
        await self._lookup.watch_all(self.line.core.watched())

    async def close(self) -> None:
        """Ends lines and mailbox. What waits in the outbox stays on disk."""
        self.whereabouts.stop()
        appearance, self._appearance = self._appearance, None
        if appearance is not None:
            appearance.stop()
        mailbox, self._mailbox = self._mailbox, None
        async with contextlib.AsyncExitStack() as whatever_happens:
            whatever_happens.callback(self._folder.release)
            if mailbox is not None:
                whatever_happens.push_async_callback(on_disk, mailbox.close)
                whatever_happens.push_async_callback(self._keep_people, mailbox)
            await self.line.stop()

    # --- while it is open -------------------------------------------------------------------------------

    async def people_changed(self) -> None:
        """Contacts, or those who are blocked, are not who they were; told later where the book is away."""
        appearance = self.appearance
        with contextlib.suppress(NotConnected):
            await share_blocked(self._book, self.line.core)
            await appearance.contacts_changed()

    async def catch_up(self) -> None:
        """What may have changed while the phone book was away: who is there, and where this shell is."""
        with contextlib.suppress(NotConnected, Refused, NotLoggedIn, ListFull):
            if not self.whereabouts.watching:  # this user came in without the phone book
                await self.whereabouts.first()
                logged_in(self._mailbox)  # the session may have ended meanwhile
                self.whereabouts.watch()
            await self.whereabouts.publish(again=True)
            self.line.network.look_for_the_silent()
            await self._lookup.watch_all(self.line.core.watched())
            await self.people_changed()

    async def remember(self, visibility: Visibility) -> None:
        """Keeps what must be known of it while the phone book is away."""
        if self._mailbox is not None and self.user is not None:
            known = KnownAccount(self.user, visibility, self.line.port)
            await on_disk(self._folder.remember, known)

    async def keep_roster(self) -> None:
        """Puts on disk who was seen."""
        if self._mailbox is not None:
            await self._keep_people(self._mailbox)

    async def _keep_people(self, mailbox: Mailbox) -> None:
        with contextlib.suppress(MailboxFailed):
            await self._lookup.keep(mailbox)

    async def _publish(self, seen: Seen) -> None:
        allowed = seen.allowed(self.line.core)
        await self._book.request(SetVisibility(seen.visibility, allowed), Done)
        logged_in(self._mailbox)  # the session may have ended meanwhile
        self.line.keep_quiet(quiet=seen.visibility is Visibility.HIDDEN)
        await self.remember(seen.visibility)


def logged_in(part: T | None) -> T:
    """What is there of whoever is logged in. Raises `NotLoggedIn`."""
    if part is None:
        raise NotLoggedIn("You are not logged in; type `login NAME` or `signup NAME`.")
    return part
