"""Writes a transcript of a live session: `transcript record FILE` to `transcript stop`."""

import argparse
import io
from pathlib import Path
from typing import Any, Protocol, TextIO

from cmd2 import string_utils

from shell.kit.command import Command, Parser, Said
from shell.kit.errors import CommandError
from shell.kit.transcript import START_PROMPT, escape

ANYTHING = "/(?s:.*)/"
"""What a login says differs each time."""


class Tee(io.TextIOBase):
    """A stream that keeps a copy of what is written."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self.copy = io.StringIO()

    @property
    def encoding(self) -> str:  # type: ignore[override]
        """That of the stream."""
        return self._stream.encoding

    def write(self, text: str) -> int:
        """Writes to both."""
        self.copy.write(text)
        return self._stream.write(text)

    def flush(self) -> None:
        """Flushes the stream."""
        self._stream.flush()

    def isatty(self) -> bool:
        """Whether the stream is a terminal."""
        return self._stream.isatty()

    def fileno(self) -> int:
        """That of the stream."""
        return self._stream.fileno()


class Recordable(Protocol):
    """A console, as far as a recording needs it."""

    stdout: Any
    stderr: Any
    recorder: "Recorder | None"

    @property
    def user(self) -> str | None:
        """Who is logged in."""


class Recorder:
    """One recording."""

    def __init__(self, path: Path, app: Recordable) -> None:
        try:
            self._file = path.open("x", encoding="utf-8")
        except FileExistsError:
            raise CommandError(f"{path} exists already; choose another name.") from None
        except OSError as error:
            raise CommandError(f"{path} cannot be written: {error.strerror}.") from None
        self.path = path
        self._app = app
        self._streams = app.stdout, app.stderr
        self._tee = Tee(app.stdout)
        # Whoever plays it begins with nobody logged in.
        self._typed = f"{START_PROMPT}> login {app.user}\n{ANYTHING}\n" if app.user is not None else ""
        app.stdout = app.stderr = self._tee

    def typed(self, prompt: str, line: str) -> None:
        """A line was typed at the prompt; it is written with what comes of it."""
        self._take()
        self._typed += f"{prompt}{line}\n"

    def asked(self, question: str, answer: str) -> None:
        """A question was answered; an answer that was secret is left out."""
        self._write(f"{escape(self._take())}{question}{answer}\n")

    def finished(self) -> None:
        """The command is over."""
        self._write(escape(self._take()))

    def stop(self) -> None:
        """Ends the recording."""
        self._app.stdout, self._app.stderr = self._streams
        self._file.close()

    def _write(self, output: str) -> None:
        self._file.write(self._typed + output)
        self._file.flush()
        self._typed = ""

    def _take(self) -> str:
        output = string_utils.strip_style(self._tee.copy.getvalue())
        self._tee.copy.seek(0)
        self._tee.copy.truncate()
        return output


def _transcript(app: Recordable, arguments: argparse.Namespace) -> Said:
    if arguments.action == "record":
        if app.recorder is not None:
            raise CommandError(f"A recording to {app.recorder.path} runs already; stop it first.")
        if not arguments.file:
            raise CommandError("Say into which file: `transcript record FILE`.")
        app.recorder = Recorder(Path(arguments.file).expanduser(), app)
        return Said(f"Recording to {arguments.file}; `transcript stop` ends it.")
    if app.recorder is None:
        raise CommandError("No recording runs.")
    recorder, app.recorder = app.recorder, None
    recorder.stop()
    return Said(f"The transcript is in {recorder.path}.")


def _arguments(parser: Parser) -> None:
    from cmd2 import Cmd

    parser.add_argument("action", choices=("record", "stop"), help="begin or end a recording")
    parser.add_argument("file", nargs="?", help="where to write it", completer=Cmd.path_complete)


TRANSCRIPT: Command[Any] = Command(
    "transcript",
    "Scripts",
    "Record what is typed and what comes back, for `--transcript`",
    _transcript,
    _arguments,
)
