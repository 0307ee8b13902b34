"""What `--json` prints, one object a line; and outputs that take no more."""

import contextlib
import errno
import io
import os
import select
from collections.abc import Iterable
from typing import TextIO

import msgspec

from shell.kit.errors import CommandError
from shell.kit.theme import unicode_works
from wire.display import escaped

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


def write_records(stream: TextIO, records: Iterable[object]) -> None:
    """Writes each on a line of its own; a reader that has stopped reading ends it without a word, as what
    cmd2 prints for people."""
    ascii_only = not unicode_works(stream)
    with contextlib.suppress(BrokenPipeError):
        lines = (msgspec.json.encode(record).decode() for record in records)
        stream.writelines(f"{escaped(line, ascii_only=ascii_only)}\n" for line in lines)
        stream.flush()


def unread(stream: TextIO) -> bool:
    """Whether nobody reads an output any more, before anything is written to it; False where nobody can tell.

    A pipe without a reader is in error, a terminal that is gone has hung up (poll(2)).
    """
    with contextlib.suppress(AttributeError, OSError, ValueError, io.UnsupportedOperation):
        look = select.poll()
        look.register(stream.fileno(), 0)
        return any(state & (select.POLLERR | select.POLLHUP) for _, state in look.poll(0))
    return False


def unwritable(stream: TextIO) -> CommandError | None:
    """What to say of an output that takes no more, and gets no more from now on; None for one that does.

    A reader that has stopped reading has nothing to be told of.
    """
    try:
        stream.flush()
    except OSError as error:
        with contextlib.suppress(OSError):  # else it is tried again, and told, at the end of the process
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
        return CommandError(f"The output cannot be written: {error.strerror}.", code="output-failed")
    return None


def no_room(error: OSError) -> CommandError | None:
    """What to say of a file that takes no more of the output that was sent there; None for another error."""
    if error.errno not in _FULL:
        return None
    return CommandError(f"The output cannot be written: {error.strerror}.", code="output-failed")
