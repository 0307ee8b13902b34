"""`python -m tests.bench [NAME…]`: measures, prints a table, writes JSON."""

import argparse
import importlib
import logging
import os
import platform
import sys
import time
from pathlib import Path
from typing import cast

import msgspec
from rich.console import Console
from rich.table import Table

from tests.bench.figures import Bench, Figure

BENCHES = (
    "lookups",
    "memory",
    "logins",
    "timing",
    "fanout",
    "size",
    "storm",
    "startup",
    "garbage",
    "line",
)
"""Modules of this package, in the order they run; each is a `Bench`."""


def main() -> int:
    """Runs the benches that are named, or all; 1 where one of them could not be run."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description="Speed, as ratios of one run.")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"which to run: {', '.join(BENCHES)}")
    parser.add_argument("--quick", action="store_true", help="shorter and smaller, to try things out")
    parser.add_argument("--json", type=Path, default=Path("bench.json"), metavar="FILE", help="the results")
    options = parser.parse_args()
    if unknown := set(options.names) - set(BENCHES):
        parser.error(f"there is no bench {', '.join(sorted(unknown))}; there are {', '.join(BENCHES)}")
    logging.getLogger("server").addHandler(logging.NullHandler())  # of phone books in this process
    console = Console(width=None if sys.stdout.isatty() else 140)
    results: dict[str, list[Figure]] = {}
    failed = False
    for name in options.names or BENCHES:
        bench = cast(Bench, importlib.import_module(f"tests.bench.{name}"))
        began = time.monotonic()
        try:
            results[name] = bench.run(options.quick)
        except Exception as error:  # the others still run, and the exit code tells
            console.print(f"[bold]{name}[/bold] failed: {type(error).__name__}: {error}")
            failed = True
            continue
        console.print(_table(f"{bench.TITLE} ({time.monotonic() - began:.0f} s)", results[name]))
    document = {"machine": _machine(), "quick": options.quick, "benches": msgspec.to_builtins(results)}
    options.json.write_bytes(msgspec.json.format(msgspec.json.encode(document), indent=1) + b"\n")
    console.print(f"Written to {options.json}.")
    return int(failed)


def _table(title: str, figures: list[Figure]) -> Table:
    table = Table(title=title, title_justify="left", title_style="bold")
    for column in ("figure", "value", "ratio", "against", "to reach", ""):
        table.add_column(column, justify="right" if column in ("value", "ratio", "to reach") else "left")
    for figure in figures:
        ratio = "" if figure.ratio is None else f"{figure.ratio:.2f}×"
        sign = "≥" if figure.at_least else "≤"
        unit = figure.unit if figure.ratio is None else "×"
        goal = "" if figure.goal is None else f"{sign} {figure.goal:g} {unit}"
        reached = {None: "", True: "yes", False: "NO"}[figure.reached]
        table.add_row(
            figure.what,
            f"{_shown(figure.value)} {figure.unit}",
            ratio,
            figure.against,
            goal,
            f"{reached} {figure.note}".strip(),
        )
    return table


def _shown(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def _machine() -> dict[str, object]:
    cores = len(os.sched_getaffinity(0))
    return {"python": platform.python_version(), "system": platform.platform(), "cores": cores}


if __name__ == "__main__":
    sys.exit(main())
