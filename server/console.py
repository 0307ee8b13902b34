"""The admin console: sees everything but words, and can end sessions. Same kit as the user's shell."""

import argparse
import io
import signal
import sys
from collections.abc import Callable
from datetime import datetime, timedelta

from cmd2 import Completions
from cmd2.completion import CompletionItem
from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from server.effects import Happened
from server.embedded import EmbeddedPhoneBook
from server.operator import AccountInfo, ClientInfo, Operator, Stats
from shell.kit.app import ConsoleApp
from shell.kit.command import Command, Listing, Outcome, Parser, Said
from shell.kit.errors import CommandError
from shell.kit.tables import table
from shell.kit.theme import QUIET, marked
from shell.kit.times import ago, moment
from wire.display import safe
from wire.errors import Refused
from wire.names import name_key

PEOPLE, SERVER = "People", "Server"
MAX_COMPLETED = 100  # names that one Tab offers
PROMPT = "server> "


class Clients(Listing, frozen=True):
    """What `clients` shows."""

    clients: list[ClientInfo]

    def rows(self) -> list[ClientInfo]:
        """Live sessions."""
        return self.clients

    def columns(self) -> tuple[str, ...]:
        """Heads."""
        return ("name", "from", "visibility", "for", "shell")

    def cells(self, row: ClientInfo, *, plain: bool) -> tuple[RenderableType, ...]:
        """One session."""
        visibility = marked(row.visibility.value, plain=plain)
        return safe(row.name), row.address, visibility, ago(row.since), safe(row.version)

    def empty(self) -> str:
        """No session."""
        return "Nobody is logged in."


class Accounts(Listing, frozen=True):
    """What `accounts` shows."""

    accounts: list[AccountInfo]

    def rows(self) -> list[AccountInfo]:
        """Accounts by name."""
        return self.accounts

    def columns(self) -> tuple[str, ...]:
        """Heads."""
        return ("name", "session", "visibility", "created")

    def cells(self, row: AccountInfo, *, plain: bool) -> tuple[RenderableType, ...]:
        """One account."""
        session = marked("online" if row.online else "offline", plain=plain)
        return safe(row.name), session, row.visibility.value, moment(row.created)

    def empty(self) -> str:
        """None, or none that fits."""
        return "No accounts."


class Inspected(Outcome, frozen=True):
    """What `inspect` shows."""

    account: AccountInfo
    session: ClientInfo | None

    def render(self, *, plain: bool) -> Table:
        """All there is to know."""
        account, session = self.account, self.session
        rows: list[tuple[RenderableType, ...]] = [
            ("name", safe(account.name)),
            ("session", f"from {session.address} for {ago(session.since)}" if session else "none"),
            ("visibility", account.visibility.value),
            ("created", moment(account.created)),
            ("last seen", moment(account.last_seen)),
            ("key", account.fingerprint),
        ]
        if session:
            rows += [("shell", safe(session.version)), ("endpoints", ", ".join(session.endpoints) or "none")]
        return table(("what", "value"), rows, plain=plain)


class Figures(Outcome, frozen=True):
    """What `stats` shows."""

    stats: Stats

    def records(self) -> list[Stats]:
        """One object."""
        return [self.stats]

    def render(self, *, plain: bool) -> Table:
        """One row a figure."""
        stats = self.stats
        rows = [
            ("uptime", str(timedelta(seconds=int(stats.uptime)))),
            ("accounts", f"{stats.accounts:,}"),
            ("sessions", f"{stats.sessions:,}"),
            ("connections", f"{stats.connections:,}"),
            ("requests", f"{stats.requests:,}"),
            ("password hashes waiting", str(stats.hashes_waiting)),
            *((what, f"{count:,}") for what, count in stats.events.items()),
        ]
        return table(("what", "figure"), rows, plain=plain)


def _clients(app: "AdminConsole", arguments: argparse.Namespace) -> Outcome:
    return Clients(app.operator.clients())


def _accounts(app: "AdminConsole", arguments: argparse.Namespace) -> Outcome:
    return Accounts(app.operator.accounts(arguments.pattern))


def _inspect(app: "AdminConsole", arguments: argparse.Namespace) -> Outcome:
    details = app.operator.inspect(arguments.name)
    return Inspected(details.account, details.session)


def _kick(app: "AdminConsole", arguments: argparse.Namespace) -> Outcome:
    if not app.operator.kick(arguments.name, arguments.reason or ""):
        raise CommandError(f"{safe(arguments.name)} is not logged in.", code="not-online")
    return Said(f"{safe(arguments.name)} was kicked.")


def _notice(app: "AdminConsole", arguments: argparse.Namespace) -> Outcome:
    reached = app.operator.notice(arguments.text)
    return Said(f"Told {reached} {'person' if reached == 1 else 'people'}.")


def _stats(app: "AdminConsole", arguments: argparse.Namespace) -> Outcome:
    return Figures(app.operator.stats())


