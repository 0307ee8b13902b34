"""Commands that talk: messages and chats."""

import argparse
import sys
from typing import TYPE_CHECKING

from rich.console import RenderableType
from rich.text import Text

from shell.commands.look import Letters, history_with, letter_row
from shell.commands.names import complete_names, name_argument, named
from shell.conversation import KEYS
from shell.kit.command import Command, Outcome, Parser, Said
from shell.kit.errors import CommandError, ExitCode
from shell.kit.theme import QUIET
from shell.kit.typed import readable
from shell.line.model import State
from wire.display import safe
from wire.limits import MAX_TEXT
from wire.names import name_key

if TYPE_CHECKING:
    from shell.console import UserConsole
    from shell.line.settling import Settled

TOPIC = "Messages"
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


def msg(app: "UserConsole", arguments: argparse.Namespace) -> Outcome | None:
    """Writes to somebody, and waits a little for what becomes of it; in an open chat its mark tells."""
    text = arguments.text
    if text == "-" and not app.interactive:
        piped = app.stdin is not sys.stdin or not sys.stdin.isatty()
        text = readable(app.stdin.read()).rstrip("\n") if piped else "-"
    check_text(text)
    messenger = app.messenger
    name = named(app, arguments.name)
    app.looked_at(name)
    if app.said_in_chat(name, text):
        return None

    line = messenger.line  # the session may end meanwhile

    async def send() -> "tuple[str, Settled]":
        written = await line.write(name, text)
        return written.message.id.hex(), await line.settled(written, app.settings.message_patience)

    message_id, settled = app.call(send())
    contact = line.core.contact(name)
    if settled.state is not State.DELIVERED and contact is not None and contact.presented is not None:
        raise CommandError(
            f"Queued, but the key of {safe(name)} has changed: it waits for `verify {safe(name)}`, then "
            f"`accept-key {safe(name)}`.",
            code="key-changed",
            exit_code=ExitCode.KEY,
        )
    brief = app.chat_with is not None and name_key(app.chat_with) == name_key(name)
    return Delivery(name, message_id, settled.state.value, settled.offline, brief)


def chat(app: "UserConsole", arguments: argparse.Namespace) -> Outcome | None:
    """From now on every line is a message."""
    wanted = arguments.name or app.talks.calling(app.chat_with) or app.talks.at(1)
    if wanted is None:
        raise CommandError("Say with whom: `chat NAME`.", code="usage", exit_code=ExitCode.USAGE)
    name = named(app, wanted)
    app.enter_chat(name)
    if app.live:
        return None
    found = history_with(app, name, app.settings.history_lines)
    if not found:
        return Said(
            f"Every line is a message to {safe(name)} now; /end or Ctrl-D ends the chat, "
            "/COMMAND is a command."
        )
    return Letters(
        [letter_row(letter) for letter in found], app.messenger.user or "", app.settings.time_format
    )


def end(app: "UserConsole", arguments: argparse.Namespace) -> Outcome:
    """Back to commands."""
    if app.chat_with is None:
        raise CommandError("You are in no chat.", code="no-chat")
    name = app.chat_with
    app.leave_chat()
    return Said(f"The chat with {safe(name)} is over; lines are commands again.")


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


def _chat_arguments(parser: Parser) -> None:
    parser.add_argument(
        "name", metavar="NAME", nargs="?", help="whom; without it who wrote last", completer=complete_names
    )


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
    Command(
        "chat",
        TOPIC,
        "Talk to somebody: every line is a message until /end",
        chat,
        _chat_arguments,
        details=f"{KEYS} The arrow keys go through what you wrote there.",
    ),
    Command("end", TOPIC, "End the chat", end),
)
