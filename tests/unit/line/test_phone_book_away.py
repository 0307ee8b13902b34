"""Contacts reach each other by pinned keys and last endpoints while the phone book is away."""

import asyncio
import time
from pathlib import Path

from shell.events import MessageArrived
from shell.line.knocks import PERIOD, SPREAD, Knocks, period_of
from shell.line.model import Consent, Contact, State
from tests.unit.line.lines import PATIENCE, Person, two
from tests.unit.line.test_line import texts
from wire.certificates import Identity, make_identity
from wire.frames import NONCE_BYTES, Probe, ProbeKind
from wire.names import NameKey


def contact(name: str, identity: Identity, consent: Consent = Consent.ACCEPTED) -> Contact:
    key = identity.fingerprint
    return Contact(NameKey(name), name, consent, pinned=key, certificate=identity.certificate)


def test_both_sides_derive_the_same_knocks_and_nobody_else_does() -> None:
    alice, bob, eve = (make_identity(name) for name in ("alice", "bob", "eve"))
    called = Knocks(alice).toward(contact("bob", bob), 7)
    assert called is not None
    expected = {admission.id: admission for admission in Knocks(bob).expected([contact("alice", alice)], 7)}
    found = expected[called.id]
    assert (found.caller, found.caller_fingerprint) == ("alice", alice.fingerprint)
    assert (called.callee, called.callee_fingerprint) == ("bob", bob.fingerprint)
    back = Knocks(bob).toward(contact("alice", alice), 7)
    assert back is not None
    assert back.id != called.id, "a knock can be thrown back"
    strangers = Knocks(eve).toward(contact("bob", bob), 7)
    assert strangers is not None
    assert strangers.id not in expected


def test_knocks_change_every_period_and_clocks_may_differ_by_one() -> None:
    alice, bob = make_identity("alice"), make_identity("bob")
    calls = [Knocks(alice).toward(contact("bob", bob), number) for number in range(5)]
    ids = [call.id for call in calls if call is not None]
    assert len(set(ids)) == 5
    expected = {admission.id for admission in Knocks(bob).expected([contact("alice", alice)], 2)}
    assert [number for number in range(5) if ids[number] in expected] == list(range(2 - SPREAD, 3 + SPREAD))
    assert period_of(PERIOD * 7 + 1.0) == 7


def test_only_accepted_contacts_with_a_pinned_key_that_did_not_change_may_knock() -> None:
    alice, bob = make_identity("alice"), make_identity("bob")
    knocks = Knocks(bob)
    assert knocks.expected([contact("alice", alice)], 1)
    for consent in (Consent.UNDECIDED, Consent.BLOCKED):
        assert knocks.expected([contact("alice", alice, consent)], 1) == []
    unknown = Contact(NameKey("alice"), "alice", Consent.ACCEPTED, pinned=alice.fingerprint)
    changed = Contact(
        NameKey("alice"),
        "alice",
        Consent.ACCEPTED,
        alice.fingerprint,
        presented=bob.fingerprint,
        certificate=alice.certificate,
    )
    assert knocks.expected([unknown, changed], 1) == []
    assert knocks.toward(unknown, 1) is knocks.toward(changed, 1) is None


def test_contacts_talk_on_without_the_phone_book_also_on_a_new_line(tmp_path: Path) -> None:
    async def talk() -> None:
        town, alice, bob = await two(tmp_path)
        await alice.line.settled(await alice.line.write("bob", "before"), PATIENCE)
        town.lose_book()
        settled = await alice.line.settled(await alice.line.write("bob", "on the old line"), PATIENCE)
        assert settled.state is State.DELIVERED
        # Alice's shell ends and a new one begins, which knows Bob only from its disk.
        await town.leave(alice)
        again = await town.enter(Person("alice", tmp_path, town, alice.identity))
        for number in range(3):
            settled = await again.line.settled(await again.line.write("bob", f"new {number}"), PATIENCE)
            assert settled.state is State.DELIVERED
        await bob.line.settled(await bob.line.write("alice", "and back"), PATIENCE)
        assert texts(bob) == ["before", "on the old line", "new 0", "new 1", "new 2"]
        assert texts(again) == ["and back"]
        for person in (again, bob):
            await town.leave(person)

    asyncio.run(talk())


