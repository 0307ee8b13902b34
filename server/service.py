"""What each request of somebody who is logged in does: it asks the directory and the store, and answers. No
socket here.

What needs neither disk nor hash is answered at once; the rest is a coroutine, which the connection awaits
before it looks at the next request.
"""

import asyncio
import contextlib
import random
import secrets
from collections.abc import Callable, Coroutine, Iterable
from time import monotonic, time
from typing import Any

import msgspec

from server.account import Account, AccountStore
from server.client import Client
from server.clock import ticket_time
from server.directory import Directory
from server.effects import Effect, Happened
from server.entrance import Entrance
from server.errors import Overtaken
from server.introductions import Introductions
from server.knocks import UNHEARD, Knocks
from server.passwords import Passwords
from server.session import Session
from server.settings import ServerSettings
from server.throttles import Throttles
from server.tokens import TokenMint
from wire import messages
from wire.errors import ErrorCode, Refused
from wire.limits import PAGE
from wire.messages import CloseReason, Message, Status, Visibility
from wire.names import NameKey, is_key, name_key
from wire.tickets import TICKET_ID_BYTES

Answer = Message | msgspec.Raw | Coroutine[Any, Any, Message]
HAND_OVER = (0.05, 0.25)  # seconds after which whoever is there hears of a knock


