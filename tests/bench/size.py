"""What a look-up, a page of `list`, a login and a start cost among a thousand accounts, and a million."""

import tempfile
from pathlib import Path
from random import Random

from tests.bench.book import Book, Town, pages, whois
from tests.bench.figures import Figure, median
from tests.bench.generator import Generator, Report, cycle
from tests.bench.processes import MIB

TITLE = "Cost against size"
SIZES = (1_000, 100_000, 1_000_000)
GROWTH = 1.3  # to reach: what a look-up or a page costs at the largest size against the smallest
LISTENING_SECONDS, LISTENING_MIB = 1.5, 150  # to reach
THERE = 500  # people who are logged in
LOGIN_SECONDS = 2.0  # for some logins at least
ASKED = 20_000  # different accounts of people who are away, asked about at most


def run(quick: bool) -> list[Figure]:
    """Measures one size after the other, several times, so that a busy moment hits all alike."""
    sizes, rounds, seconds = (SIZES[:2], 1, 0.5) if quick else (SIZES, 3, 1.5)
    measured: dict[tuple[str, int], list[Report]] = {}
    figures: list[Figure] = []
    with tempfile.TemporaryDirectory(prefix="parley-bench-") as name:
        towns = {size: Town(Path(name) / str(size), size) for size in sizes}
        for _ in range(rounds):
            for size, town in towns.items():
                with Book(town) as book:
                    for what, report in _loads(book, town, seconds).items():
                        measured.setdefault((what, size), []).append(report)
        figures += _starts(towns[sizes[-1]])
    return [*_figures(measured, sizes), *figures]


def _loads(book: Book, town: Town, seconds: float) -> dict[str, Report]:
    random = Random(1)
    away = range(THERE + 1, town.accounts + 1)
    asked = random.sample(away, min(ASKED, len(away)))
    sessions = town.resuming(range(1, THERE + 1))
    loads = {
        "look-up of somebody there": (whois(range(1, THERE + 1)), b'"fingerprint"'),
        "look-up of somebody away": (whois(asked), b'"fingerprint"'),
        "page of `list`": (pages([number for number in asked if number < town.accounts - 100]), b'"people"'),
    }
    found: dict[str, Report] = {}
    for what, (requests, done) in loads.items():
        with Generator(book.target(sessions, requests, done), THERE) as generator:
            generator.ask(1, 1, seconds / 3)  # the pages of the database that are asked for come into memory
            found[what] = generator.ask(1, 1, seconds)
    people = random.sample(range(THERE, town.accounts + 1), 400)
    found["login"] = cycle(book.target(town.logging_in(people)), 1, max(seconds, LOGIN_SECONDS))
    return found


def _figures(measured: dict[tuple[str, int], list[Report]], sizes: tuple[int, ...]) -> list[Figure]:
    figures: list[Figure] = []
    for what in dict.fromkeys(what for what, _ in measured):
        smallest: Figure | None = None
        for size in sizes:
            p50 = median(report.p50_us for report in measured[what, size])
            figure = Figure(f"{what}, {size:,} accounts: p50", p50, "µs")
            if smallest is None:
                smallest = figure
            else:
                goal = GROWTH if size == sizes[-1] and what != "login" else None
                figure = figure.compared(smallest, at_most=goal)
            figures.append(figure)
    return figures


def _starts(town: Town) -> list[Figure]:
    starts: list[float] = []
    memory = 0.0
    for _ in range(3):
        with Book(town) as book:
            starts.append(book.started_in)
            memory = book.memory() / MIB
    size = (town.folder / "accounts.db").stat().st_size / MIB
    what = f"parley-server, {town.accounts:,} accounts ({size:.0f} MiB on disk)"
    return [
        Figure(f"{what}: listens after", median(starts), "s", goal=LISTENING_SECONDS),
        Figure(f"{what}: memory before sessions", memory, "MiB", goal=LISTENING_MIB),
    ]
