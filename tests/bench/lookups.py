"""Look-ups of somebody who is there: how many a second, and how long one takes."""

import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path

from tests.bench.book import Book, Town, whois
from tests.bench.figures import Figure, median
from tests.bench.generator import Generator, LoadFailed, Report, Target
from tests.bench.peers import Echo, Ngircd, Prosody
from tests.bench.processes import Process

TITLE = "Look-ups of one of 1,000 people who are there"
PEOPLE = 1_000
LOADS = ((1, 1), (50, 1), (50, 16))
"""Connections that ask, and the requests that each has on its way."""
GOALS: dict[str, dict[str, float]] = {
    "(1, 1) p50": {"at_most": 1.2},
    "(50, 1) rate": {"at_least": 1.0},
    "(50, 16) rate": {"at_least": 2.5},
}
"""Over TLS, against ngircd."""
PEERS = ("ngircd", "Prosody")  # on a machine that is busy with other things they lose connections at times
MICROSECONDS = 1e6  # of a second
Runs = dict[tuple[int, int], list[tuple[Report, float]]]
"""Of each load: what the generator measured, and microseconds of the server's core for one look-up."""


def run(quick: bool) -> list[Figure]:
    """Measures all servers in turns, so that a busy moment of the machine hits all alike."""
    rounds, seconds = (1, 1.0) if quick else (3, 1.5)
    figures: list[Figure] = []
    for tls in (True, False):
        measured: dict[str, Runs] = {}
        with tempfile.TemporaryDirectory(prefix="parley-bench-") as folder:
            _measure(Path(folder), tls, rounds, seconds, measured)
        figures += _figures(measured, tls)
    return figures


def _measure(folder: Path, tls: bool, rounds: int, seconds: float, measured: dict[str, Runs]) -> None:
    everybody = range(1, PEOPLE + 1)
    town = Town(folder / "book", PEOPLE)
    with ExitStack() as stack:
        echo = stack.enter_context(Echo(folder, tls=tls))
        book = stack.enter_context(Book(town, tls=tls))
        servers: list[tuple[Process, Target]] = [
            (echo, echo.target(PEOPLE)),
            (book, book.target(town.resuming(everybody), whois(everybody))),
        ]
        if Ngircd.installed():
            ngircd = stack.enter_context(Ngircd(folder, tls=tls))
            servers.append((ngircd, ngircd.target(PEOPLE, PEOPLE)))
        if Prosody.installed() and tls:
            prosody = stack.enter_context(Prosody(folder, PEOPLE))
            servers.append((prosody, prosody.target(PEOPLE, PEOPLE)))
        loaded: list[tuple[Process, Target, Generator]] = []
        for server, target in servers:
            try:
                loaded.append((server, target, stack.enter_context(Generator(target, PEOPLE))))
            except LoadFailed as error:
                if target.name not in PEERS:
                    raise
                print(f"{target.name} is left out: {error}", file=sys.stderr)
        for _ in range(rounds):
            for load in LOADS:
                for server, target, generator in loaded:
                    before = server.busy()
                    report = generator.ask(*load, seconds)
                    cost = (server.busy() - before) / report.completed * MICROSECONDS
                    measured.setdefault(target.name, {}).setdefault(load, []).append((report, cost))


def _figures(measured: dict[str, Runs], tls: bool) -> list[Figure]:
    over = "TLS 1.3" if tls else "plain TCP"
    found: dict[tuple[str, str], Figure] = {}
    for name, runs in measured.items():
        for load, reports in runs.items():
            busy = median(report.busy for report, _ in reports)
            for what, value, unit in (
                ("p50", median(report.p50_us for report, _ in reports), "µs"),
                ("p99", median(report.p99_us for report, _ in reports), "µs"),
                ("time of the core", median(cost for _, cost in reports), "µs"),
                ("rate", median(report.rate for report, _ in reports), "/s"),
            ):
                shown = f"{name}, {over}, {_said(load)}: {what}"
                note = f"generator {busy:.0%} busy" if what == "rate" else ""
                found[name, f"{load} {what}"] = Figure(shown, value, unit, note=note)
    for (name, key), figure in found.items():
        peer = found.get(("ngircd", key))
        if not name.startswith("parley") or peer is None:
            continue
        goals = GOALS.get(key, {}) if tls else {}
        found[name, key] = figure.compared(peer, **goals)
    return list(found.values())


def _said(load: tuple[int, int]) -> str:
    connections, in_flight = load
    return f"{connections} conn." + (f" × {in_flight}" if in_flight > 1 else "")
