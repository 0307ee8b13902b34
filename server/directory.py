"""The rules of the phone book: sessions, presence, who sees whom. Nothing here reads a clock, a socket or a
disk: accounts and the time come in, answers and effects go out.

One function, `_seen`, decides what somebody looks like to somebody; list, whois, watch, pushes and
introductions all ask it. Whoever is not visible is answered from the stored account alone, so that `hidden`
and `offline` cannot differ.
"""

from bisect import bisect_left, bisect_right, insort
from collections.abc import Callable, Iterable
from fnmatch import fnmatchcase
from itertools import count

from msgspec import Raw

from server.account import Account
from server.effects import (
    Close,
    Effect,
    Ended,
    HandOverKnocks,
    Happened,
    KeepActive,
    KeepLastSeen,
    Push,
    SessionId,
)
from server.session import PUBLIC, Session
from wire.errors import ErrorCode, Refused
from wire.limits import MAX_WATCHED
from wire.messages import (
    CloseReason,
    Endpoint,
    Notice,
    Person,
    Presence,
    Profile,
    Status,
    Visibility,
)
from wire.names import NameKey, name_key
from wire.rpc import encode_once

SLICE = 1_000  # sessions that one look through those who are there takes; about 1 ms
DISCONNECTED = "disconnected"  # why a session ended that nobody ended

# Read once: to get at a member of an Enum by its name costs 0.1 us in Python 3.11, a tenth of a look-up.
_OFFLINE, _CONTACTS = Status.OFFLINE, Visibility.CONTACTS


