"""Commands of the admin console about who may come in: bans, registration, invites."""

import argparse
from time import time
from typing import TYPE_CHECKING

from cmd2 import Completions
from cmd2.completion import CompletionItem
from rich.console import RenderableType

from server.access import Registration, Target, target_of
from server.actions import (
    BanInfo,
    GetRegistration,
    Inspect,
    InviteInfo,
    LiftBan,
    ListBans,
    ListInvites,
    MakeInvites,
    PlaceBan,
    SetRegistration,
)
from server.console_changes import ShownChange, changed, counted
from server.console_names import complete_accounts, dry_run_argument, reason_argument
from shell.kit.command import Command, Listing, Outcome, Parser, Said, checked, quantity
from shell.kit.errors import CommandError, ExitCode
from shell.kit.times import moment, span
from wire.display import safe
from wire.errors import Refused

if TYPE_CHECKING:
    from server.console import AdminConsole

TOPIC = "Who may come in"
INVITE_LIFE = "7d"  # in which an invite must be used
SETTINGS = "settings"
"""What `registration` takes besides the ways there are: as the settings say."""


class ShownBans(Listing, frozen=True):
    """What `bans` shows."""

    bans: tuple[BanInfo, ...]

    def rows(self) -> tuple[BanInfo, ...]:
        """Those that hold."""
        return self.bans

    def columns(self) -> tuple[str, ...]:
        """Heads."""
        return ("who", "until", "reason")

    def cells(self, row: BanInfo, *, plain: bool) -> tuple[RenderableType, ...]:
        """One ban."""
        return safe(row.target), _until(row.until), safe(row.reason)

    def empty(self) -> str:
        """None."""
        return "Nobody is banned."


class ShownInvites(Listing, frozen=True):
    """What `invites` shows."""

    invites: tuple[InviteInfo, ...]

    def rows(self) -> tuple[InviteInfo, ...]:
        """Codes that have not run out, by their entries; the codes themselves are not kept."""
        return self.invites

    def columns(self) -> tuple[str, ...]:
        """Heads."""
        return ("audit", "good until", "used by")

    def cells(self, row: InviteInfo, *, plain: bool) -> tuple[RenderableType, ...]:
        """One code."""
        return str(row.entry), moment(row.expires), safe(row.used_by) or "-"

    def empty(self) -> str:
        """None."""
        return "No invite is out."


def _ban(app: "AdminConsole", arguments: argparse.Namespace) -> ShownChange:
    target = _target(arguments)
    until = time() + arguments.time if arguments.time is not None else None
    ban = PlaceBan(target, until, reason=arguments.reason or "", dry_run=arguments.dry_run)
    done = app.operator.ask(ban)
    sessions = [name for name in done.hit if name != str(target)] if target.network else []
    ended = f"; {counted(len(sessions), 'session', 'sessions')} ended" if sessions else ""
    nobody = "" if target.network or _is_account(app, str(target)) else " No account has that name yet."
    return changed(done, f"{safe(str(target))} is banned {_until(until)}{ended}.{nobody}")


def _is_account(app: "AdminConsole", name: str) -> bool:
    """A name may be kept out before anybody takes it; mostly it was typed wrong."""
    try:
        app.operator.ask(Inspect(name))
    except Refused:
        return False
    return True


def _unban(app: "AdminConsole", arguments: argparse.Namespace) -> ShownChange:
    target = _target(arguments)
    lift = LiftBan(target, reason=arguments.reason or "", dry_run=arguments.dry_run)
    return changed(app.operator.ask(lift), f"{safe(str(target))} may come in again.")


def _bans(app: "AdminConsole", arguments: argparse.Namespace) -> Outcome:
    return ShownBans(app.operator.ask(ListBans()).bans)


