"""Commands about oneself: sign-up, login, password, visibility."""

import argparse
from time import time
from typing import TYPE_CHECKING

from rich.table import Table
from rich.text import Text

from shell.commands.names import complete_names, named
from shell.errors import NotConnected, PhoneBookKeyChanged
from shell.kit.command import Command, Outcome, Parser, Said, checked
from shell.kit.errors import CommandError, ExitCode
from shell.kit.hanging import Hanging
from shell.kit.tables import table
from shell.kit.theme import marked
from shell.kit.times import clock, next_clock
from wire.display import safe
from wire.errors import BadName, ErrorCode, Refused
from wire.limits import MIN_PASSWORD
from wire.messages import Visibility
from wire.names import check_name

if TYPE_CHECKING:
    from shell.console import UserConsole

TOPIC = "Account"
TOO_SHORT = f"A password needs {MIN_PASSWORD} characters or more."  # as the phone book says it
_INVITE = (ErrorCode.INVITE_NEEDED, ErrorCode.INVITE_REFUSED)
VISIBILITIES = tuple(visibility.value for visibility in Visibility)
LOGIN_TRIES = 3  # questions for a password, as ssh(1) asks (NumberOfPasswordPrompts)
LOGIN_PATIENCE = 60.0  # seconds; many may log in at once, each with a costly hash


class LoggedIn(Outcome, frozen=True):
    """Who is logged in, and what waited."""

    name: str
    phone_book: str
    unread: dict[str, int]
    requests: list[str]
    queued: int
    held: int
    """Messages that wait at others, until they accept this user."""
    newly_pinned: str | None = None
    """The phone book's fingerprint, where this was the first time."""
    away: str | None = None
    """Why the phone book could not be asked, where it could not."""

    def render(self, *, plain: bool) -> Hanging:
        """An entry for each thing that matters now."""
        lines = [f"You are logged in as {safe(self.name)} at {self.phone_book}."]
        if self.away:
            here = (
                f"You are {safe(self.name)} on this machine only: your messages are here, and contacts can "
            )
            here += "be reached where they were last. The shell logs in when the phone book is back."
            lines = [safe(self.away), here]
        if self.newly_pinned:
            lines.append(f"First time here; the phone book's key is now pinned: {self.newly_pinned}")
        lines += [f"{count} unread from {safe(name)}." for name, count in self.unread.items()]
        if self.requests:
            lines.append(f"Waiting for your answer: {', '.join(map(safe, self.requests))} (see requests).")
        if self.queued:
            lines.append(f"{_yours(self.queued)} to be delivered.")
        if self.held:
            lines.append(f"{_yours(self.held)} to be accepted.")
        return Hanging(*map(Text, lines))


class State(Outcome, frozen=True):
    """What `status` shows."""

    user: str | None
    visibility: str | None
    phone_book: str
    connected: bool
    udp_port: int | None
    unread: dict[str, int]
    requests: list[str]
    queued: int
    held: int
    """Messages that wait at others, until they accept this user."""
    lines: dict[str, str]
    """Name: address of the other shell, or that the line is relayed."""

    def render(self, *, plain: bool) -> Table:
        """One row for each."""
        rows = [
            ("user", safe(self.user) if self.user else "not logged in"),
            ("visibility", marked(self.visibility, plain=plain) if self.visibility else "-"),
            ("phone book", f"{self.phone_book} ({'connected' if self.connected else 'not connected'})"),
            ("UDP port", str(self.udp_port or "-")),
            ("unread", _counts(self.unread)),
            ("requests", ", ".join(map(safe, self.requests)) or "none"),
            ("queued", _messages(self.queued)),
            ("held", _messages(self.held)),
            ("lines", ", ".join(f"{safe(name)}: {where}" for name, where in self.lines.items()) or "none"),
        ]
        return table(("what", "now"), rows, plain=plain)


