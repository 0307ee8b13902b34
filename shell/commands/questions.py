"""Commands that ask: one person and wait for the answer, or many at once."""

import argparse
import asyncio
import contextlib
import csv
import io
from collections.abc import Container
from time import monotonic
from typing import TYPE_CHECKING

from cmd2 import Completions
from cmd2.completion import CompletionItem
from rich.console import RenderableType
from rich.text import Text

from shell import letters
from shell.commands.names import complete_names, name_argument, named
from shell.commands.talk import check_text
from shell.errors import MailboxFailed, NotConnected
from shell.events import Event, MessageArrived
from shell.kit.command import Command, Listing, Outcome, Parser, checked
from shell.kit.errors import CommandError, ExitCode
from shell.kit.hanging import Hanging
from shell.kit.times import duration
from shell.line.errors import LineError
from shell.line.model import Outgoing, State
from shell.rollcall import Call, RollCall, expanded
from wire.display import safe
from wire.errors import Refused
from wire.limits import MAX_CHOICE, MAX_CHOICES
from wire.names import name_key

if TYPE_CHECKING:
    from shell.console import UserConsole
    from shell.line.settling import Settled

TOPIC = "Questions"
LOOK = 0.25  # seconds between looks at how far the questions of a roll call are
ASK_PATIENCE, ROLL_PATIENCE = "5m", "60s"
MAX_ROLL = 200  # people that one roll call asks


class Answered(Outcome, frozen=True):
    """What somebody answered."""

    name: str
    answer: str
    agreed: bool
    """Whether it is the first of the choices, or any answer where none were offered."""

    def render(self, *, plain: bool) -> Hanging:
        """The answer alone, so that a script can take it."""
        return Hanging(Text(safe(self.answer, keep_newlines=True)))

    @property
    def exit_code(self) -> ExitCode:
        """0 for the first choice, 7 for another."""
        return ExitCode.DONE if self.agreed else ExitCode.REFUSED


class Delivered(Outcome, frozen=True):
    """What became of an answer."""

    name: str
    state: str

    def render(self, *, plain: bool) -> Text:
        """A sentence."""
        done = self.state == State.DELIVERED.value
        return Text(
            f"{safe(self.name)} has your answer." if done else f"Your answer to {safe(self.name)} is queued."
        )

    @property
    def exit_code(self) -> ExitCode:
        """0 where it was delivered."""
        return ExitCode.DONE if self.state == State.DELIVERED.value else ExitCode.QUEUED


class Rolled(Listing, frozen=True):
    """What `roll` shows."""

    calls: list[Call]
    csv: bool = False

    def render(self, *, plain: bool) -> RenderableType:
        """The table, or comma-separated values (RFC 4180)."""
        return Text(self._csv().rstrip("\r\n"), end="\n") if self.csv else super().render(plain=plain)

    def _csv(self) -> str:
        written = io.StringIO()
        rows = csv.writer(written, lineterminator="\n")
        rows.writerow(self.columns())
        rows.writerows((row.name, row.state, safe(row.answer, keep_newlines=True)) for row in self.rows())
        return written.getvalue()

    def rows(self) -> list[Call]:
        """In the order of asking."""
        return self.calls

    def columns(self) -> tuple[str, ...]:
        """Heads."""
        return ("name", "state", "answer")

    def cells(self, row: Call, *, plain: bool) -> tuple[RenderableType, ...]:
        """One person."""
        return safe(row.name), row.state, safe(row.answer)

    def empty(self) -> str:
        """Cannot be: somebody was named."""
        return "Nobody was asked."

    @property
    def exit_code(self) -> ExitCode:
        """0 where everybody answered."""
        everybody = all(call.state == "answered" for call in self.calls)
        return ExitCode.DONE if everybody else ExitCode.QUEUED


def ask(app: "UserConsole", arguments: argparse.Namespace) -> Answered:
    """Asks one person and waits for the answer."""
    check_text(arguments.question)
    name = named(app, arguments.name)
    line = app.messenger.line
    written = app.call(line.write(name, arguments.question, choices=arguments.choices))
    asked = written.message.id.hex()
    app.watched_questions.add(asked)
    try:
        answer = app.inbox.take(lambda event: _answers(event, asked), arguments.timeout)
    finally:
        app.watched_questions.discard(asked)
    answer = answer or app.inbox.take(lambda event: _answers(event, asked), 0.0)  # in this very moment
    if not isinstance(answer, MessageArrived):
        state = app.call(line.settled(written, 0.0)).state.value
        raise CommandError(
            f"No answer of {safe(name)} within {arguments.timeout:g} s; the question is {state}.",
            code="no-answer",
            exit_code=ExitCode.QUEUED,
        )
    choices = arguments.choices
    agreed = not choices or answer.text.casefold() == choices[0].casefold()
    return Answered(name, answer.text, agreed)


def answer(app: "UserConsole", arguments: argparse.Namespace) -> Delivered:
    """Answers the last question of somebody."""
    check_text(arguments.text)
    key = name_key(arguments.name)
    question = app.call(app.messenger.mailbox.read(lambda connection: letters.open_question(connection, key)))
    if question is None:
        raise CommandError(f"{safe(arguments.name)} has not asked you anything.", code="no-question")
    choices = {choice.casefold(): choice for choice in question.choices or ()}
    text = choices.get(arguments.text.casefold(), arguments.text)
    if choices and text not in choices.values():
        offered = ", ".join(map(safe, choices.values()))
        raise CommandError(f"{safe(arguments.name)} asks for one of: {offered}.", code="no-choice")
    name = named(app, arguments.name)
    line = app.messenger.line

    async def send() -> "Settled":
        written = await line.write(name, text, answers=question.id)
        return await line.settled(written, app.settings.message_patience)

    app.looked_at(name)
    return Delivered(name, app.call(send()).state.value)


