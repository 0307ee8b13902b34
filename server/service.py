"""What each request does: it asks the directory and the store, and answers. No socket here.

What needs neither disk nor hash is answered at once; the rest is a coroutine, which the connection awaits
before it looks at the next request.
"""

import asyncio
import contextlib
import secrets
from collections.abc import Callable, Coroutine, Iterator
from time import monotonic, time
from typing import Any

import msgspec

import wire
from server.access import Access
from server.access_codes import AccessCodes
from server.accounts import Account, AccountId, AccountStore
from server.client import Client
from server.credentials import checked_fingerprint, checked_name
from server.directory import Directory
from server.effects import Effect, Happened
from server.errors import NameInUse
from server.knocks import Knocks
from server.passwords import Passwords
from server.session import Session
from server.settings import ServerSettings
from server.throttles import LoginAttempt, Throttles
from server.tokens import TokenMint
from wire import messages
from wire.errors import BadName, ErrorCode, Refused
from wire.limits import PAGE
from wire.messages import Message, Status, Visibility
from wire.names import NameKey, name_key
from wire.tickets import TICKET_ID_BYTES

Answer = Message | msgspec.Raw | Coroutine[Any, Any, Message]
DRAIN_RETRY = 5.0  # seconds after which somebody may ask whether the phone book is back
MAX_PAGES = 50  # pages of accounts that one `list` by status may look through