class Visible(Outcome, frozen=True):
    """What `visibility` shows."""

    visibility: str
    but: list[str]
    """For `hidden` who sees you all the same; for `contacts` who of them does not."""
    until: float | None
    """When it ends, seconds since the epoch; null for one that does not."""

    def render(self, *, plain: bool) -> Text:
        """A sentence."""
        but = f" but {', '.join(map(safe, self.but))}" if self.but else ""
        meaning = {
            "contacts": f" (your contacts{but} see you online, everybody else offline)",
            "hidden": f" (everybody{but} sees you offline)",
        }.get(self.visibility, "")
        until = f" until {clock(self.until, '%H:%M')}" if self.until is not None else ""
        return Text(f"Your visibility is {self.visibility}{meaning}{until}.")


def _messages(count: int) -> str:
    return f"{count} {'message' if count == 1 else 'messages'}"


def _yours(count: int) -> str:
    return f"{count} of your messages {'waits' if count == 1 else 'wait'}"


def _counts(counts: dict[str, int]) -> str:
    return ", ".join(f"{safe(name)} ({count})" for name, count in counts.items()) or "none"


def signup(app: "UserConsole", arguments: argparse.Namespace) -> Outcome:
    """Asks a person for the password twice, and for an invitation where the phone book wants one."""
    try:
        check_name(arguments.name)
    except BadName as error:
        raise Refused(ErrorCode.BAD_NAME, str(error)) from None
    app.call(app.messenger.reach())
    password = _new_password(app, "Password: ", arguments.password_file)
    invite = arguments.invite
    while True:
        try:
            app.call(app.messenger.signup(arguments.name, password, invite), LOGIN_PATIENCE)
        except Refused as refused:
            if refused.code not in _INVITE or arguments.invite or not app.interactive:
                raise
            app.tell(safe(str(refused)))
            invite = app.ask("Invitation: ").strip()
        else:
            return _logged_in(app)


def login(app: "UserConsole", arguments: argparse.Namespace) -> Outcome:
    """Logs in, with a token of the operator under a new password; without the phone book to what is here."""
    if arguments.reset:
        app.call(app.messenger.reach())
        new = _new_password(app, "New password: ", arguments.password_file)
        app.call(app.messenger.login(arguments.name, new, arguments.reset), LOGIN_PATIENCE)
        return _logged_in(app)
    away = _away(app, arguments.name)
    enter = app.messenger.login_away if away else app.messenger.login
    tries = LOGIN_TRIES if app.interactive and arguments.password_file is None else 1
    while True:
        password = app.read_password("Password: ", arguments.password_file)
        tries -= 1
        try:
            app.call(enter(arguments.name, password), LOGIN_PATIENCE)
        except Refused as refused:
            if refused.code != ErrorCode.WRONG_CREDENTIALS or not tries:
                raise
            app.tell(safe(str(refused)))
        else:
            return _logged_in(app, away)


def _new_password(app: "UserConsole", question: str, file: str | None) -> str:
    """A person types it twice, and is asked until it is long enough and twice the same."""
    while True:
        password = app.read_password(question, file)
        if not (app.interactive and file is None):
            return password
        if len(password) < MIN_PASSWORD:
            app.tell(TOO_SHORT)
        elif app.ask_secret("Again: ") != password:
            app.tell("The two passwords differ; once more.")
        else:
            return password


def _away(app: "UserConsole", name: str) -> str | None:
    """Why the phone book cannot be asked, where that is no hindrance."""
    try:
        app.call(app.messenger.reach())
    except PhoneBookKeyChanged:
        raise
    except NotConnected as error:
        if not app.messenger.known(name):
            raise
        return str(error)
    return None


def _logged_in(app: "UserConsole", away: str | None = None) -> LoggedIn:
    messenger = app.messenger
    core = messenger.line.core
    names = {contact.key: contact.name for contact in core.contacts()}
    app.unread = {names.get(key, key): count for key, count in messenger.unread_at_login}
    pinned, messenger.book.newly_pinned = messenger.book.newly_pinned, None
    return LoggedIn(
        messenger.user or "",
        messenger.book.address,
        dict(app.unread),
        [contact.name for contact, _ in core.requests()],
        core.queued(),
        core.held_there(),
        pinned,
        away,
    )


def logout(app: "UserConsole", arguments: argparse.Namespace) -> Outcome:
    """Logs out; what waits stays on disk."""
    app.call(app.messenger.logout())
    app.chat_with = None
    return Said("You are logged out.")