class Service:
    """Answers requests; `perform` carries effects out."""

    def __init__(
        self,
        settings: ServerSettings,
        directory: Directory,
        introductions: Introductions,
        accounts: AccountStore,
        passwords: Passwords,
        mint: TokenMint,
        throttles: Throttles,
        knocks: Knocks,
        entrance: Entrance,
        *,
        perform: Callable[[list[Effect]], None],
    ) -> None:
        self._settings = settings
        self._directory = directory
        self._introductions = introductions
        self._accounts = accounts
        self._passwords = passwords
        self._mint = mint
        self._throttles = throttles
        self._knocks = knocks
        self._entrance = entrance
        self._perform = perform
        self.requests = 0
        self.lookups = 0

    def answer(self, client: Client, request: Message) -> Answer:
        """The reply to a request, or a coroutine of it. Raises `Refused`, as the coroutine may."""
        self.requests += 1
        if client.credit < 1:  # as in `charge`, without a call for every look-up
            self._refill(client)
        client.credit -= 1
        session = self._directory.session(client.session_id) if client.session_id is not None else None
        if session is None:
            return self._entrance.answer(client, request)
        match request:  # the most frequent first
            case messages.Whois():
                return self._whois(session, request)
            case messages.Ping():
                return messages.Done()
            case messages.ListPeople():
                return self._list(session, request)
            case messages.Introduce():
                return self._introduce(session, request)
            case messages.Knock():
                return self._knock(session, request)
            case messages.Watch():
                return self._watch(session, request)
            case messages.Unwatch(names):
                self._directory.unwatch(session, [name_key(name) for name in names])
                return messages.Done()
            case messages.SetEndpoints(endpoints):
                self._perform(self._introductions.set_endpoints(session, endpoints, ticket_time()))
                return messages.Done()
            case messages.SetVisibility():
                return self._set_visibility(session, request)
            case messages.SetBlocked():
                return self._set_blocked(session, request)
            case messages.Passwd():
                return self._passwd(client, session, request)
            case messages.Logout():
                return self._logout(client, session)
            case messages.Hello():
                return self._entrance.hello(client, request)
            case messages.Signup() | messages.Login() | messages.Resume() | messages.Reset():
                raise Refused(ErrorCode.ALREADY_LOGGED_IN, "This connection is logged in; log out first.")
            case _:
                raise Refused(ErrorCode.METHOD_NOT_FOUND, "There is no such request.")

    def charge(self, client: Client) -> None:
        """Counts what was wrong before it was a request. Raises `Refused` where there was too much."""
        if client.credit < 1:
            self._refill(client)
        client.credit -= 1

    def change(self, settings: ServerSettings) -> None:
        """Other settings from now on."""
        self._settings = settings

    # --- after login ------------------------------------------------------------------------------------

    def _whois(self, session: Session, request: messages.Whois) -> Answer:
        self.lookups += 1
        card = self._directory.card(session, request.name)
        if card is not None:
            return card

        async def stored() -> Message:
            return self._directory.profile(session, await self.stored(request.name))

        return stored()

    async def _list(self, session: Session, request: messages.ListPeople) -> Message:
        asker, after, pattern = session.account.key, name_key(request.after), name_key(request.pattern)
        if request.status not in (None, Status.OFFLINE):
            return await self._list_there(asker, request.status, pattern, after)
        while True:  # a page on which nobody is offline is full of people who are there: they are bounded
            page = await self._accounts.page(after, pattern, PAGE + 1)
            shown = [self._directory.person(asker, account) for account in page[:PAGE]]
            people = tuple(person for person in shown if request.status in (None, person.status))
            if people or len(page) <= PAGE:
                return messages.People(people, more=len(page) > PAGE)
            after = page[PAGE - 1].key

    async def _list_there(self, asker: NameKey, status: Status, pattern: str, after: NameKey) -> Message:
        people: list[messages.Person] = []
        reached: NameKey | None = after
        while reached is not None and len(people) <= PAGE:
            room = PAGE + 1 - len(people)
            found, reached = self._directory.people_there(asker, status, pattern, reached, room)
            people += found
            if reached is not None and len(people) <= PAGE:
                await asyncio.sleep(0)  # others have their turn
        return messages.People(tuple(people[:PAGE]), more=len(people) > PAGE)

    async def _introduce(self, session: Session, request: messages.Introduce) -> Message:
        account = self._directory.visible(session.account.key, name_key(request.name))
        if account is None:
            account = await self.stored(request.name)
        if account.key == session.account.key:
            raise Refused(ErrorCode.UNAVAILABLE, "That is you.")
        self._throttles.introduction(session.account.key, monotonic())
        ticket_id = secrets.token_bytes(TICKET_ID_BYTES)
        introduction, effects = self._introductions.introduce(session, account, ticket_id, ticket_time())
        happened = Happened(time(), "introduction", session.account.name, account.name)
        self._perform([*effects, happened])
        return introduction

    async def _knock(self, session: Session, request: messages.Knock) -> Message:
        """The same look and the same write, whoever is there; they hear of it at some later moment.

        What that costs would show in the time of a request that follows at once, and tell who is hidden.
        """
        self._throttles.introduction(session.account.key, monotonic())  # a knock costs as much
        account = await self.stored(request.name)
        if account.key == session.account.key:
            raise Refused(ErrorCode.UNAVAILABLE, "That is you.")
        when = UNHEARD if session.account.key in account.blocked else time()
        await self._knocks.leave(account.key, session.account.name, when)
        later = random.uniform(*HAND_OVER)  # noqa: S311 - spreads; whoever guesses it learns nothing
        asyncio.get_running_loop().call_later(later, lambda: self._perform(self._directory.knocked(account)))
        return messages.Done()

    async def _watch(self, session: Session, request: messages.Watch) -> Message:
        found = await self._accounts.find_all([name_key(name) for name in request.names])
        people = self._directory.watch(session, found)
        return messages.Statuses(tuple(people))

    async def _set_visibility(self, session: Session, request: messages.SetVisibility) -> Message:
        some = request.visibility in (Visibility.CONTACTS, Visibility.HIDDEN)
        allowed = tuple(sorted(_keys(request.allowed))) if some else ()
        account = await self._accounts.update(
            session.account.id, visibility=request.visibility, allowed=allowed
        )
        self._perform(self._directory.set_visibility(account, time()))
        return messages.Done()

    async def _set_blocked(self, session: Session, request: messages.SetBlocked) -> Message:
        own = await self._own(session)
        blocked = self._directory.blocking(own, _keys(request.blocked), time())
        if blocked != own.blocked:  # shells say it at each login, to be sure
            account = await self._accounts.update(own.id, blocked=blocked)
            self._perform(self._directory.set_blocked(account, time()))
        return messages.Done()

    async def _passwd(self, client: Client, session: Session, request: messages.Passwd) -> Message:
        attempt = self._entrance.attempt(client, session.account.key)
        account = await self._own(session)
        if not await self._entrance.right(attempt, account, request.old):
            self._perform([Happened(time(), "passwd-failed", account.name, address=client.address)])
            raise Refused(ErrorCode.WRONG_CREDENTIALS, "The old password is not right.")
        password_hash = await self._passwords.hash(request.new)
        # Every login, logout, kick and reset counts an epoch: this session is still the account's, then.
        verified = {"password_hash": account.password_hash, "epoch": session.account.epoch}
        overtaken = Refused(
            ErrorCode.WRONG_CREDENTIALS,
            "Your session ended or your password changed meanwhile; here it was not changed. Log in again.",
        )
        if self._directory.session(session.id) is None:
            raise overtaken
        try:
            account = await self._accounts.update(
                account.id, new_epoch=True, provided=verified, password_hash=password_hash
            )
        except Overtaken:
            raise overtaken from None
        changed = self._directory.password_changed(session, account, time())
        self._perform([*changed, Happened(time(), "passwd", account.name, address=client.address)])
        return messages.NewToken(self._mint.make(account, time()))

    async def _logout(self, client: Client, session: Session) -> Message:
        client.session_id, client.left_at = None, monotonic()
        self._perform(self._directory.close(session.id, time(), "logged out"))
        with contextlib.suppress(Overtaken):  # somebody logged in meanwhile: the token no longer holds anyway
            account = await self._accounts.update(
                session.account.id, new_epoch=True, provided={"epoch": session.account.epoch}
            )
            said = f"{account.name} logged out on another connection."
            self._perform(self._directory.end_older(account, time(), CloseReason.REPLACED, said))
        return messages.Done()

    # --- for the operator -------------------------------------------------------------------------------

    async def kick(self, name: str, reason: str) -> bool:
        """Ends somebody's session and its resume token; whether there was one. Raises `Refused`."""
        account = await self.stored(name)
        await self._accounts.update(account.id, new_epoch=True)
        effects = self._directory.kick(account.key, reason, time())
        self._perform(effects)
        return bool(effects)

    # --- inside -----------------------------------------------------------------------------------------

    async def stored(self, name: str) -> Account:
        """The account of a name. Raises `Refused(UNKNOWN_NAME)`."""
        account = await self._accounts.find(name_key(name))
        if account is None:
            raise Refused(ErrorCode.UNKNOWN_NAME, f"There is no account {name}.")
        return account

    async def _own(self, session: Session) -> Account:
        """The account as it is stored now: other changes of it may have come between."""
        return await self._accounts.get(session.account.id) or session.account

    def note(self, client: Client, what: str, detail: str = "") -> None:
        """Tells the operator of something that a connection did."""
        session = self._directory.session(client.session_id) if client.session_id is not None else None
        name = session.account.name if session is not None else ""
        self._perform([Happened(time(), what, name, detail, client.address)])

    def _refill(self, client: Client) -> None:
        """A token bucket of one second's worth of requests, which is filled up again when it is empty.

        The clock is asked then and not at each request, so that who was quiet may send two seconds' worth.
        """
        rate, now = self._settings.requests_per_second, monotonic()
        client.credit = min(rate, client.credit + (now - client.credit_at) * rate)
        client.credit_at = now
        if client.credit < 1:
            if not client.hasty:  # once a connection: it may go on for a long time
                client.hasty = True
                self.note(client, "requests-throttled")
            raise Refused(ErrorCode.RATE_LIMITED, "Too many requests; go slower.", retry_after=1 / rate)


def _keys(names: Iterable[str]) -> set[NameKey]:
    """The keys of names that somebody could have; the others are nobody's, and are not kept."""
    return {key for name in names if is_key(key := name_key(name))}
