"""The line below a prompt: parts of it, whole or not at all; what matters least goes first. Pure."""

import msgspec
from rich.cells import cell_len


class Part(msgspec.Struct, frozen=True):
    """One of them."""

    rank: int
    """How much it matters."""
    words: str
    short: str = ""
    """The same where room is scarce; empty where there is no shorter way to say it."""


def fitting(parts: list[Part], width: int) -> str:
    """As many as fit into `width` columns, and always the one that matters most."""
    if cell_len(whole := _joined([part.words for part in parts])) <= width:
        return whole
    left = list(parts)
    while cell_len(line := _joined([part.short or part.words for part in left])) > width and len(left) > 1:
        left.remove(min(reversed(left), key=lambda part: part.rank))
    return line


def _joined(parts: list[str]) -> str:
    return f" {' | '.join(parts)} "
