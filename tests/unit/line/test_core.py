"""Single rules of the line's core, with no disk and no network."""

import pytest

from shell.events import MessageProgressed, MessagesRead
from shell.line.core import LineCore
from shell.line.effects import (
    DeclineHeld,
    Dial,
    Effect,
    HangUp,
    KeepContact,
    KeepIncoming,
    KeepOutgoing,
    KeepRead,
    KeepSeen,
    KeepState,
    ReleaseHeld,
    SendFrames,
    Tell,
    Waits,
)
from shell.line.errors import KeyNotAccepted
from shell.line.model import Consent, Contact, Incoming, Kept, MessageId, Outgoing, Rules, State
from wire.certificates import Fingerprint
from wire.frames import LineClose, Read, Receipt, Text, Verdict
from wire.messages import Endpoint
from wire.names import NameKey

OWN, BOB, EVE, OTHER = (Fingerprint(letter * 32) for letter in (b"o", b"b", b"e", b"x"))
KEY = NameKey("bob")
ID = MessageId(bytes(16))


def message(number: int = 0) -> Outgoing:
    return Outgoing(MessageId(number.to_bytes(16)), KEY, f"text {number}", 1.0)


def incoming(core: LineCore, line: int = 1) -> Incoming:
    (keep,) = core.received(line, Text(ID, 1.0, "hello"), 1.0)
    assert isinstance(keep, KeepIncoming)
    return keep.message


def opened(core: LineCore, line: int = 1, key: Fingerprint = BOB, now: float = 0.0) -> list[Effect]:
    return core.line_opened(line, "bob", key, calling=False, now=now)


def test_writing_is_kept_before_it_is_sent_or_dialed() -> None:
    effects = LineCore(OWN).write("bob", message(), 0.0)
    assert isinstance(effects[0], KeepOutgoing)
    assert [effect for effect in effects if isinstance(effect, Dial)] == [Dial(KEY, "bob")]


def test_nobody_is_dialed_twice_at_once_nor_while_known_to_be_away() -> None:
    core = LineCore(OWN)
    core.write("bob", message(0), 0.0)
    assert not [effect for effect in core.write("bob", message(1), 0.0) if isinstance(effect, Dial)]
    assert core.dial_failed("bob", "", 1.0, offline=True) == [Waits(KEY)]
    assert Dial(KEY, "bob") not in core.tick(1_000.0)
    assert Dial(KEY, "bob") in core.presence("bob", online=True, now=1_001.0)


def test_consent_given_while_a_message_is_on_its_way_to_the_disk_counts() -> None:
    core = LineCore(OWN)
    opened(core)
    held = incoming(core)
    assert held.held
    core.accept("bob", 1.0)
    assert ReleaseHeld(KEY) in core.incoming_kept(held, Kept.NEW, 1)
    core = LineCore(OWN)
    opened(core)
    held = incoming(core)
    core.block("bob")
    assert DeclineHeld(KEY, silent=True) in core.incoming_kept(held, Kept.NEW, 1)


def test_what_follows_a_message_that_is_being_held_is_not_shown_before_it() -> None:
    core = LineCore(OWN)
    opened(core)
    third = incoming(core)
    core.accept("bob", 1.0)
    (keep,) = core.received(1, Text(MessageId(b"4" * 16), 2.0, "fourth"), 2.0)
    assert isinstance(keep, KeepIncoming)
    for message in (third, keep.message):
        effects = core.incoming_kept(message, Kept.NEW, 1)
        assert ReleaseHeld(KEY) in effects
        assert not [effect for effect in effects if isinstance(effect, Tell)]
    (keep,) = core.received(1, Text(MessageId(b"5" * 16), 3.0, "fifth"), 3.0)
    assert isinstance(keep, KeepIncoming)
    assert not keep.message.held


def test_a_receipt_goes_out_only_after_the_commit() -> None:
    core = LineCore(OWN, [Contact(KEY, "bob", Consent.ACCEPTED)])
    opened(core)
    arrived = incoming(core)
    effects = core.incoming_kept(arrived, Kept.NEW, 1)
    assert SendFrames(1, (Receipt(ID, Verdict.DELIVERED),)) in effects
    again = core.incoming_kept(arrived, Kept.ALREADY_RECEIVED, 1)
    assert again == [SendFrames(1, (Receipt(ID, Verdict.DELIVERED),))]


