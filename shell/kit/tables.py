"""The one look of all tables of both programs.

In a narrow window the widest column gives up room first; where there is no room for a table any more, each
row is said in words, as it is in plain mode.
"""

from collections.abc import Iterable, Sequence

from rich import box
from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.measure import Measurement
from rich.table import Column, Table
from rich.text import Text

from shell.kit.fingerprints import Words
from shell.kit.hanging import Hanging
from shell.kit.theme import HEADING

FACT = "what"
"""The first head of a table of facts: one row for each, its name and its value."""
GAP = 3  # columns of a window between two of a table: a blank, the place of a line, a blank
MAX_CELL = 10_000  # columns that a cell may want
LEAST = 12  # columns of a window in which a text can still be read


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
                yield _spoken("; ".join(f"{head} {word}".strip() for head, word in pairs if word))


class FittedTable(SpokenTable):
    """A table for eyes, as long as the window is wide enough for one."""

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """The rows as a table, or as sentences."""
        needed = [_needed(column, console, options) for column in self.columns]
        widths = fitted(needed, options.max_width - GAP * (len(needed) - 1))
        if widths is None:
            yield from super().__rich_console__(console, options)
            return
        for column, width in zip(self.columns, widths, strict=True):
            column.width = width
        yield from Table.__rich_console__(self, console, options)


def fitted(needed: Sequence[Measurement], room: int) -> list[int] | None:
    """The width of each column, by what its longest word and its longest line need; None without room.

    No word is broken but those of the widest column, which gives up room first.
    """
    widest = max(range(len(needed)), key=lambda place: needed[place].maximum)
    widths = [need.minimum for need in needed]
    widths[widest] = min(widths[widest], LEAST)
    left = room - sum(widths)
    if left < 0:
        return None
    for place in sorted(range(len(needed)), key=lambda place: needed[place].maximum):
        more = min(left, needed[place].maximum - widths[place])
        widths[place] += more
        left -= more
    return widths


def table(columns: Sequence[str], rows: Iterable[Sequence[RenderableType]], *, plain: bool = False) -> Table:
    """A table with a line under its head; in plain mode a line of words for each row."""
    made = (SpokenTable if plain else FittedTable)(
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
        made.add_row(*(Words(cell) if isinstance(cell, str) else cell for cell in row))
    return made


def _needed(column: Column, console: Console, options: ConsoleOptions) -> Measurement:
    """The columns of a window for the longest word in it, and for the longest line."""
    unbounded = options.update_width(MAX_CELL)
    cells = [Measurement.get(console, unbounded, cell) for cell in (column.header, *column.cells)]
    return Measurement(max(cell.minimum for cell in cells), max(cell.maximum for cell in cells))


def _spoken(line: str) -> Hanging:
    return Hanging(Text(line, no_wrap=True, overflow="ignore"))


def _words(cell: RenderableType) -> str:
    return cell.plain if isinstance(cell, Text) else str(cell)
