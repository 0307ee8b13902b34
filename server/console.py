"""The admin console: sees everything but words, and can end sessions. Same kit as the user's shell, and the
same in the server's own terminal and attached to a running phone book.
"""

import io
import os
import signal
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

from server import console_audit, console_entry, console_people, console_server, console_upkeep
from server.console_changes import counted
from server.console_server import event_line
from server.effects import Happened
from server.operator import LocalOperator, Operator
from shell.kit.app import ConsoleApp
from shell.kit.command import Command
from shell.kit.errors import CommandError, ExitCode
from shell.kit.player import play
from shell.kit.toolbar import Part, fitting
from wire.display import safe
from wire.errors import ErrorCode, Refused

if TYPE_CHECKING:
    from server.embedded import EmbeddedPhoneBook

PROMPT = "server> "

COMMANDS: tuple[Command["AdminConsole"], ...] = (
    *console_people.COMMANDS,
    *console_entry.COMMANDS,
    *console_server.COMMANDS,
    *console_audit.COMMANDS,
    *console_upkeep.COMMANDS,
)


class AdminConsole(ConsoleApp):
    """The operator's console of one phone book."""

    COMMANDS = COMMANDS

    def __init__(
        self,
        operator: Operator,
        *,
        json: bool = False,
        plain: bool = False,
        output: io.StringIO | None = None,
    ) -> None:
        self.operator = operator
        self.watching: tuple[str, ...] | None = None
        """The kinds of events that the feed shows, every kind where there are none; None while it is off."""
        self.on_sigterm: Callable[[], None] = lambda: sys.exit(0)
        super().__init__(
            prompt=PROMPT,
            json=json,
            plain=plain,
            history_file=None if output is not None else _history(operator.folder),
            stdout=output,
            stderr=output,
        )
        self._unsubscribe = operator.subscribe(self._happened) if self.interactive else lambda: None

    def translate(self, error: BaseException) -> CommandError | None:
        """What the phone book refuses is the operator's to mend."""
        match error:
            case Refused(code=ErrorCode.SHUTTING_DOWN, slug=slug):
                return CommandError(str(error), code=slug, exit_code=ExitCode.NETWORK)
            case Refused(slug=slug):
                return CommandError(safe(str(error)), code=slug)
            case RuntimeError() | TimeoutError() if not self.operator.running:
                return CommandError("The phone book has stopped.", code="stopped", exit_code=ExitCode.NETWORK)
            case _:
                return super().translate(error)

    def get_bottom_toolbar(self) -> str:
        """Where it listens and how many are there; read without asking the other thread."""
        if not self.operator.running:
            return " the phone book has stopped "
        overview = self.operator.overview
        there = counted(overview.connections, "connection", "connections")
        parts = [Part(1, f"phone book {overview.address}", overview.address), Part(0, there)]
        return fitting(parts, self.main_session.output.get_size().columns)

    def termination_signal_handler(self, signum: int, _: FrameType | None) -> None:
        """SIGTERM and a closed terminal are ways to end it, not failures."""
        if signum == signal.SIGTERM:
            self.on_sigterm()
        else:
            sys.exit(0)

    def close(self) -> None:
        """No more news."""
        self._unsubscribe()
        self.operator.close()

    def _happened(self, event: Happened) -> None:
        if self.watching is not None and (not self.watching or event.what in self.watching):
            self.announce(event_line(event))


def run_console(
    book: "EmbeddedPhoneBook", serve: Callable[[], int], *, json: bool = False, plain: bool = False
) -> int:
    """The console in the server's own terminal; leaving it stops the phone book.

    Without a terminal the commands come from a pipe, and after its end the phone book serves on.
    """
    console = AdminConsole(LocalOperator(book), json=json, plain=plain)

    def end() -> None:
        """As without a console: SIGTERM leaves people the settings' `drain_seconds`, a second one none."""
        if book.end_asked.is_set() or not book.drain():
            sys.exit(0)

    console.on_sigterm = end
    try:
        signal.signal(signal.SIGTERM, lambda *_: end())
        # An attached console may end it: the prompt, which waits for a key, is left as for SIGTERM.
        book.on_end_asked = lambda: os.kill(os.getpid(), signal.SIGTERM)
        if console.interactive:
            return console.interact()
        code = int(console.run_pipe())
        return serve() if book.running else code
    finally:
        book.on_end_asked = lambda: None
        console.close()
        book.stop()


def run_attached(
    operator: Operator, commands: Sequence[str], *, json: bool = False, plain: bool = False
) -> int:
    """A console of a phone book in another process; leaving it leaves the phone book alone."""
    console = AdminConsole(operator, json=json, plain=plain)
    try:
        if commands:
            return int(console.run_commands(commands))
        return console.interact() if console.interactive else int(console.run_pipe())
    except SystemExit as leaving:
        return leaving.code if isinstance(leaving.code, int) else ExitCode.USER
    finally:
        console.close()


class _Cast:
    """The only role of a transcript at an attached console."""

    password: str | None = None

    def __init__(self, attach: Callable[[], Operator]) -> None:
        self._attach = attach
        self._console: AdminConsole | None = None

    def app(self, name: str, output: io.StringIO) -> ConsoleApp:
        """The operator's console."""
        if f"{name}> " != PROMPT and name:
            raise CommandError(f"Only the operator's `{PROMPT}` can play here; `{name}> ` is a user's shell.")
        self._console = AdminConsole(self._attach(), output=output)
        return self._console

    def close(self) -> None:
        """Leaves."""
        if self._console is not None:
            self._console.close()


def play_attached(attach: Callable[[], Operator], transcripts: Sequence[Path]) -> int:
    """Plays transcripts against a running phone book; 0 where all went as written."""
    failed = 0
    for path in transcripts:
        try:
            failure: object = play(path, _Cast(attach))
        except CommandError as error:
            failure = f"{path}: {error}"
        if failure is not None:
            print(failure, file=sys.stderr)  # noqa: T201
        print(f"{path}: {'failed' if failure else 'passed'}")  # noqa: T201
        failed += failure is not None
    return int(ExitCode.USER if failed else ExitCode.DONE)


def _history(folder: Path) -> Path | None:
    """What was typed before; kept only for the user whose folder it is."""
    return folder / "typed-commands.dat" if folder.stat().st_uid == os.geteuid() else None
