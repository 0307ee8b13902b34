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
HOST_ANSWERS = (HOST_ANSWER, "host")
_OTHER_NAME = (ErrorCode.BAD_NAME, ErrorCode.NAME_TAKEN, ErrorCode.WRONG_CREDENTIALS)
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
    _go(app, server)
    if not app.asks:
        app.folder.join(Joined(server, "", hosted is not None))
        here = f"{safe(server)} is the phone book from now on; `signup NAME` or `login NAME` there."
        return Said(f"{hosted.invitation}\n{here}" if hosted is not None else here)
    if hosted is not None:
        app.tell(hosted.invitation)
    name = _account(app)
    app.folder.join(Joined(server, app.user or name, hosted is not None))
    return None


def _go(app: "UserConsole", server: str) -> None:
    """Takes another phone book, if it answers."""
    before = app.settings.server
    app.use(server)
    try:
        app.call(app.messenger.reach())
    except BaseException:
        app.use(before)
        raise


def _account(app: "UserConsole") -> str:
    """Asks until an account lets this user in; its name."""
    name, new = "", False
    while app.user is None:
        if not name:
            name = app.ask("Your name there: ").strip()
            if not name:
                raise CommandError("That needs a name; `join` asks again.", code="no-name")
            new = _yes(app, f"Make a new account {safe(name)}? (n where you have it already) [Y/n] ")
        try:
            _enter(app, string_utils.quote(name), new=new)
        except Refused as refused:
            if refused.code not in _OTHER_NAME or not app.interactive:
                raise
            app.tell(safe(str(refused)))
            name = ""
    return name


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
        app.tell(safe(str(refused)))
        code = app.ask("Invitation: ").strip()
        app.do_signup(f"--invite {string_utils.quote(code)} {name}")  # type: ignore[attr-defined]


def _choose(app: "UserConsole") -> str:
    """Offers what is announced, and to host one."""
    if not app.asks:
        raise CommandError("Say which: `join HOST[:PORT]`.", code="usage", exit_code=ExitCode.USAGE)
    app.tell("Looking for phone books on this network ...")
    found: list[FoundPhoneBook] = []
    try:
        found = find_phone_books(app.settings.discover)
    except DiscoveryFailed as error:
        app.tell(f"  {safe(str(error))}")
    else:
        if not found:
            app.tell("  None is announced here.")
    _show(app, found)
    default = "1" if found else HOST_ANSWER
    answer = app.ask(f"Which? A number, {HOST_ANSWER}, or an address [{default}] ").strip() or default
    if answer.casefold() in HOST_ANSWERS:
        return HOST_ANSWER
    if answer.isdecimal():
        if not 0 < int(answer) <= len(found):
            raise CommandError(f"There is no phone book {answer} in the list; `join` asks again.")
        return reachable(found[int(answer) - 1])
    return answer


def _show(app: "UserConsole", found: list[FoundPhoneBook]) -> None:
    for number, book in enumerate(found, start=1):
        app.tell(f"  {number}  {safe(book.name)} ({safe(book.addresses[0])})")
    app.tell(f"  {HOST_ANSWER}  host one yourself, in this shell")


def _join_arguments(parser: Parser) -> None:
    parser.add_argument(
        "address", metavar="HOST[:PORT]", nargs="?", help="the phone book; without it, choose from a list"
    )
    parser.add_argument("--host", action="store_true", help="host one in this shell, and join that")


COMMANDS: tuple[Command["UserConsole"], ...] = (
    Command("join", TOPIC, "Choose a phone book and an account there, once", join, _join_arguments),
    Command("discover", TOPIC, "List the phone books that are announced on this network", discover),
)
