"""What stands in a table is shown as it is."""

import io

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
