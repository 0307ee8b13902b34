"""Coverage-guided fuzzing of one target for as long as one likes; options are libFuzzer's:

uv run --group fuzz python -m tests.faults.fuzz names -max_total_time=3600
"""

import sys
import tempfile
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["wire", "server", "shell", "settings", "tests.faults.targets"]):
    from tests.faults.targets import SEEDS, TARGETS


def main() -> None:
    """Ends by libFuzzer: 0 where nothing was found."""
    name = sys.argv[1] if len(sys.argv) > 1 else ""
    if name not in TARGETS:
        sys.exit(f"name a target: {', '.join(TARGETS)}")
    with tempfile.TemporaryDirectory() as corpus:
        for number, seed in enumerate(SEEDS[name]):
            (Path(corpus) / str(number)).write_bytes(seed)
        atheris.Setup([sys.argv[0], *sys.argv[2:], corpus], TARGETS[name])
        atheris.Fuzz()


if __name__ == "__main__":
    main()
