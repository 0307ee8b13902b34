import json
import unicodedata

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from wire.display import KEPT_FORMATS, MAX_MARKS, escaped, safe


@given(st.text())
def test_nothing_shown_controls_a_terminal(text: str) -> None:
    for character in safe(text):
        category = unicodedata.category(character)
        assert category not in ("Cc", "Cs", "Zl", "Zp")
        assert category != "Cf" or character in KEPT_FORMATS


@given(st.text(), st.booleans())
def test_escaped_json_means_the_same_and_controls_no_terminal(text: str, ascii_only: bool) -> None:
    line = escaped(msgspec.json.encode({text: text}).decode(), ascii_only=ascii_only)
    assert json.loads(line) == {text: text}
    assert line.isascii() or not ascii_only
    for character in line:
        category = unicodedata.category(character)
        assert category not in ("Cc", "Cs", "Zl", "Zp")
        assert category != "Cf" or character in KEPT_FORMATS


@given(st.text(st.characters(categories=["L", "N", "P", "S", "Zs"])))
def test_honest_text_is_shown_as_it_is(text: str) -> None:
    assert safe(text) == text


def test_what_would_act_is_seen() -> None:
    assert safe("\x1b[31mred\x07\x7f") == "␛[31mred␇␡"
    assert safe("a\u202eb") == "a<U+202E>b"
    assert safe("one\ntwo") == "one␊two"
    assert safe("one\n\ttwo", keep_newlines=True) == "one\n\ttwo"
    assert safe("\u009b2J") == "<U+009B>2J"


def test_family_emoji_and_right_to_left_text_stay_whole() -> None:
    for text in ("👩\u200d👧\u200d👦", "שלום עולם", "مرحبا", "नमस्ते"):
        assert safe(text) == text


def test_towers_of_marks_are_cut() -> None:
    assert safe("a" + "\u0301" * 100) == "a" + "\u0301" * MAX_MARKS
