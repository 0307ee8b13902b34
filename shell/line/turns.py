"""One turn after another: what follows from an action is committed first and then done, and whoever waits for
something looks again.
"""

import asyncio
import logging
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from functools import partial

from shell import ledger
from shell.errors import MailboxFailed, NotLoggedIn
from shell.events import Event, StorageFailed
from shell.line.happenings import ENDED
from shell.line.tasks import Tasks
from shell.line.transfer import MAX_OPEN, KeepTransfer, TransferEffect
from shell.mailbox import Mailbox
from wire.names import NameKey

log = logging.getLogger(__name__)

MAX_TURNS = 4 * MAX_OPEN  # of one person that may wait for the disk; a new line brings two for each transfer
Action = Callable[[], list[TransferEffect]]


class Turns:
    """The turns of one account's transfers. Lives on the event loop's thread."""

    def __init__(
        self,
        act: Callable[[TransferEffect], Awaitable[None]],
        undo: Callable[[list[KeepTransfer]], None],
        tell: Callable[[Event], None],
    ) -> None:
        self._act = act
        self._undo = undo
        self._tell = tell
        self._mailbox: Mailbox | None = None
        self._turn = asyncio.Lock()
        self._watchers: list[asyncio.Future[None]] = []
        self._tasks = Tasks()
        self._begun: Counter[NameKey] = Counter()
        self._ended = False

    def start(self, mailbox: Mailbox) -> None:
        """From now on turns are committed here."""
        self._mailbox = mailbox

    async def stop(self) -> None:
        """Ends the turns under way; whoever waits for one is told."""
        self._ended = True
        await self._tasks.cancel()
        self.taken()

    def begin(self, action: Action, peer: NameKey) -> bool:
        """Takes a turn without waiting for it; False where too many of this person wait."""
        if self._begun[peer] >= MAX_TURNS:
            return False
        self._begun[peer] += 1
        self._tasks.spawn(self.quietly(action), "transfer").add_done_callback(partial(self._over, peer))
        return True

    def _over(self, peer: NameKey, task: "asyncio.Task[None]") -> None:
        self._begun[peer] -= 1
        if not self._begun[peer]:
            del self._begun[peer]

    async def quietly(self, action: Action, pauses: Sequence[float] = ()) -> None:
        """Takes a turn, and again after each pause (s) while the disk refuses it, which is told once."""
        refusal = await self._refusal(action)
        if refusal:
            self._tell(StorageFailed(refusal))
        for pause in pauses:
            if not refusal:
                return
            await asyncio.sleep(pause)
            refusal = await self._refusal(action)

    async def _refusal(self, action: Action) -> str:
        """Takes a turn; what the disk says against it, nothing where it was taken or ended otherwise."""
        try:
            await self.perform(action)
        except MailboxFailed as error:
            return str(error)
        except NotLoggedIn as error:
            log.info("event=turn_failed reason=%r", str(error))
        except Exception:  # the task's edge: the next turn comes
            log.exception("event=transfer_fault")
        return ""

    async def perform(self, action: Action) -> None:
        """Takes a turn. Raises what `action` raises, `MailboxFailed`, `NotLoggedIn` when the session ends.

        What has begun comes to its end: whoever stops waiting for it does not leave half of it done.
        """
        taken: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        taking = self._tasks.spawn(self._take(action, taken), "turn")
        taking.add_done_callback(partial(_over, taken))
        await taken

    async def _take(self, action: Action, taken: "asyncio.Future[None]") -> None:
        try:
            async with self._turn:
                if not taken.cancelled():
                    await self._carry_out(action())
        except Exception as error:  # it is for whoever waits
            _fail(taken, error)
        else:
            if not taken.done():
                taken.set_result(None)
        self.taken()

    async def _carry_out(self, effects: list[TransferEffect]) -> None:
        await self._keep([effect for effect in effects if isinstance(effect, KeepTransfer)])
        for effect in effects:
            await self._act(effect)

    async def _keep(self, keeps: list[KeepTransfer]) -> None:
        if not keeps:
            return
        transfers = [keep.transfer for keep in keeps]
        mailbox = self._mailbox
        if mailbox is None:
            self._undo(keeps)
            raise MailboxFailed("The mailbox is not open.")
        try:
            await mailbox.read(lambda connection: ledger.keep_transfers(connection, transfers))
        except MailboxFailed:
            self._undo(keeps)
            raise

    async def next(self) -> None:
        """Waits until something may be different. Raises `NotLoggedIn` once nothing will be."""
        if not self._ended:
            watcher: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._watchers.append(watcher)
            await watcher
        if self._ended:
            raise NotLoggedIn(ENDED)

    def taken(self) -> None:
        """Something is different; whoever waits looks again."""
        for watcher in self._watchers:
            if not watcher.done():
                watcher.set_result(None)
        self._watchers.clear()


def _over(taken: "asyncio.Future[None]", task: "asyncio.Task[None]") -> None:
    """A turn that was ended, perhaps before its first step: whoever waits for it hears of that."""
    if task.cancelled():
        _fail(taken, NotLoggedIn(ENDED))


def _fail(taken: "asyncio.Future[None]", error: Exception) -> None:
    if taken.done():
        log.info("event=turn_failed reason=%r", str(error))  # nobody waits for it any more
    else:
        taken.set_exception(error)
