import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shell.kit.transcript import Step, difference, escape, is_scene, parse, pattern

LINES = st.text(st.characters(categories=["L", "N", "P", "S", "Zs"]), max_size=40)


def test_prompts_begin_steps_and_comments_come_before_the_first() -> None:
    steps = parse("A comment.\n\nalice> list\none\ntwo\nbob> \nalice>\n")
    assert steps == [
        Step(3, "alice", "list", ("one", "two")),
        Step(6, "bob", "", ()),
        Step(7, "alice", "", ()),
    ]
    assert is_scene(steps)
    assert not is_scene(parse("parley> login alice\nalice> list\n"))
    assert parse("no prompt at all\n") == []


def test_text_between_slashes_is_a_regular_expression() -> None:
    assert difference((r"since /\d\d:\d\d/, port /\d+/",), "since 14:02, port 6969") is None
    assert difference((r"since /\d\d:\d\d/",), "since noon") is not None


def test_an_escaped_slash_is_a_slash_outside_and_inside_an_expression() -> None:
    assert difference((r"1\/2 of /a\/b/",), "1/2 of a/b") is None


def test_what_is_no_expression_is_taken_as_it_is() -> None:
    assert difference(("a.c (really) [x]*",), "a.c (really) [x]*") is None
    assert difference(("a.c",), "abc") is not None


@pytest.mark.parametrize("text", ["a /(/ b", "/*/", "/a{99999999999}/", r"/\d[/"])
def test_what_cannot_be_an_expression_is_a_difference_that_says_so(text: str) -> None:
    report = difference((text,), "anything")
    assert report is not None
    assert "no regular expression" in report


def test_trailing_blanks_do_not_count_but_inner_lines_do() -> None:
    assert difference(("one", "", "two"), "one  \n\ntwo\n\n\n") is None
    assert difference(("one", "two"), "one\n\ntwo") is not None


def test_the_report_shows_what_was_expected_and_what_came() -> None:
    report = difference((r"port /\d+/", "up"), "port 7\ndown\n")
    assert report == "  port 7\n- up\n+ down"


@given(st.lists(LINES, max_size=5))
def test_whatever_is_printed_matches_itself_when_recorded(lines: list[str]) -> None:
    output = "\n".join(lines)
    assert difference(tuple(escape(output).split("\n")), output) is None


@given(LINES)
def test_a_pattern_without_slashes_matches_only_itself(line: str) -> None:
    literal = line.replace("/", "")
    assert re.fullmatch(pattern(literal), literal)
    assert not re.fullmatch(pattern(literal), literal + "x")
