"""Commands of the admin console about what operators did: the journal, and taking things back."""

import argparse
import re
from typing import TYPE_CHECKING, assert_never

from rich.console import RenderableType

from server import actions
from server.actions import AnyDeed, Change, EntryInfo, ListEntries, Undo, Verdict, VerifyJournal
from server.console_changes import ShownChange, changed, counted, named
from server.console_names import dry_run_argument, reason_argument
from shell.kit.command import Command, Listing, Outcome, Parser, checked, quantity
from shell.kit.errors import CommandError, ExitCode
from shell.kit.times import moment
from wire.display import safe

if TYPE_CHECKING:
    from server.console import AdminConsole

TOPIC = "Audit"
_DIGEST = re.compile(r"[0-9A-Fa-f]{64}")
LAST = 20  # entries that `audit` shows


class ShownEntries(Listing, frozen=True):
    """What `audit` shows."""

    entries: tuple[EntryInfo, ...]

    def rows(self) -> tuple[EntryInfo, ...]:
        """Entries, oldest first."""
        return self.entries

    def columns(self) -> tuple[str, ...]:
        """Heads."""
        return ("audit", "when", "who", "what", "reason")

    def cells(self, row: EntryInfo, *, plain: bool) -> tuple[RenderableType, ...]:
        """One entry."""
        what = described(row.action, named(row.hit, row.hits))
        if row.undoes is not None:
            what = f"undo {row.undoes}: {what}"
        if row.undone_by is not None:
            what += f" (taken back by {row.undone_by})"
        reason = row.action.reason if isinstance(row.action, Change) else ""
        return str(row.number), moment(row.when), safe(row.author), safe(what), safe(reason)

    def empty(self) -> str:
        """None."""
        return "No operator has done anything yet."


class Verified(Outcome, frozen=True):
    """What `audit verify` found."""

    entries: int
    digest: str
    fault: str

    def render(self, *, plain: bool) -> str:
        """A sentence; note its digest elsewhere."""
        if self.fault:
            hold = counted(self.entries, "entry before that holds", "entries before that hold")
            return f"The journal was tampered with: {self.fault}. {hold}."
        kept = counted(self.entries, "entry", "entries")
        return f"{kept}, none changed, none missing. Digest of the last: {self.digest}"

    @property
    def exit_code(self) -> ExitCode:
        """Scripts see a broken journal."""
        return ExitCode.USER if self.fault else ExitCode.DONE


def described(deed: AnyDeed, hit: str) -> str:
    """What was done in words; `hit` says whom it hit."""
    match deed:
        case actions.Kick(name):
            return f"kick {name}"
        case actions.SendNotice(text):
            return f"notice: {text}"
        case actions.Shutdown():
            return "shutdown"
        case actions.PlaceBan(target, until):
            return f"ban {target} {f'until {moment(until)}' if until is not None else 'for good'}"
        case actions.LiftBan(target):
            return f"unban {target}"
        case actions.SetRegistration(registration):
            return f"registration {registration.value if registration else 'as the settings say'}"
        case actions.MakeInvites(count, until):
            return f"invite: {count}, until {moment(until)}"
        case actions.RevokeInvites(entry):
            return f"revoke what is unused of the invites of {entry}"
        case actions.ResetPassword(name, until):
            return f"passwd {name}: a token until {moment(until)}"
        case actions.RevokeReset(entry, name):
            return f"revoke the token of {entry} for {name}"
        case actions.Delete(name):
            return f"delete {name}"
        case actions.Prune(idle_since):
            return f"prune idle since {moment(idle_since)}: {hit or 'nobody'}"
        case actions.Restore():
            return f"bring back {hit}"
        case actions.Drain(seconds):
            return f"drain within {seconds:g} s"
        case actions.ImportAccounts(path):
            return f"import {path}"
        case actions.ReloadSettings():
            return "settings reload"
        case actions.MakeBackup(path):
            return f"backup {path}"
        case actions.ExportAccounts(path):
            return f"export {path}"
        case actions.Failed(entry):
            return f"entry {entry} was not carried out"
        case actions.Undo(entry):
            return f"undo {entry}"
        case _:
            assert_never(deed)


def _audit(app: "AdminConsole", arguments: argparse.Namespace) -> Outcome:
    if arguments.verify is None:
        return ShownEntries(app.operator.ask(ListEntries(arguments.last)).entries)
    verdict: Verdict = app.operator.ask(VerifyJournal(_digest(arguments.digest)))
    return Verified(verdict.entries, verdict.head, verdict.fault)


def _digest(text: str | None) -> bytes | None:
    if text is None:
        return None
    if _DIGEST.fullmatch(text) is None:
        raise CommandError("A digest is 64 hexadecimal characters.", code="usage", exit_code=ExitCode.USAGE)
    return bytes.fromhex(text)


def _undo(app: "AdminConsole", arguments: argparse.Namespace) -> ShownChange:
    try:
        number = quantity(arguments.number)
    except ValueError:
        raise CommandError(
            f"{safe(arguments.number)} is no number of an entry; see `audit`.",
            code="usage",
            exit_code=ExitCode.USAGE,
        ) from None
    done = app.operator.ask(Undo(number, reason=arguments.reason or "", dry_run=arguments.dry_run))
    return changed(done, f"What entry {number} did is taken back.")


def _audit_arguments(parser: Parser) -> None:
    parser.add_argument(
        "verify", nargs="?", choices=("verify",), help="check that nothing was changed or removed"
    )
    parser.add_argument(
        "--last", type=checked(quantity), default=LAST, metavar="N", help=f"show so many ({LAST})"
    )
    parser.add_argument("--digest", metavar="HEX", help="with verify: one noted earlier must be in the chain")


def _undo_arguments(parser: Parser) -> None:
    parser.add_argument("number", metavar="NUMBER", help="of the entry, as `audit` shows it")
    reason_argument(parser, "for the journal")
    dry_run_argument(parser)


COMMANDS: tuple[Command["AdminConsole"], ...] = (
    Command("audit", TOPIC, "Show what operators changed, or check the journal", _audit, _audit_arguments),
    Command(
        "undo",
        TOPIC,
        "Take back what an entry did",
        _undo,
        _undo_arguments,
        ("number", "reason?"),
        options_between=True,
    ),
)
