"""The history in SQLite: search in every script, spans, the inbox, exports, and what is forgotten."""

import json
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shell import finding, letters
from shell.chat import spoken
from shell.commands.look import letter_row
from shell.conversation import spoken_text
from shell.exports import exported
from shell.finding import Span
from shell.kit.theme import marked
from shell.line.model import Consent, Contact, Incoming, Kept, MessageId, Outgoing, State
from shell.mailbox import SCHEMA
from wire.names import NameKey

BOB, CAROL = NameKey("bob"), NameKey("carol")


def opened(path: str = ":memory:") -> sqlite3.Connection:
    connection = sqlite3.connect(path, isolation_level=None)
    connection.executescript(SCHEMA + finding.SCHEMA)
    for key, name in ((BOB, "Bob"), (CAROL, "Carol")):
        letters.keep_contact(connection, Contact(key, name, Consent.ACCEPTED))
    return connection


@pytest.fixture
def box() -> Iterator[sqlite3.Connection]:
    connection = opened()
    yield connection
    connection.close()


def mine(
    box: sqlite3.Connection, text: str, number: int, peer: NameKey = BOB, state: State = State.DELIVERED
) -> None:
    letters.keep_outgoing(box, Outgoing(MessageId(number.to_bytes(16)), peer, text, float(number), state))


def theirs(
    box: sqlite3.Connection, text: str, number: int, peer: NameKey = BOB, *, held: bool = False
) -> Kept:
    return letters.keep_incoming(
        box, Incoming(MessageId(number.to_bytes(16)), peer, text, float(number), held), float(number)
    )


def found(box: sqlite3.Connection, text: str, span: Span = Span(), context: int = 0) -> list[str]:  # noqa: B008
    while finding.index_more(box):
        pass
    return [hit.letter.text for hit in finding.search(box, text, span, 100, context)]


def test_any_part_of_a_word_is_found_in_any_case_and_script(box: sqlite3.Connection) -> None:
    for number, text in enumerate(
        ["The BUILD is green", "Grüße aus Köln", "昨日は雨でした", 'a "quoted" 100% _x_']
    ):
        mine(box, text, number)
    assert found(box, "uild is gr") == ["The BUILD is green"]
    assert found(box, "GRÜSSE"[:3].lower()) == ["Grüße aus Köln"]
    assert found(box, "は雨で") == ["昨日は雨でした"]
    assert found(box, "昨日") == ["昨日は雨でした"]
    assert found(box, '"quoted"') == ['a "quoted" 100% _x_']
    assert found(box, "%") == ['a "quoted" 100% _x_']
    assert found(box, "_") == ['a "quoted" 100% _x_']
    assert found(box, "x OR y") == []


def test_what_is_held_or_declined_is_not_found_and_what_was_accepted_later_is(
    box: sqlite3.Connection,
) -> None:
    theirs(box, "secret request", 1, held=True)
    mine(box, "other words", 2)
    assert found(box, "secret") == []
    letters.release_held(box, BOB)
    assert found(box, "secret") == ["secret request"]
    theirs(box, "unwanted words", 3, CAROL, held=True)
    assert found(box, "unwanted") == []
    letters.decline_held(box, CAROL)
    letters.release_held(box, CAROL)
    assert found(box, "unwanted") == []
    assert not box.execute("SELECT 1 FROM found WHERE found MATCH 'unwanted'").fetchall()


def test_spans_and_context(box: sqlite3.Connection) -> None:
    for number in range(10):
        mine(box, f"word number {number}", number, BOB if number % 2 else CAROL)
    assert found(box, "word", Span(BOB, 4.0, 8.0)) == ["word number 5", "word number 7"]
    assert [letter.text[-1] for letter in finding.history(box, Span(CAROL, 3.0), 2)] == ["6", "8"]
    hit = finding.search(box, "number 5", Span(), 10, 2)[0]
    assert [letter.text[-1] for letter in hit.before] == ["1", "3"]
    assert [letter.text[-1] for letter in hit.after] == ["7", "9"]


def test_the_inbox_has_what_is_new_first(box: sqlite3.Connection) -> None:
    theirs(box, "from carol", 1, CAROL)
    mine(box, "to bob", 2)
    rows = finding.inbox(box, 10)
    assert [(row.letter.name, row.letter.text, row.unread) for row in rows] == [
        ("Carol", "from carol", 1),
        ("Bob", "to bob", 0),
    ]
    letters.mark_seen(box, CAROL)
    assert [row.letter.name for row in finding.inbox(box, 10)] == ["Bob", "Carol"]


def test_what_is_forgotten_leaves_no_word_on_the_disk_and_cannot_come_again(tmp_path: Path) -> None:
    path = tmp_path / "mailbox"
    box = opened(str(path))
    box.execute("PRAGMA secure_delete=ON")
    mine(box, "a secret of mine", 1)
    theirs(box, "a secret of theirs", 2)
    mine(box, "still on its way", 3, state=State.QUEUED)
    mine(box, "said to carol", 4, CAROL)
    assert found(box, "secret") == ["a secret of mine", "a secret of theirs"]
    assert finding.forget(box, BOB) == finding.Forgotten(2, 1)
    assert [letter.text for letter in finding.history(box, Span(BOB), 10)] == ["still on its way"]
    assert found(box, "secret") == []
    assert found(box, "said to") == ["said to carol"]
    assert theirs(box, "a secret of theirs", 2) is Kept.ALREADY_RECEIVED
    box.close()
    assert b"secret" not in path.read_bytes()