def passwd(app: "UserConsole", arguments: argparse.Namespace) -> Outcome:
    """Asks for the old password and the new one."""
    old = app.read_password("Old password: ", arguments.password_file)
    new = _new_password(app, "New password: ", arguments.new_password_file)
    app.call(app.messenger.book.passwd(old, new), LOGIN_PATIENCE)
    return Said("The password is changed; other sessions of this account have ended.")


def visibility(app: "UserConsole", arguments: argparse.Namespace) -> Visible:
    """Sets it, or says what it is."""
    from shell.visibility import Seen  # for whoever is logged in; a prompt does without

    messenger = app.messenger
    _ = messenger.line  # raises where nobody is logged in
    if arguments.visibility is not None:
        chosen = Visibility(arguments.visibility)
        if arguments.but and chosen not in (Visibility.CONTACTS, Visibility.HIDDEN):
            raise CommandError(
                f"Everybody sees {chosen.value}; --except goes with hidden or contacts.",
                code="usage",
                exit_code=ExitCode.USAGE,
            )
        names = tuple(named(app, name) for name in arguments.but)
        app.call(messenger.appearance.set(Seen(chosen, names), arguments.until))
    now = messenger.appearance
    return Visible(now.seen.visibility.value, list(now.seen.but), now.until)


def status(app: "UserConsole", arguments: argparse.Namespace) -> Outcome:
    """All about this shell."""
    messenger = app.messenger
    logged_in = messenger.user is not None
    line = messenger.line if logged_in else None
    paths = {contact.name: line.path(contact.name) for contact in line.core.contacts()} if line else {}
    return State(
        messenger.user,
        messenger.visibility.value if logged_in else None,
        messenger.book.address,
        messenger.book.connected,
        line.port if line else None,
        dict(app.unread),
        [contact.name for contact, _ in line.core.requests()] if line else [],
        line.core.queued() if line else 0,
        line.core.held_there() if line else 0,
        {name: f"{path}" for name, path in paths.items() if path},
    )


def _enter_arguments(parser: Parser) -> None:
    from cmd2 import Cmd

    parser.add_argument("name", metavar="NAME", help="the account's name")
    parser.add_argument(
        "--password-file", metavar="FILE", help="read the password from a file", completer=Cmd.path_complete
    )


def _signup_arguments(parser: Parser) -> None:
    _enter_arguments(parser)
    parser.add_argument("--invite", metavar="CODE", default="", help="the operator's, where one is needed")


def _login_arguments(parser: Parser) -> None:
    _enter_arguments(parser)
    parser.add_argument("--reset", metavar="TOKEN", help="the operator's, for a forgotten password")


def _passwd_arguments(parser: Parser) -> None:
    from cmd2 import Cmd

    for flag, whose in (("--password-file", "old"), ("--new-password-file", "new")):
        parser.add_argument(
            flag, metavar="FILE", help=f"read the {whose} password from a file", completer=Cmd.path_complete
        )


def _visibility_arguments(parser: Parser) -> None:
    parser.add_argument(
        "visibility", nargs="?", choices=VISIBILITIES, help="what others see of you; without it, what it is"
    )
    parser.add_argument(
        "--except",
        dest="but",
        nargs="+",
        default=[],
        metavar="NAME",
        help="hidden from all but these; with contacts, from these too",
        completer=complete_names,
    )
    parser.add_argument(
        "--until",
        type=checked(lambda text: next_clock(text, time())),
        metavar="TIME",
        help="go back after that, as 17:00 or 90m",
    )


COMMANDS: tuple[Command["UserConsole"], ...] = (
    Command("signup", TOPIC, "Make an account and log in", signup, _signup_arguments),
    Command("login", TOPIC, "Log in to your account", login, _login_arguments),
    Command("logout", TOPIC, "Log out", logout),
    Command("passwd", TOPIC, "Change your password", passwd, _passwd_arguments),
    Command("visibility", TOPIC, "Say who may see you, and as what", visibility, _visibility_arguments),
    Command("status", TOPIC, "Show who you are, what waits, and which lines are open", status),
)
