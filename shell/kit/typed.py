"""Lines that were typed: which of them are text, and the file that keeps them."""

import contextlib
from pathlib import Path

from shell.kit.errors import CommandError, ExitCode


def unreadable(line: str) -> CommandError | None:
    """What is wrong with a line in another encoding, whose bytes came as surrogates; None for text."""
    try:
        line.encode()
    except UnicodeEncodeError:
        return CommandError(
            "That line has bytes that are no UTF-8 text; a file that is named so needs another name.",
            code="no-text",
            exit_code=ExitCode.USAGE,
        )
    return None


def private_file(path: Path | None) -> str:
    """The path as cmd2 wants it, made so that only its owner may read it."""
    if path is None:
        return ""
    with contextlib.suppress(OSError):
        path.touch(mode=0o600)
    return str(path)
