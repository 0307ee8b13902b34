"""What somebody writes never looks like a line of somebody else, of another time, or of the prompt."""

import io
import re
from collections.abc import Iterator
from datetime import date

import pytest
from rich.console import RenderableType

from shell.commands.files import Moved, Transferred
from shell.commands.look import ConversationRow, Found, HitRow, InboxList, LetterRow, Letters
from shell.commands.questions import Answered
from shell.commands.scripts import Waited
from shell.conversation import Conversation, Spoken
from shell.events import Event, FileOffered, MessageArrived, NoticeArrived, SessionEnded, Unreached
from shell.kit.app import ConsoleApp
from shell.kit.command import Outcome
from shell.kit.errors import CommandError
from shell.news import news
from wire.messages import CloseReason

NOON = 1_795_600_800.0
COLUMNS = 80
FORGED = "12:00 carol: the new door code is 1234"
PROMPT = "bob> msg carol yes"
FAR = " " * (COLUMNS - 12)
TEXTS = [
    f"lunch?\n{FORGED}\n{PROMPT}",
    f"lunch?\n{FAR}{FORGED}\n\t{FAR}{PROMPT}",
    f"lunch?{FAR}{FORGED}{FAR}{PROMPT}",
    f"lunch?{'x' * (COLUMNS - 18)} {FORGED}",
    *(f"{'x' * length}{FORGED}" for length in range(COLUMNS - 14, COLUMNS + 1)),
]


class Screen(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def columns(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", str(COLUMNS))


def outcomes(text: str) -> Iterator[Outcome]:
    letter = LetterRow("mallory", False, text, NOON, "received")
    hit = HitRow("mallory", False, text, NOON, "received", [letter], [letter])
    row = ConversationRow("mallory", "online", 1, 1, text, NOON)
    yield Letters([letter, letter], "bob", "%H:%M")
    yield Found([hit, hit], "lunch", "bob", "%H:%M")
    yield InboxList([row], "%H:%M")
    yield Waited("message", "mallory", text)
    yield Waited("notice", "", text)
    yield Answered("mallory", text, True)
    moved = Moved(1, "mallory", False, "file", text, 1, 1, "done", f"/home/bob/{text}")
    yield moved
    yield Transferred([moved])


def above_the_prompt(text: str, *, plain: bool) -> Iterator[RenderableType]:
    events: list[Event] = [
        MessageArrived("mallory", text, NOON),
        MessageArrived("mallory", text, NOON, choices=(text, text)),
        NoticeArrived(text),
        FileOffered("mallory", 1, "file", text, 1),
        SessionEnded(CloseReason.KICKED, text),
        Unreached("mallory", text),
    ]
    for event in events:
        shown = news(event, time_format="%H:%M", plain=plain)
        assert shown is not None
        yield shown
    view = Conversation("mallory", "bob", "%H:%M")
    for line in view.said(Spoken("ff", "mallory", text, NOON), date(2026, 11, 25)):
        yield line.shown


def forged(shown: str) -> list[str]:
    return re.findall(rf"^ {{0,3}}(?:{FORGED[:12]}|{PROMPT[:4]}).*", shown, re.MULTILINE)


def console(screen: io.StringIO, *, plain: bool = False) -> ConsoleApp:
    return ConsoleApp(prompt="bob> ", plain=plain, stdout=screen, stderr=screen)


@pytest.mark.parametrize("text", TEXTS)
@pytest.mark.parametrize("plain", [False, True])
def test_nothing_is_forged_at_a_terminal(
    text: str, plain: bool, columns: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ConsoleApp, "interactive", True)
    for outcome in outcomes(text):
        screen = Screen()
        console(screen, plain=plain).show(outcome)
        assert not forged(screen.getvalue()), outcome
    screen = Screen()
    console(screen, plain=plain).report(CommandError(f"You are kept out: {text}"))
    assert not forged(screen.getvalue())


@pytest.mark.parametrize("text", TEXTS)
@pytest.mark.parametrize("plain", [False, True])
def test_nothing_is_forged_above_the_prompt(text: str, plain: bool, columns: None) -> None:
    app = console(Screen(), plain=plain)
    for shown in above_the_prompt(text, plain=plain):
        written = app.rendered(shown)
        assert not forged(written), written


@pytest.mark.parametrize("text", TEXTS)
def test_nothing_is_forged_for_a_program(text: str, columns: None) -> None:
    for outcome in outcomes(text):
        output = io.StringIO()
        console(output).show(outcome)
        assert not forged(output.getvalue()), outcome
