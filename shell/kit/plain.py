"""The prompt of screen readers and dumb terminals: text is only added, and a backspace takes it back.

No cursor moves, no colours, one event a line. Editing is prompt-toolkit's own, on a screen that nobody sees;
what it does to the line is told to the terminal as the shortest way from the old text to the new.
"""

import asyncio
from collections.abc import Callable
from typing import Any, TextIO, cast

from prompt_toolkit.application import Application
from prompt_toolkit.buffer import Buffer
from prompt_toolkit.completion import CompleteEvent
from prompt_toolkit.filters import has_focus
from prompt_toolkit.key_binding import KeyBindings, KeyPressEvent, merge_key_bindings
from prompt_toolkit.output import DummyOutput
from prompt_toolkit.shortcuts import PromptSession
from rich.cells import cell_len
from rich.console import RenderableType

from shell.kit.live import LiveLines
from shell.kit.tail import Line
from wire.display import safe

ERASE = "\b \b"  # what every terminal since the teletype shows as nothing
NEW_ROW = "\r\n"
MAX_OFFERED = 50  # completions that one Tab tells


def way(shown: str, text: str, prompt: str) -> str:
    """What to write so that a line that shows one text shows another."""
    common = 0
    for old, new in zip(shown, text, strict=False):
        if old != new:
            break
        common += 1
    gone, added = shown[common:], text[common:]
    if "\n" in gone:
        return NEW_ROW + prompt + rows(text)  # a backspace does not go up
    return ERASE * cell_len(gone) + rows(added)


def rows(text: str) -> str:
    """Several lines as a terminal in raw mode takes them."""
    return text.replace("\n", NEW_ROW)


class PlainOutput(DummyOutput):
    """A terminal that gets text and bells."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, data: str) -> None:
        """Text."""
        self._stream.write(data)

    def write_raw(self, data: str) -> None:
        """The same."""
        self._stream.write(data)

    def flush(self) -> None:
        """What was written is to be seen."""
        self._stream.flush()

    def bell(self) -> None:
        """Rings."""
        self._stream.write("\a")
        self._stream.flush()


class PlainLines(LiveLines):
    """Lines above a prompt that cannot move: each is written below what is there, then the prompt again."""

    def __init__(
        self, session: PromptSession[str], render: Callable[[RenderableType], str], stream: TextIO
    ) -> None:
        super().__init__(session, render, PlainOutput(stream))
        self._running: Application[str] | None = None
        self._prompt: Callable[[], str] = str
        self._shown = ""
        """What of the line the terminal shows; nothing of a secret."""

    @property
    def at_prompt(self) -> bool:
        """Whether a prompt waits for a line."""
        return self._running is not None

    def read(
        self,
        prompt: Callable[[], str],
        session: PromptSession[str],
        *,
        secret: bool = False,
        pre_run: Callable[[], None] | None = None,
    ) -> str:
        """Reads a line. Raises `EOFError` for Ctrl-D and `KeyboardInterrupt` for Ctrl-C."""
        buffer = session.default_buffer
        buffer.reset()
        self._prompt, self._shown = prompt, ""
        running = self._application(session)

        def looks() -> str:  # what was pasted acts on no terminal
            return (
                "" if secret else safe(buffer.text, keep_newlines=True)
            )  # what was pasted acts on no terminal

        def changed(_: Buffer) -> None:
            if self._running is not None and not secret:
                shown, self._shown = self._shown, looks()
                self._write(way(shown, self._shown, prompt()))

        def begin() -> None:
            if pre_run is not None:
                pre_run()
            self._shown = looks()
            self._running = running
            self._write(self._line())

        buffer.on_text_changed += changed
        try:
            return running.run(pre_run=begin)
        finally:
            self._running = None
            buffer.on_text_changed -= changed
            self._write(NEW_ROW)

    # --- LiveLines --------------------------------------------------------------------------------------

    def _show(self, loop: asyncio.AbstractEventLoop) -> None:
        if self._running is None or self._running.is_done:
            return
        self._take_news()
        gone = self._let_go()
        if gone:
            self._write(NEW_ROW)
            self._print(gone)
            self._write(self._line())

    def _let_go(self) -> list[Line]:
        return self._tail.clear()

    # --- inside -----------------------------------------------------------------------------------------

    def _line(self) -> str:
        return self._prompt() + rows(self._shown)

    def _write(self, text: str) -> None:
        self._output.write_raw(text)
        self._output.flush()

    def _application(self, session: PromptSession[str]) -> Application[str]:
        tab = KeyBindings()

        @tab.add("tab", filter=has_focus(session.default_buffer))
        def complete(event: KeyPressEvent) -> None:
            buffer = event.current_buffer
            asked = CompleteEvent(completion_requested=True)
            completer = session.completer
            found = list(completer.get_completions(buffer.document, asked)) if completer is not None else []
            if not found:
                return
            start = -found[0].start_position
            typed = buffer.document.text_before_cursor[len(buffer.document.text_before_cursor) - start :]
            common = _common([completion.text for completion in found])
            if len(common) > len(typed):
                buffer.delete_before_cursor(start)
                buffer.insert_text(common)
            elif len(found) > 1:
                names = ", ".join(completion.display_text for completion in found[:MAX_OFFERED])
                self._write(f"{NEW_ROW}{names}{NEW_ROW}{self._line()}")

        bindings = merge_key_bindings([session.app.key_bindings or KeyBindings(), tab])
        made: Application[Any] = Application(
            input=session.input, output=DummyOutput(), layout=session.layout, key_bindings=bindings
        )
        return cast("Application[str]", made)


def _common(texts: list[str]) -> str:
    first, last = min(texts), max(texts)
    for place, character in enumerate(first):
        if place >= len(last) or last[place] != character:
            return first[:place]
    return first
