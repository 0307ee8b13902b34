"""Entries of several rows: only the first one of each stands at the left edge."""

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

from shell.kit.hanging import INDENT, Hanging

WORDS = st.text(st.characters(categories=["L", "N", "P", "Zs"], include_characters="\n\t👍"), max_size=200)


class Screen(io.StringIO):
    def isatty(self) -> bool:
        return True


def rows(*entries: str, width: int, plain: bool = False, terminal: bool = True) -> list[str]:
    console = Console(file=Screen() if terminal else io.StringIO(), width=width, force_terminal=False)
    with console.capture() as capture:
        console.print(Hanging(*map(Text, entries)), soft_wrap=plain, highlight=False)
    return capture.get().split("\n")[:-1]


@given(
    st.lists(WORDS.map(lambda words: f"12:00 bob: {words}"), min_size=1), st.integers(12, 80), st.booleans()
)
def test_at_a_terminal_each_entry_has_one_row_at_the_left_edge(
    entries: list[str], width: int, plain: bool
) -> None:
    shown = rows(*entries, width=width, plain=plain)
    assert max(map(cell_len, shown)) <= width
    assert sum(not row.startswith(INDENT) for row in shown if row) == len(entries)
    kept = "".join("".join(entries).split())
    assert "".join("".join(shown).split()) == kept


def test_for_a_program_an_entry_has_the_rows_of_its_line_feeds() -> None:
    long = "12:00 bob: " + "many words " * 20
    assert rows(f"{long}\ncarol: the door code", "bob> ", width=40, plain=True, terminal=False) == [
        long, "    carol: the door code", "bob> ",
    ]  # fmt: skip


@pytest.mark.parametrize("plain", [False, True])
def test_words_are_broken_where_there_is_a_blank(plain: bool) -> None:
    assert rows("12:00 bob: the code of the new door\n\n  is 1234", width=20, plain=plain) == [
        "12:00 bob: the code", "    of the new door", "", "      is 1234",
    ]  # fmt: skip
