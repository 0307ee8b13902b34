"""Commands for scripts and transcripts: waiting for what arrives by itself."""

import argparse
from collections.abc import Callable
from typing import TYPE_CHECKING

from rich.text import Text

from shell.commands.names import complete_names
from shell.events import MessageArrived, SessionEnded
from shell.filters import KINDS, Filter, name_of, text_of
from shell.inbox import MAX_EVENTS
from shell.kit.command import Command, Outcome, Parser, checked
from shell.kit.errors import CommandError, ExitCode
from shell.kit.hanging import Hanging
from shell.kit.times import duration
from shell.news import REASONS
from wire.display import safe
from wire.messages import Status
from wire.names import name_key

if TYPE_CHECKING:
    from shell.console import UserConsole

TOPIC = "Scripts"
PATIENCE = "10s"  # that `wait` waits unless told otherwise
STATUSES = tuple(status.value for status in Status)


class Waited(Outcome, frozen=True):
    """What came."""

    kind: str
    name: str = ""
    text: str = ""

    def render(self, *, plain: bool) -> Hanging:
        """One entry, the same every time."""
        return Hanging(self._said())

    def _said(self) -> Text:
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
            case "knock":
                return Text(f"{name} knocks.")
            case "key":
                return Text(f"The key of {name} has changed.")
            case "offer":
                return Text(f"{name} offers {text}.")
            case "file":
                return Text(f"{name}: {text}.")
            case "notice":
                return Text(f"Notice: {text}")
            case "connection":
                return Text("The phone book is back.")
            case _:
                return Text(text)


def wait(app: "UserConsole", arguments: argparse.Namespace) -> Waited:
    """Waits for one thing that arrives by itself."""
    name = arguments.name
    key = name_key(name) if name else None
    match arguments.kind:
        case "request":
            _wait_until(app, arguments, lambda: _requester(app, key))
            return Waited("request", _requester(app, key) or "")
        case "status" if name:
            return _wait_status(app, arguments)
        case "delivered":
            core = app.messenger.line.core
            _wait_until(
                app,
                arguments,
                lambda: None if (core.waiting(name) if name else core.undelivered()) else True,
            )
            return Waited("delivered", name or "")
        case _:
            return _arrived(app, arguments)


def _arrived(app: "UserConsole", arguments: argparse.Namespace) -> Waited:
    ends = arguments.kind == "end"
    event = app.inbox.take(wanted(arguments).fits, arguments.timeout, lambda: not ends and _left(app))
    if lost := app.inbox.lost(arguments.kind):
        app.remark(
            "events-lost",
            f"{lost:,} more came before `wait {arguments.kind}` asked for them and went: "
            f"no more than {MAX_EVENTS:,} are kept.",
        )
    if event is None:
        raise _in_vain(app, arguments)
    text = text_of(event)
    match event:
        case MessageArrived():
            app.looked_at(event.name)
        case SessionEnded(reason, words):
            app.session_ended = None  # it is told now
            text = f"{REASONS[reason]}{f': {words}' if words else '.'}"
    return Waited(arguments.kind, name_of(event), text)


def wanted(arguments: argparse.Namespace) -> Filter:
    """The filter that was asked for."""
    return Filter(
        arguments.kind,
        arguments.name or "",
        arguments.status or "",
        arguments.containing,
        arguments.matching,
    )


def _wait_status(app: "UserConsole", arguments: argparse.Namespace) -> Waited:
    if not arguments.status:
        raise CommandError(
            "Say whose status and which: `wait status NAME STATUS`.", code="usage", exit_code=ExitCode.USAGE
        )
    status = app.call(app.messenger.lookup.watch(arguments.name))
    if status is None:
        raise CommandError(f"There is no account {safe(arguments.name)}.", code="unknown-name")
    key = name_key(arguments.name)
    wanted = Status(arguments.status)
    _wait_until(app, arguments, lambda: True if app.messenger.statuses.get(key) is wanted else None)
    return Waited("status", arguments.name, wanted.value)


def _wait_until(app: "UserConsole", arguments: argparse.Namespace, found: Callable[[], object]) -> None:
    if app.inbox.until(found, arguments.timeout, lambda: _left(app)) is None:
        raise _in_vain(app, arguments)


def _left(app: "UserConsole") -> bool:
    """Whether nobody is logged in, so that nothing more can come."""
    return app.messenger.user is None


def _requester(app: "UserConsole", key: str | None) -> str | None:
    for contact, _ in app.messenger.line.core.requests():
        if key in (None, contact.key):
            return contact.name
    return None


def _in_vain(app: "UserConsole", arguments: argparse.Namespace) -> CommandError:
    if arguments.kind != "end" and _left(app):
        return CommandError(
            "You are not logged in, so nothing more comes; `wait end` says why a session ended.",
            code="not-logged-in",
            exit_code=ExitCode.NETWORK,
        )
    what = " ".join(filter(None, (arguments.kind, arguments.name, arguments.status)))
    exit_code = ExitCode.QUEUED if arguments.kind == "delivered" else ExitCode.USER
    return CommandError(
        f"Waited {arguments.timeout:g} s in vain for: {what}.", code="timed-out", exit_code=exit_code
    )


def filter_arguments(parser: Parser) -> None:
    """What tells one event from another of its kind."""
    parser.add_argument(
        "name", metavar="NAME", nargs="?", help="from or about whom", completer=complete_names
    )
    parser.add_argument(
        "status",
        metavar="STATUS",
        nargs="?",
        choices=STATUSES,
        help=f"for `status`: {', '.join(STATUSES)}",
    )
    parser.add_argument(
        "--containing", default="", metavar="TEXT", help="only a text that has this in it, in any case"
    )
    parser.add_argument(
        "--matching", default="", metavar="PATTERN", help="only a text like this, with * and ?, in any case"
    )


def _arguments(parser: Parser) -> None:
    parser.add_argument(
        "kind", metavar="KIND", choices=tuple(KINDS), help=f"what to wait for: {', '.join(KINDS)}"
    )
    filter_arguments(parser)
    parser.add_argument(
        "--timeout", type=checked(duration), default=PATIENCE, metavar="TIME", help=f"how long ({PATIENCE})"
    )


COMMANDS: tuple[Command["UserConsole"], ...] = (
    Command("wait", TOPIC, "Wait for what arrives by itself, then show it", wait, _arguments),
)