def _watch(app: "AdminConsole", arguments: argparse.Namespace) -> Outcome:
    app.watching = arguments.switch == "on"
    return Said("What happens is shown as it happens." if app.watching else "The feed is off.")


def _shutdown(app: "AdminConsole", arguments: argparse.Namespace) -> None:
    app.operator.shutdown(arguments.text or "")
    raise SystemExit(0)


def _complete_online(app: "AdminConsole", text: str, line: str, begidx: int, endidx: int) -> Completions:
    names = [client for client in app.operator.clients() if name_key(client.name).startswith(name_key(text))]
    return Completions(
        [
            CompletionItem(client.name, text=client.name, display_meta=client.address)
            for client in names[:MAX_COMPLETED]
        ]
    )


def _complete_accounts(app: "AdminConsole", text: str, line: str, begidx: int, endidx: int) -> Completions:
    return Completions(
        [
            CompletionItem(
                account.name,
                text=account.name,
                display_meta=marked("online" if account.online else "offline", plain=app.plain),
            )
            for account in app.operator.accounts(text)[:MAX_COMPLETED]
        ]
    )


def _pattern_argument(parser: Parser) -> None:
    parser.add_argument(
        "pattern",
        metavar="PATTERN",
        nargs="?",
        default="",
        help="a beginning of names, or a pattern with * and ?",
        completer=_complete_accounts,
    )


def _account_argument(parser: Parser) -> None:
    parser.add_argument("name", metavar="NAME", help="whose account", completer=_complete_accounts)


def _kick_arguments(parser: Parser) -> None:
    parser.add_argument("name", metavar="NAME", help="whose session", completer=_complete_online)
    parser.add_argument("reason", metavar="REASON", nargs="*", help="told to them")


def _notice_arguments(parser: Parser) -> None:
    parser.add_argument("text", metavar="TEXT", nargs="+", help="told to everybody, as it is")


def _watch_arguments(parser: Parser) -> None:
    parser.add_argument("switch", nargs="?", default="on", choices=("on", "off"), help="the feed")


def _shutdown_arguments(parser: Parser) -> None:
    parser.add_argument("text", metavar="TEXT", nargs="*", help="told to everybody")


COMMANDS: tuple[Command["AdminConsole"], ...] = (
    Command("clients", PEOPLE, "List live sessions", _clients),
    Command("accounts", PEOPLE, "List accounts", _accounts, _pattern_argument),
    Command("inspect", PEOPLE, "Show all about an account", _inspect, _account_argument),
    Command(
        "kick",
        PEOPLE,
        "End somebody's session and tell them why",
        _kick,
        _kick_arguments,
        ("name", "reason?"),
    ),
    Command("notice", SERVER, "Tell everybody something", _notice, _notice_arguments, ("text",)),
    Command("stats", SERVER, "Show the phone book in figures", _stats),
    Command("watch", SERVER, "Show logins, kicks and the like as they happen", _watch, _watch_arguments),
    Command("shutdown", SERVER, "Tell everybody and stop", _shutdown, _shutdown_arguments, ("text?",)),
)


class AdminConsole(ConsoleApp):
    """The operator's console of one phone book."""

    COMMANDS = COMMANDS

    def __init__(self, operator: Operator, *, output: io.StringIO | None = None) -> None:
        self.operator = operator
        self._unsubscribe = operator.subscribe(self._happened)
        self.watching = False
        history = operator.book.server.folder / "typed-commands.dat" if output is None else None
        super().__init__(prompt=PROMPT, history_file=history, stdout=output, stderr=output)

    def translate(self, error: BaseException) -> CommandError | None:
        """What the phone book refuses is the operator's to mend."""
        if isinstance(error, Refused):
            return CommandError(safe(str(error)), code=error.slug)
        if isinstance(error, RuntimeError | TimeoutError) and not self.operator.book.running:
            return CommandError("The phone book has stopped.", code="stopped")
        return super().translate(error)

    def get_bottom_toolbar(self) -> str:
        """Where it listens and how many are there; read without asking the other thread."""
        server = self.operator.book.server
        host, port = server.address
        return f" phone book {host}:{port} | {len(server.connections)} connections "

    def close(self) -> None:
        """No more news."""
        self._unsubscribe()

    def _happened(self, event: Happened) -> None:
        if self.watching:
            details = ", ".join(safe(detail) for detail in (event.detail, event.address) if detail)
            detail = f" ({details})" if details else ""
            moment = datetime.fromtimestamp(event.when).astimezone()
            line = (f"{moment:%H:%M:%S} ", QUIET), f"{event.what}: {safe(event.name)}{detail}"
            self.announce(Text.assemble(*line))


def run_console(book: EmbeddedPhoneBook, serve: Callable[[], int]) -> int:
    """The console in the server's own terminal; leaving it stops the phone book.

    Without a terminal the commands come from a pipe, and after its end the phone book serves on.
    """
    console = AdminConsole(Operator(book))
    try:
        if console.interactive:
            return console.interact()
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
        code = int(console.run_pipe())
        return serve() if book.running else code
    finally:
        console.close()
        book.stop()
