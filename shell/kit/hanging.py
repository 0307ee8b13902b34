"""Entries whose further rows stand behind the first, so that no part of one looks like another. Pure.

What others write may have line feeds, and words that come to stand at the left edge of a window. There a row
must mean that something begins: a message, news, the prompt.
"""

from collections.abc import Iterator

from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.text import Text

from shell.kit.fingerprints import in_groups

INDENT = "    "  # as in exports


class Hanging:
    """Entries, one below the other.

    At a terminal they break between words in plain mode too: the terminal would go on at its left edge. For
    a program an entry has the rows that its line feeds make.
    """

    def __init__(self, *entries: Text) -> None:
        self._entries = entries

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """The rows."""
        wraps = not options.no_wrap or console.file.isatty()
        for entry in self._entries:
            first, *more = entry.split("\n", allow_blank=True)
            for line in (first, *(Text.assemble(INDENT, line) for line in more)):
                rows = _rows(line, console, options.max_width) if wraps else (line,)
                for row in rows:
                    yield from row.render(console, end="\n")  # as it is: a text itself would be wrapped again


def hung(shown: RenderableType) -> RenderableType:
    """A text as one entry; anything else as it is."""
    text = Text(shown) if isinstance(shown, str) else shown
    return Hanging(text) if isinstance(text, Text) else shown


def sentence(shown: RenderableType) -> RenderableType:
    """A text of one line as one entry; anything else as it is, with a look of its own."""
    return hung(shown) if isinstance(shown, Text) and "\n" not in shown.plain else shown


def _rows(line: Text, console: Console, width: int) -> Iterator[Text]:
    line.expand_tabs(console.tab_size)
    if line.cell_len <= width:
        line.rstrip()
        yield line
        return
    # As wide as the indent: what follows has the same room in every row, and is wrapped once.
    begins = line[: len(INDENT)]
    if begins.cell_len != len(INDENT):
        begins = Text()
    room = max(width - len(INDENT), len(INDENT))
    for row in in_groups(line[len(begins) :], room).wrap(console, room, overflow="fold", no_wrap=False):
        row.rstrip()
        yield Text.assemble(begins, row)
        begins = Text(INDENT)
