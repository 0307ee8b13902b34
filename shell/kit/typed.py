"""Lines that are typed: what asks for them, which of them are text, and the file that keeps them."""

import contextlib
from pathlib import Path

from rich.console import Console
from rich.text import Text

from shell.kit.errors import CommandError, ExitCode

MAX_LINE = 4096  # bytes of a file's first line; four times the longest password


def between_words(question: str, width: int) -> str:
    """A question in lines of so many columns, with its last blank; a prompt breaks in the middle of words."""
    words = question.rstrip()
    lines = Text(words).wrap(Console(width=width), width)
    return "\n".join(line.plain.rstrip() for line in lines) + question[len(words) :]


def readable(text: str) -> str:
    """The same text; UTF-8 that came as surrogates, since the locale has another encoding, as it was meant.

    Raises `CommandError` for bytes that are none.
    """
    try:
        return text.encode(errors="surrogateescape").decode()
    except UnicodeError:
        raise CommandError(
            "That has bytes that are no UTF-8 text; a file that is named so needs another name.",
            code="no-text",
            exit_code=ExitCode.USAGE,
        ) from None


def first_line(file: Path) -> str:
    """What a file that holds a secret has in its first line. Raises `CommandError`."""
    try:
        with file.open("rb") as opened:  # which may be a pipe, and need not end
            line = opened.readline(MAX_LINE + 1)
        text = line.decode().rstrip("\r\n")
    except OSError as error:
        raise CommandError(f"The password file {file} cannot be read: {error.strerror}.") from None
    except UnicodeDecodeError:
        raise CommandError(f"The password file {file} is no UTF-8 text.") from None
    if not text or len(line) > MAX_LINE:
        raise CommandError(f"The password file {file} has no password in its first line.")
    return text


def private_file(path: Path | None) -> str:
    """The path as cmd2 wants it, made so that only its owner may read it."""
    if path is None:
        return ""
    with contextlib.suppress(OSError):
        path.touch(mode=0o600)
    return str(path)
