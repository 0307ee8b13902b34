"""Commands that talk: messages, chats, history."""

import argparse
import sys
from typing import TYPE_CHECKING

import msgspec
from rich.console import Group, RenderableType
from rich.text import Text

from shell import letters
from shell.commands.names import complete_names, name_argument
from shell.kit.command import Command, Outcome, Parser, Said
from shell.kit.errors import CommandError, ExitCode
from shell.kit.theme import NAME, QUIET
from shell.kit.times import clock
from shell.line.model import State
from shell.line.settling import Settled
from wire.display import safe
from wire.limits import MAX_TEXT
from wire.names import name_key

if TYPE_CHECKING:
    from shell.console import UserConsole

TOPIC = "Messages"
MAX_SHOWN = 10_000  # messages that `history` or `search` shows at most
EXIT_OF = {
    State.DELIVERED: ExitCode.DONE,
    State.READ: ExitCode.DONE,
    State.REFUSED: ExitCode.REFUSED,
}


class Delivery(Outcome, frozen=True):
    """What became of a message."""

    name: str
    id: str
    """Hexadecimal."""
    state: str
    offline: bool = False
    brief: bool = False

    def render(self, *, plain: bool) -> RenderableType:
        """A sentence; in a chat a short one."""
        name = safe(self.name)
        match State(self.state):
            case State.DELIVERED | State.READ:
                return Text("delivered" if self.brief else f"Delivered to {name}.", QUIET)
            case State.HELD:
                return Text(f"{name} has to accept you first; your message waits there as a request.")
            case State.REFUSED:
                return Text(f"{name} declined your message.")
            case _ if self.offline:
                return Text(f"{name} is offline; your message is queued and goes out when {name} appears.")
            case _:
                return Text(f"Queued for {name}; it goes out as soon as {name} can be reached.")

    @property
    def exit_code(self) -> ExitCode:
        """0 only where the recipient's disk has it and the recipient sees it."""
        return EXIT_OF.get(State(self.state), ExitCode.QUEUED)


class LetterRow(msgspec.Struct, frozen=True):
    """One message as `--json` prints it."""

    name: str
    outgoing: bool
    text: str
    written: float
    state: str


class Letters(Outcome, frozen=True):
    """What `history` and `search` show."""

    letters: list[LetterRow]
    user: str
    time_format: str

    def records(self) -> list[LetterRow]:
        """One object for each message."""
        return self.letters

    def render(self, *, plain: bool) -> RenderableType:
        """A line for each, oldest first."""
        if not self.letters:
            return Text("No messages.")
        return Group(*map(self._line, self.letters))

    def _line(self, letter: LetterRow) -> Text:
        writer = f"{self.user} to {letter.name}" if letter.outgoing else letter.name
        state = f"  ({letter.state})" if letter.outgoing and letter.state != State.DELIVERED.value else ""
        return Text.assemble(
            (clock(letter.written, self.time_format) + " ", QUIET),
            (safe(writer), NAME),
            ": ",
            safe(letter.text, keep_newlines=True),
            (state, QUIET),
        )


def msg(app: "UserConsole", arguments: argparse.Namespace) -> Outcome:
    """Writes to somebody, and waits a little for what becomes of it."""
    text = arguments.text
    if text == "-" and not app.interactive:
        text = app.stdin.read().rstrip("\n") if app.stdin is not sys.stdin or not sys.stdin.isatty() else "-"
    check_text(text)
    messenger = app.messenger
    name = named(app, arguments.name)
    app.looked_at(name)

    async def send() -> tuple[str, Settled]:
        written = await messenger.line.write(name, text)
        return written.message.id.hex(), await messenger.line.settled(written, app.settings.message_patience)

    message_id, settled = app.call(send())
    brief = app.chat_with is not None and name_key(app.chat_with) == name_key(name)
    return Delivery(name, message_id, settled.state.value, settled.offline, brief)


