"""What appears above the prompt while somebody types: printed between two keystrokes, on the prompt's own
thread, without leaving raw mode.

prompt-toolkit's `run_in_terminal`, which `add_alert` uses, leaves raw mode while it prints. What is typed in
that moment is echoed by the terminal in the middle of the news, and a backspace is swallowed. Here nothing
of the terminal's mode changes, so not one typed character is lost or moved.
"""

import asyncio
import contextlib
import threading
from collections import deque
from collections.abc import Callable

from cmd2.string_utils import strip_style
from prompt_toolkit.formatted_text import ANSI, StyleAndTextTuples, merge_formatted_text, to_formatted_text
from prompt_toolkit.output import Output
from prompt_toolkit.shortcuts import PromptSession
from prompt_toolkit.utils import get_cwidth
from rich.cells import cell_len
from rich.console import RenderableType

from shell.kit.tail import Change, Line, Tail

MAX_NEWS = 2_000  # lines, and a deed for each, that wait while a command runs; beyond, the oldest go
MIN_ROWS, MAX_ROWS = 2, 12  # rows of lines that may still change
RESERVED_ROWS = 4  # rows that stay for the input and the toolbar
LATER = 0.02  # seconds until another try while prompt-toolkit itself prints

Deed = Callable[[Output], None]
"""Something for the terminal that leaves the screen as it is: a bell, a title."""


class LiveLines:
    """The lines above one prompt; `add`, `change` and `do` may be called on any thread."""

    def __init__(
        self,
        session: PromptSession[str],
        render: Callable[[RenderableType], str],
        output: Output | None = None,
    ) -> None:
        self._session = session
        self._output = output or session.output
        self._render = render
        self._tail = Tail()
        self._news: deque[Line | Change | Deed] = deque(maxlen=MAX_NEWS)
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._scheduled = False
        self._drawn: tuple[object, StyleAndTextTuples] = (None, [])

    @property
    def at_prompt(self) -> bool:
        """Whether a prompt waits for a line."""
        return self._session.app.is_running

    # --- any thread -------------------------------------------------------------------------------------

    def add(self, shown: RenderableType, key: str = "", *, live: bool = False) -> None:
        """Shows a line; with a key and `live` it may change later."""
        self._put(Line(shown, key, live))

    def change(self, change: Change) -> None:
        """Changes a line where it stands."""
        self._put(change)

    def do(self, deed: Deed) -> None:
        """Does something else at the terminal."""
        self._put(deed)

    def redraw(self) -> None:
        """The prompt or the toolbar says something new."""
        self._put(_nothing)

    # --- the prompt's thread ----------------------------------------------------------------------------

    def begin(self) -> None:
        """A prompt is about to be drawn: what waited is printed before it."""
        with self._lock:
            self._loop = asyncio.get_running_loop()
            self._scheduled = False
        self._take_news()
        self._print(self._let_go())

    def end(self) -> None:
        """The prompt is gone; what comes waits for the next one."""
        with self._lock:
            self._loop = None

    def flush(self) -> None:
        """Prints all lines for good; no prompt may be on the screen."""
        self._take_news()
        self._print(self._tail.clear())

    def before(self, prompt: str | ANSI) -> StyleAndTextTuples:
        """The live lines, then the prompt: the message of the prompt-toolkit session."""
        lines = self._tail.lines
        if not lines:
            return to_formatted_text(prompt)
        looks = (lines, self._output.get_size().columns)
        if self._drawn[0] != looks:
            self._drawn = looks, to_formatted_text(ANSI("".join(self._render(line.shown) for line in lines)))
        return to_formatted_text(merge_formatted_text([self._drawn[1], prompt]))

    # --- inside -----------------------------------------------------------------------------------------

    def _put(self, item: Line | Change | Deed) -> None:
        with self._lock:
            self._news.append(item)
            if self._loop is None or self._scheduled:
                return
            with contextlib.suppress(RuntimeError):  # a loop that has just ended; the next prompt shows it
                self._loop.call_soon_threadsafe(self._work)
                self._scheduled = True

    def _work(self) -> None:
        """Between two keystrokes: takes what came, prints what is done, redraws the rest."""
        with self._lock:
            self._scheduled = False
            loop = self._loop
        if loop is not None:
            self._show(loop)

    def _show(self, loop: asyncio.AbstractEventLoop) -> None:
        app = self._session.app
        if not app.is_running or app.is_done:
            return
        if getattr(app, "_running_in_terminal", False):
            loop.call_later(LATER, self._work)
            return
        self._take_news()
        gone = self._let_go()
        if gone or self._misjudged():
            app.renderer.erase()
            self._print(gone)
            app.renderer.request_absolute_cursor_position()
        app.invalidate()

    def _misjudged(self) -> bool:
        """Whether prompt-toolkit and the terminal disagree on the width of a live line.

        It adds up the parts of an emoji. What it draws anew from the left is right all the same, what it
        changes in the middle of a row is not.
        """
        shown = [strip_style(self._render(line.shown)) for line in self._tail.lines]
        return any(get_cwidth(row) != cell_len(row) for text in shown for row in text.splitlines())

    def _take_news(self) -> None:
        while True:
            with self._lock:
                if not self._news:
                    return
                item = self._news.popleft()
            match item:
                case Line():
                    self._tail.add(item)
                case Change():
                    self._tail.change(item)
                case _:
                    item(self._output)

    def _let_go(self) -> list[Line]:
        rows = self._output.get_size().rows
        room = max(MIN_ROWS, min(MAX_ROWS, rows // 2 - RESERVED_ROWS))
        return self._tail.let_go(room, lambda line: self._render(line.shown).count("\n"))

    def _print(self, lines: list[Line]) -> None:
        if not lines:
            return
        output = self._output
        for line in lines:
            output.write_raw(self._render(line.shown))
        output.flush()


def _nothing(output: Output) -> None:
    """Nothing but the redraw that follows."""
