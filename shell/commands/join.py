"""Commands to find a phone book and to go there: the first run, and every change of mind after it."""

import argparse
from typing import TYPE_CHECKING

import msgspec
from cmd2 import string_utils
from rich.console import RenderableType
from rich.text import Text

from shell.datafolder import Joined
from shell.discovery import FoundPhoneBook, find_phone_books, reachable
from shell.errors import AlreadyLoggedIn, DiscoveryFailed
from shell.kit.command import Command, Listing, Parser, Said
from shell.kit.errors import CommandError, ExitCode
from wire.display import safe
from wire.errors import ErrorCode, Refused

if TYPE_CHECKING:
    from shell.console import UserConsole

TOPIC = "Account"
HOST_ANSWER = "h"
YES, NO = ("", "y", "yes"), ("n", "no")


class PhoneBookRow(msgspec.Struct, frozen=True):
    """One line of `discover`."""

    name: str
    """As it calls itself; nobody vouches for that."""
    addresses: list[str]
    """Each HOST:PORT, the likeliest first."""


class PhoneBooks(Listing, frozen=True):
    """What `discover` shows."""

    found: list[PhoneBookRow]

    def rows(self) -> list[PhoneBookRow]:
        """By name."""
        return self.found

    def columns(self) -> tuple[str, ...]:
        """Heads."""
        return ("phone book", "join with")

    def cells(self, row: PhoneBookRow, *, plain: bool) -> tuple[RenderableType, ...]:
        """One phone book."""
        return Text(safe(row.name)), f"join {safe(row.addresses[0])}"

    def empty(self) -> str:
        """None is announced."""
        return "No phone book is announced on this network; `parley --host` makes one."


def discover(app: "UserConsole", arguments: argparse.Namespace) -> PhoneBooks:
    """Looks around on the local network."""
    found = find_phone_books(app.settings.discover)
    return PhoneBooks([PhoneBookRow(book.name, list(book.addresses)) for book in found])


def join(app: "UserConsole", arguments: argparse.Namespace) -> Said | None:
    """Goes to a phone book, makes or takes an account there, and remembers both."""
    if app.user is not None:
        raise AlreadyLoggedIn(f"You are logged in as {safe(app.user)}; `logout` first.")
    server = HOST_ANSWER if arguments.host else arguments.address or _choose(app)
    hosted = app.host() if server == HOST_ANSWER else None
    if hosted is not None:
        server = hosted.address
    app.use(server)
    app.call(app.messenger.reach())
    if not app.asks:
        app.folder.join(Joined(server, "", hosted is not None))
        here = f"{safe(server)} is the phone book from now on; `signup NAME` or `login NAME` there."
        return Said(f"{hosted.invitation}\n{here}" if hosted is not None else here)
    if hosted is not None:
        _say(app, hosted.invitation)
    name = app.ask("Your name there: ").strip()
    if not name:
        raise CommandError("That needs a name; `join` asks again.", code="no-name")
    new = _yes(app, f"Make a new account {safe(name)}? (n where you have it already) [Y/n] ")
    _enter(app, string_utils.quote(name), new=new)
    app.folder.join(Joined(server, app.user or name, hosted is not None))
    return None


def _yes(app: "UserConsole", question: str) -> bool:
    """Asks until the answer is one: what was meant for the next question is neither yes nor no."""
    while (answer := app.ask(question).strip().casefold()) not in (*YES, *NO):
        pass
    return answer in YES


def _enter(app: "UserConsole", name: str, *, new: bool) -> None:
    """Signs up or logs in, as the commands do; asks for an invitation where the phone book wants one."""
    if not new:
        app.do_login(name)  # type: ignore[attr-defined]
        return
    try:
        app.do_signup(name)  # type: ignore[attr-defined]
    except Refused as refused:
        if refused.code != ErrorCode.INVITE_NEEDED:
            raise
        _say(app, safe(str(refused)))
        code = app.ask("Invitation: ").strip()
        app.do_signup(f"--invite {string_utils.quote(code)} {name}")  # type: ignore[attr-defined]


def _choose(app: "UserConsole") -> str:
    """Offers what is announced, and to host one."""
    if not app.asks:
        raise CommandError("Say which: `join HOST[:PORT]`.", code="usage", exit_code=ExitCode.USAGE)
    _say(app, "Looking for phone books on this network ...")
    found: list[FoundPhoneBook] = []
    try:
        found = find_phone_books(app.settings.discover)
    except DiscoveryFailed as error:
        _say(app, f"  {safe(str(error))}")
    else:
        if not found:
            _say(app, "  None is announced here.")
    _show(app, found)
    default = "1" if found else HOST_ANSWER
    answer = app.ask(f"Which? A number, {HOST_ANSWER}, or an address [{default}] ").strip() or default
    if answer.casefold() == HOST_ANSWER:
        return HOST_ANSWER
    if answer.isdecimal():
        if not 0 < int(answer) <= len(found):
            raise CommandError(f"There is no phone book {answer} in the list; `join` asks again.")
        return reachable(found[int(answer) - 1])
    return answer


def _show(app: "UserConsole", found: list[FoundPhoneBook]) -> None:
    for number, book in enumerate(found, start=1):
        _say(app, f"  {number}  {safe(book.name)} ({safe(book.addresses[0])})")
    _say(app, f"  {HOST_ANSWER}  host one yourself, in this shell")


def _say(app: "UserConsole", words: str) -> None:
    """Between two questions; broken between words, as outcomes are."""
    app.poutput(Text(words), soft_wrap=app.plain or not app.interactive)


def _join_arguments(parser: Parser) -> None:
    parser.add_argument(
        "address", metavar="HOST[:PORT]", nargs="?", help="the phone book; without it, choose from a list"
    )
    parser.add_argument("--host", action="store_true", help="host one in this shell, and join that")


COMMANDS: tuple[Command["UserConsole"], ...] = (
    Command("join", TOPIC, "Choose a phone book and an account there, once", join, _join_arguments),
    Command("discover", TOPIC, "List the phone books that are announced on this network", discover),
)
