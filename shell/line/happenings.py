"""The one queue that everything on the line passes: a batch of happenings goes through the core, what is
to be kept is committed at once, and only then anything is sent or shown.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from typing import Any, Protocol

from shell.errors import MailboxFailed, NotLoggedIn
from shell.line.effects import (
    Act,
    DeclineHeld,
    Effect,
    Keep,
    KeepContact,
    KeepIncoming,
    KeepOutgoing,
    KeepRead,
    KeepSeen,
    KeepState,
    ReleaseHeld,
)
from shell.line.faults import Faults

log = logging.getLogger(__name__)

ENDED = "Your session has ended; what was kept by then is there when you log in again."
MAX_WAITING = 10_000  # happenings that may wait; a line that brings more is closed
MAX_BATCH = 512  # happenings that share one commit
_KEEPS = (
    KeepOutgoing,
    KeepIncoming,
    KeepRead,
    KeepSeen,
    KeepContact,
    ReleaseHeld,
    DeclineHeld,
)


class Performer(Protocol):
    """Carries out what a batch decided."""

    async def keep(self, keeps: list[Keep]) -> list[Any]:
        """Commits all of it. Raises `MailboxFailed`, and then nothing is kept."""
        ...

    def note(self, states: list[KeepState]) -> None:
        """Commits these soon, with whatever is committed next; nobody waits for them."""
        ...

    def kept(self, keep: Keep, answer: Any) -> list[Effect]:
        """What follows from what the mailbox said."""
        ...

    def act(self, act: Act) -> None:
        """Sends, dials, tells."""
        ...

    def undo(self, keeps: list[Keep], acts: list[Act], reason: MailboxFailed) -> None:
        """The disk refused: nothing of this batch may be sent as if it were safe."""
        ...


class Happenings:
    """What happened and was not looked at yet."""

    def __init__(self, performer: Performer) -> None:
        self._performer = performer
        self._waiting: deque[Callable[[], list[Effect]]] = deque()
        self._callers: list[asyncio.Future[None]] = []
        self._wake = asyncio.Event()
        self._performing: set[asyncio.Future[None]] = set()
        self._faults = Faults(log)
        self._ended = False

    @property
    def full(self) -> bool:
        """Whether others bring more than this disk can take."""
        return len(self._waiting) >= MAX_WAITING

    def put(self, happening: Callable[[], list[Effect]]) -> None:
        """Something happened; the core is asked when its turn comes."""
        self._waiting.append(happening)
        self._wake.set()

    async def perform(self, action: Callable[[], list[Effect]]) -> None:
        """Puts an action into the queue and waits until its effects are committed.

        Raises what the action raises, `MailboxFailed`, and `NotLoggedIn` where the session ends before.
        """
        if self._ended:
            raise NotLoggedIn(ENDED)
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

        def happening() -> list[Effect]:
            try:
                effects = action()
            except Exception as error:  # the caller's to handle; the queue goes on
                if not done.done():
                    done.set_exception(error)
                return []
            self._callers.append(done)
            return effects

        self._performing.add(done)
        done.add_done_callback(self._performing.discard)
        self.put(happening)
        await done

    async def run(self) -> None:
        """Works the queue until it is cancelled."""
        try:
            await self._run()
        finally:
            self._ended = True
            _answer(list(self._performing), NotLoggedIn(ENDED))

    async def _run(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._waiting:
                effects: list[Effect] = []
                for _ in range(min(MAX_BATCH, len(self._waiting))):
                    effects += self._look_at(self._waiting.popleft())
                callers, self._callers = self._callers, []
                fault: Exception | None
                try:
                    fault = await self._carry_out(effects)
                except Exception as error:  # the task's edge: the next batch goes on
                    log.exception("event=line_fault")
                    fault = error
                _answer(callers, fault)

    def _look_at(self, happening: Callable[[], list[Effect]]) -> list[Effect]:
        try:
            return happening()
        except Exception as error:  # the edge of each: what one person brings costs the others nothing
            self._faults.met(error, "event=line_fault in=happening")
            return []

    async def _carry_out(self, effects: list[Effect]) -> MailboxFailed | None:
        while effects:
            # That a message was delivered is true before this disk knows it: if it never does, the message is
            # sent again and answered again. Everything else is committed first.
            states: list[KeepState] = []
            keeps: list[Keep] = []
            acts: list[Act] = []
            for effect in effects:
                if isinstance(effect, KeepState):
                    states.append(effect)
                elif isinstance(effect, _KEEPS):
                    keeps.append(effect)
                else:
                    acts.append(effect)
            if states:
                self._performer.note(states)
            answers: list[Any] = []
            if keeps:
                try:
                    answers = await self._performer.keep(keeps)
                except MailboxFailed as error:
                    self._performer.undo(keeps, acts, error)
                    return error
            self._act(acts)
            effects = []
            for keep, answer in zip(keeps, answers, strict=True):
                effects += self._performer.kept(keep, answer)
        return None

    def _act(self, acts: list[Act]) -> None:
        for act in acts:
            try:
                self._performer.act(act)
            except Exception as error:  # the same edge
                self._faults.met(error, "event=line_fault in=%s", type(act).__name__)


def _answer(callers: list[asyncio.Future[None]], error: Exception | None) -> None:
    for caller in callers:
        if caller.done():
            continue
        if error is None:
            caller.set_result(None)
        else:
            caller.set_exception(error)
