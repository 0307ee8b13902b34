"""Parley for programs. The shell itself is made of these parts.

    async with enter("echo", password, server="192.0.2.7") as me:
        async for event in me:
            match event:
                case RequestArrived(name):
                    await me.accept(name)
                case MessageArrived(name, text):
                    await me.send(name, text)

`me.book` is the `PhoneBook`, `me.line` the `Line`; everything runs on the caller's event loop. Names and
texts are as others wrote them: pass them through `safe` before they reach a terminal.
"""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator
from pathlib import Path

from shell.datafolder import DataFolder
from shell.disk import on_disk
from shell.errors import ShellError
from shell.events import (
    Event,
    KnockArrived,
    MessageArrived,
    MessageProgressed,
    NoticeArrived,
    RequestArrived,
    SessionEnded,
    StatusChanged,
)
from shell.line.errors import CannotSend, LineError
from shell.line.line import Line
from shell.line.model import State
from shell.line.settling import Written
from shell.messenger import Messenger
from shell.phonebook import PhoneBook
from shell.settings import ShellSettings, data_folder
from wire.display import safe
from wire.errors import ErrorCode, Refused, WireError
from wire.messages import Person, Profile, Status, Visibility
from wire.names import name_key

__all__ = [
    "Entered",
    "ErrorCode",
    "Event",
    "KnockArrived",
    "Line",
    "LineError",
    "MessageArrived",
    "MessageProgressed",
    "NoticeArrived",
    "Person",
    "PhoneBook",
    "Profile",
    "Refused",
    "RequestArrived",
    "SessionEnded",
    "ShellError",
    "State",
    "Status",
    "StatusChanged",
    "Visibility",
    "WireError",
    "enter",
    "safe",
]

log = logging.getLogger(__name__)

MAX_EVENTS = 10_000  # events that a program may leave waiting; beyond, the oldest go
SEND_PATIENCE = 5.0  # seconds


class Entered(Messenger):
    """Somebody who is logged in. An asynchronous iterator over what arrives, which ends with the session."""

    def __init__(self, server: str, folder: DataFolder, port: int) -> None:
        super().__init__(server, folder, port, self._arrived)
        self._events: asyncio.Queue[Event] = asyncio.Queue()
        self._questions: dict[str, asyncio.Future[str]] = {}
        self._over = False

    def __aiter__(self) -> "Entered":
        return self

    async def __anext__(self) -> Event:
        """The next event; the last one is `SessionEnded`."""
        if self._over and self._events.empty():
            raise StopAsyncIteration
        return await self._events.get()

    async def send(
        self,
        name: str,
        text: str,
        *,
        choices: tuple[str, ...] | None = None,
        answers: bytes = b"",
        patience: float = SEND_PATIENCE,
    ) -> State:
        """Writes to somebody, and waits up to `patience` seconds for what becomes of it.

        `QUEUED` is no failure: it is on disk, and goes out when they appear. With `choices` it is a
        question, with `answers` (the id of one) an answer. Raises `Refused` for a name that does not exist,
        `LineError`, `ShellError`.
        """
        written = await self._write(name, text, choices, answers)
        return (await self.line.settled(written, patience)).state

    async def ask(
        self, name: str, question: str, choices: tuple[str, ...] = (), *, patience: float
    ) -> str | None:
        """Asks somebody and waits up to `patience` seconds; the answer, None where none came in time.

        What else arrives meanwhile is kept for the iterator. Raises as `send` does.
        """
        written = await self._write(name, question, choices, b"")
        asked = written.message.id.hex()
        answer: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._questions[asked] = answer
        try:
            async with asyncio.timeout(patience):
                return await answer
        except TimeoutError:
            return None
        finally:
            del self._questions[asked]

    async def _write(self, name: str, text: str, choices: tuple[str, ...] | None, answers: bytes) -> Written:
        contact = self.line.core.contact(name)
        shown = contact.name if contact is not None else (await self.whois(name)).name
        if name_key(shown) == name_key(self.user or ""):
            raise CannotSend("That is you; nobody else would ever take it.")
        return await self.line.write(shown, text, choices=choices, answers=answers)

    def _arrived(self, event: Event) -> None:
        asked = self._questions.get(event.answers) if isinstance(event, MessageArrived) else None
        if asked is not None and not asked.done() and isinstance(event, MessageArrived):
            asked.set_result(event.text)
            return
        if self._events.qsize() >= MAX_EVENTS:
            dropped = self._events.get_nowait()
            log.warning("event=event_dropped type=%s", type(dropped).__name__)
        self._events.put_nowait(event)
        self._over = self._over or isinstance(event, SessionEnded)


@contextlib.asynccontextmanager
async def enter(
    name: str,
    password: str,
    *,
    server: str,
    data: Path | str | None = None,
    port: int = 0,
    signup: bool = False,
) -> AsyncIterator[Entered]:
    """Logs in as somebody, and out at the end.

    `server` is `HOST` or `HOST:PORT`; `data` the folder of keys and messages (that of the shell unless
    named: a bot wants one of its own); `port` the UDP port, 0 for any. With `signup` the account is made
    where there is none yet. Raises `Refused`, `ShellError`, `WireError`.
    """
    path = Path(data) if data is not None else data_folder(ShellSettings())
    folder = await on_disk(DataFolder, path)
    me = Entered(server, folder, port)
    try:
        try:
            await me.login(name, password)
        except Refused as refused:
            if not signup or refused.code != ErrorCode.WRONG_CREDENTIALS:
                raise
            await me.signup(name, password)
        yield me
    finally:
        await me.close()
