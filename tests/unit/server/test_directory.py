from collections.abc import Iterable
from fnmatch import fnmatchcase

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.account import Account, AccountId
from server.directory import Directory
from server.effects import Close, Effect, KeepLastSeen, Push, SessionId
from server.introductions import Introductions
from server.session import Session
from wire.errors import Refused
from wire.messages import (
    CloseReason,
    Endpoint,
    Message,
    Presence,
    Status,
    Visibility,
)
from wire.names import NameKey, name_key

HERE = (Endpoint("192.0.2.7", 4000),)


def account(name: str, visibility: Visibility = Visibility.ONLINE, **fields: object) -> Account:
    number = AccountId(sum(map(ord, name)))
    made = Account(
        number, name_key(name), name, "hash", 1.0, name.encode().ljust(32), visibility, last_seen=5.0
    )
    return msgspec.structs.replace(made, **fields)


def directory(*, open_addresses: bool = False) -> Directory:
    return Directory(open_addresses=open_addresses)


def introductions(book: Directory) -> Introductions:
    return Introductions(book, msgspec.json.encode, lambda one, other: (b"", b""))


def enter(book: Directory, who: Account, now: float = 10.0) -> Session:
    session_id, _ = book.open(who, "192.0.2.1", HERE, now)
    session = book.session(session_id)
    assert session is not None
    return session


def pushes(effects: Iterable[Effect], to: SessionId) -> list[Message]:
    return [effect.message for effect in effects if isinstance(effect, Push) and effect.session == to]


def answers(book: Directory, asker: Session, target: Account) -> tuple[object, ...]:
    """All that somebody can learn of somebody, as bytes on the wire."""
    visible = book.visible(asker.account.key, target.key)
    profile = book.profile(asker, visible or target)
    try:
        introductions(book).introduce(asker, visible or target, bytes(16), 50.0)
        refusal = "introduced"
    except Refused as error:
        refusal = str(msgspec.json.encode(error.to_object()))
    return (
        msgspec.json.encode(profile),
        msgspec.json.encode(book.person(asker.account.key, target)),
        msgspec.json.encode(book.watch(asker, [target])),
        refusal,
        visible,
    )


def test_hidden_answers_exactly_as_offline() -> None:
    hidden, offline = directory(), directory()
    bob = account("bob", Visibility.HIDDEN)
    alice_there, alice_here = enter(hidden, account("alice")), enter(offline, account("alice"))
    enter(hidden, bob)
    assert answers(hidden, alice_there, bob) == answers(offline, alice_here, bob)


def test_contacts_visibility_is_online_to_those_allowed_and_offline_to_the_rest() -> None:
    book = directory()
    alice, carol = enter(book, account("alice")), enter(book, account("carol"))
    bob = account("bob", Visibility.CONTACTS, allowed=(NameKey("alice"),))
    enter(book, bob)
    assert book.status_for(alice.account.key, bob.key) is Status.ONLINE
    assert answers(book, carol, bob) == answers(directory(), carol, bob)


def test_coming_and_going_unseen_pushes_nothing_and_changes_no_last_seen() -> None:
    book = directory()
    alice = enter(book, account("alice"))
    bob = account("bob", Visibility.HIDDEN)
    book.watch(alice, [bob])
    session_id, came = book.open(bob, "192.0.2.1", HERE, 10.0)
    went = book.close(session_id, 20.0, "left")
    assert not pushes([*came, *went], alice.id)
    assert not [effect for effect in [*came, *went] if isinstance(effect, KeepLastSeen)]


def test_going_hidden_is_seen_as_logging_off_at_that_moment() -> None:
    book = directory()
    alice, bob = enter(book, account("alice")), enter(book, account("bob"))
    book.watch(alice, [bob.account])
    hidden = msgspec.structs.replace(bob.account, visibility=Visibility.HIDDEN)
    effects = book.set_visibility(hidden, 42.0)
    assert pushes(effects, alice.id) == [Presence("bob", Status.OFFLINE)]
    assert KeepLastSeen(bob.account.id, 42.0) in effects


def test_watchers_hear_only_what_changes_for_them() -> None:
    book = directory()
    alice, carol = enter(book, account("alice")), enter(book, account("carol"))
    bob = enter(book, account("bob"))
    for watcher in (alice, carol):
        book.watch(watcher, [bob.account])
    contacts = msgspec.structs.replace(
        bob.account, visibility=Visibility.CONTACTS, allowed=(NameKey("alice"),)
    )
    effects = book.set_visibility(contacts, 11.0)
    assert pushes(effects, alice.id) == []
    assert pushes(effects, carol.id) == [Presence("bob", Status.OFFLINE)]


def test_a_second_login_takes_over_without_a_flicker() -> None:
    book = directory()
    alice, bob = enter(book, account("alice")), enter(book, account("bob"))
    book.watch(alice, [bob.account])
    new, effects = book.open(bob.account, "192.0.2.9", HERE, 30.0)
    assert pushes(effects, alice.id) == []
    (closed,) = [effect for effect in effects if isinstance(effect, Close)]
    assert (closed.session, closed.reason) == (bob.id, CloseReason.REPLACED)
    assert book.close(bob.id, 31.0, "the old connection") == []
    assert book.session(new) is not None


def test_a_kick_ends_the_session_and_says_why() -> None:
    book = directory()
    alice, bob = enter(book, account("alice")), enter(book, account("bob"))
    book.watch(alice, [bob.account])
    effects = book.kick(bob.account.key, "spam", 20.0)
    assert Close(bob.id, CloseReason.KICKED, "spam") in effects
    assert pushes(effects, alice.id) == [Presence("bob", Status.OFFLINE)]
    assert book.kick(bob.account.key, "spam", 21.0) == []