def test_a_changed_key_is_refused_and_the_old_one_clears_the_alarm() -> None:
    core = LineCore(OWN, [Contact(KEY, "bob", Consent.ACCEPTED, pinned=BOB)])
    effects = opened(core, 1, EVE)
    assert HangUp(1, LineClose.KEY_NOT_TRUSTED) in effects
    assert [effect for effect in effects if isinstance(effect, Tell)]
    contact = core.contact("bob")
    assert contact is not None
    assert (contact.pinned, contact.presented) == (BOB, EVE)
    assert core.may_dial("bob", EVE)[0] is False
    opened(core, 2, BOB)
    contact = core.contact("BOB")
    assert contact is not None
    assert (contact.pinned, contact.presented) == (BOB, None)


def test_of_two_lines_dialed_at_once_both_sides_keep_the_same() -> None:
    kept = []
    for own, other in ((OWN, BOB), (BOB, OWN)):
        core = LineCore(own, [Contact(KEY, "bob", Consent.ACCEPTED, pinned=other)])
        core.line_opened(1, "bob", other, calling=own == OWN, now=0.0)
        core.line_opened(2, "bob", other, calling=own != OWN, now=1.0)
        kept.append(core.line_of("bob"))
    assert kept[0] == kept[1]


def test_a_call_that_failed_is_no_news_while_the_other_sides_call_stands() -> None:
    core = LineCore(OWN)
    core.write("bob", message(), 0.0)
    opened(core)
    assert core.dial_failed("bob", "hung up", 1.0, offline=False) == []
    assert Dial(KEY, "bob") in core.line_closed(1, None, 2.0)


def test_a_later_line_takes_the_place_of_a_dead_one() -> None:
    core = LineCore(OWN, [Contact(KEY, "bob", Consent.ACCEPTED)])
    opened(core, 1, now=0.0)
    core.write("bob", message(), 0.0)
    effects = opened(core, 2, now=60.0)
    assert HangUp(1, LineClose.REPLACED) in effects
    assert [effect.line for effect in effects if isinstance(effect, SendFrames)] == [2]


def test_a_line_without_receipts_is_given_up() -> None:
    core = LineCore(OWN, [Contact(KEY, "bob", Consent.ACCEPTED)])
    opened(core, 1, now=0.0)
    core.write("bob", message(), 0.0)
    assert core.tick(5.0) == []
    effects = core.tick(11.0)
    assert HangUp(1, LineClose.DONE) in effects
    assert Dial(KEY, "bob") in effects


def test_a_receipt_settles_a_message_once() -> None:
    core = LineCore(OWN, [Contact(KEY, "bob", Consent.ACCEPTED)])
    opened(core)
    written = message()
    core.write("bob", written, 0.0)
    receipt = Receipt(written.id, Verdict.DELIVERED)
    effects = core.received(1, receipt, 1.0)
    assert KeepState(written.id, KEY, State.DELIVERED) in effects
    assert core.received(1, receipt, 1.0) == []
    assert core.undelivered() == 0


def test_an_accepted_key_ends_the_line_of_the_one_before() -> None:
    core = LineCore(OWN, [Contact(KEY, "bob", Consent.ACCEPTED, BOB)])
    opened(core)
    core.line_opened(2, "bob", EVE, calling=False, now=1.0)
    assert HangUp(1, LineClose.KEY_NOT_TRUSTED) in core.accept_key("bob", EVE, 2.0)
    effects = core.write("bob", message(), 3.0)
    assert Dial(KEY, "bob") in effects
    assert not [effect for effect in effects if isinstance(effect, SendFrames)]


def test_whoever_ends_every_line_is_called_less_and_less() -> None:
    core = LineCore(OWN, [Contact(KEY, "bob", Consent.ACCEPTED, BOB)])
    core.write("bob", message(), 0.0)
    dials, now, line = 0, 0.0, 0
    while now < 600.0 or line < 3:
        line += 1
        core.line_opened(line, "bob", BOB, calling=True, now=now)
        effects = core.line_closed(line, LineClose.DONE, now)
        while Dial(KEY, "bob") not in effects and now < 600.0:
            now += 1.0
            effects = core.tick(now)
        dials += 1
    assert dials < 20
    core.line_opened(line + 1, "bob", BOB, calling=True, now=now)
    core.received(line + 1, Receipt(message().id, Verdict.DELIVERED), now)
    core.write("bob", message(1), now)
    assert Dial(KEY, "bob") in core.line_closed(line + 1, None, now + 1.0), "a useful line makes up for all"


