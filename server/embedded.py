"""A phone book on a thread of its own inside this process: for the console, the demo and tests."""

import asyncio
import logging
import threading
from collections.abc import Callable, Coroutine
from types import TracebackType
from typing import Any, Self, TypeVar

from server.phonebook import PhoneBookServer
from server.settings import ServerSettings
from server.upkeep import Reread
from wire.certificates import show_fingerprint
from wire.errors import Refused

log = logging.getLogger(__name__)

T = TypeVar("T")

ANSWER_PATIENCE = 15.0  # seconds for the phone book to answer its operator


class EmbeddedPhoneBook:
    """A running phone book; a context manager that stops it."""

    def __init__(self, settings: ServerSettings, reread: Reread | None = None) -> None:
        """Starts it; `reread` reads the settings anew. Raises what `PhoneBookServer` raises."""
        self._loop = new_event_loop()
        self.server = PhoneBookServer(settings)
        self.server.on_shutdown = self._end_asked
        self.server.upkeep.reread = reread
        self.end_asked = threading.Event()
        """Set when an operator wants the phone book to stop; whoever made it then calls `stop`."""
        self.on_end_asked: Callable[[], None] = lambda: None
        self._farewell = ""
        self._thread = threading.Thread(target=self._loop.run_forever, name="phone-book", daemon=True)
        self._thread.start()
        try:
            self.call(self.server.start())
        except BaseException:
            self.call(self._close())
            self._end()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def running(self) -> bool:
        """Whether it has not been stopped."""
        return self._thread.is_alive()

    @property
    def address(self) -> tuple[str, int]:
        """IP address that others can use, and port."""
        return self.server.address

    @property
    def fingerprint(self) -> str:
        """The fingerprint that shells pin, as it is shown."""
        return show_fingerprint(self.server.fingerprint)

    def call(self, work: Coroutine[Any, Any, T]) -> T:
        """Runs a coroutine on the phone book's thread and waits for its result."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(ANSWER_PATIENCE)

    def reload(self) -> None:
        """Reads settings and certificate anew, soon; what comes of it is logged. For a signal handler."""
        asyncio.run_coroutine_threadsafe(self._reload(), self._loop)

    def drain(self) -> bool:
        """Lets nobody in and stops after the settings' `drain_seconds`. For a signal handler.

        False where nobody is left any time: no seconds are set, or they run already.
        """
        seconds = self.server.settings.drain_seconds
        if self.server.entrance.draining or not seconds:
            return False
        self._loop.call_soon_threadsafe(lambda: self.server.upkeep.drain(seconds, ""))
        return True

    def stop(self, text: str = "") -> None:
        """Tells everybody and ends; a second call does nothing."""
        if self.running:
            self.call(self.server.stop(text or self._farewell))
            self._end()

    def _end_asked(self, text: str) -> None:
        self._farewell = text
        self.end_asked.set()
        self.on_end_asked()

    async def _reload(self) -> None:
        try:
            await self.server.upkeep.reload()
        except Refused as error:
            log.error("event=reload-failed reason=%r", str(error))  # noqa: TRY400 - the sentence is enough

    async def _close(self) -> None:
        self.server.close()

    def _end(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(ANSWER_PATIENCE)
        self._loop.close()


def new_event_loop() -> asyncio.AbstractEventLoop:
    """uvloop's where it installs, else asyncio's own."""
    try:
        import uvloop
    except ImportError:
        return asyncio.new_event_loop()
    return uvloop.new_event_loop()
