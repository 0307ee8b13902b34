"""Names in commands: who is meant, the nearest right one, and completion with the status beside each."""

from typing import TYPE_CHECKING

from cmd2 import Completions
from cmd2.completion import CompletionItem

from settings.spelling import nearest
from shell.kit.command import Parser
from shell.kit.errors import CommandError
from shell.kit.theme import marked
from wire.display import safe
from wire.errors import ErrorCode, Refused
from wire.messages import Status
from wire.names import NameKey, name_key

if TYPE_CHECKING:
    from shell.console import UserConsole

MAX_COMPLETED = 100  # names that one Tab offers
PATIENCE = 1.0  # seconds that a Tab may take


def complete_names(app: "UserConsole", text: str, line: str, begidx: int, endidx: int) -> Completions:
    """Names that begin with what was typed; those of contacts where the phone book is away."""
    messenger = app.messenger
    try:
        people = app.bridge.call(messenger.people(text, None, MAX_COMPLETED), PATIENCE)
        found = {person.name: person.status for person in people if person.name != messenger.user}
    except Exception:
        contacts = messenger.line.core.contacts() if messenger.user else []
        found = {
            contact.name: messenger.statuses.get(contact.key, Status.OFFLINE)
            for contact in contacts
            if contact.key.startswith(name_key(text))
        }
    return Completions(
        [
            CompletionItem(name, text=name, display_meta=marked(status.value, plain=app.plain))
            for name, status in found.items()
            if safe(name) == name
        ]
    )


def complete_requests(app: "UserConsole", text: str, line: str, begidx: int, endidx: int) -> Completions:
    """Names of those who wait for an answer."""
    waiting = app.messenger.line.core.requests() if app.messenger.user else []
    return Completions(
        [
            CompletionItem(contact.name, text=contact.name, display_meta=f"{count} waiting")
            for contact, count in waiting
            if contact.key.startswith(name_key(text))
        ]
    )


def named(app: "UserConsole", name: str) -> str:
    """Whom to write to, as they wrote themselves; a contact at any time, anybody else must exist."""
    contact = app.messenger.line.core.contact(name)
    try:
        found = contact.name if contact else app.call(app.messenger.whois(name)).name
    except Refused as error:
        if error.code is not ErrorCode.UNKNOWN_NAME:
            raise
        raise CommandError(f"{safe(str(error))}{_nearest(app, name)}", code=error.slug) from None
    if name_key(found) == name_key(app.messenger.user or ""):
        raise CommandError("That is you; notes to yourself are better kept in a file.", code="self")
    return found


def known(app: "UserConsole", name: str) -> str:
    """Somebody of whom there may be messages, as they wrote themselves."""
    contact = app.messenger.line.core.contact(name)
    if contact is None:
        raise CommandError(
            f"There are no messages with {safe(name)}.{_nearest(app, name)}", code="no-messages"
        )
    return contact.name


def _nearest(app: "UserConsole", name: str) -> str:
    names = {contact.key: contact.name for contact in app.messenger.line.core.contacts()}
    near = nearest(name_key(name), names)
    return f" Did you mean {safe(names[NameKey(near)])}?" if near else ""


def name_argument(parser: Parser) -> None:
    """The NAME of most commands."""
    parser.add_argument("name", metavar="NAME", help="whom", completer=complete_names)


def requester_argument(parser: Parser) -> None:
    """The NAME of commands that answer a request."""
    parser.add_argument("name", metavar="NAME", help="who asked", completer=complete_requests)