def test_the_time_between_two_calls_is_bounded_however_often_they_fail() -> None:
    core = LineCore(OWN)
    core.write("bob", message(), 0.0)
    for number in range(2_000):
        core.dial_failed("bob", "", number * 100.0, offline=False)
        assert Dial(KEY, "bob") in core.tick(number * 100.0 + 61.0)
        core.line_opened(number, "bob", BOB, calling=True, now=number * 100.0 + 62.0)
        core.line_closed(number, LineClose.DONE, number * 100.0 + 62.0)


def test_whoever_only_listens_calls_back_at_once() -> None:
    core = LineCore(OWN, [Contact(KEY, "bob", Consent.ACCEPTED, BOB)])
    for number in range(5):
        core.line_opened(number, "bob", BOB, calling=False, now=float(number))
        core.line_closed(number, LineClose.DONE, float(number))
    assert Dial(KEY, "bob") in core.write("bob", message(), 5.0)


def test_a_key_that_the_disk_did_not_keep_is_on_no_line() -> None:
    core = LineCore(OWN)
    (keep,) = (effect for effect in opened(core) if isinstance(effect, KeepContact))
    assert HangUp(1, LineClose.DONE) in core.contact_not_kept(keep.contact)
    assert core.received(1, Text(ID, 1.0, "hello"), 1.0) == []
    contact = core.contact("bob")
    assert contact is not None
    assert contact.pinned is None
    (keep,) = (effect for effect in opened(core, 2) if isinstance(effect, KeepContact))
    core.contact_kept(keep.contact)
    (keep,) = (effect for effect in core.accept("bob", 2.0) if isinstance(effect, KeepContact))
    assert core.contact_not_kept(keep.contact) == []
    assert core.line_of("bob") == 2, "whose key is kept, the line stays"


def test_what_comes_after_what_had_no_room_waits_for_it() -> None:
    core = LineCore(OWN)
    opened(core)
    core.incoming_kept(incoming(core), Kept.NEW, 1)
    more = core.received(1, Text(MessageId(b"2" * 16), 2.0, "no room"), 2.0)
    assert isinstance(more[0], KeepIncoming)
    core.incoming_kept(more[0].message, Kept.NO_ROOM, 1)
    assert ReleaseHeld(KEY) in core.accept("bob", 3.0)
    assert core.received(1, Text(MessageId(b"3" * 16), 3.0, "next"), 3.0) == []
    assert HangUp(1, LineClose.REPLACED) in core.held_released(KEY, [], 3.0)
    opened(core, 2)
    assert core.received(2, Text(MessageId(b"2" * 16), 2.0, "no room"), 4.0)


def test_what_was_refused_is_never_called_delivered() -> None:
    core = LineCore(OWN, [Contact(KEY, "bob", Consent.ACCEPTED)])
    opened(core)
    delivered, refused = message(1), message(2)
    for written, verdict in ((delivered, Verdict.DELIVERED), (refused, Verdict.REFUSED)):
        core.write("bob", written, 0.0)
        core.received(1, Receipt(written.id, verdict), 1.0)
        assert core.received(1, Receipt(written.id, verdict), 1.0) == []
    assert core.state_of(delivered) is State.DELIVERED
    assert core.state_of(refused) is State.REFUSED


def test_a_held_message_is_sent_once_a_line_however_often_it_is_answered() -> None:
    core = LineCore(OWN, [Contact(KEY, "bob", Consent.ACCEPTED)])
    opened(core)
    written = message()
    core.write("bob", written, 0.0)
    for _ in range(3):
        effects = core.received(1, Receipt(written.id, Verdict.HELD), 1.0)
        assert not [effect for effect in effects if isinstance(effect, SendFrames)]
    core.line_closed(1, None, 2.0)
    effects = opened(core, 2, now=3.0)
    assert [effect.line for effect in effects if isinstance(effect, SendFrames)] == [2]


