"""The open conversation of a console whose terminal can show one: what is said in it goes to the live lines.

The view belongs to the network thread, where messages come and go; drafts and what was typed belong to the
prompt's.
"""

from datetime import date, datetime
from time import time
from typing import TYPE_CHECKING

from prompt_toolkit.history import History, InMemoryHistory

from shell import finding
from shell.conversation import Conversation, Spoken, spoken_of
from shell.events import Event, MessageArrived, MessageProgressed, MessagesRead, StatusChanged
from shell.line.model import State
from wire.messages import Status
from wire.names import NameKey, name_key

if TYPE_CHECKING:
    from shell.console import UserConsole
    from shell.finding import Letter

MAX_DRAFTS = 200  # unfinished texts that are kept, one a conversation
COMMANDS = NameKey("")
"""Where the unfinished command rests while a conversation is open."""


class Chat:
    """At most one conversation is open."""

    def __init__(self, app: "UserConsole") -> None:
        self._app = app
        self._view: Conversation | None = None
        self._drafts: dict[NameKey, str] = {}
        self._typed: dict[NameKey, History] = {}
        self._commands = app.main_session.history
        self._explained = False
        self.unseen = False
        """Whether something came into the open conversation since the last key."""

    # --- the network thread -----------------------------------------------------------------------------

    async def open(self, name: str, limit: int) -> None:
        """Shows the last messages with somebody, and from now on what is said."""
        app, key = self._app, name_key(name)
        found = await app.messenger.mailbox.read(
            lambda connection: finding.history(connection, finding.Span(key), limit)
        )
        user = app.messenger.user or ""
        status = app.messenger.statuses.get(key) or await app.messenger.lookup.watch(name) or Status.OFFLINE
        view = Conversation(name, user, app.settings.time_format)
        answered = {letter.answers for letter in found}
        earlier = [spoken(letter, user, answered=letter.id in answered) for letter in found]
        explained, self._explained = self._explained, True
        for line in view.opened(earlier, status.value, _today(), explained=explained):
            app.lines.add(line.shown, line.key, live=line.live)
        self._view = view
        if key not in self._typed:
            self._typed[key] = InMemoryHistory([letter.text for letter in found if letter.outgoing])

    def close(self) -> None:
        """Nothing more goes to it."""
        self._view = None

    @property
    def is_open(self) -> bool:
        """Whether a conversation is shown."""
        return self._view is not None

    def is_open_with(self, name: str) -> bool:
        """Whether the conversation with somebody is shown."""
        view = self._view
        return view is not None and name_key(view.name) == name_key(name)

    async def say(self, name: str, text: str) -> None:
        """Writes to whom it is open with; what becomes of it is told by its mark.

        Raises what `Line.write` raises.
        """
        app = self._app
        written = await app.messenger.line.write(name, text)
        await app.messenger.mailbox.settle()  # before anybody reads "queued"
        settling, state = written.settling, State.QUEUED
        if settling.done() and not settling.cancelled():
            state = settling.result().state
        settling.cancel()  # nobody waits: each step is told as an event
        if self._view is not None:
            message = written.message
            self._say(
                Spoken(message.id.hex(), app.messenger.user or "", message.text, message.written, state.value)
            )

    def heard(self, event: Event) -> bool:
        """Shows an event of the open conversation in it; False for any other event."""
        view = self._view
        if view is None:
            return False
        match event:
            case MessageArrived() if name_key(event.name) == name_key(view.name):
                self._say(spoken_of(event))
                return True
            case MessageProgressed() if name_key(event.name) == name_key(view.name):
                change = view.progressed(event.id, event.state)
                if change is not None:
                    self._app.lines.change(change)
                return change is not None
            case MessagesRead(name, ids) if name_key(name) == name_key(view.name):
                changes = [view.progressed(message_id, State.READ.value) for message_id in ids]
                for change in changes:
                    if change is not None:
                        self._app.lines.change(change)
                return all(change is not None for change in changes)
            case StatusChanged(name, Status.OFFLINE) if name_key(name) == name_key(view.name):
                self._app.lines.add(view.waits())
                return True
            case _:
                return False

    def _say(self, message: Spoken) -> None:
        if self._view is not None:
            for line in self._view.said(message, _today()):
                self._app.lines.add(line.shown, line.key, live=line.live)

    # --- the prompt's thread ----------------------------------------------------------------------------

    def keep_draft(self, name: str | None, text: str) -> None:
        """An unfinished text waits until the conversation is open again."""
        key = name_key(name) if name else COMMANDS
        self._drafts.pop(key, None)
        if text and len(self._drafts) < MAX_DRAFTS:
            self._drafts[key] = text

    def take_draft(self, name: str | None) -> str:
        """What was left unfinished there."""
        return self._drafts.pop(name_key(name) if name else COMMANDS, "")

    def forget(self, name: str) -> None:
        """What was typed to somebody goes too."""
        self._drafts.pop(name_key(name), None)
        self._typed[name_key(name)] = InMemoryHistory()

    def typed(self, name: str | None) -> History:
        """What the up-arrow key goes through: what was written to them, or commands."""
        return self._typed.get(name_key(name), self._commands) if name else self._commands


def spoken(letter: "Letter", user: str, *, answered: bool) -> Spoken:
    """A message of the mailbox as the conversation shows it."""
    writer, state = (user, letter.state) if letter.outgoing else (letter.name, "")
    return Spoken(
        letter.id,
        writer,
        letter.text,
        letter.written,
        state,
        letter.choices,
        bool(letter.answers),
        answered,
    )


def _today() -> date:
    return datetime.fromtimestamp(time()).astimezone().date()