class Service:
    """Answers requests; `perform` carries effects out."""

    def __init__(
        self,
        settings: ServerSettings,
        directory: Directory,
        accounts: AccountStore,
        passwords: Passwords,
        mint: TokenMint,
        throttles: Throttles,
        knocks: Knocks,
        access: Access,
        codes: AccessCodes,
        *,
        ticket_key: bytes,
        perform: Callable[[list[Effect]], None],
    ) -> None:
        self._settings = settings
        self._directory = directory
        self._accounts = accounts
        self._passwords = passwords
        self._mint = mint
        self._throttles = throttles
        self._knocks = knocks
        self._access = access
        self._codes = codes
        self._ticket_key = ticket_key
        self._perform = perform
        self.requests = 0
        self.lookups = 0
        self.draining = False
        """Whether nobody new is let in, since the phone book is about to stop."""

    def answer(self, client: Client, request: Message) -> Answer:
        """The reply to a request, or a coroutine of it. Raises `Refused`, as the coroutine may."""
        self.requests += 1
        if client.credit < 1:
            self._refill(client)
        client.credit -= 1
        session = self._directory.session(client.session_id) if client.session_id is not None else None
        if session is None:
            return self._before_login(client, request)
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
                self._perform(self._directory.set_endpoints(session, endpoints, time()))
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
                return self._hello(client, request)
            case messages.Signup() | messages.Login() | messages.Resume() | messages.Reset():
                raise Refused(ErrorCode.ALREADY_LOGGED_IN, "This connection is logged in; log out first.")
            case _:
                raise Refused(ErrorCode.METHOD_NOT_FOUND, "There is no such request.")

    def change(self, settings: ServerSettings) -> None:
        """Other settings from now on."""
        self._settings = settings

    # --- before login -----------------------------------------------------------------------------------

    def _before_login(self, client: Client, request: Message) -> Answer:
        if not client.greeted and not isinstance(request, messages.Hello):
            raise Refused(ErrorCode.HELLO_FIRST, "The first request of a connection is hello.")
        if self.draining and not isinstance(request, messages.Hello | messages.Ping):
            raise Refused(
                ErrorCode.SHUTTING_DOWN, "The phone book is about to stop.", retry_after=DRAIN_RETRY
            )
        match request:
            case messages.Hello():
                return self._hello(client, request)
            case messages.Ping():
                return messages.Done()
            case messages.Signup():
                return self._signup(client, request)
            case messages.Login():
                return self._login(client, request)
            case messages.Resume():
                return self._resume(client, request)
            case messages.Reset():
                return self._reset(client, request)
            case _:
                raise Refused(ErrorCode.LOGIN_REQUIRED, "Log in first.")

    def _hello(self, client: Client, request: messages.Hello) -> Message:
        if request.major != wire.PROTOCOL_MAJOR:
            raise Refused(
                ErrorCode.VERSION_MISMATCH,
                f"This phone book speaks protocol {wire.PROTOCOL_MAJOR}.{wire.PROTOCOL_MINOR}, your shell "
                f"{request.major}.{request.minor}; update the older of the two.",
            )
        self._access.check(client.address, time())
        client.greeted, client.version = True, request.client
        return messages.Welcome(
            wire.PROTOCOL_MAJOR,
            wire.PROTOCOL_MINOR,
            f"parley-server/{wire.VERSION}",
            time(),
            self._ticket_key,
            client.address,
        )

    async def _signup(self, client: Client, request: messages.Signup) -> Message:
        self._access.check(client.address, time())
        self._access.check_registration(request.invite)
        key_fingerprint = checked_fingerprint(request.certificate)
        try:
            name = await asyncio.to_thread(checked_name, request.name)
        except BadName as error:
            raise Refused(ErrorCode.BAD_NAME, str(error)) from None
        with self._throttled("signup-throttled", request.name, client):
            self._throttles.signup(client.prefix, monotonic())
        taken = f"The name {name} is taken, or looks like one that is; choose another."
        key, now = name_key(name), time()
        if self._access.name_ban(key, now) or await self._accounts.find(key) is not None:
            raise Refused(ErrorCode.NAME_TAKEN, taken)
        password_hash = await self._passwords.hash(request.password)
        wanted = Account(AccountId(0), key, name, password_hash, now, key_fingerprint, last_seen=now)
        try:
            async with self._codes.invited(request.invite, key):
                account = await self._accounts.create(wanted)
        except NameInUse:
            raise Refused(ErrorCode.NAME_TAKEN, taken) from None
        self._perform([Happened(now, "signup", account.name, address=client.address)])
        return await self._begin(client, account, request.endpoints)

    async def _login(self, client: Client, request: messages.Login) -> Message:
        self._access.check(client.address, time())
        key_fingerprint = checked_fingerprint(request.certificate)
        attempt = self._attempt(client, name_key(request.name))
        account = await self._accounts.find(name_key(request.name))
        if not await self._right(attempt, account, request.password) or account is None:
            self._perform([Happened(time(), "login-failed", request.name, address=client.address)])
            raise Refused(ErrorCode.WRONG_CREDENTIALS, "The name or the password is not right.")
        changes: dict[str, Any] = {"fingerprint": key_fingerprint}
        if self._passwords.outdated(account.password_hash):
            changes["password_hash"] = await self._passwords.hash(request.password)
        latest = await self._accounts.get(account.id)
        if latest is None or latest.password_hash != account.password_hash:
            raise Refused(ErrorCode.WRONG_CREDENTIALS, "The password was changed at this moment.")
        return await self._begin(client, account, request.endpoints, **changes)

    async def _reset(self, client: Client, request: messages.Reset) -> Message:
        self._access.check(client.address, time())
        key_fingerprint = checked_fingerprint(request.certificate)
        key = name_key(request.name)
        attempt = self._attempt(client, key)
        account = await self._accounts.find(key)
        try:
            password_hash = await self._passwords.hash(request.password)
        except Refused:
            self._throttles.abandoned(attempt, monotonic())
            raise
        if not await self._codes.redeem_reset(request.token, account) or account is None:
            self._perform([Happened(time(), "reset-failed", request.name, address=client.address)])
            raise Refused(
                ErrorCode.WRONG_CREDENTIALS, "The name or the token is not right, or the token has run out."
            )
        self._throttles.succeeded(attempt, monotonic())
        self._perform([Happened(time(), "reset", account.name, address=client.address)])
        changes = {"fingerprint": key_fingerprint, "password_hash": password_hash}
        return await self._begin(client, account, request.endpoints, **changes)

    async def _resume(self, client: Client, request: messages.Resume) -> Message:
        claim = self._mint.check(request.token, time())
        account = await self._accounts.get(AccountId(claim.account_id)) if claim else None
        if claim is None or account is None or account.epoch != claim.epoch:
            raise Refused(ErrorCode.RESUME_REFUSED, "That session is over.")
        return self._enter(client, account, request.endpoints)

    async def _begin(
        self,
        client: Client,
        account: Account,
        endpoints: tuple[messages.Endpoint, ...],
        **changes: Any,
    ) -> Message:
        """A session of a new epoch: resume tokens of older ones no longer hold."""
        self._access.check(client.address, time(), account.key)
        account = await self._accounts.update(account.id, new_epoch=True, active=time(), **changes)
        return self._enter(client, account, endpoints)

    def _enter(self, client: Client, account: Account, endpoints: tuple[messages.Endpoint, ...]) -> Message:
        self._access.check(client.address, time(), account.key)
        session_id, effects = self._directory.open(account, client.address, endpoints, time())
        client.session_id = session_id
        self._perform(effects)
        return self._session_reply(account)

    def _session_reply(self, account: Account) -> messages.Session:
        token = self._mint.make(account.id, account.epoch, time())
        return messages.Session(account.name, token, account.visibility)

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
        people: list[messages.Person] = []
        if request.status not in (None, Status.OFFLINE):
            for person in self._directory.people_there(asker, request.status, pattern, after):
                if len(people) == PAGE:
                    return messages.People(tuple(people), more=True)
                people.append(person)
            return messages.People(tuple(people))
        for _ in range(MAX_PAGES):
            page = await self._accounts.page(after, pattern, PAGE + 1)
            for account in page[:PAGE]:
                person = self._directory.person(asker, account)
                if request.status is None or person.status is request.status:
                    people.append(person)
            if people or len(page) <= PAGE:
                return messages.People(tuple(people), more=len(page) > PAGE)
            after = page[PAGE - 1].key
        return messages.People(())

    async def _introduce(self, session: Session, request: messages.Introduce) -> Message:
        account = self._directory.visible(session.account.key, name_key(request.name))
        if account is None:
            account = await self.stored(request.name)
        if account.key == session.account.key:
            raise Refused(ErrorCode.UNAVAILABLE, "That is you.")
        self._throttles.introduction(session.account.key, monotonic())
        ticket_id = secrets.token_bytes(TICKET_ID_BYTES)
        introduction, effects = self._directory.introduce(session, account, ticket_id, time())
        self._perform(effects)
        return introduction

    async def _knock(self, session: Session, request: messages.Knock) -> Message:
        """The same look and the same write, whoever is there; they hear of it after this is answered."""
        self._throttles.introduction(session.account.key, monotonic())  # a knock costs as much
        account = await self.stored(request.name)
        if account.key == session.account.key:
            raise Refused(ErrorCode.UNAVAILABLE, "That is you.")
        if session.account.key in account.blocked:
            return messages.Done()  # the same answer as to everybody
        await self._knocks.leave(account.key, session.account.name, time())
        asyncio.get_running_loop().call_soon(lambda: self._perform(self._directory.knocked(account)))
        return messages.Done()

    async def _watch(self, session: Session, request: messages.Watch) -> Message:
        found = await self._accounts.find_all([name_key(name) for name in request.names])
        people = self._directory.watch(session, found)
        return messages.Statuses(tuple(people))

    async def _set_visibility(self, session: Session, request: messages.SetVisibility) -> Message:
        some = request.visibility in (Visibility.CONTACTS, Visibility.HIDDEN)
        allowed = tuple(sorted({name_key(name) for name in request.allowed})) if some else ()
        account = await self._accounts.update(
            session.account.id, visibility=request.visibility, allowed=allowed
        )
        self._perform(self._directory.set_visibility(session, account, time()))
        return messages.Done()

    async def _set_blocked(self, session: Session, request: messages.SetBlocked) -> Message:
        own = await self._own(session)
        blocked = self._directory.blocking(own, {name_key(name) for name in request.blocked}, time())
        if blocked != own.blocked:  # shells say it at each login, to be sure
            account = await self._accounts.update(own.id, blocked=blocked)
            self._perform(self._directory.set_blocked(session, account, time()))
        return messages.Done()

    async def _passwd(self, client: Client, session: Session, request: messages.Passwd) -> Message:
        attempt = self._attempt(client, session.account.key)
        account = await self._own(session)
        if not await self._right(attempt, account, request.old):
            self._perform([Happened(time(), "passwd-failed", account.name, address=client.address)])
            raise Refused(ErrorCode.WRONG_CREDENTIALS, "The old password is not right.")
        password_hash = await self._passwords.hash(request.new)
        account = await self._accounts.update(account.id, new_epoch=True, password_hash=password_hash)
        self._directory.account_changed(account)
        self._perform([Happened(time(), "passwd", account.name, address=client.address)])
        return messages.NewToken(self._mint.make(account.id, account.epoch, time()))

    async def _logout(self, client: Client, session: Session) -> Message:
        client.session_id = None
        self._perform(self._directory.close(session.id, time(), "logged out"))
        await self._accounts.update(session.account.id, new_epoch=True)
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

    def _attempt(self, client: Client, key: NameKey) -> LoginAttempt:
        """Before a password is looked at: this attempt, or the wait that earlier ones cost."""
        with self._throttled("login-throttled", key, client):
            return self._throttles.login(key, client.prefix, monotonic())

    async def _right(self, attempt: LoginAttempt, account: Account | None, password: str) -> bool:
        """Whether the password is right; without an account it costs the same and is not."""
        try:
            right = await self._passwords.verify(account.password_hash if account else None, password)
        except Refused:
            self._throttles.abandoned(attempt, monotonic())
            raise
        if right:
            self._throttles.succeeded(attempt, monotonic())
        return right

    def note(self, client: Client, what: str, detail: str = "") -> None:
        """Tells the operator of something that a connection did."""
        session = self._directory.session(client.session_id) if client.session_id is not None else None
        name = session.account.name if session is not None else ""
        self._perform([Happened(time(), what, name, detail, client.address)])

    @contextlib.contextmanager
    def _throttled(self, what: str, name: str, client: Client) -> Iterator[None]:
        """Tells the operator of somebody who has to wait."""
        try:
            yield
        except Refused:
            self._perform([Happened(time(), what, name, address=client.address)])
            raise

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
