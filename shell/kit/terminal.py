"""The terminal's own modes around the prompt."""

import contextlib
import io
import sys
from typing import Any, TextIO

ModeList = list[Any]
"""What `termios.tcgetattr` returns."""

_LOCAL_FLAGS = 3  # place of the local flags in it, termios(3)


def take_any_text(read: TextIO, written: TextIO) -> None:
    """No text ends a command: bytes of another encoding are read as surrogates (PEP 383), and what the
    terminal's encoding does not have is written as a question mark."""
    for stream, errors in ((read, "surrogateescape"), (written, "replace")):
        if isinstance(stream, io.TextIOWrapper):
            with contextlib.suppress(io.UnsupportedOperation):  # it was read from before, and is as it is
                stream.reconfigure(errors=errors)


def modes(stream: TextIO) -> ModeList | None:
    """The modes of a terminal; None for what is none."""
    if sys.platform == "win32":
        return None
    import termios

    with contextlib.suppress(termios.error, OSError, ValueError, io.UnsupportedOperation):
        return termios.tcgetattr(stream.fileno())
    return None


def set_modes(stream: TextIO, wanted: ModeList | None) -> None:
    """Sets modes that `modes` returned; what was typed stays."""
    if wanted is None or sys.platform == "win32":
        return
    import termios

    with contextlib.suppress(termios.error, OSError, ValueError, io.UnsupportedOperation):
        termios.tcsetattr(stream.fileno(), termios.TCSANOW, wanted)


def quietened(found: ModeList | None) -> ModeList | None:
    """The same modes without echo and without lines.

    What is typed while a command runs would else be echoed into its output, and edited by the terminal
    instead of by the prompt that reads it a moment later.
    """
    if found is None or sys.platform == "win32":
        return None
    import termios

    quiet = list(found)
    quiet[_LOCAL_FLAGS] = found[_LOCAL_FLAGS] & ~(termios.ECHO | termios.ICANON)
    return quiet
