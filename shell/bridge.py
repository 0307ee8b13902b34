"""Where the two threads meet: the prompt submits work and waits, the network posts events.

Everything on the network, the UDP listener among it, is one event loop on one thread; nothing else crosses.
"""

import asyncio
import logging
import threading
from collections.abc import Coroutine
from concurrent.futures import Future
from typing import Any, TypeVar

from shell.errors import NotConnected

log = logging.getLogger(__name__)
T = TypeVar("T")

STOP_PATIENCE = 5.0  # seconds for the network thread to end


class Bridge:
    """The network thread and its event loop."""

    def __init__(self) -> None:
        self._loop = _new_event_loop()
        self._thread = threading.Thread(target=self._run, name="network", daemon=True)
        self._thread.start()

    def call(self, work: Coroutine[Any, Any, T], patience: float | None = None) -> T:
        """Runs a coroutine on the network thread and waits for its result; Ctrl-C cancels it.

        Raises what the coroutine raises, and `NotConnected` after `patience` seconds.
        """
        future: Future[T] = asyncio.run_coroutine_threadsafe(work, self._loop)
        try:
            return future.result(patience)
        except TimeoutError:
            if patience is None or not future.cancel():
                raise
            raise NotConnected(f"No answer within {patience:g} s.") from None
        except BaseException:
            future.cancel()
            raise

    def submit(self, work: Coroutine[Any, Any, None]) -> None:
        """Runs a coroutine on the network thread; what it raises is logged."""
        asyncio.run_coroutine_threadsafe(work, self._loop).add_done_callback(_log_failure)

    def stop(self) -> None:
        """Ends the thread; what it still did is cancelled."""
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join(STOP_PATIENCE)

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            self._loop.run_forever()
            left = asyncio.all_tasks(self._loop)
            for task in left:
                task.cancel()
            self._loop.run_until_complete(asyncio.gather(*left, return_exceptions=True))
        finally:
            self._loop.close()


def _log_failure(future: "Future[None]") -> None:
    if not future.cancelled() and (error := future.exception()) is not None:
        log.warning("event=submitted_failed reason=%s", type(error).__name__)


def _new_event_loop() -> asyncio.AbstractEventLoop:
    try:
        import uvloop
    except ImportError:  # not on every platform; asyncio's own loop does the same, slower
        return asyncio.new_event_loop()
    return uvloop.new_event_loop()
