"""What others may see, also for a while: a visibility that ends by itself ends after a restart as well.

Only a shell that is logged in is seen at all, so the shell keeps the time; the phone book knows nothing.
"""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable
from time import time
from typing import TYPE_CHECKING

import msgspec

from shell.accountfolder import Kept
from shell.disk import on_disk
from shell.errors import DataFolderError, ListFull, NotConnected, NotLoggedIn
from wire.errors import Refused
from wire.limits import MAX_ALLOWED, MAX_BLOCKED
from wire.messages import Done, SetBlocked, Visibility
from wire.names import name_key

if TYPE_CHECKING:  # the network loads after the prompt
    from shell.line.people import People
    from shell.phonebook import PhoneBook

log = logging.getLogger(__name__)

LOOK = 30.0  # seconds between looks at the clock, which may be set meanwhile


class Seen(msgspec.Struct, frozen=True):
    """What others may see of this account."""

    visibility: Visibility
    but: tuple[str, ...] = ()
    """For `hidden` who sees it all the same; for `contacts` who of them does not."""

    def allowed(self, people: "People") -> tuple[str, ...]:
        """Who sees the account as online where not everybody does. Raises `ListFull`."""
        names: tuple[str, ...] = ()
        if self.visibility is Visibility.HIDDEN:
            names = self.but
        elif self.visibility is Visibility.CONTACTS:
            left_out = {name_key(name) for name in self.but}
            names = tuple(contact.name for contact in people.accepted() if contact.key not in left_out)
        if len(names) > MAX_ALLOWED:
            raise ListFull(
                f"{self.visibility.value} shows you to {MAX_ALLOWED:,} people at most, and these are "
                f"{len(names):,}; who sees you stays as it was. Leave some out with --except, or choose "
                "another visibility."
            )
        return names


def check_room_to_block(people: "People", name: str) -> None:
    """Before somebody is blocked. Raises `ListFull`."""
    blocked = {contact.key for contact in people.blocked()}
    if len(blocked - {name_key(name)}) >= MAX_BLOCKED:
        raise ListFull(
            f"You block {MAX_BLOCKED:,} people, which is the most that a phone book hides you from; "
            "unblock somebody first."
        )


async def share_blocked(book: "PhoneBook", people: "People") -> None:
    """Lets the phone book know to whom this account looks offline. Raises `NotConnected`, `Refused`."""
    names = tuple(contact.name for contact in people.blocked())
    if len(names) > MAX_BLOCKED:  # from a backup of keys; nobody is blocked beyond
        log.warning("event=blocked_cut names=%d most=%d", len(names), MAX_BLOCKED)
    await book.request(SetBlocked(names[:MAX_BLOCKED]), Done)


class Appearance:
    """What others may see of whoever is logged in. Lives on the event loop's thread."""

    def __init__(
        self,
        kept: Kept | None,
        visibility: Visibility,
        publish: Callable[[Seen], Awaitable[None]],
        keep: Callable[[Kept], None],
        ended: Callable[[Seen], None],
    ) -> None:
        """`kept` is what this disk has, `visibility` as the phone book says; `publish` tells it another, and
        `keep` puts that on the disk; `ended`: a time was up.
        """
        self._kept = kept
        self._publish = publish
        self._keep = keep
        self._ended = ended
        self._turn = asyncio.Lock()
        self._task: asyncio.Task[None] | None = None
        self._over = False
        but = kept.but if kept is not None and kept.visibility == visibility.value else ()
        self.seen = Seen(visibility, but)

    @property
    def until(self) -> float | None:
        """When it ends by itself, seconds since the epoch; None for never."""
        return self._kept.until if self._kept is not None else None

    async def set(self, seen: Seen, until: float | None = None) -> None:
        """From now until a time (seconds since the epoch), or for good.

        A second one for a while goes back to where the first began. Raises `Refused`, `NotConnected`,
        `DataFolderError`, `ListFull`.
        """
        try:
            async with self._turn:
                await self._publish(seen)
                await self._become(seen, self._as_kept(seen, until))
        finally:
            self.start()

    def _as_kept(self, seen: Seen, until: float | None) -> Kept:
        before = Kept("", (), None, self.seen.visibility.value, self.seen.but)
        if self._kept is not None and self._kept.until is not None:
            before = self._kept
        return msgspec.structs.replace(before, visibility=seen.visibility.value, but=seen.but, until=until)

    async def contacts_changed(self) -> None:
        """Whoever was accepted sees what contacts may see. Raises as `set`, but for the disk."""
        async with self._turn:
            if self.seen.visibility is Visibility.CONTACTS:
                await self._publish(self.seen)

    def start(self) -> None:
        """Takes up the time that was set, now or before a restart."""
        self._wait_no_more()
        if self.until is not None and not self._over:
            self._task = asyncio.create_task(self._wait(), name="visibility")

    def stop(self) -> None:
        """Looks at the clock no more, for good; what was set stays."""
        self._over = True
        self._wait_no_more()

    def _wait_no_more(self) -> None:
        if self._task is not None:
            self._task.cancel()
            self._task = None

    async def _wait(self) -> None:
        while (kept := self._kept) is not None and kept.until is not None:
            left = kept.until - time()
            if left > 0:
                await asyncio.sleep(min(left, LOOK))
                continue
            with contextlib.suppress(NotConnected, NotLoggedIn, Refused, DataFolderError, ListFull):
                async with self._turn:
                    seen = Seen(Visibility(kept.then or Visibility.ONLINE), kept.then_but)
                    await self._publish(seen)
                    await self._become(seen, Kept(seen.visibility.value, seen.but))
                    self._ended(seen)
                    return
            await asyncio.sleep(LOOK)

    async def _become(self, seen: Seen, kept: Kept) -> None:
        written = False

        def write() -> None:
            nonlocal written
            self._keep(kept)
            written = True

        try:
            await on_disk(write)
        finally:
            if written:  # also where nobody waits for it any more
                self._kept, self.seen = kept, seen