def test_only_what_is_old_settled_and_read_expires(box: sqlite3.Connection) -> None:
    mine(box, "old and delivered", 1)
    mine(box, "old and queued", 2, state=State.QUEUED)
    theirs(box, "old and unread", 3)
    mine(box, "new", 100)
    assert found(box, "old") == ["old and delivered", "old and queued", "old and unread"]
    assert finding.expire(box, 50.0) == 1
    assert found(box, "old") == ["old and queued", "old and unread"]
    letters.mark_seen(box, BOB)
    assert finding.expire(box, 50.0) == 1
    assert [letter.text for letter in finding.history(box, Span(), 10)] == ["old and queued", "new"]


@pytest.mark.parametrize("written", [1.0, 1_000.0])
def test_what_others_wrote_expires_by_when_it_came_whatever_their_clock_says(
    box: sqlite3.Connection, written: float
) -> None:
    letters.keep_incoming(box, Incoming(MessageId(bytes(16)), BOB, "hello", written), 100.0)
    letters.mark_seen(box, BOB)
    assert finding.expire(box, 100.0) == 0
    assert [letter.written for letter in finding.history(box, Span(), 10)] == [written]
    assert finding.expire(box, 101.0) == 1


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.text("abä漢 \"%_'", min_size=1, max_size=12), st.sampled_from("mhd")), max_size=12),
    st.text("abä漢 \"%_'", min_size=1, max_size=4).filter(str.strip),
)
def test_search_finds_exactly_what_contains_the_text(said: list[tuple[str, str]], wanted: str) -> None:
    box = opened()
    shown: list[str] = []
    for number, (text, kind) in enumerate(said):
        if kind == "m":
            mine(box, text, number)
        else:
            theirs(box, text, number, CAROL, held=kind == "h")
        if number % 3 == 0:
            finding.index_more(box)
        if kind != "h":
            shown.append(text)
    assert found(box, wanted) == [text for text in shown if wanted in text]
    box.close()


def test_exports_are_read_by_other_programs(box: sqlite3.Connection) -> None:
    mine(box, "one *and*\ntwo", 1)
    theirs(box, "three", 2)
    mine(box, "four", 3, state=State.QUEUED)
    said = finding.page(box, Span(), 0, 10)
    rows = json.loads("".join(exported(said, "alice", "json")))
    assert [(row["writer"], row["name"], row["text"], row["state"]) for row in rows] == [
        ("alice", "Bob", "one *and*\ntwo", "delivered"),
        ("Bob", "Bob", "three", "received"),
        ("alice", "Bob", "four", "queued"),
    ]
    text = "".join(exported(said, "alice", "text"))
    assert "alice to Bob: one *and*\n    two\n" in text
    assert "alice to Bob: four (queued)\n" in text
    markdown = "".join(exported(said, "alice", "markdown"))
    assert "> one \\*and\\*  \n> two\n" in markdown
    assert json.loads("".join(exported([], "alice", "json"))) == []


def test_a_question_keeps_its_choices_in_a_conversation_in_json_and_in_exports(
    box: sqlite3.Connection,
) -> None:
    question, other = MessageId((1).to_bytes(16)), MessageId((2).to_bytes(16))
    for id_, text in (question, "reboot?"), (other, "and now?"):
        letters.keep_incoming(box, Incoming(id_, BOB, text, 1.0, choices=("yes", "n\x1bo")), 1.0)
    answer = MessageId((3).to_bytes(16))
    letters.keep_outgoing(box, Outgoing(answer, BOB, "yes", 2.0, State.DELIVERED, answers=question))
    said = finding.history(box, Span(BOB), 10)
    answered = {letter.answers for letter in said}
    looks = [
        spoken_text(spoken(letter, "alice", answered=letter.id in answered), "").plain for letter in said
    ]
    assert looks == [
        "Bob asks: reboot?  (yes|n␛o)",
        "Bob asks: and now?  (answer Bob yes|n␛o)",
        f"alice answers: yes  {marked('delivered')}",
    ]
    assert [(row.choices, row.answers) for row in map(letter_row, said)] == [
        (("yes", "n\x1bo"), False),
        (("yes", "n\x1bo"), False),
        (None, True),
    ]
    assert "Bob: reboot? (yes|n␛o)\n" in "".join(exported(said, "alice", "text"))
    assert "> reboot? (yes\\|n␛o)\n" in "".join(exported(said, "alice", "markdown"))
    assert json.loads("".join(exported(said, "alice", "json")))[0]["choices"] == ["yes", "n\x1bo"]


def test_an_export_to_look_at_controls_no_terminal(box: sqlite3.Connection) -> None:
    hostile = "\x1b[2J\x9b31m\u202etxt"
    theirs(box, hostile, 1)
    said = finding.page(box, Span(), 0, 10)
    for form in ("text", "markdown"):
        written = "".join(exported(said, "alice", form))
        assert not any(character in written for character in "\x1b\x9b\u202e")
    assert json.loads("".join(exported(said, "alice", "json")))[0]["text"] == hostile
