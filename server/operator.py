"""What the operator can see and do, called from the console's thread."""

from collections.abc import Callable
from time import time

import msgspec

from server.accounts import Account
from server.effects import Happened
from server.embedded import EmbeddedPhoneBook
from wire.certificates import show_fingerprint
from wire.errors import ErrorCode, Refused
from wire.limits import MAX_NOTICE, PAGE
from wire.messages import Visibility
from wire.names import NameKey, name_key

MAX_LISTED = 1_000  # accounts that one command shows


class ClientInfo(msgspec.Struct, frozen=True):
    """One live session."""

    name: str
    address: str
    version: str
    visibility: Visibility
    since: float
    """Seconds since the epoch."""
    endpoints: tuple[str, ...]


class AccountInfo(msgspec.Struct, frozen=True):
    """One account."""

    name: str
    online: bool
    visibility: Visibility
    created: float
    last_seen: float
    fingerprint: str


class Details(msgspec.Struct, frozen=True):
    """All there is to know of one account."""

    account: AccountInfo
    session: ClientInfo | None


class Stats(msgspec.Struct, frozen=True):
    """The phone book in figures."""

    uptime: float
    """Seconds."""
    accounts: int
    connections: int
    sessions: int
    requests: int
    hashes_waiting: int
    events: dict[str, int]
    """How often each kind of event happened since the start."""


class Operator:
    """Thread-safe: every method runs on the phone book's own thread and waits for it."""

    def __init__(self, book: EmbeddedPhoneBook) -> None:
        self._book = book
        self._server = book.server

    @property
    def book(self) -> EmbeddedPhoneBook:
        """The phone book that is operated."""
        return self._book

    def clients(self) -> list[ClientInfo]:
        """Everybody who is logged in, by name."""

        async def work() -> list[ClientInfo]:
            keys = [session.account.key for session in self._server.directory.sessions()]
            return [info for key in keys if (info := self._client(key)) is not None]

        return self._book.call(work())

    def accounts(self, pattern: str = "") -> list[AccountInfo]:
        """Accounts by name, `MAX_LISTED` at most; `pattern` is a beginning, or has `*` and `?`."""

        async def work() -> list[AccountInfo]:
            found: list[Account] = []
            while len(found) < MAX_LISTED:
                after = found[-1].key if found else name_key("")
                page = await self._server.accounts.page(after, name_key(pattern), PAGE)
                found += page
                if len(page) < PAGE:
                    break
            return [self._account(account) for account in found[:MAX_LISTED]]

        return self._book.call(work())

    def inspect(self, name: str) -> Details:
        """One account and its session. Raises `Refused(UNKNOWN_NAME)`."""

        async def work() -> Details:
            account = await self._server.accounts.find(name_key(name))
            if account is None:
                raise Refused(ErrorCode.UNKNOWN_NAME, f"There is no account {name}.")
            return Details(self._account(account), self._client(account.key))

        return self._book.call(work())

    def kick(self, name: str, reason: str) -> bool:
        """Ends somebody's session; whether there was one. Raises `Refused(UNKNOWN_NAME)`."""
        return self._book.call(self._server.service.kick(name, reason[:MAX_NOTICE]))

    def notice(self, text: str) -> int:
        """Words to everybody; how many were reached."""

        async def work() -> int:
            effects = self._server.directory.notice(text[:MAX_NOTICE])
            self._server.perform([*effects, Happened(time(), "notice", "operator", text[:MAX_NOTICE])])
            return len(effects)

        return self._book.call(work())

    def stats(self) -> Stats:
        """The phone book in figures."""

        async def work() -> Stats:
            return Stats(
                time() - self._server.started,
                await self._server.accounts.count(),
                len(self._server.connections),
                len(self._server.directory.sessions()),
                self._server.service.requests,
                self._server.passwords.waiting,
                dict(sorted(self._server.counts.items())),
            )

        return self._book.call(work())

    def subscribe(self, watcher: Callable[[Happened], None]) -> Callable[[], None]:
        """Calls back for everything that happens, on the phone book's thread; returns how to end that."""
        self._server.watchers.add(watcher)
        return lambda: self._server.watchers.discard(watcher)

    def shutdown(self, text: str) -> None:
        """Tells everybody and stops."""
        self._book.stop(text)

    def _client(self, key: NameKey) -> ClientInfo | None:
        session = self._server.directory.session_of(key)
        if session is None:
            return None
        connection = self._server.connection_of(session.id)
        return ClientInfo(
            session.account.name,
            session.address,
            connection.client.version if connection else "",
            session.account.visibility,
            session.since,
            tuple(str(endpoint) for endpoint in session.endpoints),
        )

    def _account(self, account: Account) -> AccountInfo:
        return AccountInfo(
            account.name,
            self._server.directory.session_of(account.key) is not None,
            account.visibility,
            account.created,
            account.last_seen,
            show_fingerprint(account.fingerprint),
        )
