"""Who is introduced learns where the other is, for as long as that is theirs to know."""

import msgspec

from server.directory import Directory
from server.effects import Push
from server.session import Session
from tests.unit.server.test_directory import HERE, account, directory, enter, introductions, pushes
from wire.limits import TICKET_LIFE
from wire.messages import Endpoint, Introduced, Moved, Profile, Visibility
from wire.tickets import Ticket


def test_an_introduction_tells_both_of_each_other_under_one_ticket() -> None:
    book = directory()
    alice, bob = enter(book, account("alice")), enter(book, account("bob"))
    to_alice, effects = introductions(book).introduce(alice, bob.account, bytes(16), 100.0)
    (pushed,) = pushes(effects, bob.id)
    assert isinstance(pushed, Introduced)
    assert (to_alice.name, pushed.introduction.name) == ("bob", "alice")
    assert to_alice.ticket == pushed.introduction.ticket
    ticket = msgspec.json.decode(to_alice.ticket, type=Ticket)
    assert (ticket.caller, ticket.callee) == ("alice", "bob")
    assert ticket.caller_fingerprint == alice.account.fingerprint
    assert ticket.expires > 100.0


def test_endpoints_are_told_to_the_introduced_and_to_members_where_the_operator_says_so() -> None:
    def endpoints(book: Directory, asker: Session, target: Session) -> tuple[Endpoint, ...] | None:
        profile: Profile = book.profile(asker, target.account)
        return profile.endpoints

    book = directory()
    alice, bob, carol = (enter(book, account(name)) for name in ("alice", "bob", "carol"))
    assert endpoints(book, alice, bob) is None
    introductions(book).introduce(alice, bob.account, bytes(16), 100.0)
    assert endpoints(book, alice, bob) == endpoints(book, bob, alice) == HERE
    assert endpoints(book, carol, bob) is None
    members = directory(open_addresses=True)
    alice, bob = enter(members, account("alice")), enter(members, account("bob"))
    assert endpoints(members, alice, bob) == HERE


def test_whoever_is_about_to_call_is_told_of_new_endpoints_for_as_long_as_the_ticket_holds() -> None:
    book = directory()
    alice, bob, carol = (enter(book, account(name)) for name in ("alice", "bob", "carol"))
    told = introductions(book)
    told.introduce(alice, bob.account, bytes(16), 10.0)
    outside = (Endpoint("203.0.113.9", 6000, outside=True),)
    assert told.set_endpoints(bob, outside, 11.0) == [Push(alice.id, Moved("bob", outside))]
    assert bob.endpoints == outside
    assert pushes(told.set_endpoints(alice, outside, 11.0), bob.id) == [Moved("alice", outside)]
    assert told.set_endpoints(carol, outside, 11.0) == []
    assert told.set_endpoints(bob, outside, 11.0 + TICKET_LIFE) == []


def test_nobody_who_sees_somebody_offline_is_told_where_they_went() -> None:
    for change in (Visibility.HIDDEN, None):
        book = directory()
        alice, bob = enter(book, account("alice")), enter(book, account("bob"))
        introductions(book).introduce(alice, bob.account, bytes(16), 10.0)
        if change is None:
            blocking = msgspec.structs.replace(bob.account, blocked={alice.account.key: 10.0})
            book.set_blocked(blocking, 10.0)
        else:
            book.set_visibility(account("bob", change), 10.0)
        assert pushes(introductions(book).set_endpoints(bob, HERE, 11.0), alice.id) == []
