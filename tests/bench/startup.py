"""How long the programs take to start."""

import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from tests.bench.figures import Figure, median
from tests.e2e.world import environment, shell

TITLE = "Start-up"
VERSION_SECONDS = 0.15  # to reach
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
        return list(found.values())


def _ended(*arguments: str) -> float:
    began = time.monotonic()
    subprocess.run([sys.executable, *arguments], check=True, stdout=subprocess.DEVNULL, env=environment())
    return time.monotonic() - began


def _prompt(folder: Path) -> float:
    began = time.monotonic()
    with shell("127.0.0.1:1", folder) as terminal:
        terminal.see("^parley> ?$")
        return time.monotonic() - began
