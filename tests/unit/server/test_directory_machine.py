"""Any order of logins, logouts and changes of visibility leaves every watcher with what they may see."""

import msgspec
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from server.account import Account, AccountId
from server.directory import Directory
from server.effects import Close, Effect, KeepLastSeen, Push, SessionId
from server.introductions import Introductions
from server.session import Session
from wire.errors import ErrorCode, Refused
from wire.messages import CloseReason, Endpoint, Presence, Status, Visibility
from wire.names import NameKey
from wire.rpc import encode_once

NAMES = tuple(map(NameKey, ("alice", "bob", "carol", "bobby")))
SHOWN = {Visibility.ONLINE: Status.ONLINE, Visibility.AWAY: Status.AWAY, Visibility.BUSY: Status.BUSY}
names = st.sampled_from(NAMES)


class DirectoryMachine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.book = Directory(open_addresses=False)
        self.introductions = Introductions(self.book, lambda ticket: b"", lambda one, other: (b"", b""))
        self.now = 0.0
        self.accounts = {
            name: Account(AccountId(number), name, name, "", 0.0, bytes(32))
            for number, name in enumerate(NAMES)
        }
        self.there: dict[NameKey, SessionId] = {}
        self.told: dict[SessionId, dict[NameKey, Status]] = {}

    def expected(self, asker: NameKey, target: NameKey) -> Status:
        account = self.accounts[target]
        if target not in self.there or asker in account.blocked:
            return Status.OFFLINE
        if account.visibility is Visibility.CONTACTS:
            return Status.ONLINE if asker == target or asker in account.allowed else Status.OFFLINE
        if account.visibility is Visibility.HIDDEN:
            return Status.ONLINE if asker in account.allowed else Status.OFFLINE
        return SHOWN[account.visibility]

    def session(self, name: NameKey) -> Session:
        session = self.book.session(self.there[name])
        assert session is not None
        return session

    def carry_out(self, effects: list[Effect]) -> None:
        for effect in effects:
            match effect:
                case Push(session, Presence(name, status)):
                    assert self.told[session][NameKey(name)] is not status, "pushed what was known"
                    self.told[session][NameKey(name)] = status
                case Close(session, reason):
                    assert reason in (CloseReason.REPLACED, CloseReason.KICKED)
                    del self.told[session]
                case KeepLastSeen(account_id, when):
                    name = NAMES[account_id]
                    self.accounts[name] = msgspec.structs.replace(self.accounts[name], last_seen=when)
                case _:
                    pass

    @rule(name=names)
    def log_in(self, name: NameKey) -> None:
        self.now += 1
        session_id, effects = self.book.open(self.accounts[name], "", (), self.now)
        self.told[session_id] = {}
        self.carry_out(effects)
        self.there[name] = session_id

    @rule(name=names)
    def leave(self, name: NameKey) -> None:
        if name in self.there:
            self.now += 1
            session_id = self.there.pop(name)
            self.carry_out(self.book.close(session_id, self.now, ""))
            del self.told[session_id]

    @rule(name=names)
    def be_kicked(self, name: NameKey) -> None:
        self.now += 1
        there = self.there.pop(name, None)
        effects = self.book.kick(name, "", self.now)
        assert bool(effects) == (there is not None)
        self.carry_out(effects)

    @rule(
        name=names,
        visibility=st.sampled_from(Visibility),
        allowed=st.sets(names),
        blocked=st.sets(names, max_size=1),
    )
    def choose_visibility(
        self, name: NameKey, visibility: Visibility, allowed: set[NameKey], blocked: set[NameKey]
    ) -> None:
        if name in self.there:
            self.now += 1
            account = self.session(name).account
            account = msgspec.structs.replace(
                account,
                visibility=visibility,
                allowed=tuple(sorted(allowed)),
                blocked=self.book.blocking(account, blocked, self.now),
            )
            self.accounts[name] = msgspec.structs.replace(account, last_seen=self.accounts[name].last_seen)
            self.carry_out(self.book.set_visibility(account, self.now))

    @rule(watcher=names, watched=names)
    def watch(self, watcher: NameKey, watched: NameKey) -> None:
        if watcher in self.there:
            (person,) = self.book.watch(self.session(watcher), [self.accounts[watched]])
            self.told[self.there[watcher]][watched] = person.status

    @rule(watcher=names, watched=names)
    def unwatch(self, watcher: NameKey, watched: NameKey) -> None:
        if watcher in self.there:
            self.book.unwatch(self.session(watcher), [watched])
            self.told[self.there[watcher]].pop(watched, None)

    @rule(caller=names, callee=names)
    def introduce(self, caller: NameKey, callee: NameKey) -> None:
        if caller not in self.there or caller == callee:
            return
        try:
            self.introductions.introduce(self.session(caller), self.accounts[callee], bytes(16), self.now)
        except Refused as error:
            assert error.code == ErrorCode.UNAVAILABLE
            assert str(error) == f"{callee} is offline."
            assert self.expected(caller, callee) is Status.OFFLINE
        else:
            assert self.expected(caller, callee) is not Status.OFFLINE

    @rule(name=names, port=st.integers(1, 65535))
    def move(self, name: NameKey, port: int) -> None:
        if name in self.there:
            self.carry_out(
                self.introductions.set_endpoints(self.session(name), (Endpoint("127.0.0.1", port),), self.now)
            )

    @rule(open_addresses=st.booleans())
    def show_addresses(self, open_addresses: bool) -> None:
        self.book.open_addresses = open_addresses

    @invariant()
    def a_card_says_what_whois_says(self) -> None:
        for asker in self.there:
            for target in NAMES:
                profile = self.book.whois(self.session(asker), target)
                card = self.book.card(self.session(asker), target.title())
                assert card == (None if profile is None else encode_once(profile))

    @invariant()
    def everybody_sees_what_they_may(self) -> None:
        for asker in NAMES:
            for target in NAMES:
                assert self.book.status_for(asker, target) is self.expected(asker, target)

    @invariant()
    def every_watcher_knows_the_truth(self) -> None:
        for name, session_id in self.there.items():
            for target, status in self.told[session_id].items():
                assert status is self.expected(name, target)

    @invariant()
    def whoever_is_not_seen_is_answered_from_the_store(self) -> None:
        for asker in self.there:
            for target in NAMES:
                visible = self.book.visible(asker, target)
                assert (visible is None) == (self.expected(asker, target) is Status.OFFLINE)


TestDirectory = DirectoryMachine.TestCase
TestDirectory.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
