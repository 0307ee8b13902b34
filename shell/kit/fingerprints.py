"""Fingerprints of keys in a window without room for one in a row: in groups, and no row ends inside one."""

import re
from collections.abc import Iterable

from rich.console import Console, ConsoleOptions
from rich.measure import Measurement
from rich.segment import Segment
from rich.text import Text

GROUP = (
    11  # characters: four groups make the 43 of a fingerprint, and two fit beside the heads of a narrow table
)
_FINGERPRINT = re.compile(r"SHA256:([A-Za-z0-9+/]{43})(?![A-Za-z0-9+/])")


def in_groups(text: Text, room: int) -> Text:
    """A text with blanks in those of its fingerprints that have no room in a row of so many columns."""
    borders = [
        place
        for found in _FINGERPRINT.finditer(text.plain)
        if len(found[0]) > room
        for place in range(found.start(1), found.end(1), GROUP)
    ]
    return Text(" ").join(text.divide(borders)) if borders else text


class Words(Text):
    """A text in a cell of a table."""

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterable[Segment]:
        """As wide as the column is."""
        grouped = in_groups(self, options.max_width)
        yield from Text.__rich_console__(grouped, console, options)

    def __rich_measure__(self, console: Console, options: ConsoleOptions) -> Measurement:
        """From the longest group to all of it in a row."""
        whole = Text.__rich_measure__(self, console, options)
        if (grouped := in_groups(self, 0)) is self:
            return whole
        return Measurement(Text.__rich_measure__(grouped, console, options).minimum, whole.maximum)
