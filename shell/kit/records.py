"""What `--json` prints: one object a line."""

import contextlib
from collections.abc import Iterable
from typing import TextIO

import msgspec

from shell.kit.theme import unicode_works
from wire.display import escaped


def write_records(stream: TextIO, records: Iterable[object]) -> None:
    """Writes each on a line of its own; a reader that has stopped reading ends it without a word, as what
    cmd2 prints for people."""
    ascii_only = not unicode_works(stream)
    with contextlib.suppress(BrokenPipeError):
        lines = (msgspec.json.encode(record).decode() for record in records)
        stream.writelines(f"{escaped(line, ascii_only=ascii_only)}\n" for line in lines)
        stream.flush()
