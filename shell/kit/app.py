"""The base of both consoles: a table of commands, what they find in words or JSON, and one line an error."""

import contextlib
import logging
import os
import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, ClassVar, TextIO

import cmd2
from cmd2.exceptions import RedirectionError
from cmd2.parsing import Statement
from rich.console import Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from settings.spelling import nearest
from shell.kit.command import Command, Outcome, Parser, install, verbatim_names
from shell.kit.errors import CommandError, ExitCode
from shell.kit.hanging import Hanging, hung, sentence
from shell.kit.prompt import PromptApp
from shell.kit.recorder import TRANSCRIPT, Recorder
from shell.kit.records import no_room, unwritable, write_records
from shell.kit.theme import ALARM
from shell.kit.typed import between_words, readable
from shell.kit.verbatim import VerbatimParser
from wire.display import safe

log = logging.getLogger(__name__)

PASSWORD_VARIABLE = "PARLEY_PASSWORD"  # noqa: S105
# What cmd2 says, in its own words.
_UNCLOSED = "Invalid syntax: No closing quotation"
_NO_FILE = "Clipboard access not allowed"
_NO_HELP = "No help on "
_PIPE_ENDED = "Pipe process exited"
_NO_SCRIPT = re.compile(r"Problem accessing script from '(?P<path>.*)': \[Errno \d+\] (?P<reason>[^:]*)")
_NOT_SET = re.compile(r"Error setting (?P<setting>\w+): (?P<reason>.*)")

cmd2.set_default_argument_parser(Parser)
cmd2.Cmd.DEFAULT_CATEGORY = "Console"


class ConsoleApp(PromptApp):
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
        self.json_output = json
        self.exit = ExitCode.DONE
        """How the last command ended."""
        self.quiet = False
        """Whether outcomes are not shown; errors are."""
        self.answers: Callable[[str, bool], str | None] | None = None
        """Where a transcript answers questions; None for a person."""
        self.recorder: Recorder | None = None
        self._draws = False
        super().__init__(
            prompt=prompt,
            plain=plain,
            history_file=history_file,
            shortcuts=shortcuts,
            stdin=stdin,
            stdout=stdout,
            stderr=stderr,
        )
        commands = (*self.COMMANDS, TRANSCRIPT)
        self.statement_parser = VerbatimParser(
            verbatim_names(commands), terminators=(), shortcuts=shortcuts or cmd2.DEFAULT_SHORTCUTS
        )
        for command in commands:
            self.aliases.update(dict.fromkeys(command.aliases, command.name))
        self.default_error = "{} is no command here"
        self.doc_leader = "`help COMMAND` explains one, `help -v` says in a few words what each does."

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
        return self.answers is None and super().interactive

    @property
    def user(self) -> str | None:
        """Who is logged in; None in a console that knows of no login."""
        return None

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
    def drawing(self, *, stays: bool = False) -> Iterator[Callable[[RenderableType], None]]:
        """A place on the screen that changes while a command waits; gone at its end, by Ctrl-C as well.

        One that `stays` is left as it was last.
        Shows nothing without a terminal, in JSON and in plain mode.
        """
        if not self.interactive or self.json_output or self.plain:
            yield lambda shown: None
            return
        console = self._console()
        self._draws = True
        try:
            with Live(console=console, transient=not stays, auto_refresh=False) as live:
                yield lambda shown: live.update(shown, refresh=True)
        finally:
            self._draws = False

    @contextlib.contextmanager
    def live_view(self, *, stays: bool = False) -> Iterator[Callable[[Outcome], None]]:
        """The same for an outcome."""
        with self.drawing(stays=stays) as draw:
            yield lambda outcome: draw(outcome.render(plain=False) or "")

    def tell(self, sentence: str) -> None:
        """Says something between two questions, in one line or several, broken between words."""
        lines = Hanging(*map(Text, sentence.split("\n")))
        self.poutput(lines, soft_wrap=self.plain or not self.interactive)

    def report(self, error: CommandError) -> None:
        """Prints an error as one line on the error stream."""
        self.exit = error.exit_code
        if self.json_output:
            write_records(self.stderr, [{"error": error.code, "message": str(error)}])
        else:
            self.perror(hung(safe(" ".join(str(error).split()))), soft_wrap=not self.interactive)

    def ask(self, question: str) -> str:
        """Asks the person at the terminal, or the transcript."""
        return self._ask(question, secret=False)

    def ask_secret(self, question: str) -> str:
        """Asks without echo; without a terminal the answer comes from `PARLEY_PASSWORD`."""
        return self._ask(question, secret=True)

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

    # --- cmd2 -------------------------------------------------------------------------------------------

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
        self.report(self._unknown(statement.command))

    def perror(self, *objects: Any, style: Any = None, **options: Any) -> None:
        """Prints on this console's own error stream."""
        known = self._reworded(objects[0]) if objects else None
        if known is None and self.json_output:
            known = CommandError(" ".join(map(str, objects)))
        if known is not None:
            self.report(known)
            return
        if self.exit is ExitCode.DONE:
            self.exit = ExitCode.USER
        options.pop("file", None)
        self.print_to(self.stderr, *objects, style=style if style is not None else ALARM, **options)

    def pexcept(self, exception: BaseException, **options: Any) -> None:
        """One line for every error; what nobody foresaw goes into the log with its traceback."""
        known = self.translate(exception)
        if known is None and isinstance(exception, OSError):
            known = unwritable(self.stdout) or no_room(exception)
        if known is None:
            log.error("event=command_fault", exc_info=exception)
            known = CommandError(
                f"Something went wrong inside Parley ({type(exception).__name__}); the log has the details.",
                code="internal-error",
            )
        self.report(known)

    # --- inside -----------------------------------------------------------------------------------------

    def _unknown(self, command: str) -> CommandError:
        near = nearest(command, self.get_visible_commands())
        hint = f"Did you mean {near!r}?" if near else "Type `help` for the list."
        return CommandError(
            f"{command!r} is no command here. {hint}", code="unknown-command", exit_code=ExitCode.USAGE
        )

    def _reworded(self, error: object) -> CommandError | None:
        """What cmd2 says of a line, as this console says it; None for anything else."""
        said, cause = str(error), getattr(error, "__cause__", None)
        if isinstance(error, RedirectionError) and isinstance(cause, OSError):
            return CommandError(
                f"The output cannot go to {cause.filename}: {cause.strerror}.", code="output-failed"
            )
        if said == _NO_FILE:
            return CommandError("Say where the output is to go: `> FILE` or `>> FILE`.", code="output-failed")
        if said == _UNCLOSED:
            sentence = 'A quotation mark is not closed; close it, or write \\" for the mark itself.'
            return CommandError(sentence, code="unclosed-quotation")
        if said.startswith(_NO_HELP):
            return self._unknown(said.removeprefix(_NO_HELP))
        if said.startswith(_PIPE_ENDED):
            return CommandError("The program behind | has ended at once; nothing was run.", code="no-reader")
        if found := _NO_SCRIPT.match(said):
            return CommandError(f"{found['path']} cannot be read: {found['reason']}.", code="no-script")
        if found := _NOT_SET.match(said):
            return CommandError(f"set {found['setting']}: {found['reason']}.", code="not-set")
        return None

    def _raise_keyboard_interrupt(self) -> None:
        """cmd2 begins a new line for the prompt; in a drawing that would leave its first row behind."""
        if self._draws:
            raise KeyboardInterrupt
        super()._raise_keyboard_interrupt()

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
