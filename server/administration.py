"""What operators see. Runs on the phone book's event loop; consoles reach it through an `Operator`. What they
change is done by `server.changes`.
"""

from collections.abc import Callable
from fnmatch import fnmatchcase
from time import time
from typing import TYPE_CHECKING, assert_never, cast

from server import actions
from server.account import Account
from server.actions import AccountInfo, Action, AnyAction, ClientInfo, Reply, ReplyT
from server.changes import Changes
from wire.certificates import show_fingerprint
from wire.limits import PAGE
from wire.names import NameKey, name_key

if TYPE_CHECKING:
    from server.phonebook import PhoneBookServer

SHOWN_HITS = 20  # of those whom an entry of the journal hit that a console gets to see
MAX_LISTED = 1_000  # sessions or accounts that one command shows


class Administration:
    """What operators can see and do."""

    def __init__(self, server: "PhoneBookServer", on_shutdown: Callable[[str], None]) -> None:
        self._server = server
        self._changes = Changes(server, on_shutdown)

    async def settle(self) -> None:
        """See `Changes`."""
        await self._changes.settle()

    async def carry_out(self, action: Action[ReplyT], author: str) -> ReplyT:
        """The answer to an action of somebody. Raises `Refused`."""
        return cast(ReplyT, await self.answer(cast(AnyAction, action), author))

    async def answer(self, action: AnyAction, author: str) -> Reply:
        """The same, where the type of the answer does not matter."""
        match action:
            case actions.ListClients(pattern):
                return self._clients(pattern)
            case actions.ListAccounts(pattern, idle_since):
                return await (
                    self._accounts(pattern) if idle_since is None else self._idle(pattern, idle_since)
                )
            case actions.Inspect(name):
                account = await self._server.service.stored(name)
                return actions.Details(self._account_info(account), self._client(account.key))
            case actions.GetStats():
                return await self._stats()
            case actions.ListRecent(last, kinds):
                fits = [event for event in self._server.performer.recent if not kinds or event.what in kinds]
                return actions.Recent(tuple(fits[-last:] if last > 0 else ()))
            case actions.ListBans():
                return self._bans()
            case actions.GetRegistration():
                registration = self._server.access.registration
                return actions.RegistrationInfo(registration, self._server.ledger.registration is None)
            case actions.ListInvites():
                return actions.Invites(tuple(await self._server.ledger.invites(time())))
            case actions.ListEntries(last):
                return await self._entries(last)
            case actions.VerifyJournal(noted):
                return await self._server.ledger.verify(noted)
            case actions.GetSettings():
                return self._server.upkeep.settings()
            case actions.ReloadSettings() | actions.MakeBackup() | actions.ExportAccounts():
                return await self._changes.carry_out(action, author)
            case actions.Change():
                return await self._changes.make(action, author)
            case _:
                assert_never(action)

    # --- looking ----------------------------------------------------------------------------------------

    def _clients(self, pattern: str) -> actions.Clients:
        fits = _name_pattern(name_key(pattern))
        keys = [session.account.key for session in self._server.directory.sessions()]
        found = [key for key in keys if fits(key)]
        infos = (self._client(key) for key in found[:MAX_LISTED])
        return actions.Clients(tuple(info for info in infos if info is not None), len(found))

    async def _accounts(self, pattern: str) -> actions.Accounts:
        found: list[Account] = []
        while len(found) <= MAX_LISTED:
            after = found[-1].key if found else name_key("")
            page = await self._server.accounts.page(after, name_key(pattern), PAGE)
            found += page
            if len(page) < PAGE:
                break
        shown = tuple(self._account_info(account) for account in found[:MAX_LISTED])
        return actions.Accounts(shown, more=len(found) > MAX_LISTED)

    async def _idle(self, pattern: str, since: float) -> actions.Accounts:
        fits = _name_pattern(name_key(pattern))
        found = [account for account in await self._changes.idle(since) if fits(account.key)]
        shown = tuple(self._account_info(account) for account in found[:MAX_LISTED])
        return actions.Accounts(shown, more=len(found) > MAX_LISTED)

    async def _stats(self) -> actions.Stats:
        return actions.Stats(
            time() - self._server.started,
            await self._server.accounts.count(),
            len(self._server.connections),
            len(self._server.directory.sessions()),
            self._server.service.requests,
            self._server.passwords.waiting,
            dict(sorted(self._server.counts.items())),
        )

    def _bans(self) -> actions.Bans:
        bans = self._server.access.bans(time())
        return actions.Bans(tuple(actions.BanInfo(str(ban.target), ban.until, ban.reason) for ban in bans))

    async def _entries(self, last: int) -> actions.Entries:
        ledger = self._server.ledger
        return actions.Entries(
            tuple(
                [
                    actions.EntryInfo(
                        entry.number,
                        entry.when,
                        entry.author,
                        entry.action,
                        entry.hit[:SHOWN_HITS],
                        entry.hits,
                        entry.undoes,
                        await ledger.undone_by(entry.number),
                    )
                    for entry in await ledger.entries(max(0, min(last, MAX_LISTED)))
                ]
            )
        )

    # --- inside -----------------------------------------------------------------------------------------

    def _client(self, key: NameKey) -> ClientInfo | None:
        session = self._server.directory.session_of(key)
        if session is None:
            return None
        connection = self._server.performer.bound.get(session.id)
        return ClientInfo(
            session.account.name,
            session.address,
            connection.client.version if connection else "",
            session.account.visibility,
            session.since,
            tuple(str(endpoint) for endpoint in session.endpoints),
        )

    def _account_info(self, account: Account) -> AccountInfo:
        return AccountInfo(
            account.name,
            self._server.directory.session_of(account.key) is not None,
            account.visibility,
            account.created,
            account.last_seen,
            max(account.active, account.last_seen),
            show_fingerprint(account.fingerprint),
        )


def _name_pattern(pattern: str) -> Callable[[str], bool]:
    """Whether a key fits a pattern: a beginning, or one with `*` and `?`."""
    literal = pattern.replace("[", "[[]")
    glob = literal if "*" in pattern or "?" in pattern else literal + "*"
    return lambda key: fnmatchcase(key, glob)