def test_to_whom_somebody_blocked_they_look_as_if_they_had_left_then_and_never_come_back() -> None:
    book, left = directory(), directory()
    alice, alice_there = enter(book, account("alice")), enter(left, account("alice"))
    bob = enter(book, account("bob"))
    book.watch(alice, [bob.account])
    blocked = book.blocking(bob.account, {name_key("alice"), name_key("carol"), name_key("bob")}, 42.0)
    assert blocked == {"alice": 42.0, "carol": 42.0}, "nobody blocks themselves"
    effects = book.set_blocked(msgspec.structs.replace(bob.account, blocked=blocked), 42.0)
    assert pushes(effects, alice.id) == [Presence("bob", Status.OFFLINE)]
    # Bob's later comings and goings change what the store has, but nothing for Alice.
    for last_seen in (42.0, 99.0):
        gone = account("bob", last_seen=42.0)
        stored = msgspec.structs.replace(bob.account, last_seen=last_seen)
        assert answers(book, alice, stored) == answers(left, alice_there, gone)
    carol = enter(book, account("carol"))
    dave = enter(book, account("dave"))
    assert book.status_for(carol.account.key, bob.account.key) is Status.OFFLINE
    assert book.status_for(dave.account.key, bob.account.key) is Status.ONLINE


def test_a_change_that_is_written_beside_a_new_login_holds_for_who_is_in_now() -> None:
    book = directory()
    alice, bob = enter(book, account("alice")), account("bob")
    enter(book, bob)
    again = enter(book, bob, now=11.0)  # it came in before the change was written
    book.watch(alice, [bob])
    hidden = msgspec.structs.replace(bob, visibility=Visibility.HIDDEN)
    effects = book.set_visibility(hidden, 12.0)
    assert pushes(effects, alice.id) == [Presence("bob", Status.OFFLINE)]
    assert KeepLastSeen(bob.id, 12.0) in effects
    assert again.status_since == 12.0
    assert book.set_visibility(bob, 13.0)[:1] == [Push(alice.id, Presence("bob", Status.ONLINE))]
    effects = book.set_blocked(msgspec.structs.replace(bob, blocked={alice.account.key: 14.0}), 14.0)
    assert pushes(effects, alice.id) == [Presence("bob", Status.OFFLINE)]
    book.close(again.id, 15.0, "")
    assert not pushes([*book.set_visibility(bob, 16.0), *book.set_blocked(bob, 16.0)], alice.id)


def test_who_saw_nobody_there_when_blocked_learns_no_new_time() -> None:
    book = directory()
    bob = enter(book, account("bob", Visibility.HIDDEN))
    assert book.blocking(bob.account, {name_key("alice")}, 42.0) == {"alice": 5.0}
    again = msgspec.structs.replace(bob.account, blocked={name_key("alice"): 5.0}, last_seen=77.0)
    assert book.blocking(again, {name_key("alice")}, 99.0) == {"alice": 5.0}
    assert book.blocking(again, (), 99.0) == {}


@given(
    there=st.dictionaries(st.text("abc[", min_size=1, max_size=4), st.sampled_from(Visibility), max_size=20),
    pattern=st.text("ab[?*", max_size=3),
    after=st.text("abc[", max_size=4),
    gone=st.sets(st.text("abc[", min_size=1, max_size=4), max_size=5),
    limit=st.integers(1, 5),
    slice_=st.integers(1, 5),
)
def test_pages_of_those_who_are_there_have_exactly_those_who_match(
    there: dict[str, Visibility], pattern: str, after: str, gone: set[str], limit: int, slice_: int
) -> None:
    book = directory()
    asker = enter(book, account("zoe"))
    for name, visibility in there.items():
        session = enter(book, account(name, visibility))
        if name in gone:
            book.close(session.id, 20.0, "")
    wild = pattern.replace("[", "[[]") + ("" if "*" in pattern or "?" in pattern else "*")
    found: list[str] = []
    reached: NameKey | None = NameKey(after)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("server.directory.SLICE", slice_)
        while reached is not None:
            people, reached = book.people_there(asker.account.key, Status.ONLINE, pattern, reached, limit)
            assert len(people) <= min(limit, slice_)
            found += [person.name for person in people]
    assert found == sorted(
        name
        for name, visibility in {**there, "zoe": Visibility.ONLINE}.items()
        if visibility is Visibility.ONLINE and name not in gone and name > after and fnmatchcase(name, wild)
    )
    assert [session.account.name for session in book.sessions()] == sorted({*there, "zoe"} - gone)


def test_whoever_left_before_the_answer_watches_nobody() -> None:
    book = directory()
    alice, bob = account("alice"), account("bob")
    gone = enter(book, alice)
    book.close(gone.id, 11.0, "")
    book.watch(gone, [bob])
    there = enter(book, bob)
    assert [type(effect) for effect in book.kick(bob.key, "", 12.0)][:1] == [Close]
    assert book.session(there.id) is None


def test_a_look_at_somebody_costs_the_same_however_many_they_allow() -> None:
    compared = 0

    class Asker(str):
        __slots__ = ()

        def __eq__(self, other: object) -> bool:
            nonlocal compared
            compared += 1
            return str.__eq__(self, other)

        __hash__ = str.__hash__

    book = directory()
    many = tuple(NameKey(f"person{number}") for number in range(1_000))
    bob = enter(book, account("bob", Visibility.HIDDEN, allowed=many))
    assert book.status_for(NameKey(Asker("alice")), bob.account.key) is Status.OFFLINE
    assert book.status_for(NameKey(Asker("person999")), bob.account.key) is Status.ONLINE
    assert compared < 10
