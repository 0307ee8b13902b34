"""Whether the time of a refused login tells that there is such an account."""

import asyncio
import random
import statistics
import tempfile
import time
from pathlib import Path

from server.embedded import EmbeddedPhoneBook
from server.settings import ServerSettings
from shell.datafolder import DataFolder
from shell.phonebook import PhoneBook
from tests.bench.figures import Figure
from wire.certificates import make_identity
from wire.errors import Refused

TITLE = "Refused logins, of an account and of none"
APART = 0.65  # to stay under: how often a guess by time alone would be right; 0.5 is as good as a coin
NEVER = 10**9  # of a throttle that would measure itself here


def run(quick: bool) -> list[Figure]:
    """Tries both in random order over one connection."""
    with tempfile.TemporaryDirectory(prefix="parley-bench-") as folder:
        settings = ServerSettings(
            listen="127.0.0.1:0",
            data=str(Path(folder) / "server"),
            login_failures_per_account=NEVER,
            login_failures_per_address=NEVER,
        )
        with EmbeddedPhoneBook(settings) as book:
            known, unknown = asyncio.run(_measure(book, Path(folder), 40 if quick else 400))
    one = Figure("of an account, median", statistics.median(known) * 1000, "ms")
    other = Figure("of none, median", statistics.median(unknown) * 1000, "ms").compared(one)
    right = _told_apart(known, unknown)
    return [one, other, Figure("told apart by time", right, "of 1", goal=APART, at_least=False)]


async def _measure(book: EmbeddedPhoneBook, folder: Path, count: int) -> tuple[list[float], list[float]]:
    identity = make_identity("bench")
    address = "{}:{}".format(*book.address)
    async with PhoneBook(address, DataFolder(folder / "alice")) as alice:
        await alice.signup("alice", "correct horse battery", identity)
    times: dict[str, list[float]] = {"alice": [], "nobody": []}
    order = [*["alice"] * count, *["nobody"] * count]
    random.shuffle(order)
    async with PhoneBook(address, DataFolder(folder / "guesser")) as guesser:
        for name in order:
            began = time.perf_counter()
            try:
                await guesser.login(name, "a wrong password", identity)
            except Refused:
                times[name].append(time.perf_counter() - began)
    return times["alice"], times["nobody"]


def _told_apart(one: list[float], other: list[float]) -> float:
    """The chance that the slower of a pair is guessed right (the area under the ROC curve, folded)."""
    larger = sum((a > b) + (a == b) / 2 for a in one for b in other) / (len(one) * len(other))
    return max(larger, 1 - larger)
