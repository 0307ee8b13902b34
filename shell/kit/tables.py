"""The one look of all tables of both programs, from 60 columns up."""

from collections.abc import Iterable, Sequence

from rich import box
from rich.console import RenderableType
from rich.table import Table

from shell.kit.theme import HEADING


def table(columns: Sequence[str], rows: Iterable[Sequence[RenderableType]], *, plain: bool = False) -> Table:
    """A table with a line under its head; in plain mode no lines, so that a screen reader reads words."""
    made = Table(
        box=None if plain else box.SIMPLE_HEAD,
        header_style=HEADING,
        pad_edge=False,
        safe_box=True,
        show_edge=False,
    )
    for column in columns:
        made.add_column(column, overflow="fold")
    for row in rows:
        made.add_row(*row)
    return made
