"""What a window of 38 columns shows, half of a telephone's or of a split screen."""

import io
from pathlib import Path

import pytest
from rich.console import Console

from shell.app import Shell
from shell.commands.consent import SafetyNumber
from shell.events import KeyChanged
from shell.kit.hanging import hung
from shell.news import news
from shell.settings import ShellSettings
from wire.certificates import show_fingerprint

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


def test_the_fingerprints_of_a_changed_key_stand_below_each_other_in_a_window_of_60(tmp_path: Path) -> None:
    shown = news(KeyChanged("bob", b"1" * 32, b"2" * 32), time_format="%H:%M", plain=False)
    out = io.StringIO()
    Console(file=out, width=60).print(hung(shown or ""))
    assert (
        f"\n    was {show_fingerprint(b'1' * 32)}\n    now {show_fingerprint(b'2' * 32)}\n" in out.getvalue()
    )


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