class Directory:
    """Who is there."""

    def __init__(self, *, open_addresses: bool) -> None:
        self.open_addresses = open_addresses
        """Whether every member sees where somebody can be reached."""
        self._sessions: dict[SessionId, Session] = {}
        self._by_key: dict[str, Session] = {}
        self._keys: list[NameKey] = []
        """The same keys, sorted."""
        self._watchers: dict[NameKey, set[SessionId]] = {}
        self._numbers = count(1)

    # --- who is there -----------------------------------------------------------------------------------

    def sessions(self) -> list[Session]:
        """Everybody who is logged in, by name."""
        return [self._by_key[key] for key in self._keys]

    @property
    def count(self) -> int:
        """How many are logged in."""
        return len(self._sessions)

    def session(self, session_id: SessionId) -> Session | None:
        """One session."""
        return self._sessions.get(session_id)

    def session_of(self, key: NameKey) -> Session | None:
        """The session of a name, seen by everybody or not: for the operator and the account itself."""
        return self._by_key.get(key)

    def status_for(self, asker: NameKey, key: NameKey) -> Status:
        """What somebody looks like to somebody."""
        session = self._by_key.get(key)
        return Status.OFFLINE if session is None else self._seen(session, asker)

    def visible(self, asker: NameKey, key: NameKey) -> Account | None:
        """The account of somebody whom the asker sees; None means: ask the store, as for somebody offline."""
        session = self._by_key.get(key)
        if session is None or self._seen(session, asker) is _OFFLINE:
            return None
        return session.account

    def person(self, asker: NameKey, account: Account) -> Person:
        """One line of `list`."""
        return Person(account.name, self.status_for(asker, account.key))

    def people_there(
        self, asker: NameKey, status: Status, pattern: str, after: NameKey, limit: int
    ) -> tuple[list[Person], NameKey | None]:
        """The next whom the asker sees with a status, by name, and how far it looked: None where that is all.

        For any status but offline.
        """
        wild = "*" in pattern or "?" in pattern
        beginning = pattern.partition("*")[0].partition("?")[0]
        glob = pattern.replace("[", "[[]")
        first = bisect_left(self._keys, beginning) if beginning > after else bisect_right(self._keys, after)
        found: list[Person] = []
        for key in self._keys[first : first + SLICE]:
            if not key.startswith(beginning):
                return found, None
            if wild and not fnmatchcase(key, glob):
                continue
            session = self._by_key[key]
            if self._seen(session, asker) is status:
                found.append(Person(session.account.name, status))
                if len(found) == limit:
                    return found, key
        return found, self._keys[first + SLICE - 1] if first + SLICE < len(self._keys) else None

    def whois(self, asker: Session, key: NameKey) -> Profile | None:
        """What `whois` tells of somebody whom the asker sees; None means: ask the store, then `profile`."""
        session = self._by_key.get(key)
        if session is None:
            return None
        status = self._seen(session, asker.account.key)
        if status is _OFFLINE:
            return None
        account, endpoints = session.account, session.endpoints if self._knows(asker, key) else None
        return Profile(
            account.name, status, session.status_since, account.created, account.fingerprint, endpoints
        )

    def card(self, asker: Session, name: str) -> Raw | None:
        """`whois` of a name as bytes for a reply, made once for all who are told the same."""
        session = self._by_key.get(name) or self._by_key.get(name_key(name))  # mostly it is the key already
        if session is None:
            return None
        key = session.account.key
        everybodys = self._seen(session, asker.account.key) is session.public
        knows = self._knows(asker, key)
        card = session.cards[knows] if everybodys else None
        if card is None:
            profile = self.whois(asker, key)
            if profile is None:
                return None
            card = encode_once(profile)
            if everybodys:
                session.cards[knows] = card
        return card

    def profile(self, asker: Session, account: Account) -> Profile:
        """What `whois` tells of an account that came from the store."""
        # Whoever came while the store was asked is answered for as they are now.
        return self.whois(asker, account.key) or Profile(
            account.name,
            Status.OFFLINE,
            account.blocked.get(asker.account.key, account.last_seen),
            account.created,
            account.fingerprint,
            () if self._knows(asker, account.key) else None,
        )

    # --- sessions ---------------------------------------------------------------------------------------

    def open(
        self, account: Account, address: str, endpoints: tuple[Endpoint, ...], now: float
    ) -> tuple[SessionId, list[Effect]]:
        """Begins a session; an older one of the account ends."""
        session = Session(SessionId(next(self._numbers)), account, address, now, now, endpoints)
        effects: list[Effect] = []
        old = self._by_key.get(account.key)
        if old is not None:
            text = f"Somebody logged in as {account.name} from {address}."
            effects.append(Close(old.id, CloseReason.REPLACED, text))
            session.status_since = old.status_since

        def change() -> None:
            if old is not None:
                self._drop(old)
            self._sessions[session.id] = self._by_key[account.key] = session
            insort(self._keys, account.key)

        effects += self._changing(account.key, change)
        effects += [
            Happened(now, "login", account.name, address=address),
            HandOverKnocks(session.id, account.key, account.created),
        ]
        return session.id, effects

    def close(self, session_id: SessionId, now: float, why: str) -> list[Effect]:
        """A session is over: logged out, closed, or vanished."""
        session = self._sessions.get(session_id)
        if session is None:
            return []
        effects = self._changing(session.account.key, lambda: self._drop(session))
        if session.account.visibility in PUBLIC:
            effects.append(KeepLastSeen(session.account.id, now))
        else:
            effects.append(KeepActive(session.account.id, now))
        return [*effects, Ended(session.id), Happened(now, "logout", session.account.name, why)]

    def kick(
        self, key: NameKey, reason: str, now: float, why: CloseReason = CloseReason.KICKED
    ) -> list[Effect]:
        """Ends somebody's session by the operator's will."""
        session = self._by_key.get(key)
        if session is None:
            return []
        closing = Close(session.id, why, reason)
        kicked = [Happened(now, "kick", session.account.name, reason)] if why is CloseReason.KICKED else []
        return [closing, *kicked, *self.close(session.id, now, why.value)]

    def notice(self, text: str) -> list[Effect]:
        """Words to everybody."""
        notice = Notice(text)
        return [Push(session_id, notice) for session_id in self._sessions]

    def close_all(self, reason: CloseReason, text: str) -> list[Effect]:
        """Tells everybody that the phone book stops."""
        return [Close(session_id, reason, text) for session_id in self._sessions]

    # --- what a session asks ----------------------------------------------------------------------------

    def password_changed(self, session: Session, account: Account, now: float) -> list[Effect]:
        """A session changed its account's password; another that was taken up beside it ends."""
        if session.id in self._sessions:
            session.becomes(account)
        return self.end_older(account, now, CloseReason.PASSWORD_CHANGED, "")

    def end_older(self, account: Account, now: float, why: CloseReason, text: str) -> list[Effect]:
        """Ends a session that began before the account's epoch did: its resume token no longer holds."""
        session = self._by_key.get(account.key)
        older = session is not None and session.account.epoch < account.epoch
        return self.kick(account.key, text, now, why) if older else []

    def blocking(self, account: Account, keys: Iterable[NameKey], now: float) -> dict[NameKey, float]:
        """Whom an account blocks. To each it looks as if it left for good, now or when they saw it last."""
        return {
            key: account.blocked.get(
                key, account.last_seen if self.status_for(key, account.key) is Status.OFFLINE else now
            )
            for key in sorted(keys)
            if key != account.key
        }

    def set_blocked(self, account: Account, now: float) -> list[Effect]:
        """The account was written with others to whom it looks offline: so does whoever is in for it now."""
        return [*self._becoming(account, now), Happened(now, "blocks", account.name)]

    def set_visibility(self, account: Account, now: float) -> list[Effect]:
        """The account was written with another visibility, which whoever is in for it now has then."""
        session = self._by_key.get(account.key)
        left = session is not None and session.account.visibility in PUBLIC
        effects = self._becoming(account, now)
        if left and account.visibility not in PUBLIC:
            effects.append(KeepLastSeen(account.id, now))
        return [*effects, Happened(now, "visibility", account.name, account.visibility.value)]

    def watch(self, session: Session, accounts: Iterable[Account]) -> list[Person]:
        """Pushes about these people from now on; their status now. Raises `Refused`."""
        people = list(accounts)
        keys = {account.key for account in people}
        if len(session.watching | keys) > MAX_WATCHED:
            raise Refused(ErrorCode.TOO_MANY, f"A session may watch {MAX_WATCHED} people at most.")
        if session.id in self._sessions:  # it may have ended while the accounts were looked up
            for key in keys:
                session.watching.add(key)
                self._watchers.setdefault(key, set()).add(session.id)
        return [self.person(session.account.key, account) for account in people]

    def unwatch(self, session: Session, keys: Iterable[NameKey]) -> None:
        """No more pushes about these people."""
        for key in keys:
            session.watching.discard(key)
            self._forget_watcher(key, session.id)

    def knocked(self, account: Account) -> list[Effect]:
        """Somebody knocked, and that is written: whoever is there hears of it, seen by others or not."""
        callee = self._by_key.get(account.key)
        return [HandOverKnocks(callee.id, account.key, account.created)] if callee is not None else []

    # --- inside -----------------------------------------------------------------------------------------

    def _seen(self, session: Session, asker: NameKey) -> Status:
        """What somebody who is logged in looks like to somebody. This is the only place that decides it."""
        account = session.account
        if asker in account.blocked:
            return _OFFLINE
        if session.public is not _OFFLINE:
            return session.public
        if asker in session.allowed:
            return Status.ONLINE
        itself = asker == account.key and account.visibility is _CONTACTS
        return Status.ONLINE if itself else Status.OFFLINE

    def _becoming(self, account: Account, now: float) -> list[Effect]:
        """Others see somebody from now on; whoever no longer does is not told where they go either."""
        session = self._by_key.get(account.key)
        if session is None:
            return []

        def change() -> None:
            if account.visibility is not session.account.visibility:
                session.status_since = now
            session.becomes(account)
            session.fresh = {
                key: until for key, until in session.fresh.items() if self._seen(session, key) is not _OFFLINE
            }

        return self._changing(account.key, change)

    def _knows(self, asker: Session, key: NameKey) -> bool:
        """Whether the asker is told where somebody can be reached."""
        return self.open_addresses or key in asker.introduced or key == asker.account.key

    def _changing(self, key: NameKey, change: Callable[[], None]) -> list[Effect]:
        """Pushes to the watchers of somebody for whom the change makes a difference, and to no others."""
        watchers = [self._sessions[watcher] for watcher in self._watchers.get(key, ())]
        before = [self.status_for(watcher.account.key, key) for watcher in watchers]
        session = self._by_key.get(key)
        change()
        session = self._by_key.get(key) or session
        if session is None:
            return []
        effects: list[Effect] = []
        # Whoever sees the same is sent the same object, which is encoded once.
        presence = {status: Presence(session.account.name, status) for status in Status}
        for watcher, status in zip(watchers, before, strict=True):
            now_seen = self.status_for(watcher.account.key, key)
            if now_seen is not status and watcher.id in self._sessions:
                effects.append(Push(watcher.id, presence[now_seen]))
        return effects

    def _drop(self, session: Session) -> None:
        del self._sessions[session.id]
        if self._by_key.get(session.account.key) is session:
            del self._by_key[session.account.key]
            del self._keys[bisect_left(self._keys, session.account.key)]
        for key in session.watching:
            self._forget_watcher(key, session.id)

    def _forget_watcher(self, key: NameKey, session_id: SessionId) -> None:
        watchers = self._watchers.get(key)
        if watchers is not None:
            watchers.discard(session_id)
            if not watchers:
                del self._watchers[key]