def test_who_is_hidden_or_has_blocked_the_caller_does_not_answer_a_knock(tmp_path: Path) -> None:
    async def call(silence: str) -> None:
        folder = tmp_path / silence
        folder.mkdir()
        town, alice, bob = await two(folder)
        await alice.line.settled(await alice.line.write("bob", "before"), PATIENCE)
        await town.leave(alice)
        town.lose_book()
        if silence == "hidden":
            bob.line.keep_quiet(quiet=True)
        else:
            await bob.line.block("alice")
        again = await town.enter(Person("alice", folder, town, alice.identity))
        settled = await again.line.settled(await again.line.write("bob", "are you there?"), PATIENCE)
        assert settled.state is State.QUEUED
        assert "No answer" in (again.line.last_failure("bob") or "")
        assert texts(bob) == ["before"]
        if silence == "hidden":
            bob.line.keep_quiet(quiet=False)
            await again.line.settled(await again.line.write("bob", "now?"), PATIENCE)
            await bob.until(lambda events: texts(bob) == ["before", "are you there?", "now?"])
        for person in (again, bob):
            await town.leave(person)

    async def calls() -> None:
        await asyncio.gather(call("hidden"), call("blocked"))

    asyncio.run(calls())


def test_a_knock_seen_on_the_network_opens_no_line_to_another(tmp_path: Path) -> None:
    """Eve replays Alice's knock and even learns the nonce: without Alice's key the proof does not hold."""

    async def talk() -> None:
        town, alice, bob = await two(tmp_path)
        await alice.line.settled(await alice.line.write("bob", "before"), PATIENCE)
        known = alice.line.core.contact("bob")
        assert known is not None
        knock = Knocks(alice.identity).toward(known, period_of(time.time()))
        assert knock is not None
        await town.leave(alice)
        town.lose_book()
        eve = await town.enter(Person("eve", tmp_path, town))
        # Eve's shell calls with what Alice's would knock with.
        endpoint = eve.line.network.endpoint
        channel = await endpoint.call(knock, endpoint.attempt(known.endpoints))
        closed = asyncio.Event()
        eve.line._network._dialed[channel] = "bob"
        eve.line.dial_failed = lambda name, reason, *, offline: closed.set()  # type: ignore[method-assign]
        async with asyncio.timeout(PATIENCE):
            await closed.wait()
        assert bob.told(MessageArrived)[1:] == []
        assert bob.line.core.line_of("eve") is None
        for person in (eve, bob):
            await town.leave(person)

    asyncio.run(talk())


def test_a_knock_id_that_nobody_stands_for_is_not_answered(tmp_path: Path) -> None:
    heard: list[bytes] = []

    class Stranger(asyncio.DatagramProtocol):
        def datagram_received(self, data: bytes, addr: object) -> None:
            heard.append(data)

    async def talk() -> None:
        town, alice, bob = await two(tmp_path)
        await alice.line.settled(await alice.line.write("bob", "before"), PATIENCE)
        town.lose_book()
        transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(
            Stranger, remote_addr=("127.0.0.1", bob.line.port)
        )
        other = Knocks(make_identity("eve")).toward(contact("bob", bob.identity), period_of(time.time()))
        assert other is not None
        transport.sendto(Probe(ProbeKind.KNOCK, other.id, bytes(NONCE_BYTES)).encode())
        await alice.line.settled(await alice.line.write("bob", "after"), PATIENCE)
        assert heard == []
        transport.close()
        for person in (alice, bob):
            await town.leave(person)

    asyncio.run(talk())