def test_a_slow_line_that_brings_receipts_is_kept() -> None:
    core = LineCore(OWN, [Contact(KEY, "bob", Consent.ACCEPTED)])
    opened(core, 1, now=0.0)
    for number in range(2):
        core.write("bob", message(number), 0.0)
    core.received(1, Receipt(message(0).id, Verdict.DELIVERED), 9.0)
    assert core.tick(15.0) == []
    assert HangUp(1, LineClose.DONE) in core.tick(20.0)


def progress(effects: list[Effect]) -> list[str]:
    events = [effect.event for effect in effects if isinstance(effect, Tell)]
    return [event.state for event in events if isinstance(event, MessageProgressed)]


def test_a_message_is_queued_sent_delivered_and_read() -> None:
    core = LineCore(OWN, [Contact(KEY, "bob", Consent.ACCEPTED)])
    written = message()
    assert progress(core.write("bob", written, 0.0)) == []
    assert progress(opened(core)) == ["sent"]
    assert progress(core.line_closed(1, None, 1.0)) == ["queued"]
    assert progress(opened(core, 2)) == ["sent"]
    assert progress(core.received(2, Receipt(written.id, Verdict.DELIVERED), 2.0)) == ["delivered"]
    assert core.received(2, Read(written.id), 3.0) == [KeepRead(KEY, written.id)]
    assert core.read(KEY, [written.id]) == [Tell(MessagesRead("bob", (written.id.hex(),)))]
    assert core.read(KEY, []) == []


def test_reading_is_told_only_where_the_user_wants_it_and_again_on_each_line() -> None:
    accepted = Contact(KEY, "bob", Consent.ACCEPTED)
    for tells in (False, True):
        core = LineCore(OWN, [accepted], rules=Rules(tells_read=tells))
        opened(core)
        assert core.looked_at("bob") == [KeepSeen(KEY)]
        told = core.seen(KEY, ID)
        assert (SendFrames(1, (Read(ID),)) in told) is tells
        core.line_closed(1, None, 1.0)
        assert (SendFrames(2, (Read(ID),)) in opened(core, 2)) is tells
        core.block("bob")
        assert SendFrames(3, (Read(ID),)) not in opened(core, 3)


def test_without_the_phone_book_everybody_for_whom_something_waits_is_called() -> None:
    core = LineCore(OWN)
    core.write("bob", message(), 0.0)
    core.dial_failed("bob", "", 1.0, offline=True)
    assert core.tick(2.0) == [Waits(KEY)]
    assert core.book_lost(3.0) == [Dial(KEY, "bob")]
    assert core.dial_failed("bob", "no answer", 4.0, offline=False) == [], "nobody has just written"
    assert core.book_back(5.0) == [Dial(KEY, "bob")]


def test_a_talk_that_went_on_without_the_phone_book_is_not_disturbed_when_it_is_back() -> None:
    core = LineCore(OWN, [Contact(KEY, "bob", Consent.ACCEPTED)])
    core.presence("bob", online=True, now=0.0)
    opened(core, 1, now=0.0)
    core.book_lost(1.0)
    core.book_back(2.0)
    for online in (False, True):  # Bob's shell comes back a moment after this one
        assert core.presence("bob", online=online, now=3.0) == []
    assert core.line_of("bob") == 1
    core.presence("bob", online=False, now=100.0)
    assert HangUp(1, LineClose.REPLACED) in core.presence("bob", online=True, now=101.0)


def test_what_a_line_shows_is_kept_of_a_contact_and_a_new_key_forgets_the_old_certificate() -> None:
    core = LineCore(OWN, [Contact(KEY, "bob", Consent.ACCEPTED)])
    there = (Endpoint("192.0.2.7", 7001),)
    (keep,) = core.line_opened(
        1, "bob", BOB, calling=True, now=0.0, certificate=b"certificate", endpoints=there
    )
    assert isinstance(keep, KeepContact)
    assert (keep.contact.pinned, keep.contact.certificate, keep.contact.endpoints) == (
        BOB,
        b"certificate",
        there,
    )
    core.line_closed(1, None, 1.0)
    again = core.line_opened(
        2, "bob", BOB, calling=False, now=2.0, certificate=b"certificate", endpoints=there
    )
    assert again == []
    core.may_dial("bob", EVE)
    (keep, *_) = core.accept_key("bob", EVE, 3.0)
    assert isinstance(keep, KeepContact)
    assert (keep.contact.pinned, keep.contact.certificate) == (EVE, None)


