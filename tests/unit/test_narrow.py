"""What a window of 38 columns shows, half of a telephone's or of a split screen."""

import io
from pathlib import Path

import pytest
from rich.console import Console

from shell.app import Shell
from shell.commands.consent import SafetyNumber
from shell.settings import ShellSettings

COLUMNS = 38


def test_a_safety_number_stays_in_its_groups() -> None:
    groups = [f"{number:05d}" for number in range(12)]
    outcome = SafetyNumber("bob", " ".join(groups), False, False, ())
    out = io.StringIO()
    Console(file=out, width=COLUMNS).print(outcome.render(plain=False))
    assert [line.split() for line in out.getvalue().splitlines()[2:5]] == [
        groups[:4],
        groups[4:8],
        groups[8:],
    ]


@pytest.mark.parametrize(
    "line", ["help wait", "help on", "help msg", "help search", "help send", "help list"]
)
def test_help_breaks_no_word(line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "1000")
    wide, narrow = io.StringIO(), io.StringIO()
    Shell(ShellSettings(data=str(tmp_path)), output=wide).run_line(line)
    monkeypatch.setenv("COLUMNS", str(COLUMNS))
    Shell(ShellSettings(data=str(tmp_path)), output=narrow).run_line(line)
    assert narrow.getvalue().split() == wide.getvalue().split()
