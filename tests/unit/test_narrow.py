"""What a window of 38 columns shows, half of a telephone's or of a split screen."""

import io
from pathlib import Path

import pytest
from rich.console import Console

from shell.app import Shell
from shell.commands.account import LoggedIn
from shell.commands.consent import SafetyNumber
from shell.commands.keys import OwnKey
from shell.commands.people import WhoisFound
from shell.events import KeyChanged
from shell.kit.command import Outcome
from shell.kit.hanging import hung
from shell.news import news
from shell.settings import ShellSettings
from shell.toolbar import Standing, toolbar
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


FINGERPRINT = show_fingerprint(bytes(range(32)))
GROUPS = ["SHA256:", *(FINGERPRINT[place : place + 11] for place in range(7, len(FINGERPRINT), 11))]


def test_no_row_ends_inside_a_group_of_a_fingerprint() -> None:
    whois = WhoisFound("bob", "online", 0.0, 0.0, FINGERPRINT, None, "accepted", False)
    logged_in = LoggedIn("alice", "192.0.2.1:6969", {}, [], 0, 0, FINGERPRINT)
    own = OwnKey("alice", FINGERPRINT, "/keys")
    changed = hung(news(KeyChanged("bob", b"1" * 32, bytes(range(32))), time_format="", plain=False) or "")
    for shown in (whois, logged_in, own, changed):
        for width in (30, COLUMNS, 48):
            out = io.StringIO()
            outcome = shown.render(plain=False) if isinstance(shown, Outcome) else shown
            Console(file=out, width=width).print(outcome)
            assert all(group in out.getvalue().split() for group in GROUPS), out.getvalue()
            assert max(map(len, out.getvalue().splitlines())) <= width
        out = io.StringIO()
        Console(file=out, width=80).print(outcome)
        assert FINGERPRINT in out.getvalue()  # to be copied


@pytest.mark.parametrize(
    ("standing", "line"),
    [
        (Standing(None, "", "127.0.0.1:44047", connected=False), " not logged in | 127.0.0.1:44047 "),
        (Standing(None, "", "phonebook.example.org:6969", connected=False), " not logged in "),
        (Standing("bob", "busy", "127.0.0.1:6969", connected=False), " bob ! busy | phone book away "),
        (
            Standing("bob", "busy", "127.0.0.1:6969", True, "alice", "offline", queued=2),
            " bob ! busy | alice - offline ",
        ),
        (Standing("bob", "busy", "127.0.0.1:6969", True, held=1), " bob ! busy | 1 held | 127.0.0.1:6969 "),
    ],
)
def test_the_toolbar_leaves_out_whole_parts(
    standing: Standing, line: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdout", io.TextIOWrapper(io.BytesIO(), encoding="ascii"))
    assert toolbar(standing, COLUMNS) == line


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
