"""The base of both consoles: cmd2 with one line an error, JSON on request, and news above the prompt."""

import contextlib
import io
import logging
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, ClassVar, TextIO

import cmd2
from cmd2 import rich_utils
from cmd2.parsing import Statement
from cmd2.pt_utils import pt_filter_style
from cmd2.utils import Settable
from prompt_toolkit.application import create_app_session
from prompt_toolkit.formatted_text import fragment_list_to_text, to_formatted_text
from prompt_toolkit.output import DummyOutput
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table

from settings.spelling import nearest
from shell.kit import terminal, theme
from shell.kit.command import Command, Outcome, Parser, install, verbatim_names
from shell.kit.errors import CommandError, ExitCode
from shell.kit.hanging import hung, sentence
from shell.kit.keys import give_keys
from shell.kit.live import LiveLines
from shell.kit.plain import PlainLines
from shell.kit.recorder import TRANSCRIPT, Recorder
from shell.kit.records import unwritable, write_records
from shell.kit.theme import ALARM, Theme
from shell.kit.typed import between_words, private_file, readable
from shell.kit.verbatim import VerbatimParser
from wire.display import safe

log = logging.getLogger(__name__)

REFRESH = 1.0  # seconds between redraws of the toolbar while nothing is typed
PASSWORD_VARIABLE = "PARLEY_PASSWORD"  # noqa: S105
_UNCLOSED = "Invalid syntax: No closing quotation"  # what cmd2 says, in its own words
_LEFT_OUT = ("edit", "run_pyscript", "py", "ipy", "_relative_run_script")

cmd2.set_default_argument_parser(Parser)
cmd2.Cmd.DEFAULT_CATEGORY = "Console"


