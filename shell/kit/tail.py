"""The lines above the prompt that may still change, oldest first. Pure.

A line is live while its mark can change: it stands in what the prompt redraws. Once nothing before it is live
it is let go: printed for good, and part of the terminal's scrollback like any other output.
"""

from collections.abc import Callable

import msgspec
from rich.console import RenderableType

MAX_LIVE = 200  # lines that may wait to be let go; only reached where the terminal has no rows at all


class Line(msgspec.Struct, frozen=True):
    """One line, which may wrap over several rows."""

    shown: RenderableType
    key: str = ""
    """By which it is changed; empty for what never changes."""
    live: bool = False


class Change(msgspec.Struct, frozen=True):
    """Another look of a line."""

    key: str
    shown: RenderableType
    live: bool
    told: RenderableType | None = None
    """What to say instead where the line was let go already."""


class Tail:
    """The lines that were not let go."""

    def __init__(self) -> None:
        self._lines: list[Line] = []

    @property
    def lines(self) -> tuple[Line, ...]:
        """From the oldest."""
        return tuple(self._lines)

    def add(self, line: Line) -> None:
        """One more."""
        self._lines.append(line)

    def change(self, change: Change) -> None:
        """Changes a line in place; tells of it in a new one where it was let go."""
        for place, line in enumerate(self._lines):
            if line.key == change.key:
                self._lines[place] = msgspec.structs.replace(line, shown=change.shown, live=change.live)
                return
        if change.told is not None:
            self._lines.append(Line(change.told))

    def let_go(self, room: int, rows: Callable[[Line], int]) -> list[Line]:
        """Removes and returns the lines that need not or cannot stay: everything before the first live one,
        and the oldest where more than `room` rows are taken.
        """
        heights = [rows(line) for line in self._lines]
        count, taken = 0, sum(heights)
        while count < len(self._lines) and (
            not self._lines[count].live or taken > room or len(self._lines) - count > MAX_LIVE
        ):
            taken -= heights[count]
            count += 1
        gone, self._lines = self._lines[:count], self._lines[count:]
        return gone

    def clear(self) -> list[Line]:
        """Removes and returns all of them."""
        gone, self._lines = self._lines, []
        return gone
