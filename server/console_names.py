"""Names at the admin console's prompt: what completes, and the arguments that commands share."""

from typing import TYPE_CHECKING

from cmd2 import Completions
from cmd2.completion import CompletionItem

from server.actions import ListAccounts, ListClients
from shell.kit.command import Parser, pattern_argument
from shell.kit.theme import marked

if TYPE_CHECKING:
    from server.console import AdminConsole

MAX_COMPLETED = 100  # names that one Tab offers


def complete_online(app: "AdminConsole", text: str, line: str, begidx: int, endidx: int) -> Completions:
    """Everybody who is logged in."""
    found = app.operator.ask(ListClients(text)).clients[:MAX_COMPLETED]
    return Completions(
        [CompletionItem(client.name, text=client.name, display_meta=client.address) for client in found]
    )


def complete_accounts(app: "AdminConsole", text: str, line: str, begidx: int, endidx: int) -> Completions:
    """Everybody who has an account."""
    found = app.operator.ask(ListAccounts(text)).accounts[:MAX_COMPLETED]
    return Completions(
        [
            CompletionItem(
                account.name,
                text=account.name,
                display_meta=marked("online" if account.online else "offline", plain=app.plain),
            )
            for account in found
        ]
    )


def account_argument(parser: Parser) -> None:
    """One account."""
    parser.add_argument("name", metavar="NAME", help="whose account", completer=complete_accounts)


def account_pattern_argument(parser: Parser) -> None:
    """Which accounts."""
    pattern_argument(parser, complete_accounts)


def reason_argument(parser: Parser, told: str) -> None:
    """Why; the rest of the line, as it is typed."""
    parser.add_argument("reason", metavar="REASON", nargs="*", help=told)


def dry_run_argument(parser: Parser) -> None:
    """For commands that change something."""
    parser.add_argument("--dry-run", action="store_true", help="only say whom it would hit")