def roll(app: "UserConsole", arguments: argparse.Namespace) -> Rolled:
    """Asks many at once, and shows how far everybody is while it waits."""
    check_text(arguments.text)
    own = name_key(app.messenger.user or "")
    names = [name for name in expanded(arguments.names, app.groups()) if name_key(name) != own]
    if not names:
        raise CommandError("That is you; name others.", code="self")
    if len(names) > MAX_ROLL:
        raise CommandError(f"A roll call asks {MAX_ROLL} people at most.", code="too-many")
    line = app.messenger.line
    call = RollCall(names)
    written: dict[str, Outgoing] = {}

    async def ask_one(name: str) -> None:
        try:
            contact = line.core.contact(name)
            shown = contact.name if contact else (await app.messenger.whois(name)).name
            message = (await line.write(shown, arguments.text, choices=arguments.choices or ())).message
        except (Refused, NotConnected, LineError, MailboxFailed) as error:
            call.failed(name, str(error))
        else:
            written[message.id.hex()] = message
            app.watched_questions.add(message.id.hex())
            call.asked(name, message.id.hex())

    async def ask_all() -> None:
        await asyncio.gather(*map(ask_one, names))

    def look() -> bool | None:
        """Whether something shows that did not before."""
        moved = [call.moved(key, line.core.state_of(message)) for key, message in written.items()]
        return True if any(moved) else None

    def take(patience: float) -> bool:
        """Whether one more has answered."""
        came = app.inbox.take(lambda event: _answered(event, written), patience)
        if isinstance(came, MessageArrived):
            call.answered(came.answers, came.text)
        return came is not None

    deadline = monotonic() + arguments.wait
    seen_enough = (KeyboardInterrupt,) if app.interactive else ()
    try:
        app.call(ask_all(), arguments.wait + app.settings.message_patience)
        with contextlib.suppress(*seen_enough), app.live_view() as show:
            while call.open and (left := deadline - monotonic()) > 0:
                if take(min(LOOK, left)) or look():
                    show(Rolled(call.calls, arguments.csv))
    finally:
        app.watched_questions.difference_update(written)
    while take(0.0):
        pass  # who answered in this very moment
    look()
    return Rolled(call.calls, arguments.csv)


def _answered(event: Event, asked: Container[str]) -> bool:
    return isinstance(event, MessageArrived) and event.answers in asked


def _answers(event: Event, asked: str) -> bool:
    return isinstance(event, MessageArrived) and event.answers == asked


def _choices(text: str) -> tuple[str, ...]:
    choices = tuple(dict.fromkeys(choice.strip() for choice in text.split(",") if choice.strip()))
    if not 0 < len(choices) <= MAX_CHOICES or max(map(len, choices)) > MAX_CHOICE:
        raise argparse.ArgumentTypeError(
            f"write 1 to {MAX_CHOICES} choices of {MAX_CHOICE} characters at most, as yes,no"
        )
    return choices


def _ask_arguments(parser: Parser) -> None:
    name_argument(parser)
    parser.add_argument("question", metavar="QUESTION", help="in quotes where it has spaces")
    _choices_argument(parser)
    parser.add_argument("--timeout", type=checked(duration), default=ASK_PATIENCE, metavar="TIME", help="5m")


def _complete(app: "UserConsole", text: str, line: str, begidx: int, endidx: int) -> Completions:
    """Groups, then people."""
    groups = [
        CompletionItem(name, text=name, display_meta=f"group of {len(members)}")
        for name, members in app.groups().items()
        if name.startswith(text)
    ]
    return Completions([*groups, *complete_names(app, text, line, begidx, endidx)])


def _roll_arguments(parser: Parser) -> None:
    parser.add_argument(
        "names", metavar="NAMES", nargs="+", help="people or groups (see group)", completer=_complete
    )
    parser.add_argument("text", metavar="TEXT", help="the question, in quotes where it has spaces")
    _choices_argument(parser)
    parser.add_argument("--csv", action="store_true", help="comma-separated values instead of a table")
    parser.add_argument("--wait", type=checked(duration), default=ROLL_PATIENCE, metavar="TIME", help="60s")


def _choices_argument(parser: Parser) -> None:
    parser.add_argument(
        "--choices", type=_choices, default=(), metavar="A,B", help="the answers to choose from"
    )


def _answer_arguments(parser: Parser) -> None:
    name_argument(parser)
    parser.add_argument("text", metavar="TEXT", nargs="+", help="the answer, as it is")


COMMANDS: tuple[Command["UserConsole"], ...] = (
    Command("ask", TOPIC, "Ask somebody and wait for the answer", ask, _ask_arguments),
    Command("answer", TOPIC, "Answer somebody's question", answer, _answer_arguments, ("name", "text")),
    Command("roll", TOPIC, "Ask many at once, and show who answered", roll, _roll_arguments),
)