def chat(app: "UserConsole", arguments: argparse.Namespace) -> Outcome:
    """From now on every line is a message."""
    name = named(app, arguments.name)
    app.chat_with = name
    return _history(app, name, app.settings.history_lines) or Said(
        f"Every line is a message to {safe(name)} now; /end or Ctrl-D ends the chat, /COMMAND is a command."
    )


def end(app: "UserConsole", arguments: argparse.Namespace) -> Outcome:
    """Back to commands."""
    if app.chat_with is None:
        raise CommandError("You are in no chat.", code="no-chat")
    name, app.chat_with = app.chat_with, None
    return Said(f"The chat with {safe(name)} is over; lines are commands again.")


def history(app: "UserConsole", arguments: argparse.Namespace) -> Outcome:
    """The last messages with somebody."""
    contact = app.messenger.line.core.contact(arguments.name)
    name = contact.name if contact else arguments.name
    return _history(app, name, arguments.limit or app.settings.history_lines) or _none(app)


def search(app: "UserConsole", arguments: argparse.Namespace) -> Outcome:
    """Messages that contain a text."""
    found = app.call(
        app.messenger.mailbox.read(
            lambda connection: letters.search(connection, arguments.text, app.settings.history_lines)
        )
    )
    return _letters(app, found) if found else _none(app)


def _history(app: "UserConsole", name: str, limit: int) -> Letters | None:
    key = name_key(name)
    found = app.call(app.messenger.mailbox.read(lambda connection: letters.history(connection, key, limit)))
    app.looked_at(name)
    return _letters(app, found) if found else None


def _letters(app: "UserConsole", found: list[letters.Letter]) -> Letters:
    rows = [
        LetterRow(letter.name, letter.outgoing, letter.text, letter.written, letter.state) for letter in found
    ]
    return Letters(rows, app.messenger.user or "", app.settings.time_format)


def _none(app: "UserConsole") -> Letters:
    return Letters([], app.messenger.user or "", app.settings.time_format)


def named(app: "UserConsole", name: str) -> str:
    """Whom to write to, as they wrote themselves; a contact at any time, anybody else must exist."""
    contact = app.messenger.line.core.contact(name)
    found = contact.name if contact else app.call(app.messenger.whois(name)).name
    if name_key(found) == name_key(app.messenger.user or ""):
        raise CommandError("That is you; notes to yourself are better kept in a file.", code="self")
    return found


def check_text(text: str) -> None:
    """Raises `CommandError` for a text that cannot be sent."""
    if not text.strip():
        raise CommandError("There is no text to send.", code="no-text")
    size = len(text.encode(errors="surrogatepass"))
    if size > MAX_TEXT:
        raise CommandError(
            f"A message has {MAX_TEXT:,} bytes at most; this one has {size:,}.", code="too-long"
        )


def _msg_arguments(parser: Parser) -> None:
    name_argument(parser)
    parser.add_argument("text", metavar="TEXT", nargs="+", help="the message, as it is; - reads a pipe")


def _history_arguments(parser: Parser) -> None:
    parser.add_argument("name", metavar="NAME", help="with whom", completer=complete_names)
    parser.add_argument("--limit", type=_count, metavar="N", help="how many messages, the last ones")


def _search_arguments(parser: Parser) -> None:
    parser.add_argument("text", metavar="TEXT", nargs="+", help="what to look for, as it is")


def _count(text: str) -> int:
    if not text.isdecimal() or not 0 < int(text) <= MAX_SHOWN:
        raise argparse.ArgumentTypeError(f"{text!r} is no number from 1 to {MAX_SHOWN}")
    return int(text)


COMMANDS: tuple[Command["UserConsole"], ...] = (
    Command(
        "msg",
        TOPIC,
        "Send a message; @NAME TEXT does the same",
        msg,
        _msg_arguments,
        verbatim=("name", "text"),
        aliases=("m",),
    ),
    Command("chat", TOPIC, "Talk to somebody: every line is a message until /end", chat, name_argument),
    Command("end", TOPIC, "End the chat", end),
    Command("history", TOPIC, "Show the last messages with somebody", history, _history_arguments),
    Command("search", TOPIC, "Find messages that contain a text", search, _search_arguments, ("text",)),
)
