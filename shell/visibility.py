"""What others may see, also for a while: a visibility that ends by itself ends after a restart as well.

Only a shell that is logged in is seen at all, so the shell keeps the time; the phone book knows nothing.
"""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable
from time import time

import msgspec

from shell.datafolder import AccountFolder, Until
from shell.errors import DataFolderError, NotConnected, NotLoggedIn
from shell.line.people import People
from wire.errors import Refused
from wire.messages import Visibility
from wire.names import name_key

log = logging.getLogger(__name__)

LOOK = 30.0  # seconds between looks at the clock, which may be set meanwhile


class Seen(msgspec.Struct, frozen=True):
    """What others may see of this account."""

    visibility: Visibility
    but: tuple[str, ...] = ()
    """For `hidden` who sees it all the same; for `contacts` who of them does not."""

    def allowed(self, people: People) -> tuple[str, ...]:
        """Who sees the account as online where not everybody does."""
        match self.visibility:
            case Visibility.HIDDEN:
                return self.but
            case Visibility.CONTACTS:
                left_out = {name_key(name) for name in self.but}
                return tuple(contact.name for contact in people.accepted() if contact.key not in left_out)
            case _:
                return ()


class SeenUntil:
    """Goes back to what was before when the time is up. Lives on the event loop's thread."""

    def __init__(self, folder: AccountFolder, change: Callable[[Seen], Awaitable[None]]) -> None:
        """`change` sets the visibility; it is called again later where it raises `NotConnected`."""
        self._folder = folder
        self._change = change
        self._task: asyncio.Task[None] | None = None

    @property
    def when(self) -> float | None:
        """The time, None for none."""
        pending = self._folder.until()
        return pending.when if pending is not None else None

    def set(self, before: Seen, until: float | None) -> None:
        """From now until a time (seconds since the epoch), or for good. Raises `DataFolderError`."""
        pending = self._folder.until()
        if until is None:
            self._folder.keep_until(None)
        else:
            kept = Until(until, before.visibility.value, before.but)
            self._folder.keep_until((pending and msgspec.structs.replace(pending, when=until)) or kept)
        self.start()

    def start(self) -> None:
        """Takes up what was set, now or before a restart."""
        self.stop()
        if self._folder.until() is not None:
            self._task = asyncio.create_task(self._wait(), name="visibility")

    def stop(self) -> None:
        """Looks at the clock no more; what was set stays."""
        if self._task is not None:
            self._task.cancel()
            self._task = None

    async def _wait(self) -> None:
        while (pending := self._folder.until()) is not None:
            left = pending.when - time()
            if left > 0:
                await asyncio.sleep(min(left, LOOK))
                continue
            with contextlib.suppress(NotConnected, NotLoggedIn, Refused, DataFolderError):
                await self._change(Seen(Visibility(pending.then), pending.but))
                self._folder.keep_until(None)
                return
            await asyncio.sleep(LOOK)
