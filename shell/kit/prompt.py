"""cmd2 at a terminal as both consoles have it: news above the prompt, no echo between prompts, and in plain
mode nothing but text.
"""

import contextlib
import io
import logging
import os
import sys
from pathlib import Path
from typing import Any, TextIO

import cmd2
from cmd2 import rich_utils
from cmd2.parsing import Statement
from cmd2.pt_utils import pt_filter_style
from cmd2.utils import Settable
from prompt_toolkit.application import create_app_session
from prompt_toolkit.formatted_text import fragment_list_to_text, to_formatted_text
from prompt_toolkit.output import DummyOutput
from rich.console import Console, RenderableType
from rich.table import Table

from shell.kit import terminal, theme
from shell.kit.errors import ExitCode
from shell.kit.hanging import hung
from shell.kit.keys import give_keys
from shell.kit.live import LiveLines
from shell.kit.plain import PlainLines
from shell.kit.theme import Theme
from shell.kit.typed import private_file

log = logging.getLogger(__name__)

REFRESH = 1.0  # seconds between redraws of the toolbar while nothing is typed
_COMMANDS_LEFT_OUT = ("edit", "run_pyscript", "py", "ipy", "_relative_run_script")
_SETTINGS_LEFT_OUT = (
    "debug",
    "editor",
    "max_column_completion_results",
    "max_completion_table_items",
    "traceback_show_locals",
    "traceback_width",
    "scripts_add_to_history",
)


class PromptApp(cmd2.Cmd):
    """A prompt, and what is written around it."""

    def __init__(
        self,
        *,
        prompt: str,
        plain: bool,
        history_file: Path | None,
        shortcuts: dict[str, str] | None,
        stdin: TextIO | None,
        stdout: TextIO | None,
        stderr: TextIO | None,
    ) -> None:
        self.stderr = stderr or sys.stderr
        self.plain = plain = plain or os.environ.get("TERM") == "dumb"
        terminal.take_any_text(stdin or sys.stdin, stdout or sys.stdout)
        self._loud_modes: terminal.ModeList | None = None
        # Even making a prompt writes to the terminal; in plain mode nothing but text may.
        with create_app_session(output=DummyOutput()) if plain else contextlib.nullcontext():
            super().__init__(
                stdin=stdin,
                stdout=stdout,
                allow_cli_args=False,
                allow_clipboard=False,
                enable_bottom_toolbar=not plain,
                persistent_history_file=private_file(history_file),
                refresh_interval=0.0 if plain else REFRESH,
                shortcuts=shortcuts,
            )
        self.prompt = prompt
        for name in _COMMANDS_LEFT_OUT:
            setattr(self, f"do_{name}", None)
        for setting in _SETTINGS_LEFT_OUT:
            with contextlib.suppress(KeyError):
                self.remove_settable(setting)
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

    @property
    def interactive(self) -> bool:
        """Whether a person sits at a terminal."""
        return self.stdin.isatty() and self.stdout.isatty()

    @property
    def theme(self) -> str:
        """The variant in use, as `set theme` names it."""
        return self._theme.value

    @theme.setter
    def theme(self, value: str) -> None:
        self._theme = Theme(value)
        theme.apply(self._theme)

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

    # --- inside -----------------------------------------------------------------------------------------

    def _console(self) -> Console:
        return rich_utils.Cmd2GeneralConsole(file=self.stdout)

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
