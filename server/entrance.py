"""Whoever comes: the greeting, and all the ways to begin a session. No socket here.

A password is judged here as well where somebody who is there changes theirs: the throttles are the same.
"""

import asyncio
import contextlib
from collections.abc import Callable, Coroutine, Iterator
from time import monotonic, time
from typing import Any

import wire
from server.access import Access
from server.access_codes import AccessCodes
from server.account import Account, AccountId, AccountStore
from server.client import Client
from server.clock import ticket_time
from server.codes import code_digest
from server.credentials import checked_fingerprint, checked_name
from server.directory import Directory
from server.effects import Effect, Happened
from server.errors import NameInUse, Overtaken
from server.passwords import Passwords
from server.throttles import LoginAttempt, Throttles
from server.tokens import TokenMint
from wire import messages
from wire.errors import BadName, ErrorCode, Refused
from wire.messages import Message
from wire.names import NameKey, name_key

LOGIN_TRIES = 3  # of one login whose account another one changes at the same moment
DRAIN_RETRY = 5.0  # seconds after which somebody may ask whether the phone book is back


class Entrance:
    """Lets people in; `perform` carries effects out."""

    def __init__(
        self,
        directory: Directory,
        accounts: AccountStore,
        passwords: Passwords,
        mint: TokenMint,
        throttles: Throttles,
        access: Access,
        codes: AccessCodes,
        *,
        ticket_key: bytes,
        perform: Callable[[list[Effect]], None],
    ) -> None:
        self._directory = directory
        self._accounts = accounts
        self._passwords = passwords
        self._mint = mint
        self._throttles = throttles
        self._access = access
        self._codes = codes
        self._ticket_key = ticket_key
        self._perform = perform
        self.draining = False
        """Whether nobody new is let in, since the phone book is about to stop."""

    def answer(self, client: Client, request: Message) -> Message | Coroutine[Any, Any, Message]:
        """The reply to somebody who is not logged in, or a coroutine of it. Raises `Refused`."""
        if not client.greeted and not isinstance(request, messages.Hello):
            raise Refused(ErrorCode.HELLO_FIRST, "The first request of a connection is hello.")
        if self.draining and not isinstance(request, messages.Hello | messages.Ping):
            raise Refused(
                ErrorCode.SHUTTING_DOWN, "The phone book is about to stop.", retry_after=DRAIN_RETRY
            )
        match request:
            case messages.Hello():
                return self.hello(client, request)
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

    def hello(self, client: Client, request: messages.Hello) -> Message:
        """The first words of a connection. Raises `Refused`."""
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
            ticket_time(),
            self._ticket_key,
            client.address,
        )

    def attempt(self, client: Client, key: NameKey) -> LoginAttempt:
        """Before a password is looked at: this attempt, or the wait that earlier ones cost."""
        with self._throttled("login-throttled", key, client):
            return self._throttles.login(key, client.prefix, monotonic())

    async def right(self, attempt: LoginAttempt, account: Account | None, password: str) -> bool:
        """Whether the password is right; without an account it costs the same and is not."""
        try:
            right = await self._passwords.verify(account.password_hash if account else None, password)
        except Refused:
            self._throttles.abandoned(attempt, monotonic())
            raise
        if right:
            self._throttles.succeeded(attempt, monotonic())
        return right

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
        self._access.check(client.address, time())  # a ban that came meanwhile makes no account
        # With its first session, in one write: an account that is kept is one that somebody is in.
        wanted = Account(
            AccountId(0), key, name, password_hash, now, key_fingerprint, last_seen=now, epoch=1, active=now
        )
        try:
            async with self._codes.invited(request.invite, key):
                account = await self._accounts.create(wanted)
        except NameInUse:
            raise Refused(ErrorCode.NAME_TAKEN, taken) from None
        self._perform([Happened(now, "signup", account.name, address=client.address)])
        here = await self._accounts.settled(account.id)  # the invitation was settled meanwhile
        if here is None:
            raise Refused(ErrorCode.UNKNOWN_NAME, "That account was deleted.")
        return self._enter(client, here, request.endpoints)

    async def _login(self, client: Client, request: messages.Login) -> Message:
        self._access.check(client.address, time())
        key_fingerprint = checked_fingerprint(request.certificate)
        attempt = self.attempt(client, name_key(request.name))
        account = await self._accounts.find(name_key(request.name))
        if not await self.right(attempt, account, request.password) or account is None:
            self._perform([Happened(time(), "login-failed", request.name, address=client.address)])
            raise Refused(ErrorCode.WRONG_CREDENTIALS, "The name or the password is not right.")
        for _ in range(LOGIN_TRIES):
            with contextlib.suppress(Overtaken):
                return await self._begin_verified(client, account, request, key_fingerprint)
            # Another login at this moment may have hashed the same password anew, which is as good.
            now = await self._accounts.get(account.id)
            if now is None or not await self._passwords.verify(now.password_hash, request.password):
                break
            account = now
        raise Refused(ErrorCode.WRONG_CREDENTIALS, "The password was changed at this moment; try again.")

    async def _begin_verified(
        self, client: Client, account: Account, request: messages.Login, key_fingerprint: bytes
    ) -> Message:
        """Whose password was right for that hash. Raises `Overtaken` where the account has another by now."""
        changes: dict[str, Any] = {"fingerprint": key_fingerprint}
        if self._passwords.outdated(account.password_hash):
            changes["password_hash"] = await self._passwords.hash(request.password)
        verified = {"password_hash": account.password_hash}
        return await self._begin(client, account, request.endpoints, provided=verified, **changes)

    async def _reset(self, client: Client, request: messages.Reset) -> Message:
        self._access.check(client.address, time())
        key_fingerprint = checked_fingerprint(request.certificate)
        key = name_key(request.name)
        attempt = self.attempt(client, key)
        account = await self._accounts.find(key)
        try:
            password_hash = await self._passwords.hash(request.password)
        except Refused:
            self._throttles.abandoned(attempt, monotonic())
            raise
        digest = code_digest(request.token)
        try:
            account = await self._codes.may_reset(digest, account)
            self._throttles.succeeded(attempt, monotonic())
            self._access.check(client.address, time(), account.key)  # a ban does not use the token up
            changes = {"fingerprint": key_fingerprint, "password_hash": password_hash}
            account = await self._accounts.redeem(account.id, digest, time(), active=time(), **changes)
        except Overtaken:
            self._perform([Happened(time(), "reset-failed", request.name, address=client.address)])
            raise Refused(
                ErrorCode.WRONG_CREDENTIALS, "The name or the token is not right, or the token has run out."
            ) from None
        self._perform([Happened(time(), "reset", account.name, address=client.address)])
        return self._enter(client, account, request.endpoints)

    async def _resume(self, client: Client, request: messages.Resume) -> Message:
        claim = self._mint.check(request.token, time())
        # Read among the changes: a token that one under way ends gets no session after it.
        account = await self._accounts.settled(claim.account_id) if claim else None
        if claim is None or account is None or not claim.fits(account):
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
        token = self._mint.make(account, time())
        return messages.Session(account.name, token, account.visibility)

    @contextlib.contextmanager
    def _throttled(self, what: str, name: str, client: Client) -> Iterator[None]:
        """Tells the operator of somebody who has to wait."""
        try:
            yield
        except Refused:
            self._perform([Happened(time(), what, name, address=client.address)])
            raise
