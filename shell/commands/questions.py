"""Commands that ask: one person and wait for the answer, or many at once."""

import argparse
import asyncio
import re
from time import monotonic
from typing import TYPE_CHECKING

import msgspec
from rich.console import RenderableType
from rich.text import Text

from shell import letters
from shell.commands.names import complete_names, name_argument, named
from shell.commands.talk import check_text
from shell.errors import MailboxFailed
from shell.events import Event, MessageArrived
from shell.kit.command import Command, Listing, Outcome, Parser
from shell.kit.errors import CommandError, ExitCode
from shell.line.errors import LineError
from shell.line.model import State
from shell.line.settling import Settled
from wire.display import safe
from wire.errors import Refused
from wire.limits import MAX_CHOICE, MAX_CHOICES
from wire.names import name_key

if TYPE_CHECKING:
    from shell.console import UserConsole

TOPIC = "Questions"
ASK_PATIENCE, ROLL_PATIENCE = "5m", "60s"
MAX_ROLL = 200  # people that one roll call asks
_SECONDS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_DURATION = re.compile(r"(\d+(?:\.\d+)?)([smhd]?)")


class Answered(Outcome, frozen=True):
    """What somebody answered."""

    name: str
    answer: str
    agreed: bool
    """Whether it is the first of the choices, or any answer where none were offered."""

    def render(self, *, plain: bool) -> Text:
        """The answer alone, so that a script can take it."""
        return Text(safe(self.answer, keep_newlines=True))

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


class Call(msgspec.Struct, frozen=True):
    """One person of a roll call."""

    name: str
    state: str
    """`answered`, `delivered`, `held`, `refused`, `queued`, or `failed`."""
    answer: str = ""


class RollCall(Listing, frozen=True):
    """What `roll` shows."""

    calls: list[Call]

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


def ask(app: "UserConsole", arguments: argparse.Namespace) -> Outcome:
    """Asks one person and waits for the answer."""
    check_text(arguments.question)
    name = named(app, arguments.name)
    line = app.messenger.line
    written = app.call(line.write(name, arguments.question, choices=arguments.choices))
    asked = written.message.id.hex()
    answer = app.inbox.take(lambda event: _answers(event, asked), arguments.timeout)
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


def answer(app: "UserConsole", arguments: argparse.Namespace) -> Outcome:
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

    async def send() -> Settled:
        written = await line.write(name, text, answers=question.id)
        return await line.settled(written, app.settings.message_patience)

    app.looked_at(name)
    return Delivered(name, app.call(send()).state.value)


def roll(app: "UserConsole", arguments: argparse.Namespace) -> Outcome:
    """Asks many at once, and shows who answered what."""
    check_text(arguments.text)
    names = list(dict.fromkeys(arguments.names))
    if len(names) > MAX_ROLL:
        raise CommandError(f"A roll call asks {MAX_ROLL} people at most.", code="too-many")
    line = app.messenger.line
    deadline = monotonic() + arguments.wait

    async def call_one(name: str) -> tuple[str, str, Settled | str]:
        try:
            found = line.core.contact(name)
            shown = found.name if found else (await app.messenger.whois(name)).name
            written = await line.write(shown, arguments.text, choices=arguments.choices or ())
            return shown, written.message.id.hex(), await line.settled(written, arguments.wait)
        except (Refused, LineError, MailboxFailed) as error:
            return name, "", str(error)

    async def call_all() -> list[tuple[str, str, Settled | str]]:
        return await asyncio.gather(*map(call_one, names))

    calls: list[Call] = []
    for name, asked, settled in app.call(call_all(), arguments.wait + app.settings.message_patience):
        if isinstance(settled, str):
            calls.append(Call(name, "failed", settled))
            continue
        patience = max(0.0, deadline - monotonic()) if settled.state is State.DELIVERED else 0.0
        came = app.inbox.take(lambda event, asked=asked: _answers(event, asked), patience)  # type: ignore[misc]
        if isinstance(came, MessageArrived):
            calls.append(Call(name, "answered", came.text))
        else:
            calls.append(Call(name, settled.state.value))
    return RollCall(calls)


def _answers(event: Event, asked: str) -> bool:
    return isinstance(event, MessageArrived) and event.answers == asked


def _duration(text: str) -> float:
    """Seconds from `90`, `60s`, `5m`, `1.5h` or `2d`."""
    found = _DURATION.fullmatch(text)
    if found is None:
        raise argparse.ArgumentTypeError(f"{text!r} is no duration; write 90, 60s, 5m or 2h")
    return float(found[1]) * _SECONDS[found[2] or "s"]


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
    parser.add_argument("--timeout", type=_duration, default=ASK_PATIENCE, metavar="TIME", help="5m")


def _roll_arguments(parser: Parser) -> None:
    parser.add_argument("names", metavar="NAMES", nargs="+", help="whom", completer=complete_names)
    parser.add_argument("text", metavar="TEXT", help="the question, in quotes where it has spaces")
    _choices_argument(parser)
    parser.add_argument("--wait", type=_duration, default=ROLL_PATIENCE, metavar="TIME", help="60s")


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
