"""What calls somebody, and what they hear when they come back."""

import shutil
import sys
from pathlib import Path

import pytest

from shell.desktop import Desktop, osc
from shell.events import Event, FileOffered, MessageArrived, RequestArrived, StatusChanged
from shell.notice import Absence, Notice, notice_of, window_title
from tests.e2e.world import until
from wire.messages import Status

MESSAGE = MessageArrived("bob", "hello;\n\x1b]0;owned\x07", 0.0)
START = 1_000_000.0


def test_messages_requests_and_offers_call_and_words_are_shown_where_wanted() -> None:
    assert notice_of(MESSAGE, preview=False) == Notice("bob wrote to you", "")
    assert notice_of(MESSAGE, preview=True) == Notice("bob wrote to you", "hello; ␛]0;owned␇")
    assert notice_of(RequestArrived("carol", 1), preview=True) == Notice("carol wants to talk to you", "")
    offer = FileOffered("bob", 1, "file", "notes.txt", 5)
    assert notice_of(offer, preview=True) == Notice("bob offers a file", "notes.txt")
    assert notice_of(StatusChanged("bob", Status.ONLINE), preview=True) is None


def test_sequences_for_terminals_and_through_tmux() -> None:
    notice = Notice("bob wrote to you", "a;b")
    assert osc("osc9", notice, tmux=False) == "\x1b]9;bob wrote to you: a;b\x07"
    assert osc("osc777", notice, tmux=False) == "\x1b]777;notify;bob wrote to you;a,b\x07"
    assert osc("osc9", notice, tmux=True) == "\x1bPtmux;\x1b\x1b]9;bob wrote to you: a;b\x07\x1b\\"


def test_a_burst_is_one_notification() -> None:
    desktop = Desktop("osc9", lambda sentence: None)
    assert desktop.notify(Notice("one", "")) is not None
    assert desktop.notify(Notice("two", "")) is None
    assert Desktop("off", lambda sentence: None).notify(Notice("one", "")) is None


def test_notify_send_gets_the_words_as_they_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "notify-send"
    program.write_text(
        f"#!{sys.executable}\nimport sys\n"
        f"print(*sys.argv[1:], sep='|', file=open({str(tmp_path / 'said')!r}, 'w'))\n"
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert Desktop("notify-send", lambda sentence: None).notify(Notice("-bob", "$(x) <b>")) is None
    said = tmp_path / "said"
    until(lambda: said.exists() and bool(said.read_text()), "notify-send")
    assert said.read_text() == "--app-name=Parley|--|-bob|$(x) &lt;b&gt;\n"


def test_a_missing_notify_send_is_named_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert shutil.which("notify-send") is None
    sentences: list[str] = []
    desktop = Desktop("notify-send", sentences.append)
    desktop.notify(Notice("one", ""))
    until(lambda: bool(sentences), "the sentence")
    assert "no program notify-send" in sentences[0]
    desktop.notify(Notice("two", ""))
    assert len(sentences) == 1


@pytest.mark.parametrize(
    ("user", "unread", "title"),
    [(None, 0, "Parley"), ("alice", 0, "Parley: alice"), ("alice", 3, "(3) Parley: alice")],
)
def test_the_window_says_how_many_are_unread(user: str | None, unread: int, title: str) -> None:
    assert window_title(user, unread) == title


def away(patience: float = 300.0) -> Absence:
    absence = Absence(patience, "%H:%M", START - 1)
    assert absence.key(START) is None
    return absence


def arrive(absence: Absence, now: float, *events: Event) -> list[bool]:
    return [absence.arrived(event, now) for event in events]


def test_whoever_comes_back_to_the_keys_hears_what_arrived() -> None:
    absence = away()
    assert arrive(absence, START + 10, MESSAGE) == [True]
    assert not any(arrive(absence, START + 400, MESSAGE, MESSAGE, RequestArrived("carol", 1)))
    summary = absence.key(START + 500)
    assert summary is not None
    assert summary.endswith(": bob (2), carol (1). See inbox.")
    assert absence.key(START + 501) is None


def test_whoever_was_there_hears_nothing() -> None:
    absence = away()
    arrive(absence, START + 10, MESSAGE)
    assert absence.key(START + 20) is None
    assert away(0).key(START + 10_000) is None


def test_whoever_never_touched_a_key_is_away_too() -> None:
    absence = Absence(300.0, "%H:%M", START)
    assert arrive(absence, START + 10, MESSAGE) == [True]
    assert arrive(absence, START + 400, MESSAGE) == [False]
    assert (absence.key(START + 500) or "").endswith(": bob (1). See inbox.")


def test_whoever_was_busy_hears_it_when_they_are_not() -> None:
    absence = away()
    assert absence.declare(away=True, now=START) is None
    arrive(absence, START + 5, MESSAGE)
    assert absence.key(START + 6) is None
    summary = absence.declare(away=False, now=START + 7)
    assert summary is not None
    assert "bob (1)" in summary
    assert absence.declare(away=False, now=START + 8) is None
