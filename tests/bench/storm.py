"""The phone book is killed and starts again: how long until everybody is back, without a password.

Each comes from an address of its own, under the limits that the phone book has where nobody sets any.
"""

import tempfile
import time
from pathlib import Path

from tests.bench.book import SHIPPED, Book, Town
from tests.bench.figures import Figure
from tests.bench.generator import Generator

TITLE = "Everybody comes back at once after kill -9, by resume token"
CLIENTS = 5_000
MOST = 10  # seconds to reach


def run(quick: bool) -> list[Figure]:
    """Measures one storm."""
    clients = 500 if quick else CLIENTS
    with tempfile.TemporaryDirectory(prefix="parley-bench-") as folder:
        town = Town(Path(folder) / "book", clients)
        first = Book(town, limits=SHIPPED)
        target = first.target(town.resuming(range(1, clients + 1)))
        with first, Generator(target, clients, per_address=1) as generator:
            generator.expect_storm()
            first.kill()
            with Book(town, port=first.port, limits=SHIPPED) as second:
                listening = time.monotonic()
                report = generator.report()
                back = time.monotonic() - listening
                busy = second.busy()
    return [
        Figure(f"{clients:,} clients back after the start", back, "s", goal=MOST),
        Figure(f"{clients:,} clients back after the kill", report.seconds, "s"),
        Figure("time of the server's core for each", busy / clients * 1e6, "µs"),
    ]
