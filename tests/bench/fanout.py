"""One person's change of status, until the last of those who watch has it."""

import tempfile
from pathlib import Path

from tests.bench.book import Book, Town, changes, name, watching
from tests.bench.figures import Figure
from tests.bench.generator import Generator

TITLE = "Presence: one change to all who watch"
WATCHERS = 2_000
MOST = 60  # ms to reach


def run(quick: bool) -> list[Figure]:
    """Measures changes one after the other."""
    watchers, times = (500, 10) if quick else (WATCHERS, 60)
    with tempfile.TemporaryDirectory(prefix="parley-bench-") as folder:
        town = Town(Path(folder) / "book", watchers + 1)
        with Book(town) as book:
            people = range(2, watchers + 2)
            scripts = [*town.resuming([1]), *watching(town.resuming(people), name(1))]
            with Generator(book.target(scripts, changes(), b'"presence"'), watchers + 1) as generator:
                generator.fan(4)
                before = book.busy()
                report = generator.fan(times)
                cost = (book.busy() - before) / times
    return [
        Figure(f"{watchers:,} watchers, the last has it: p50", report.p50_us / 1000, "ms", goal=MOST),
        Figure(f"{watchers:,} watchers, the last has it: p99", report.p99_us / 1000, "ms"),
        Figure(f"{watchers:,} watchers, time of the server's core", cost * 1000, "ms"),
    ]
