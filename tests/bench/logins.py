"""How many passwords are checked a second, and what that does to the look-ups of others."""

import tempfile
import threading
from pathlib import Path

from tests.bench.book import Book, Town, whois
from tests.bench.figures import Figure, median
from tests.bench.generator import Generator, Report, cycle

TITLE = "Logins with the shipped Argon2id parameters, and look-ups meanwhile"
THERE, AT_ONCE, ACCOUNTS = 1_000, 16, 3_000
ASKING, RATE = 20, 2_000  # connections that look people up, and their look-ups a second in all
P99_GROWTH = 3.0  # to reach


def run(quick: bool) -> list[Figure]:
    """Measures look-ups at a steady pace without and with logins, in turns."""
    rounds, seconds = (1, 2.0) if quick else (3, 4.0)
    idle: list[Report] = []
    loaded: list[Report] = []
    logins: list[Report] = []
    everybody = range(1, THERE + 1)
    with tempfile.TemporaryDirectory(prefix="parley-bench-") as name:
        town = Town(Path(name) / "book", ACCOUNTS)
        with Book(town) as book:
            people = book.target(town.logging_in(range(THERE + 1, ACCOUNTS + 1)))
            target = book.target(town.resuming(everybody), whois(everybody))
            with Generator(target, THERE) as generator:
                for _ in range(rounds):
                    idle.append(generator.pace(ASKING, RATE, seconds))
                    # Logins begin before and end after the look-ups, so that all of these meet some.
                    coming = threading.Thread(
                        target=lambda: logins.append(cycle(people, AT_ONCE, seconds + 2))
                    )
                    coming.start()
                    generator.pace(ASKING, RATE, 1)
                    loaded.append(generator.pace(ASKING, RATE, seconds))
                    coming.join()
    calm = Figure("look-up, no logins: p99", median(report.p99_us for report in idle), "µs")
    busy = Figure("look-up, logins flat out: p99", median(report.p99_us for report in loaded), "µs")
    return [
        Figure("logins", median(report.rate for report in logins), "/s"),
        Figure(f"login, {AT_ONCE} at once: p50", median(report.p50_us for report in logins) / 1000, "ms"),
        Figure("look-up, no logins: p50", median(report.p50_us for report in idle), "µs"),
        Figure("look-up, logins flat out: p50", median(report.p50_us for report in loaded), "µs"),
        calm,
        busy.compared(calm, at_most=P99_GROWTH),
    ]
