"""What one idle session over TLS costs in memory of the server's process."""

import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from itertools import pairwise
from pathlib import Path

from tests.bench.book import Book, Town
from tests.bench.figures import Figure
from tests.bench.generator import Generator, Target
from tests.bench.peers import Ngircd
from tests.bench.processes import Process

TITLE = "Memory of one idle session, TLS 1.3"
STEPS = (0, 1_000, 5_000, 10_000)
PEER_STEPS = (0, 1_000)  # ngircd loses some of the many that come at once
MOST = 28  # KiB to reach
KIB = 1024


def run(quick: bool) -> list[Figure]:
    """Measures the growth of the process while more and more people come and stay."""
    steps = (0, 200, 1_000) if quick else STEPS
    figures: list[Figure] = []
    with tempfile.TemporaryDirectory(prefix="parley-bench-") as name:
        folder = Path(name)
        town = Town(folder / "book", steps[-1])
        with Book(town) as book:
            scripts = town.resuming(range(1, steps[-1] + 1))
            figures += _grown("parley", book, lambda first, last: book.target(scripts[first:last]), steps)
        if Ngircd.installed():
            with Ngircd(folder, tls=True) as peer:
                whole = peer.target(PEER_STEPS[-1], 1)

                def part(first: int, last: int) -> Target:
                    return Target(
                        "ngircd", peer.port, True, whole.scripts[first:last], whole.requests, whole.done
                    )

                figures += _grown("ngircd", peer, part, PEER_STEPS)
    return figures


def _grown(
    name: str, server: Process, part: Callable[[int, int], Target], steps: tuple[int, ...]
) -> list[Figure]:
    figures: list[Figure] = []
    empty = server.memory()
    with ExitStack() as stack:
        for first, last in pairwise(steps):
            generator = stack.enter_context(Generator(part(first, last), last - first))
            each = (server.memory() - empty) / last / KIB
            goal = MOST if name == "parley" and last == steps[-1] else None
            pace = generator.opened.rate
            figures.append(
                Figure(f"{name}, {last:,} held", each, "KiB", goal=goal, note=f"came at {pace:,.0f}/s")
            )
    return figures
