"""What operators do: each change is planned, written into the journal, and then carried out.

A plan says whom a change would hit and what would take it back; a change that is only tried ends there. One
change at a time, so that a plan is true when it is carried out. What the journal cannot keep is not done.
"""

import asyncio
import logging
import secrets
from collections.abc import Awaitable, Callable
from time import time
from typing import TYPE_CHECKING, assert_never

import msgspec

from server import actions
from server.access import Ban, Registration, Target
from server.account import Account
from server.actions import AnyChange, Changed, Reply, Task
from server.codes import CODE_BYTES, code_digest, write_code
from server.effects import Happened
from server.errors import NameInUse
from server.journal import MAX_NAMED, Entry
from server.ledger import (
    AnyWrite,
    DropBan,
    DropInvites,
    DropReset,
    PutBan,
    PutInvites,
    PutRegistration,
    PutRemoved,
    PutReset,
)
from server.session import Session
from wire.errors import ErrorCode, Refused
from wire.limits import MAX_NAME, MAX_NOTICE
from wire.messages import CloseReason
from wire.names import name_key

if TYPE_CHECKING:
    from server.phonebook import PhoneBookServer

log = logging.getLogger(__name__)

MAX_INVITES = 100  # codes that one `invite` makes
MAX_PRUNED = 10_000  # accounts that one `prune` removes
EPOCHS_MEANWHILE = 1_000  # more than somebody can log in between the entry of a removal and the removal


async def _nothing() -> None:
    """What a change does that is done when it is written."""


class Plan(msgspec.Struct, frozen=True):
    """What a change would do."""

    hit: tuple[str, ...] = ()
    inverse: AnyChange | None = None
    writes: tuple[AnyWrite, ...] = ()
    codes: tuple[str, ...] = ()
    carry_out: Callable[[], Awaitable[None]] = _nothing


