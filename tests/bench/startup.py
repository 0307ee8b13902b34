"""How long the programs take to start, and what a phone book of a million accounts takes to listen."""

import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from tests.bench.book import Book, Town
from tests.bench.figures import Figure, median
from tests.bench.processes import MIB
from tests.e2e.world import environment, shell

TITLE = "Start-up"
ACCOUNTS = 1_000_000
VERSION_SECONDS, LISTENING_SECONDS, LISTENING_MIB = 0.15, 1.5, 150  # to reach
PROMPT_RATIO = 1.4  # to reach, against the bare `import cmd2`


def run(quick: bool) -> list[Figure]:
    """Measures the programs in turns."""
    rounds = 3 if quick else 9
    with tempfile.TemporaryDirectory(prefix="parley-bench-") as name:
        folder = Path(name)
        programs: dict[str, Callable[[], float]] = {
            "python -c pass": lambda: _ended("-c", "pass"),
            "import cmd2": lambda: _ended("-c", "import cmd2"),
            "parley --version": lambda: _ended("-m", "shell.main", "--version"),
            "parley-server --version": lambda: _ended("-m", "server.main", "--version"),
            "parley to the prompt": lambda: _prompt(folder / "shell"),
        }
        runs: dict[str, list[float]] = {what: [] for what in programs}
        for _ in range(rounds):
            for what, measure in programs.items():
                runs[what].append(measure())
        found = {what: Figure(what, median(values), "s") for what, values in runs.items()}
        found["parley to the prompt"] = found["parley to the prompt"].compared(
            found["import cmd2"], at_most=PROMPT_RATIO
        )
        version = found["parley --version"]
        found["parley --version"] = Figure(version.what, version.value, "s", goal=VERSION_SECONDS)
        return [*found.values(), *_listening(folder / "book", 100_000 if quick else ACCOUNTS)]


def _ended(*arguments: str) -> float:
    began = time.monotonic()
    subprocess.run([sys.executable, *arguments], check=True, stdout=subprocess.DEVNULL, env=environment())
    return time.monotonic() - began


def _prompt(folder: Path) -> float:
    began = time.monotonic()
    with shell("127.0.0.1:1", folder) as terminal:
        terminal.see("^parley> ?$")
        return time.monotonic() - began


def _listening(folder: Path, accounts: int) -> list[Figure]:
    town = Town(folder, accounts)
    starts: list[float] = []
    for _ in range(3):
        with Book(town) as book:
            starts.append(book.started_in)
            memory = book.memory() / MIB
    size = (folder / "accounts.db").stat().st_size / MIB
    what = f"parley-server, {accounts:,} accounts ({size:.0f} MiB on disk)"
    return [
        Figure(f"{what}: listens after", median(starts), "s", goal=LISTENING_SECONDS),
        Figure(f"{what}: memory before sessions", memory, "MiB", goal=LISTENING_MIB),
    ]