class ConsoleApp(cmd2.Cmd):
    """A console with a table of commands."""

    COMMANDS: ClassVar[Sequence[Command[Any]]] = ()

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        install(cls, (*cls.COMMANDS, TRANSCRIPT))

    def __init__(
        self,
        *,
        prompt: str,
        json: bool = False,
        plain: bool = False,
        history_file: Path | None = None,
        shortcuts: dict[str, str] | None = None,
        stdin: TextIO | None = None,
        stdout: TextIO | None = None,
        stderr: TextIO | None = None,
    ) -> None:
        self.stderr = stderr or sys.stderr
        self.json_output = json
        self.plain = plain = plain or os.environ.get("TERM") == "dumb"
        self.exit = ExitCode.DONE
        """How the last command ended."""
        terminal.take_any_text(stdin or sys.stdin, stdout or sys.stdout)
        self.quiet = False
        """Whether outcomes are not shown; errors are."""
        self.answers: Callable[[str, bool], str | None] | None = None
        """Where a transcript answers questions; None for a person."""
        self.recorder: Recorder | None = None
        self._loud_modes: terminal.ModeList | None = None
        self._draws = False
        # Even making a prompt writes to the terminal; in plain mode nothing but text may.
        with create_app_session(output=DummyOutput()) if plain else contextlib.nullcontext():
            super().__init__(
                stdin=stdin,
                stdout=stdout,
                allow_cli_args=False,
                enable_bottom_toolbar=not plain,
                persistent_history_file=private_file(history_file),
                refresh_interval=0.0 if plain else REFRESH,
                shortcuts=shortcuts,
            )
        self.prompt = prompt
        commands = (*self.COMMANDS, TRANSCRIPT)
        self.statement_parser = VerbatimParser(
            verbatim_names(commands), terminators=(), shortcuts=shortcuts or cmd2.DEFAULT_SHORTCUTS
        )
        for name in _LEFT_OUT:
            setattr(self, f"do_{name}", None)
        for setting in (
            "debug",
            "editor",
            "max_column_completion_results",
            "max_completion_table_items",
            "traceback_show_locals",
            "traceback_width",
            "scripts_add_to_history",
        ):
            with contextlib.suppress(KeyError):
                self.remove_settable(setting)
        for command in commands:
            self.aliases.update(dict.fromkeys(command.aliases, command.name))
        self.default_error = "{} is no command here"
        if plain:
            rich_utils.ALLOW_STYLE = rich_utils.AllowStyle.NEVER
        give_keys(self.main_session)
        self._theme = Theme.AUTO
        theme.apply(self._theme)
        words = [variant.value for variant in Theme]
        self.add_settable(Settable("theme", str, "How it looks: " + ", ".join(words), self, choices=words))
        self.lines = (
            PlainLines(self.main_session, self.rendered, self.stdout)
            if plain
            else LiveLines(self.main_session, self.rendered)
        )
        """What is above the prompt."""

    # --- what a console may change ----------------------------------------------------------------------

    def rewrite(self, line: str) -> str:
        """A typed line as it is understood; a leading slash before a command is as chat users type it."""
        stripped = line.lstrip()
        return stripped[1:] if stripped.startswith("/") and stripped[1:2].isalpha() else line

    def end_of_input(self) -> str:
        """The line that Ctrl-D stands for."""
        return "quit"

    def translate(self, error: BaseException) -> CommandError | None:
        """The sentence for an error of a lower layer; None for one that nobody foresaw."""
        return error if isinstance(error, CommandError) else None

    # --- what commands use ------------------------------------------------------------------------------

    @property
    def interactive(self) -> bool:
        """Whether a person sits at a terminal."""
        return self.answers is None and self.stdin.isatty() and self.stdout.isatty()

    @property
    def asks(self) -> bool:
        """Whether somebody answers questions: a person at a terminal, or a transcript."""
        return self.answers is not None or self.interactive

    def show(self, outcome: Outcome) -> None:
        """Prints what a command found or did."""
        self.exit = outcome.exit_code
        if self.quiet:
            return
        if self.json_output:
            write_records(self.stdout, outcome.records())
            return
        rendered = outcome.render(plain=self.plain)
        if rendered is not None:
            # A person's lines break between words; a script's sentences stay whole.
            wraps = not self.plain and (self.interactive or isinstance(rendered, Table | Group))
            self.poutput(sentence(rendered), soft_wrap=not wraps)

    @contextlib.contextmanager
    def drawing(self) -> Iterator[Callable[[RenderableType], None]]:
        """A place on the screen that changes while a command waits; gone at its end, by Ctrl-C as well.

        Shows nothing without a terminal, in JSON and in plain mode.
        """
        if not self.interactive or self.json_output or self.plain:
            yield lambda shown: None
            return
        console = self._console()
        self._draws = True
        try:
            with Live(console=console, transient=True, auto_refresh=False) as live:
                yield lambda shown: live.update(shown, refresh=True)
        finally:
            self._draws = False

    @contextlib.contextmanager
    def live_view(self) -> Iterator[Callable[[Outcome], None]]:
        """The same for an outcome."""
        with self.drawing() as draw:
            yield lambda outcome: draw(outcome.render(plain=False) or "")

    def report(self, error: CommandError) -> None:
        """Prints an error as one line on the error stream."""
        self.exit = error.exit_code
        if self.json_output:
            write_records(self.stderr, [{"error": error.code, "message": str(error)}])
        else:
            self.perror(hung(safe(" ".join(str(error).split()))), soft_wrap=not self.interactive)

    def announce(self, news: RenderableType) -> None:
        """Shows what arrived by itself above the prompt; thread-safe.

        While a command runs it waits. Without a person at a terminal it is dropped: scripts use `wait`.
        """
        if not self.interactive:
            return
        self.lines.add(news)

    def rendered(self, shown: RenderableType) -> str:
        """As it is written to the terminal, with a line feed at its end."""
        console = self._console()
        with console.capture() as capture:
            console.print(hung(shown), soft_wrap=self.plain, highlight=False, emoji=False, markup=False)
        return capture.get()

    def ask(self, question: str) -> str:
        """Asks the person at the terminal, or the transcript."""
        return self._ask(question, secret=False)

    def ask_secret(self, question: str) -> str:
        """Asks without echo; without a terminal the answer comes from `PARLEY_PASSWORD`."""
        return self._ask(question, secret=True)

    @property
    def theme(self) -> str:
        """The variant in use, as `set theme` names it."""
        return self._theme.value

    @theme.setter
    def theme(self, value: str) -> None:
        self._theme = Theme(value)
        theme.apply(self._theme)

    # --- ways to run ------------------------------------------------------------------------------------

    def start_with(self, lines: Sequence[str]) -> None:
        """Lines that run before the first prompt."""
        self._startup_commands.extend(lines)

    def run_line(self, line: str) -> bool:
        """Runs one line; whether it asks to leave."""
        return self.onecmd_plus_hooks(line, add_to_history=False)

    def run_commands(self, lines: Sequence[str]) -> ExitCode:
        """Runs lines one after the other, up to the first that fails; how the last one ended."""
        for line in lines:
            try:
                leave = self.onecmd_plus_hooks(line, raise_keyboard_interrupt=True)
            except KeyboardInterrupt:
                return ExitCode.INTERRUPTED
            if leave or self.exit is not ExitCode.DONE:
                break
        unwritable(self.stdout)  # a reader that has stopped reading is no error
        return self.exit

    def run_pipe(self) -> ExitCode:
        """Runs the lines of standard input; how the last one that failed ended."""
        worst = ExitCode.DONE
        for line in self.stdin:
            try:
                leave = self.onecmd_plus_hooks(line.rstrip("\r\n"), raise_keyboard_interrupt=True)
            except KeyboardInterrupt:
                return ExitCode.INTERRUPTED
            if self.exit is not ExitCode.DONE:
                worst = self.exit
            if leave:
                break
        return worst

    def interact(self) -> int:
        """The prompt, until the person leaves; the exit code."""
        intro, self.intro = self.intro, ""
        if intro:
            self.poutput(intro, soft_wrap=self.plain)
        self._loud_modes = terminal.modes(self.stdin)
        # What cmd2 goes back to after each command; between prompts too the terminal must not echo.
        self._initial_termios_settings = terminal.quietened(self._loud_modes)
        terminal.set_modes(self.stdin, self._initial_termios_settings)
        try:
            return self.cmdloop()
        except SystemExit as leaving:
            return leaving.code if isinstance(leaving.code, int) else ExitCode.USER
        except (EOFError, OSError, io.UnsupportedOperation):
            log.info("event=terminal_gone")
            return ExitCode.DONE
        finally:
            self.lines.end()
            self.lines.flush()
            terminal.set_modes(self.stdin, self._loud_modes)

    # --- cmd2 -------------------------------------------------------------------------------------------

    def pre_prompt(self) -> None:
        """What came while a command ran is shown; from now on news appear above the prompt."""
        self.main_session.message = lambda: self.lines.before(pt_filter_style(self.prompt))
        self.lines.begin()

    def precmd(self, statement: Statement | str) -> Statement:
        """Programs of the system get the terminal as they know it; cmd2 sets it back after the command."""
        begun = super().precmd(statement)
        if begun.command == "shell" or begun.redirector == "|":
            terminal.set_modes(self.stdin, self._loud_modes)
        return begun

    def onecmd_plus_hooks(self, line: str, **options: Any) -> bool:
        """Runs a typed line."""
        self.lines.end()
        self.exit = ExitCode.DONE
        try:
            typed = self.end_of_input() if line == "_eof" else readable(line)
        except CommandError as error:
            self.report(error)
            return False
        recorder = self.recorder
        if recorder is not None:
            recorder.typed(self.visible_prompt, typed)
        leave = super().onecmd_plus_hooks(self.rewrite(typed), **options)
        if recorder is not None and recorder is self.recorder:
            recorder.finished()
        return leave

    def default(self, statement: Statement) -> None:
        """No such command: one line, with the nearest that there is."""
        message = f"{statement.command!r} is no command here."
        near = nearest(statement.command, self.get_visible_commands())
        hint = f" Did you mean {near!r}?" if near else " Type `help` for the list."
        self.report(CommandError(message + hint, code="unknown-command", exit_code=ExitCode.USAGE))

    def perror(self, *objects: Any, style: Any = None, **options: Any) -> None:
        """Prints on this console's own error stream."""
        if objects and str(objects[0]) == _UNCLOSED:
            objects = ('A quotation mark is not closed; close it, or write \\" for the mark itself.',)
        if self.exit is ExitCode.DONE:
            self.exit = ExitCode.USER
        options.pop("file", None)
        self.print_to(self.stderr, *objects, style=style if style is not None else ALARM, **options)

    def print_to(self, file: Any, *objects: Any, **options: Any) -> None:
        """Prints below what is shown above the prompt, while no prompt is there."""
        if not self.lines.at_prompt:
            self.lines.end()
            self.lines.flush()
        super().print_to(file, *objects, **options)

    def _create_help_grid(self, title: str, *content: RenderableType) -> Table:
        """cmd2's heading in help; in plain mode without the line below it."""
        if not self.plain:
            return super()._create_help_grid(title, *content)
        grid = Table.grid()
        for row in (title, *content):
            grid.add_row(row)
        return grid

    def pexcept(self, exception: BaseException, **options: Any) -> None:
        """One line for every error; what nobody foresaw goes into the log with its traceback."""
        known = self.translate(exception)
        if known is None and isinstance(exception, OSError):
            known = unwritable(self.stdout)
        if known is None:
            log.error("event=command_fault", exc_info=exception)
            known = CommandError(
                f"Something went wrong inside Parley ({type(exception).__name__}); the log has the details.",
                code="internal-error",
            )
        self.report(known)

    # --- inside -----------------------------------------------------------------------------------------

    def _console(self) -> Console:
        return rich_utils.Cmd2GeneralConsole(file=self.stdout)

    def _raise_keyboard_interrupt(self) -> None:
        """cmd2 begins a new line for the prompt; in a drawing that would leave its first row behind."""
        if self._draws:
            raise KeyboardInterrupt
        super()._raise_keyboard_interrupt()

    def _read_raw_input(self, prompt: Any, session: Any, **options: Any) -> str:
        """cmd2 reads every line here; in plain mode without moving a cursor."""
        if not (isinstance(self.lines, PlainLines) and self.interactive):
            if session is not self.main_session:
                give_keys(session)
            return super()._read_raw_input(prompt, session, **options)
        own = session is self.main_session
        words = fragment_list_to_text(to_formatted_text(prompt))
        return self.lines.read(
            lambda: self.visible_prompt if own else words,
            session,
            secret=bool(options.get("is_password")),
            pre_run=options.get("pre_run"),
        )

    def _ask(self, question: str, *, secret: bool) -> str:
        answer = self.answers(question, secret) if self.answers is not None else None
        if answer is not None and (answer or not secret):
            return self._recorded(question, answer, secret=secret)
        if not self.interactive:
            from_environment = os.environ.get(PASSWORD_VARIABLE) if secret else None
            if from_environment is not None:
                return readable(from_environment)
            raise CommandError(
                f"There is no terminal to ask for {question.rstrip(': ').lower()}; "
                f"use {PASSWORD_VARIABLE} or --password-file.",
                code="no-terminal",
            )
        try:
            shown = question if self.plain else between_words(question, self._console().width)
            answer = self.read_secret(shown) if secret else self.read_input(shown)
        except (KeyboardInterrupt, EOFError):
            raise CommandError("Cancelled.", code="cancelled", exit_code=ExitCode.INTERRUPTED) from None
        return self._recorded(question, answer, secret=secret)

    def _recorded(self, question: str, answer: str, *, secret: bool) -> str:
        answer = readable(answer)
        if self.recorder is not None:
            self.recorder.asked(question, "" if secret else answer)
        return answer
