"""Commands of the admin console about people: who is here, who has an account."""

import argparse
from time import time
from typing import TYPE_CHECKING

from rich.console import RenderableType
from rich.table import Table

from server.actions import (
    AccountInfo,
    Accounts,
    ClientInfo,
    Clients,
    Delete,
    Inspect,
    Kick,
    ListAccounts,
    ListClients,
    Prune,
    ResetPassword,
)
from server.console_changes import ShownChange, changed, counted
from server.console_live import live_arguments, show_live
from server.console_names import (
    account_argument,
    account_pattern_argument,
    complete_online,
    dry_run_argument,
    reason_argument,
)
from shell.kit.command import Command, Listing, Outcome, Parser, checked
from shell.kit.tables import table
from shell.kit.theme import marked
from shell.kit.times import ago, moment, past, span
from wire.display import safe

if TYPE_CHECKING:
    from server.console import AdminConsole

TOPIC = "People"
RESET_LIFE = "1d"  # in which a reset token must be used


class ShownClients(Listing, frozen=True):
    """What `clients` shows."""

    clients: tuple[ClientInfo, ...]
    total: int

    def rows(self) -> tuple[ClientInfo, ...]:
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

    def footer(self) -> str:
        """What is not listed."""
        left = self.total - len(self.clients)
        return f"{left:,} more; name a pattern, as `clients a*`." if left else ""


class ShownAccounts(Listing, frozen=True):
    """What `accounts` shows."""

    accounts: tuple[AccountInfo, ...]
    others: bool

    def rows(self) -> tuple[AccountInfo, ...]:
        """Accounts by name."""
        return self.accounts

    def columns(self) -> tuple[str, ...]:
        """Heads."""
        return ("name", "session", "visibility", "created", "last session")

    def cells(self, row: AccountInfo, *, plain: bool) -> tuple[RenderableType, ...]:
        """One account."""
        session = marked("online" if row.online else "offline", plain=plain)
        last = "now" if row.online else moment(row.active)
        return safe(row.name), session, row.visibility.value, moment(row.created), last

    def empty(self) -> str:
        """None, or none that fits."""
        return "No accounts."

    def footer(self) -> str:
        """What is not listed."""
        return "There are more; name a pattern, as `accounts a*`." if self.others else ""


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
            ("last session", "now" if session else moment(account.active)),
            ("key", account.fingerprint),
        ]
        if session:
            rows += [("shell", safe(session.version)), ("endpoints", ", ".join(session.endpoints) or "none")]
        return table(("what", "value"), rows, plain=plain)


def _clients(app: "AdminConsole", arguments: argparse.Namespace) -> Outcome | None:
    def look() -> ShownClients:
        found: Clients = app.operator.ask(ListClients(arguments.pattern))
        return ShownClients(found.clients, found.total)

    return show_live(app, arguments, look)


def _accounts(app: "AdminConsole", arguments: argparse.Namespace) -> Outcome:
    found: Accounts = app.operator.ask(ListAccounts(arguments.pattern, arguments.idle_since))
    return ShownAccounts(found.accounts, found.more)


def _inspect(app: "AdminConsole", arguments: argparse.Namespace) -> Outcome:
    details = app.operator.ask(Inspect(arguments.name))
    return Inspected(details.account, details.session)


def _kick(app: "AdminConsole", arguments: argparse.Namespace) -> ShownChange:
    kick = Kick(arguments.name, reason=arguments.reason or "", dry_run=arguments.dry_run)
    return changed(app.operator.ask(kick), f"{safe(arguments.name)} was kicked.")


def _passwd(app: "AdminConsole", arguments: argparse.Namespace) -> ShownChange:
    until = time() + arguments.time
    reset = ResetPassword(arguments.name, until, reason=arguments.reason or "", dry_run=arguments.dry_run)
    name = safe(arguments.name)
    return changed(
        app.operator.ask(reset),
        f"Good until {moment(until)}, once: `login {name} --reset TOKEN` sets a new password.",
    )


def _delete(app: "AdminConsole", arguments: argparse.Namespace) -> ShownChange:
    delete = Delete(arguments.name, reason=arguments.reason or "", dry_run=arguments.dry_run)
    return changed(app.operator.ask(delete), f"The account {safe(arguments.name)} is deleted.")


def _prune(app: "AdminConsole", arguments: argparse.Namespace) -> ShownChange:
    prune = Prune(arguments.idle_since, reason=arguments.reason or "", dry_run=arguments.dry_run)
    done = app.operator.ask(prune)
    return changed(done, f"{counted(len(done.hit), 'account is', 'accounts are')} deleted.")


def _clients_arguments(parser: Parser) -> None:
    account_pattern_argument(parser)
    live_arguments(parser)


def _accounts_arguments(parser: Parser) -> None:
    account_pattern_argument(parser)
    parser.add_argument(
        "--idle-since",
        type=checked(past),
        metavar="DATE|TIME",
        help="only those without a session since then, as 180d",
    )


def _passwd_arguments(parser: Parser) -> None:
    account_argument(parser)
    reason_argument(parser, "for the journal")
    parser.add_argument(
        "--for",
        dest="time",
        type=checked(span),
        default=RESET_LIFE,
        metavar="TIME",
        help=f"good for ({RESET_LIFE})",
    )
    dry_run_argument(parser)


def _delete_arguments(parser: Parser) -> None:
    account_argument(parser)
    reason_argument(parser, "for the journal")
    dry_run_argument(parser)


def _prune_arguments(parser: Parser) -> None:
    reason_argument(parser, "for the journal")
    parser.add_argument(
        "--idle-since", type=checked(past), required=True, metavar="DATE|TIME", help="as 2026-01-31 or 180d"
    )
    dry_run_argument(parser)


def _kick_arguments(parser: Parser) -> None:
    parser.add_argument("name", metavar="NAME", help="whose session", completer=complete_online)
    reason_argument(parser, "told to them")
    dry_run_argument(parser)


COMMANDS: tuple[Command["AdminConsole"], ...] = (
    Command("clients", TOPIC, "List live sessions", _clients, _clients_arguments),
    Command("accounts", TOPIC, "List accounts", _accounts, _accounts_arguments),
    Command("inspect", TOPIC, "Show all about an account", _inspect, account_argument),
    Command(
        "kick",
        TOPIC,
        "End somebody's session and tell them why",
        _kick,
        _kick_arguments,
        ("name", "reason?"),
        options_between=True,
    ),
    Command(
        "passwd",
        TOPIC,
        "Make a one-time token for a forgotten password",
        _passwd,
        _passwd_arguments,
        ("name", "reason?"),
        options_between=True,
    ),
    Command(
        "delete",
        TOPIC,
        "Delete an account",
        _delete,
        _delete_arguments,
        ("name", "reason?"),
        options_between=True,
    ),
    Command(
        "prune",
        TOPIC,
        "Delete accounts that are idle",
        _prune,
        _prune_arguments,
        ("reason?",),
        options_between=True,
    ),
)
