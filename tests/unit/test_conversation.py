"""The view of a conversation, the places of conversations, and the toolbar: all without a terminal."""

import io
import time
from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.console import Console, RenderableType

from shell.conversation import Conversation, Spoken, day_words
from shell.kit.tail import Line
from shell.talks import Talks
from shell.toolbar import Standing, Talk, toolbar

NOON = datetime(2026, 11, 25, 12).astimezone()
TODAY = NOON.date()
NAMES = st.text(st.characters(categories=["L", "N"]), min_size=1, max_size=32)


@pytest.fixture(autouse=True)
def _utf8(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdout", io.TextIOWrapper(io.BytesIO(), encoding="utf-8"))


def shown(renderable: RenderableType, width: int = 60) -> str:
    console = Console(file=io.StringIO(), width=width, highlight=False)
    with console.capture() as capture:
        console.print(renderable)
    return "\n".join(line.rstrip() for line in capture.get().splitlines())


def own(number: int, state: str, when: datetime = NOON, text: str = "hello") -> Spoken:
    return Spoken(f"{number:032x}", "alice", text, when.timestamp(), state)


def theirs(text: str, when: datetime = NOON) -> Spoken:
    return Spoken("ff" * 16, "bob", text, when.timestamp())


def conversation() -> Conversation:
    return Conversation("bob", "alice", "%H:%M")


def looks(lines: list[Line]) -> list[str]:
    return [shown(line.shown) for line in lines]


def test_each_day_begins_with_a_separator_and_each_line_with_its_time() -> None:
    view = conversation()
    head, *rest = looks(
        view.opened([theirs("old", NOON - timedelta(days=1)), theirs("new")], "online", TODAY)
    )
    assert head.startswith("bob ● online ───")
    assert rest[0].startswith("Yesterday ───")
    assert rest[1] == "12:00 bob: old"
    assert rest[2].startswith("Today ───")
    assert rest[3] == "12:00 bob: new"


def test_days_are_said_as_people_say_them() -> None:
    assert day_words(TODAY - timedelta(days=2), TODAY) == "Monday, 23 November"
    assert day_words(TODAY - timedelta(days=400), TODAY) == "Tuesday, 21 October 2025"


def test_a_mark_changes_in_place_until_it_is_settled() -> None:
    view = conversation()
    line = view.said(own(1, "queued"), TODAY)[-1]
    assert line.live
    assert shown(line.shown) == "12:00 alice: hello  … queued"
    sent = view.progressed(line.key, "sent")
    assert sent is not None
    assert (shown(sent.shown), sent.live, sent.told) == ("12:00 alice: hello  → sent", True, None)
    delivered = view.progressed(line.key, "delivered")
    assert delivered is not None
    assert (shown(delivered.shown), delivered.live) == ("12:00 alice: hello  ✓ delivered", False)
    assert delivered.told is not None
    assert shown(delivered.told) == "Delivered to bob: hello"
    assert view.progressed(line.key, "sent") is None


def test_delivered_lines_wait_to_be_read_once_somebody_tells_what_they_read() -> None:
    view = conversation()
    assert not view.said(own(1, "delivered"), TODAY)[-1].live
    assert view.progressed(own(1, "").id, "read") is None
    line = view.said(own(2, "delivered"), TODAY)[-1]
    assert line.live
    read = view.progressed(line.key, "read")
    assert read is not None
    assert (shown(read.shown), read.live) == ("12:00 alice: hello  ✓✓ read", False)


def test_what_is_said_to_somebody_offline_is_known_to_wait() -> None:
    lines = looks(conversation().opened([], "offline", TODAY))
    assert " ".join(lines[1].split()) == (
        "bob is offline; what you write waits here and goes out when bob appears."
    )


def test_long_and_several_lines_stay_behind_the_time() -> None:
    line = conversation().said(theirs("one\n" + "漢字" * 30), TODAY)[-1]
    rows = shown(line.shown).splitlines()
    assert rows[0] == "12:00 bob: one"
    assert all(row.startswith("      ") and cell_len(row) <= 60 for row in rows[1:])
    assert "".join(row.strip() for row in rows[1:]) == "漢字" * 30


def test_what_a_tab_moves_to_the_right_is_not_broken() -> None:
    line = conversation().said(theirs("code:\n\tif x:\n\t\treturn y"), TODAY)[-1]
    assert shown(line.shown).splitlines()[1:] == [f"{' ' * 14}if x:", f"{' ' * 22}return y"]


def test_escape_sequences_are_shown_and_right_to_left_text_is_isolated() -> None:
    line = conversation().said(theirs("\x1b[2J שלום!"), TODAY)[-1]
    assert shown(line.shown) == "12:00 bob: \u2068␛[2J שלום!\u2069"


def test_the_next_conversation_with_something_new_goes_round() -> None:
    talks = Talks()
    talks.begin({"bob": 1}, ["carol", "bob"])
    assert (talks.names, talks.number("Carol"), talks.at(2), talks.at(9)) == (
        ("bob", "carol"),
        2,
        "carol",
        None,
    )
    assert talks.next_unread(None) == "bob"
    assert talks.next_unread("bob") == "bob"
    talks.arrived("carol")
    assert talks.next_unread("bob") == "carol"
    assert talks.next_unread("carol") == "bob"
    assert talks.seen("BOB")
    assert talks.seen("carol")
    assert not talks.seen("carol")
    assert talks.next_unread(None) is None


def test_what_was_shown_is_seen_by_whoever_goes_on_unless_some_of_it_was_not_shown() -> None:
    talks = Talks()
    talks.begin({"bob": 1}, [])
    for name in ("bob", "carol", "carol"):
        talks.arrived(name)
        talks.shown(name)
    assert talks.glanced(3) == ["carol"]  # what bob wrote before this login was not shown
    talks.seen("carol")
    assert (talks.unread, talks.glanced(3)) == ({"bob": 2}, [])
    for _ in range(4):
        talks.arrived("carol")
        talks.shown("Carol")
    assert talks.glanced(3) == []  # the first of them has left the screen
    talks.arrived("carol")
    talks.shown("carol")
    assert talks.glanced(3) == []
    assert talks.unread == {"bob": 2, "carol": 5}


def test_without_anything_new_whoever_wrote_last_calls() -> None:
    talks = Talks()
    talks.begin({"bob": 1}, ["carol"])
    assert talks.calling(None) == "bob"
    talks.arrived("carol")
    talks.seen("carol")
    assert talks.calling(None) == "bob"
    talks.seen("bob")
    assert talks.calling(None) == "carol"


@given(
    st.builds(
        Standing,
        user=st.one_of(st.none(), NAMES),
        visibility=st.sampled_from(["online", "busy"]),
        phone_book=st.just("phonebook.example.net:6969"),
        connected=st.booleans(),
        open_with=st.one_of(st.none(), NAMES),
        open_status=st.sampled_from(["online", "offline"]),
        talks=st.lists(st.builds(Talk, NAMES, st.integers(1, 9), st.integers(1, 99)), max_size=12).map(tuple),
        requests=st.integers(0, 9),
        queued=st.integers(0, 99),
    ),
    st.integers(20, 200),
)
def test_the_toolbar_fits_and_always_says_who_i_am(standing: Standing, width: int) -> None:
    line = toolbar(standing, width)
    if standing.user is None:
        assert line in (
            " not logged in | phone book phonebook.example.net:6969 ",
            " not logged in | phonebook.example.net:6969 ",
            " not logged in ",
        )
        assert cell_len(line) <= width
    if standing.user is not None:
        assert cell_len(line) <= max(width, cell_len(standing.user) + 14)
        assert standing.user in line
        if width == 200 and standing.open_with and not standing.talks:
            assert standing.open_with in line


def test_times_are_local() -> None:
    assert time.localtime(NOON.timestamp()).tm_hour == 12