def _registration(app: "AdminConsole", arguments: argparse.Namespace) -> ShownChange | Said:
    if arguments.who is None:
        now = app.operator.ask(GetRegistration())
        source = " (as the settings say)" if now.from_settings else ""
        return Said(f"Registration is {now.registration.value}{source}.")
    wanted = None if arguments.who == SETTINGS else Registration(arguments.who)
    set_ = SetRegistration(wanted, reason=" ".join(arguments.reason), dry_run=arguments.dry_run)
    done = app.operator.ask(set_)
    now = app.operator.ask(GetRegistration())
    return changed(done, f"Registration is {now.registration.value}.")


def _invite(app: "AdminConsole", arguments: argparse.Namespace) -> ShownChange:
    until = time() + arguments.time
    make = MakeInvites(arguments.count, until, reason=arguments.reason or "", dry_run=arguments.dry_run)
    return changed(
        app.operator.ask(make),
        f"Good until {moment(until)} for one sign-up each: `signup NAME --invite CODE`.",
    )


def _invites(app: "AdminConsole", arguments: argparse.Namespace) -> Outcome:
    return ShownInvites(app.operator.ask(ListInvites()).invites)


def _target(arguments: argparse.Namespace) -> Target:
    try:
        return target_of(arguments.target, is_name=arguments.is_name)
    except ValueError as error:
        raise CommandError(f"{safe(str(error))}.", code="usage", exit_code=ExitCode.USAGE) from None


def _until(until: float | None) -> str:
    return f"until {moment(until)}" if until is not None else "for good"


def _complete_banned(app: "AdminConsole", text: str, line: str, begidx: int, endidx: int) -> Completions:
    found = [ban for ban in app.operator.ask(ListBans()).bans if ban.target.startswith(text)]
    return Completions(
        [CompletionItem(ban.target, text=ban.target, display_meta=safe(ban.reason)) for ban in found]
    )


def _target_argument(parser: Parser) -> None:
    parser.add_argument(
        "--name", dest="is_name", action="store_true", help="a name, though it looks like an address"
    )
    dry_run_argument(parser)


def _ban_arguments(parser: Parser) -> None:
    parser.add_argument(
        "target", metavar="NAME|ADDRESS|CIDR", help="whom to keep out", completer=complete_accounts
    )
    reason_argument(parser, "told to them")
    parser.add_argument(
        "--for", dest="time", type=checked(span), metavar="TIME", help="as 2h or 7d; else for good"
    )
    _target_argument(parser)


def _unban_arguments(parser: Parser) -> None:
    parser.add_argument(
        "target", metavar="NAME|ADDRESS|CIDR", help="whom to let in again", completer=_complete_banned
    )
    reason_argument(parser, "for the journal")
    _target_argument(parser)


def _registration_arguments(parser: Parser) -> None:
    choices = (*(who.value for who in Registration), SETTINGS)
    parser.add_argument("who", nargs="?", choices=choices, help="who may sign up; without it, what holds")
    reason_argument(parser, "for the journal")
    dry_run_argument(parser)


def _invite_arguments(parser: Parser) -> None:
    parser.add_argument("--count", type=checked(quantity), default=1, metavar="N", help="so many codes (1)")
    parser.add_argument(
        "--for",
        dest="time",
        type=checked(span),
        default=INVITE_LIFE,
        metavar="TIME",
        help=f"good for ({INVITE_LIFE})",
    )
    reason_argument(parser, "for the journal")
    dry_run_argument(parser)


COMMANDS: tuple[Command["AdminConsole"], ...] = (
    Command(
        "ban",
        TOPIC,
        "Keep a name, an address or a network out, and tell them why",
        _ban,
        _ban_arguments,
        ("target", "reason?"),
        options_between=True,
    ),
    Command(
        "unban",
        TOPIC,
        "Let them in again",
        _unban,
        _unban_arguments,
        ("target", "reason?"),
        options_between=True,
    ),
    Command("bans", TOPIC, "List the bans that hold", _bans),
    Command("registration", TOPIC, "Say who may sign up", _registration, _registration_arguments),
    Command(
        "invite",
        TOPIC,
        "Make one-time codes for sign-ups",
        _invite,
        _invite_arguments,
        ("reason?",),
        options_between=True,
    ),
    Command("invites", TOPIC, "List the codes that are out", _invites),
)