class Changes:
    """Runs on the phone book's event loop."""

    def __init__(self, server: "PhoneBookServer", on_shutdown: Callable[[str], None]) -> None:
        self._server = server
        self._on_shutdown = on_shutdown
        self._one_at_a_time = asyncio.Lock()

    async def make(self, change: AnyChange, author: str) -> Changed:
        """Makes a change, or tries it. Raises `Refused`."""
        change = msgspec.structs.replace(change, reason=change.reason[:MAX_NOTICE])
        async with self._one_at_a_time:
            undoes = None
            if isinstance(change, actions.Undo):
                change, undoes = await self._inverse(change)
            now, number = time(), self._server.ledger.last + 1
            plan = await self._plan(change, number, now)
            if change.dry_run:
                return Changed(plan.hit)
            entry = Entry(
                number, now, author, change, plan.hit[:MAX_NAMED], len(plan.hit), plan.inverse, undoes
            )
            await self._record(entry, plan.writes)
            try:
                await plan.carry_out()
            except Refused as error:
                await self._failed(number, author, error)
                raise
            return Changed(plan.hit, number, plan.inverse is not None, plan.codes)

    async def carry_out(self, task: Task, author: str) -> Reply:
        """Carries out what changes no account, once it is in the journal. Raises `Refused`."""
        async with self._one_at_a_time:
            number = self._server.ledger.last + 1
            await self._record(Entry(number, time(), author, task), ())
        try:  # a backup takes its time, and others need not wait for it
            return await self._server.upkeep.answer(task)
        except Refused as error:
            async with self._one_at_a_time:
                await self._failed(number, author, error)
            raise

    async def settle(self) -> None:
        """Says of the last entry that it was not carried out, where the phone book ended before it was.

        Before anybody can ask for another change. Raises `Refused`.
        """
        entry = await self._server.ledger.entry(self._server.ledger.last)
        if entry is not None and await self._is_unfinished(entry):
            ended = Refused(ErrorCode.SHUTTING_DOWN, "The phone book ended before that was done.")
            await self._failed(entry.number, entry.author, ended)

    async def _is_unfinished(self, entry: Entry) -> bool:
        accounts, ledger = self._server.accounts, self._server.ledger
        match entry.action:
            case actions.Delete() | actions.Prune():  # all or none
                removed = await ledger.removed(entry.number, entry.when)
                return bool(removed) and await accounts.get(removed[0].id) is not None
            case actions.ImportAccounts():  # all or none as well
                return bool(entry.hit) and await accounts.find(name_key(entry.hit[0])) is None
            case actions.Restore(number):
                for account in await ledger.removed(number, entry.when):
                    if await accounts.get(account.id) is None:
                        return True
        return False

    async def _failed(self, number: int, author: str, error: Refused) -> None:
        failed = actions.Failed(number, reason=str(error))
        await self._record(Entry(self._server.ledger.last + 1, time(), author, failed), ())

    async def _record(self, entry: Entry, writes: tuple[AnyWrite, ...]) -> None:
        digest = await self._server.ledger.record(entry, writes)
        # In the log the digest is out of reach of whoever can write to the data folder.
        what = type(entry.action).__struct_config__.tag
        log.info(
            "event=operator number=%d author=%r action=%s digest=%s",
            entry.number,
            entry.author,
            what,
            digest.hex(),
        )

    async def _inverse(self, undo: actions.Undo) -> tuple[AnyChange, int]:
        """The change that takes an entry back. Raises `Refused` where there is none."""
        entry = await self._server.ledger.entry(undo.entry)
        if entry is None:
            raise Refused(ErrorCode.UNKNOWN_NAME, f"The journal has no entry {undo.entry}; see `audit`.")
        if entry.inverse is None:
            raise Refused(ErrorCode.UNAVAILABLE, f"What entry {undo.entry} did cannot be taken back.")
        done = await self._server.ledger.undone_by(undo.entry)
        if done is not None:
            raise Refused(
                ErrorCode.UNAVAILABLE, f"Entry {undo.entry} was taken back by entry {done} already."
            )
        reason = undo.reason or entry.inverse.reason
        return msgspec.structs.replace(entry.inverse, reason=reason, dry_run=undo.dry_run), undo.entry

    # --- plans ------------------------------------------------------------------------------------------

    async def _plan(self, change: AnyChange, number: int, now: float) -> Plan:
        match change:
            case actions.Kick(name):
                return await self._kick(name, change.reason)
            case actions.SendNotice(text):
                return self._notice(text[:MAX_NOTICE])
            case actions.Shutdown():
                return self._shutdown(change.reason)
            case actions.PlaceBan(target, until):
                return self._ban(Ban(target, change.reason, until), now)
            case actions.LiftBan(target):
                return self._unban(target, now)
            case actions.SetRegistration(registration):
                return self._registration(registration)
            case actions.MakeInvites(count, until):
                return self._invites(count, until, number)
            case actions.RevokeInvites(entry):
                return Plan(writes=(DropInvites(entry),))
            case actions.ResetPassword(name, until):
                return await self._reset(name, until, number)
            case actions.RevokeReset(entry, name):
                return Plan((name,), writes=(DropReset(entry),))
            case actions.Delete(name):
                return self._removal([await self._server.service.stored(name)], number)
            case actions.Prune(idle_since):
                return self._removal(await self.idle(idle_since), number)
            case actions.Restore(entry):
                return await self._restoration(entry, now)
            case actions.Drain(seconds):
                return self._drain(seconds, change.reason)
            case actions.ImportAccounts(path):
                return await self._import(path)
            case actions.Undo() | actions.Failed():
                raise Refused(ErrorCode.INVALID_PARAMS, "That is nothing to do.")
            case _:
                assert_never(change)

    async def _kick(self, name: str, reason: str) -> Plan:
        account = await self._server.service.stored(name)
        if self._server.directory.session_of(account.key) is None:
            raise Refused(ErrorCode.UNAVAILABLE, f"{account.name} is not logged in.")

        async def carry_out() -> None:
            await self._server.service.kick(account.name, reason)

        return Plan((account.name,), carry_out=carry_out)

    def _notice(self, text: str) -> Plan:
        async def carry_out() -> None:
            effects = self._server.directory.notice(text)
            self._server.perform([*effects, Happened(time(), "notice", "operator", text)])

        return Plan(self._everybody(), carry_out=carry_out)

    def _shutdown(self, reason: str) -> Plan:
        async def carry_out() -> None:
            self._on_shutdown(reason)

        return Plan(self._everybody(), carry_out=carry_out)

    def _drain(self, seconds: float, reason: str) -> Plan:
        async def carry_out() -> None:
            self._server.upkeep.drain(seconds, reason)

        return Plan(self._everybody(), carry_out=carry_out)

    async def _import(self, path: str) -> Plan:
        accounts = await self._server.upkeep.importable(path)

        async def carry_out() -> None:
            await self._server.upkeep.take(accounts)

        return Plan(tuple(account.name for account in accounts), carry_out=carry_out)

    def _ban(self, ban: Ban, now: float) -> Plan:
        access, target = self._server.access, ban.target
        if len(target.name) > MAX_NAME:
            raise Refused(ErrorCode.BAD_NAME, f"A name has {MAX_NAME} characters at most.")
        before = access.of(target, now)
        inverse: AnyChange = actions.LiftBan(target)
        if before is not None:
            inverse = actions.PlaceBan(target, before.until, reason=before.reason)

        async def carry_out() -> None:
            access.ban(ban)
            now, sentence, directory = time(), ban.sentence(), self._server.directory
            sessions = self._sessions_of(target)
            for session in sessions:
                name = session.account.name
                ended = directory.kick(session.account.key, sentence, now, CloseReason.BANNED)
                self._server.perform([*ended, Happened(now, "ban", name, sentence, session.address)])
            self._server.turn_away()
            if target.network or not sessions:
                self._server.perform([Happened(now, "ban", str(target), sentence)])

        names = tuple(session.account.name for session in self._sessions_of(target))
        hit = names if str(target) in names else (str(target), *names)
        return Plan(hit, inverse, (PutBan(ban),), carry_out=carry_out)

    def _unban(self, target: Target, now: float) -> Plan:
        before = self._server.access.of(target, now)
        if before is None:
            raise Refused(ErrorCode.UNKNOWN_NAME, f"{target} is not banned; see `bans`.")

        async def carry_out() -> None:
            self._server.access.unban(target)
            self._server.perform([Happened(time(), "unban", str(target))])

        inverse = actions.PlaceBan(target, before.until, reason=before.reason)
        return Plan((str(target),), inverse, (DropBan(target),), carry_out=carry_out)

    def _registration(self, registration: Registration | None) -> Plan:
        before = self._server.ledger.registration

        async def carry_out() -> None:
            self._server.set_registration(registration)

        inverse = actions.SetRegistration(before)
        return Plan((), inverse, (PutRegistration(registration),), carry_out=carry_out)

    def _invites(self, count: int, until: float, number: int) -> Plan:
        if not 0 < count <= MAX_INVITES:
            raise Refused(ErrorCode.TOO_MANY, f"One `invite` makes 1 to {MAX_INVITES} codes.")
        codes = tuple(write_code(secrets.token_bytes(CODE_BYTES)) for _ in range(count))
        writes = (PutInvites(tuple(map(code_digest, codes)), until),)
        return Plan((), actions.RevokeInvites(number), writes, codes)

    async def _reset(self, name: str, until: float, number: int) -> Plan:
        account = await self._server.service.stored(name)
        code = write_code(secrets.token_bytes(CODE_BYTES))
        writes = (PutReset(code_digest(code), account.id, until),)
        return Plan((account.name,), actions.RevokeReset(number, account.name), writes, (code,))

    async def idle(self, since: float) -> list[Account]:
        """Accounts that had no session since then and have none now."""
        idle = await self._server.accounts.idle(since, MAX_PRUNED)
        return [account for account in idle if self._server.directory.session_of(account.key) is None]

    def _removal(self, accounts: list[Account], number: int) -> Plan:
        async def carry_out() -> None:
            await self._server.accounts.remove(accounts)
            for account in accounts:
                said = "Your account was deleted by the operator."
                self._server.perform(
                    [
                        *self._server.directory.kick(account.key, said, time(), CloseReason.DELETED),
                        Happened(time(), "delete", account.name),
                    ]
                )

        hit = tuple(account.name for account in accounts)
        inverse = actions.Restore(number) if accounts else None
        return Plan(hit, inverse, (PutRemoved(tuple(accounts)),), carry_out=carry_out)

    async def _restoration(self, entry: int, now: float) -> Plan:
        removed = await self._server.ledger.removed(entry, now)
        if not removed:
            raise Refused(ErrorCode.UNAVAILABLE, f"What entry {entry} removed is no longer kept.")
        # Those are back already that an earlier undo, of which a part failed, brought back.
        accounts = [account for account in removed if await self._server.accounts.get(account.id) is None]

        async def carry_out() -> None:
            taken: list[str] = []
            for account in accounts:
                # No resume token of before holds: whoever comes back shows the password.
                epoch = account.epoch + EPOCHS_MEANWHILE
                try:
                    await self._server.accounts.add([msgspec.structs.replace(account, epoch=epoch)])
                except NameInUse:
                    taken.append(account.name)
                else:
                    self._server.perform([Happened(time(), "restore", account.name)])
            if taken:
                raise Refused(
                    ErrorCode.NAME_TAKEN, f"Not brought back, since the names are taken: {', '.join(taken)}."
                )

        return Plan(tuple(account.name for account in accounts), None, (), carry_out=carry_out)

    # --- inside -----------------------------------------------------------------------------------------

    def _everybody(self) -> tuple[str, ...]:
        return tuple(session.account.name for session in self._server.directory.sessions())

    def _sessions_of(self, target: Target) -> list[Session]:
        if target.name:
            found = self._server.directory.session_of(name_key(target.name))
            return [found] if found is not None else []
        return [session for session in self._server.directory.sessions() if target.has(session.address)]
