"""The one look of all tables of both programs, from 60 columns up."""

from collections.abc import Iterable, Sequence

from rich import box
from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.table import Table
from rich.text import Text

from shell.kit.hanging import Hanging
from shell.kit.theme import HEADING

FACT = "what"
"""The first head of a table of facts: one row for each, its name and its value."""


class SpokenTable(Table):
    """A table for ears: a line for each row, each value behind its head, and no lines or columns."""

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """The rows as sentences."""
        heads = [_words(column.header) for column in self.columns]
        for cells in zip(*(column.cells for column in self.columns), strict=True):
            words = [_words(cell) for cell in cells]
            if heads[0] == FACT:
                yield _spoken(f"{words[0]}: {', '.join(words[1:])}")
            else:
                pairs = zip(heads, words, strict=True)
                yield _spoken("; ".join(f"{head} {word}" for head, word in pairs if word))


def table(columns: Sequence[str], rows: Iterable[Sequence[RenderableType]], *, plain: bool = False) -> Table:
    """A table with a line under its head; in plain mode a line of words for each row."""
    made = (SpokenTable if plain else Table)(
        box=box.SIMPLE_HEAD,
        header_style="none",
        pad_edge=False,
        safe_box=True,
        show_edge=False,
    )
    for column in columns:
        made.add_column(Text(column, HEADING), overflow="fold")
    for row in rows:
        # Rich takes a bare string for markup, and what others write must be none.
        made.add_row(*(Text(cell) if isinstance(cell, str) else cell for cell in row))
    return made


def _spoken(line: str) -> Hanging:
    return Hanging(Text(line, no_wrap=True, overflow="ignore"))


def _words(cell: RenderableType) -> str:
    return cell.plain if isinstance(cell, Text) else str(cell)
