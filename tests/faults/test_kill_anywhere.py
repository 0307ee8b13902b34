"""The short form of `python -m tests.faults.killing`."""

from pathlib import Path

from tests.faults.killing import kill_anywhere


def test_either_shell_killed_anywhere_loses_nothing_and_shows_nothing_twice(tmp_path: Path) -> None:
    kill_anywhere(tmp_path, points=6, messages=60, seed=20_261_125)
