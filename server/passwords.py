"""Password hashes: Argon2id (RFC 9106) on a small pool of threads, with a bound on who may wait."""

import asyncio
import contextlib
import os
import threading
from bisect import bisect_left
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from time import perf_counter
from typing import TypeVar

from argon2 import PasswordHasher, exceptions

from server.errors import SettingsError
from server.settings import ServerSettings
from wire.errors import ErrorCode, Refused
from wire.limits import MAX_PASSWORD, MIN_PASSWORD

T = TypeVar("T")

NICENESS = 19  # the least: a sixtieth of a core where the rest of the phone book wants all of it
BUSY_RETRY = 2.0  # seconds after which a login that found the queue full may try again


def _give_way() -> None:
    """A hash takes longer than a thousand look-ups: the thread that answers those comes first."""
    with contextlib.suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICENESS)  # of a thread, on Linux


class Taken:
    """A histogram of seconds."""

    bounds = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)

    def __init__(self) -> None:
        self.counts = [0] * (len(self.bounds) + 1)
        self.sum = 0.0

    def add(self, seconds: float) -> None:
        """One more; from any thread, where a lost one would do no harm."""
        self.counts[bisect_left(self.bounds, seconds)] += 1
        self.sum += seconds


class Passwords:
    """Makes and checks hashes off the event loop."""

    def __init__(self, settings: ServerSettings) -> None:
        """Takes as long as one hash. Raises `SettingsError`."""
        self._threads = settings.hash_threads
        self._pool = ThreadPoolExecutor(self._threads, "argon2", _give_way)
        self.change(settings)
        self.taken = Taken()
        """How long hashes took."""
        self.waiting = 0
        """Hashes that run or wait."""

    def change(self, settings: ServerSettings) -> None:
        """Other parameters from the next hash on; takes as long as one hash.

        Raises `SettingsError` where there is too little memory for one, and then nothing has changed.
        """
        hasher = PasswordHasher(settings.argon2_time, settings.argon2_memory_kib, settings.argon2_parallelism)
        try:
            self._nobody = hasher.hash("the password of no account")
        except exceptions.HashingError as error:
            why = f"no hash can be made: {str(error).lower()}"
            raise SettingsError(f"argon2_memory_kib is {settings.argon2_memory_kib}, and {why}.") from None
        self._hasher = hasher
        self._limit = settings.hash_queue + self._threads

    def close(self) -> None:
        """Ends the threads."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    async def hash(self, password: str) -> str:
        """The hash of a new password. Raises `Refused` for one that may not be, or when too many wait."""
        if len(password) < MIN_PASSWORD:
            raise Refused(ErrorCode.BAD_PASSWORD, f"A password needs {MIN_PASSWORD} characters or more.")
        if len(password.encode(errors="surrogatepass")) > MAX_PASSWORD:
            raise Refused(ErrorCode.BAD_PASSWORD, f"A password has {MAX_PASSWORD} bytes at most.")
        return await self._run(lambda: self._hasher.hash(password))

    async def verify(self, password_hash: str | None, password: str) -> bool:
        """Whether the password is right; without an account it costs the same and is not."""

        def check() -> bool:
            try:
                self._hasher.verify(password_hash or self._nobody, password)
            except (exceptions.VerifyMismatchError, exceptions.InvalidHashError):
                return False
            return password_hash is not None

        return await self._run(check)

    def outdated(self, password_hash: str) -> bool:
        """Whether the hash was made with other parameters than the settings' now."""
        return self._hasher.check_needs_rehash(password_hash)

    async def _run(self, work: Callable[[], T]) -> T:
        if self.waiting >= self._limit:
            raise Refused(
                ErrorCode.BUSY, "Too many people log in at this moment; try again.", retry_after=BUSY_RETRY
            )

        def timed() -> T:
            began = perf_counter()
            try:
                return work()
            finally:
                self.taken.add(perf_counter() - began)

        self.waiting += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._pool, timed)
        finally:
            self.waiting -= 1