def test_the_key_that_is_accepted_is_the_one_that_was_seen() -> None:
    core = LineCore(OWN, [Contact(KEY, "bob", Consent.ACCEPTED, pinned=BOB)])
    core.may_dial("bob", EVE)
    core.may_dial("bob", OTHER)
    with pytest.raises(KeyNotAccepted, match="verify bob"):
        core.accept_key("bob", EVE, 1.0)
    contact = core.contact("bob")
    assert contact is not None
    assert (contact.pinned, contact.presented) == (BOB, OTHER)
    core.accept_key("bob", OTHER, 2.0)
    with pytest.raises(KeyNotAccepted):
        core.accept_key("bob", OTHER, 3.0)


def test_somebody_who_is_blocked_meets_the_same_end_of_line_as_of_somebody_who_leaves() -> None:
    core = LineCore(OWN, [Contact(KEY, "bob", Consent.BLOCKED)])
    assert opened(core) == [HangUp(1, LineClose.DONE)]


def ask(core: LineCore, name: str, line: int) -> list[Effect]:
    """Somebody new opens a line and writes; what follows when the disk has it."""
    core.line_opened(line, name, Fingerprint(name.encode().ljust(32)), calling=False, now=0.0)
    (keep,) = core.received(line, Text(line.to_bytes(16), 1.0, "hello"), 1.0)
    assert isinstance(keep, KeepIncoming)
    assert keep.max_held == 5
    return core.incoming_kept(keep.message, Kept.NEW, line)


def test_one_request_too_many_declines_the_oldest_also_of_an_earlier_run() -> None:
    # As the mailbox tells them at start: by the time of the request, whatever their names are.
    earlier = [(NameKey("zoe"), 1), (NameKey("adam"), 2)]
    contacts = [Contact(NameKey("adam"), "adam"), Contact(NameKey("zoe"), "zoe")]
    core = LineCore(OWN, contacts, (), earlier, Rules(max_requests=3, max_held=5))
    assert [contact.name for contact, _ in core.requests()] == ["zoe", "adam"]
    assert not [effect for effect in ask(core, "carol", 1) if isinstance(effect, DeclineHeld)]
    assert not [effect for effect in ask(core, "adam", 2) if isinstance(effect, DeclineHeld)]
    # Two more before the disk has answered: two go, the oldest first.
    assert DeclineHeld(NameKey("zoe"), silent=False) in ask(core, "dave", 3)
    assert DeclineHeld(NameKey("adam"), silent=False) in ask(core, "eve", 4)
    assert [contact.name for contact, _ in core.requests()] == ["carol", "dave", "eve"]


def test_whose_request_made_room_for_another_is_told_and_their_line_ends() -> None:
    core = LineCore(OWN, (), (), (), Rules(max_requests=1, max_held=5))
    ask(core, "bob", 1)
    assert DeclineHeld(KEY, silent=False) in ask(core, "carol", 2)
    effects = core.held_declined(KEY, [ID], 3.0, silent=False)
    assert effects == [
        SendFrames(1, (Receipt(ID, Verdict.REFUSED),)),
        HangUp(1, LineClose.TOO_MANY),
    ]


def test_retries_grow_slower_and_are_told_once() -> None:
    core = LineCore(OWN)
    core.write("bob", message(), 0.0)
    told = 0
    now, waits = 0.0, []
    for _ in range(8):
        told += sum(
            isinstance(effect, Tell) for effect in core.dial_failed("bob", "no answer", now, offline=False)
        )
        began = now
        while Dial(KEY, "bob") not in core.tick(now):
            now += 1.0
        waits.append(now - began)
    assert told == 1
    assert waits == sorted(waits)
    assert waits[-1] == 60.0


def test_what_is_kept_of_a_contact_comes_back() -> None:
    core = LineCore(OWN)
    (keep, *_) = core.accept("Bob", 0.0)
    assert isinstance(keep, KeepContact)
    again = LineCore(OWN, [keep.contact])
    assert [contact.name for contact in again.accepted()] == ["Bob"]
