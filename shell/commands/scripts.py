"""Commands for scripts and transcripts: waiting for what arrives by itself."""

import argparse
from collections.abc import Callable
from typing import TYPE_CHECKING

from cmd2 import Completions
from rich.text import Text

from shell.commands.names import complete_names
from shell.events import (
    Event,
    MessageArrived,
    MessagesRead,
    NoticeArrived,
    Reconnected,
    RequestArrived,
    SessionEnded,
)
from shell.kit.command import Command, Outcome, Parser
from shell.kit.errors import CommandError, ExitCode
from shell.news import REASONS
from wire.display import safe
from wire.messages import Status
from wire.names import name_key

if TYPE_CHECKING:
    from shell.console import UserConsole

TOPIC = "Scripts"
PATIENCE = 10.0  # seconds that `wait` waits unless told otherwise
KINDS = ("message", "request", "status", "delivered", "read", "notice", "end", "connection")
STATUSES = tuple(status.value for status in Status)


class Waited(Outcome, frozen=True):
    """What came."""

    kind: str
    name: str = ""
    text: str = ""

    def render(self, *, plain: bool) -> Text:
        """One line, the same every time."""
        name, text = safe(self.name), safe(self.text, keep_newlines=True)
        match self.kind:
            case "message":
                return Text(f"{name}: {text}")
            case "request":
                return Text(f"{name} wants to talk to you.")
            case "status":
                return Text(f"{name} is {text}.")
            case "delivered":
                return Text(f"Everything to {name} is delivered." if name else "Everything is delivered.")
            case "read":
                return Text(f"{name} has read your messages.")
            case "notice":
                return Text(f"Notice: {text}")
            case "connection":
                return Text("The phone book is back.")
            case _:
                return Text(text)


def wait(app: "UserConsole", arguments: argparse.Namespace) -> Outcome:
    """Waits for one thing that arrives by itself."""
    name, patience = arguments.name, arguments.timeout
    key = name_key(name) if name else None

    def event(fits: Callable[[Event], bool]) -> Event:
        found = app.inbox.take(fits, patience)
        if found is None:
            raise _timed_out(arguments)
        return found

    def of(kind: type[MessageArrived | RequestArrived | MessagesRead]) -> Callable[[Event], bool]:
        return lambda event: isinstance(event, kind) and key in (None, name_key(event.name))

    match arguments.kind:
        case "message":
            arrived = event(of(MessageArrived))
            assert isinstance(arrived, MessageArrived)  # noqa: S101 - for the type checker
            app.looked_at(arrived.name)
            return Waited("message", arrived.name, arrived.text)
        case "request":
            _wait_until(app, arguments, lambda: _requester(app, key))
            return Waited("request", _requester(app, key) or "")
        case "status":
            return _wait_status(app, arguments)
        case "delivered":
            core = app.messenger.line.core
            _wait_until(
                app,
                arguments,
                lambda: None if (core.waiting(name) if name else core.undelivered()) else True,
            )
            return Waited("delivered", name or "")
        case "read":
            read = event(of(MessagesRead))
            assert isinstance(read, MessagesRead)  # noqa: S101 - for the type checker
            return Waited("read", read.name)
        case "notice":
            notice = event(lambda event: isinstance(event, NoticeArrived))
            assert isinstance(notice, NoticeArrived)  # noqa: S101 - for the type checker
            return Waited("notice", "", notice.text)
        case "end":
            ended = event(lambda event: isinstance(event, SessionEnded))
            assert isinstance(ended, SessionEnded)  # noqa: S101 - for the type checker
            return Waited("end", "", f"{REASONS[ended.reason]}{f': {ended.text}' if ended.text else '.'}")
        case _:
            event(lambda event: isinstance(event, Reconnected))
            return Waited("connection")


def _wait_status(app: "UserConsole", arguments: argparse.Namespace) -> Waited:
    if not arguments.name or not arguments.status:
        raise CommandError(
            "Say whose status and which: `wait status NAME STATUS`.", code="usage", exit_code=ExitCode.USAGE
        )
    status = app.call(app.messenger.watch(arguments.name))
    if status is None:
        raise CommandError(f"There is no account {safe(arguments.name)}.", code="unknown-name")
    key = name_key(arguments.name)
    wanted = Status(arguments.status)
    _wait_until(app, arguments, lambda: True if app.messenger.statuses.get(key) is wanted else None)
    return Waited("status", arguments.name, wanted.value)


def _wait_until(app: "UserConsole", arguments: argparse.Namespace, found: Callable[[], object]) -> None:
    if app.inbox.until(found, arguments.timeout) is None:
        raise _timed_out(arguments)


def _requester(app: "UserConsole", key: str | None) -> str | None:
    for contact, _ in app.messenger.line.core.requests():
        if key in (None, contact.key):
            return contact.name
    return None


def _timed_out(arguments: argparse.Namespace) -> CommandError:
    what = " ".join(filter(None, (arguments.kind, arguments.name, arguments.status)))
    exit_code = ExitCode.QUEUED if arguments.kind == "delivered" else ExitCode.USER
    return CommandError(
        f"Waited {arguments.timeout:g} s in vain for: {what}.", code="timed-out", exit_code=exit_code
    )


def _complete_name(app: "UserConsole", text: str, line: str, begidx: int, endidx: int) -> Completions:
    return complete_names(app, text, line, begidx, endidx)


def _arguments(parser: Parser) -> None:
    parser.add_argument("kind", choices=KINDS, help="what to wait for")
    parser.add_argument("name", metavar="NAME", nargs="?", help="from whom", completer=_complete_name)
    parser.add_argument("status", nargs="?", choices=STATUSES, help="for `wait status`: which")
    parser.add_argument("--timeout", type=float, default=PATIENCE, metavar="S", help="seconds (10)")


COMMANDS: tuple[Command["UserConsole"], ...] = (
    Command("wait", TOPIC, "Wait for what arrives by itself, then show it", wait, _arguments),
)
