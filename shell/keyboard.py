"""The prompt of the user's console: its keys, what they go through, and what stands there when it appears."""

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from cmd2 import Completions
from prompt_toolkit.filters import Condition
from prompt_toolkit.key_binding import KeyBindings, KeyPressEvent, merge_key_bindings
from prompt_toolkit.keys import Keys

from shell.kit.command import verbatim_names
from shell.talks import KEYS

if TYPE_CHECKING:
    from shell.console import UserConsole

Complete = Callable[[str, str, int, int], Completions]


class Keyboard:
    """Of one console, whose commands and conversations it serves."""

    def __init__(self, app: "UserConsole") -> None:
        self._app = app
        self._erases = False
        session = app.main_session
        self._command_lexer = session.lexer
        if app.interactive:
            session.key_bindings = merge_key_bindings(
                [session.key_bindings or KeyBindings(), _bindings(app, self)]
            )
            session.prompt_continuation = lambda width, line, wraps: "" if wraps else "> ".rjust(width)
            session.default_buffer.on_text_changed += lambda _: self._pressed()

    def place(self, draft: str) -> None:
        """A prompt is about to appear: with what was left unfinished there, and what was typed there before.

        In a conversation it leaves no trace: a message becomes a line above it.
        """
        app, session = self._app, self._app.main_session
        self._erases = session.app.erase_when_done = app.chat.is_open
        session.lexer = None if app.chat.is_open else self._command_lexer
        session.default_buffer.history = app.chat.typed(app.chat_with)
        if draft:
            session.default_buffer.insert_text(draft)

    def erased(self) -> bool:
        """Whether the line that was typed is no longer to be seen; asked once."""
        erased, self._erases = self._erases, False
        return erased

    def writes_text(self, typed: str) -> bool:
        """Whether a line that begins so is a message, in which pasted lines stay together."""
        app, words = self._app, typed.split(None, 1)
        if app.chat_with is not None:
            return not typed.startswith("/") or typed.startswith("//")
        if not words:
            return False
        command = words[0].removeprefix("/")
        return command.startswith("@") or app.aliases.get(command, command) in verbatim_names(app.COMMANDS)

    def switching_to(self, name: str, typed: str) -> str:
        """The line that opens another conversation; what was typed in this one waits there."""
        self._app.chat.keep_draft(self._app.chat_with, typed)
        self._erases = False
        return f"/chat {name}"

    def entered(self) -> None:
        """A line came from the prompt: somebody has seen what stands above it."""
        self._pressed()
        app = self._app
        for name in app.talks.glanced(app.main_session.output.get_size().rows):
            self._seen(name)

    def complete(self, complete: Complete, text: str, line: str, begidx: int, endidx: int) -> Completions:
        """Commands complete behind a slash too; in a conversation nothing else does."""
        bare = line.lstrip()
        if not bare.startswith("/"):
            return Completions() if self._app.chat_with is not None else complete(text, line, begidx, endidx)
        shift = len(line) - len(bare) + 1
        if begidx >= shift:
            return complete(text, bare[1:], begidx - shift, endidx - shift)
        found = complete(text.lstrip("/"), bare[1:], 0, endidx - shift)
        return Completions([replace(item, text=f"/{item.text}") for item in found])

    def _pressed(self) -> None:
        """Somebody is there, and sees the open conversation."""
        app = self._app
        app.attention.key()
        if app.chat.unseen and app.chat_with is not None:
            app.chat.unseen = False
            self._seen(app.chat_with)

    def _seen(self, name: str) -> None:
        app = self._app
        app.talks.seen(name)
        app.bridge.submit(app.messenger.looked_at(name))
        app.attention.name_window(app.user)


def _bindings(app: "UserConsole", keyboard: Keyboard) -> KeyBindings:
    """Alt-Enter begins a line, Alt-1 to Alt-9 open a conversation, Alt-A the next with something new."""
    made = KeyBindings()

    @made.add("escape", "enter")
    def new_line(event: KeyPressEvent) -> None:
        event.current_buffer.insert_text("\n")

    @Condition
    def is_text() -> bool:
        return keyboard.writes_text(app.main_session.default_buffer.text)

    @made.add(Keys.BracketedPaste, filter=is_text)
    def paste(event: KeyPressEvent) -> None:
        """Pasted words are one message, however many lines they have."""
        event.current_buffer.insert_text(event.data.replace("\r\n", "\n").replace("\r", "\n"))

    def open_number(number: int) -> None:
        @made.add("escape", str(number))
        def by_number(event: KeyPressEvent) -> None:
            switch(event, app.talks.at(number))

    for number in range(1, KEYS + 1):
        open_number(number)

    @made.add("escape", "a")
    def calling(event: KeyPressEvent) -> None:
        name = app.talks.calling(app.chat_with)
        if name != app.chat_with:
            switch(event, name)

    @Condition
    def is_empty() -> bool:
        typed = app.main_session.default_buffer
        return app.main_session.app.current_buffer is typed and not typed.text

    @made.add("c-d", filter=is_empty)
    def leave(event: KeyPressEvent) -> None:
        keyboard.entered()  # here alone: where a terminal is gone, the input ends as well
        event.app.exit(exception=EOFError)

    def switch(event: KeyPressEvent, name: str | None) -> None:
        at_commands = event.current_buffer is app.main_session.default_buffer  # and at no question
        if name is not None and app.user is not None and at_commands:
            event.app.erase_when_done = True
            event.app.exit(result=keyboard.switching_to(name, event.current_buffer.text))

    return made
