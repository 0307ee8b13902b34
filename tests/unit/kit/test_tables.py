"""What stands in a table is shown as it is."""

import io
from collections.abc import Sequence

import pytest
from rich.console import Console
from rich.text import Text

from shell.kit.tables import table


@pytest.mark.parametrize("plain", [True, False])
@pytest.mark.parametrize(
    "words",
    ["report [final] v2.txt", "a [/b].txt", "x[link=https://example.org]y", "[fd00::1]:4001", ":skull: x"],
)
def test_no_cell_is_markup(words: str, plain: bool) -> None:
    made = table(("one", "two"), [(words, Text(words))], plain=plain)
    out = io.StringIO()
    Console(file=out, force_terminal=True, color_system=None, width=120).print(made)
    assert out.getvalue().count(words) == 2
    assert "\x1b]8" not in out.getvalue()


FILES = [
    ("1", "from bob", "file a report of the whole year, as it was asked for.txt", "5.0 kB", "offered"),
    ("12", "to somebody-with-a-long-name", "folder pictures", "1,000.0 kB", "done"),
]


def shown(columns: tuple[str, ...], rows: Sequence[tuple[str, ...]], width: int) -> list[str]:
    out = io.StringIO()
    Console(file=out, width=width, force_terminal=False).print(table(columns, rows))
    return out.getvalue().splitlines()


@pytest.mark.parametrize("width", [38, 60, 80, 100, 120])
def test_no_word_is_broken_in_a_window_that_has_room_for_it(width: int) -> None:
    lines = shown(("number", "with", "what", "size", "state"), FILES, width)
    assert max(map(len, lines)) <= width
    words = set(" ".join(lines).replace(";", "").split())
    for row in FILES:
        assert not {word for cell in row for word in cell.split()} - words


def test_the_widest_column_gives_up_room_first() -> None:
    head, _, first, second, *_ = shown(("number", "with", "what", "size", "state"), FILES[:1], 60)
    assert head.split() == ["number", "with", "what", "size", "state"]
    assert first.startswith("1        from bob   file a report")
    assert first.endswith("5.0 kB   offered")
    assert second.strip()


def test_a_column_without_a_head_is_said_without_one() -> None:
    out = io.StringIO()
    Console(file=out, width=80).print(
        table(("step", "", "finding"), [("key", "yes", "as pinned")], plain=True)
    )
    assert out.getvalue() == "step key; yes; finding as pinned\n"


def test_what_is_no_table_any_more_is_said_in_words() -> None:
    assert shown(("number", "with", "what", "size", "state"), FILES[1:], 38) == [
        "number 12; with to",
        "    somebody-with-a-long-name; what",
        "    folder pictures; size 1,000.0 kB;",
        "    state done",
    ]
