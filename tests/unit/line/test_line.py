"""Real lines on loopback: keys, strangers, replay, several people."""

import asyncio
import random
import threading
import time
from pathlib import Path

import pytest

from shell.errors import MailboxFailed, NotLoggedIn
from shell.events import KeyChanged, MessageArrived, MessagesRead, NotTrusted, RequestArrived, StorageFailed
from shell.line.effects import Effect
from shell.line.errors import CannotSend
from shell.line.model import Consent, Rules, State
from shell.line.quic import FRAME_STREAM, Quic
from shell.line.retries import Retries
from shell.line.udp import udp_socket
from tests.unit.line.lines import PATIENCE, Person, Town, two
from wire.certificates import Identity, make_identity
from wire.frames import NONCE_BYTES, Probe, ProbeKind, Receipt, Verdict
from wire.limits import MAX_CHOICE, MAX_CHOICES, MAX_TEXT
from wire.names import name_key


def texts(person: Person) -> list[str]:
    return [event.text for event in person.told(MessageArrived) if isinstance(event, MessageArrived)]


def test_a_changed_key_stops_messages_until_it_is_accepted(tmp_path: Path) -> None:
    async def talk() -> None:
        town, alice, bob = await two(tmp_path)
        assert (
            await alice.line.settled(await alice.line.write("bob", "one"), PATIENCE)
        ).state is State.DELIVERED
        await town.leave(bob)
        (tmp_path / "bob.db").unlink()
        impostor = await town.enter(Person("bob", tmp_path, town, make_identity("bob")))
        await impostor.line.accept("alice")
        second = await alice.line.write("bob", "two")
        await alice.until(lambda events: bool(alice.told(KeyChanged)))
        assert (await alice.line.settled(second, 0.5)).state is State.QUEUED
        assert texts(impostor) == []
        await alice.line.accept_key("bob", impostor.line.fingerprint)
        await impostor.until(lambda events: texts(impostor) == ["two"])
        for person in (alice, impostor):
            await town.leave(person)

    asyncio.run(talk())


def test_a_caller_with_a_changed_key_is_refused_and_told(tmp_path: Path) -> None:
    async def talk() -> None:
        town, alice, bob = await two(tmp_path)
        await alice.line.settled(await alice.line.write("bob", "one"), PATIENCE)
        await town.leave(alice)
        (tmp_path / "alice.db").unlink()
        stranger = await town.enter(Person("alice", tmp_path, town, make_identity("alice")))
        await stranger.line.write("bob", "I am Alice, really")
        await stranger.until(lambda events: bool(stranger.told(NotTrusted)))
        await bob.until(lambda events: bool(bob.told(KeyChanged)))
        assert texts(bob) == ["one"]
        for person in (bob, stranger):
            await town.leave(person)

    asyncio.run(talk())


def test_a_stranger_gets_no_answer_at_all(tmp_path: Path) -> None:
    heard: list[bytes] = []

    class Stranger(asyncio.DatagramProtocol):
        def datagram_received(self, data: bytes, addr: object) -> None:
            heard.append(data)

    async def talk() -> None:
        town, alice, bob = await two(tmp_path)
        loop = asyncio.get_running_loop()
        address = ("127.0.0.1", bob.line.port)
        transport, _ = await loop.create_datagram_endpoint(Stranger, remote_addr=address)
        initial = Quic.dial(bob.identity.fingerprint, time.monotonic()).transmit(time.monotonic())
        for datagram in initial:
            transport.sendto(datagram)
        transport.sendto(Probe(ProbeKind.KNOCK, bytes(16), bytes(NONCE_BYTES)).encode())
        for garbage in (b"", b"\x00", b"\x40" * 40, b"\xc0" * 1300, b"\xff" * 1300, bytes(range(256)) * 5):
            transport.sendto(garbage)
        # What came before this message was looked at before it.
        await alice.line.settled(await alice.line.write("bob", "hello"), PATIENCE)
        assert texts(bob) == ["hello"]
        assert heard == []
        transport.close()
        for person in (alice, bob):
            await town.leave(person)

    asyncio.run(talk())


def test_both_dialing_at_once_end_with_every_message_once(tmp_path: Path) -> None:
    async def talk() -> None:
        town, alice, bob = await two(tmp_path)
        for round_ in range(5):
            await asyncio.gather(
                *(alice.line.write("bob", f"a{round_}.{number}") for number in range(20)),
                *(bob.line.write("alice", f"b{round_}.{number}") for number in range(20)),
            )
        await bob.until(lambda events: len(texts(bob)) == 100)
        await alice.until(lambda events: len(texts(alice)) == 100)
        assert texts(bob) == [f"a{round_}.{number}" for round_ in range(5) for number in range(20)]
        assert texts(alice) == [f"b{round_}.{number}" for round_ in range(5) for number in range(20)]
        for person in (alice, bob):
            await town.leave(person)

    asyncio.run(talk())


@pytest.mark.parametrize("way", ["stop_stream", "reset_stream"])
def test_whoever_ends_the_stream_of_frames_loses_the_line_and_nobody_else_anything(
    tmp_path: Path, way: str
) -> None:
    async def talk() -> None:
        town, alice, bob = await two(tmp_path)
        carol = await town.enter(Person("carol", tmp_path, town))
        await bob.line.accept("carol")
        for person in (alice, carol):
            written = await person.line.write("bob", "hello")
            assert (await person.line.settled(written, PATIENCE)).state is State.DELIVERED
        channel = alice.line.channel_to(name_key("bob"))
        assert channel is not None
        getattr(channel.quic._connection, way)(FRAME_STREAM, 0)
        alice.line.network.keep_alive()
        for turn in range(3):
            theirs = await bob.line.write("alice", f"to alice {turn}")
            ours = await carol.line.write("bob", f"from carol {turn}")
            assert (await carol.line.settled(ours, PATIENCE)).state is State.DELIVERED
            assert (await bob.line.settled(theirs, PATIENCE)).state is State.DELIVERED
        assert texts(bob)[-3:] == [f"from carol {turn}" for turn in range(3)]
        for person in (alice, bob, carol):
            await town.leave(person)

    asyncio.run(talk())


def test_what_has_no_room_before_the_consent_arrives_after_it_in_its_order(tmp_path: Path) -> None:
    async def talk() -> None:
        town = Town()
        alice = await town.enter(Person("alice", tmp_path, town))
        bob = await town.enter(Person("bob", tmp_path, town, rules=Rules(max_held=3)))
        written = [await alice.line.write("bob", f"part {number}") for number in range(8)]
        states = [(await alice.line.settled(message, PATIENCE)).state for message in written]
        assert states == [State.HELD] * 8
        await bob.line.accept("alice")
        await bob.until(lambda events: len(texts(bob)) == 8)
        assert texts(bob) == [f"part {number}" for number in range(8)]
        await alice.until(lambda events: not alice.line.core.undelivered())
        assert {alice.line.core.state_of(one.message) for one in written} == {State.DELIVERED}
        for person in (alice, bob):
            await town.leave(person)

    asyncio.run(talk())


def test_the_greatest_question_arrives_and_what_is_greater_is_refused_here(tmp_path: Path) -> None:
    choices = tuple(chr(0x1F600 + number) * MAX_CHOICE for number in range(MAX_CHOICES))

    async def talk() -> None:
        town, alice, bob = await two(tmp_path)
        written = await alice.line.write("bob", "x" * MAX_TEXT, choices=choices)
        assert (await alice.line.settled(written, PATIENCE)).state is State.DELIVERED
        for text, offered in (
            ("x" * 100_000, ()),
            ("x", (*choices, "one more")),
            ("x", ("y" * 65,)),
            ("x", ("",)),
        ):
            with pytest.raises(CannotSend):
                await alice.line.write("bob", text, choices=offered)
        written = await alice.line.write("bob", "and a small one")
        assert (await alice.line.settled(written, PATIENCE)).state is State.DELIVERED
        for person in (alice, bob):
            await town.leave(person)

    asyncio.run(talk())


def test_what_the_disk_refused_does_not_hold(tmp_path: Path) -> None:
    async def talk() -> None:
        town, alice, bob = await two(tmp_path)
        refusal = "BEGIN SELECT RAISE(ABORT, 'the disk refused'); END"
        await bob.mailbox.read(
            lambda connection: connection.execute(
                f"CREATE TEMP TRIGGER no BEFORE INSERT ON contacts {refusal}"
            )
        )
        with pytest.raises(MailboxFailed):
            await bob.line.block("alice")
        contact = bob.line.core.contact("alice")
        assert contact is not None
        assert contact.consent is Consent.ACCEPTED, "as it would be after a restart"
        await bob.mailbox.read(lambda connection: connection.execute("DROP TRIGGER no"))
        await bob.line.block("alice")
        for person in (alice, bob):
            await town.leave(person)

    asyncio.run(talk())


def test_a_fault_of_one_happening_stops_no_other(tmp_path: Path) -> None:
    def fault() -> list[Effect]:
        raise ZeroDivisionError

    async def talk() -> None:
        town, alice, bob = await two(tmp_path)
        bob.line._happenings.put(fault)
        written = await alice.line.write("bob", "hello")
        assert (await alice.line.settled(written, PATIENCE)).state is State.DELIVERED
        assert texts(bob) == ["hello"]
        await town.leave(bob)
        for late in (bob.line.write("alice", "too late"), bob.line.accept("alice")):
            with pytest.raises(NotLoggedIn):
                async with asyncio.timeout(PATIENCE):
                    await late
        await town.leave(alice)

    asyncio.run(talk())


def test_a_blocked_caller_is_not_heard(tmp_path: Path) -> None:
    async def talk() -> None:
        town, alice, bob = await two(tmp_path)
        await bob.line.block("alice")
        written = await alice.line.write("bob", "hello?")
        assert (await alice.line.settled(written, 5.0)).state is State.QUEUED
        assert bob.told(MessageArrived) == bob.told(RequestArrived) == []
        await bob.line.unblock("alice")
        await bob.until(lambda events: bool(bob.told(RequestArrived)))
        for person in (alice, bob):
            await town.leave(person)

    asyncio.run(talk())


def test_a_full_disk_is_said_and_nothing_is_sent(tmp_path: Path) -> None:
    async def talk() -> None:
        import pytest

        from shell.errors import MailboxFailed

        town, alice, bob = await two(tmp_path)
        await alice.mailbox.read(lambda connection: connection.execute("PRAGMA max_page_count = 1"))
        pages = await alice.mailbox.read(
            lambda connection: connection.execute("PRAGMA page_count").fetchone()[0]
        )
        await alice.mailbox.read(
            lambda connection: connection.execute(f"PRAGMA max_page_count = {pages + 2}")
        )
        with pytest.raises(MailboxFailed, match="full"):
            for _ in range(20):
                await alice.line.write("bob", "x" * 5_000)
        sent = len(texts(bob))
        await alice.mailbox.read(lambda connection: connection.execute("PRAGMA max_page_count = 100000"))
        written = await alice.line.write("bob", "there is room again")
        assert (await alice.line.settled(written, PATIENCE)).state is State.DELIVERED
        assert texts(bob)[-1] == "there is room again"
        kept = await alice.mailbox.read(
            lambda connection: connection.execute("SELECT count(*) FROM messages").fetchone()[0]
        )
        assert len(texts(bob)) == kept >= sent
        for person in (alice, bob):
            await town.leave(person)

    asyncio.run(talk())


def test_what_the_disk_refused_once_comes_again_in_its_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shell.line.delivery.RECEIPT_PATIENCE", 0.5)

    async def talk() -> None:
        town, alice, bob = await two(tmp_path)
        refusal = "WHEN new.text = 'first' BEGIN SELECT RAISE(ABORT, 'the disk refused'); END"
        await bob.mailbox.read(
            lambda connection: connection.execute(
                f"CREATE TEMP TRIGGER refusal BEFORE INSERT ON messages {refusal}"
            )
        )
        bob.events.clear()
        await alice.line.write("bob", "first")
        await bob.until(lambda events: bool(bob.told(StorageFailed)))
        await bob.mailbox.read(lambda connection: connection.execute("DROP TRIGGER refusal"))
        for text in ("second", "third"):
            await alice.line.write("bob", text)
            # What comes the other way does not keep the line alive that hears nothing.
            written = await bob.line.write("alice", f"before {text}")
            assert (await bob.line.settled(written, PATIENCE)).state is State.DELIVERED
        await bob.until(lambda events: len(texts(bob)) >= 3)
        assert texts(bob) == ["first", "second", "third"]
        for person in (alice, bob):
            await town.leave(person)

    asyncio.run(talk())


def test_what_was_delivered_is_told_though_the_disk_refuses_what_comes_with_it(tmp_path: Path) -> None:
    async def talk() -> None:
        town, alice, bob = await two(tmp_path)
        refusal = "WHEN new.text = 'second' BEGIN SELECT RAISE(ABORT, 'the disk refused'); END"
        await alice.mailbox.read(
            lambda connection: connection.execute(
                f"CREATE TEMP TRIGGER refusal BEFORE INSERT ON messages {refusal}"
            )
        )
        await alice.line.settled(await alice.line.write("bob", "hello"), PATIENCE)
        slow = threading.Event()
        held = asyncio.create_task(bob.mailbox.read(lambda connection: slow.wait(PATIENCE)))
        first = await alice.line.write("bob", "first")
        line = alice.line.core.line_of("bob")
        assert line is not None
        second = asyncio.create_task(alice.line.write("bob", "second"))
        await asyncio.sleep(0)  # the second waits in the queue, and what is said of the first comes behind it
        alice.line.arrived(line, Receipt(first.message.id, Verdict.DELIVERED))
        with pytest.raises(MailboxFailed):
            await second
        assert first.settling.done()
        assert first.settling.result().state is State.DELIVERED
        slow.set()
        await held
        assert await states(alice) == ["delivered", "delivered"]
        for person in (alice, bob):
            await town.leave(person)

    asyncio.run(talk())


def test_what_was_read_is_told_also_on_the_next_line_and_not_without_the_setting(tmp_path: Path) -> None:
    async def talk() -> None:
        town = Town()
        alice = await town.enter(Person("alice", tmp_path, town))
        bob = await town.enter(Person("bob", tmp_path, town, rules=Rules(tells_read=True)))
        await bob.line.accept("alice")
        await alice.line.accept("bob")
        for text in ("one", "two"):
            await alice.line.settled(await alice.line.write("bob", text), PATIENCE)
        bob.line.looked_at("alice")
        await alice.until(lambda events: bool(alice.told(MessagesRead)))
        assert await states(alice) == ["read", "read"]
        await alice.line.settled(await alice.line.write("bob", "three"), PATIENCE)
        await town.leave(alice)
        bob.line.looked_at("alice")
        again = await town.enter(Person("alice", tmp_path, town, alice.identity))
        # Who left had no line to hear it on; the next one says it again.
        await bob.line.settled(await bob.line.write("alice", "back?"), PATIENCE)
        await again.until(lambda events: bool(again.told(MessagesRead)))
        assert await states(again) == ["read", "read", "read", "received"]
        again.line.looked_at("bob")
        await again.line.settled(await again.line.write("bob", "yes"), PATIENCE)
        assert bob.told(MessagesRead) == []
        for person in (again, bob):
            await town.leave(person)

    asyncio.run(talk())


async def states(person: Person) -> list[str]:
    query = "SELECT state FROM messages ORDER BY number"
    return [
        state
        for (state,) in await person.mailbox.read(lambda connection: connection.execute(query).fetchall())
    ]


def test_under_load_callers_show_where_they_are_and_get_their_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shell.line.endpoint.RETRY_HALF_OPEN", 0)
    retried: list[bytes] = []
    offer = Retries.offer

    def counted(retries: Retries, first: bytes, address: tuple[str, int], now: float) -> bytes:
        retried.append(first)
        return offer(retries, first, address, now)

    monkeypatch.setattr(Retries, "offer", counted)

    async def talk() -> None:
        town, alice, bob = await two(tmp_path)
        await alice.line.settled(await alice.line.write("bob", "hello"), PATIENCE)
        assert texts(bob) == ["hello"]
        assert retried
        for person in (alice, bob):
            await town.leave(person)

    asyncio.run(talk())


def test_garbage_from_strangers_makes_no_connection_and_stops_no_talk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[bytes] = []
    answer = Quic.answer

    def counted(identity: Identity, first: bytes, retried: bytes | None = None) -> Quic:
        made.append(first)
        return answer(identity, first, retried)

    monkeypatch.setattr(Quic, "answer", counted)

    async def talk() -> None:
        town, alice, bob = await two(tmp_path)
        loop, source = asyncio.get_running_loop(), random.Random(5)
        address = ("127.0.0.1", bob.line.port)
        transport, _ = await loop.create_datagram_endpoint(asyncio.DatagramProtocol, remote_addr=address)
        initial = Quic.dial(bob.identity.fingerprint, time.monotonic()).transmit(time.monotonic())[0]
        for number in range(20):
            for _ in range(100):
                transport.sendto(source.randbytes(source.randrange(1, 1400)))
                transport.sendto(initial)
            await alice.line.settled(await alice.line.write("bob", str(number)), PATIENCE)
        assert texts(bob) == [str(number) for number in range(20)]
        assert initial not in made
        transport.close()
        for person in (alice, bob):
            await town.leave(person)

    asyncio.run(talk())


def test_a_line_outlives_the_address_of_its_peer(tmp_path: Path) -> None:
    """As when a NAT forgets: the same socket is suddenly heard from another port."""

    async def talk() -> None:
        town, alice, bob = await two(tmp_path)
        await alice.line.settled(await alice.line.write("bob", "one"), PATIENCE)
        opened = alice.line.core.line_of("bob"), bob.line.core.line_of("alice")
        before = bob.line.path("alice")
        moved = udp_socket(0)
        transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(
            lambda: alice.line.network.endpoint.socket, sock=moved
        )
        await alice.line.settled(await alice.line.write("bob", "two"), PATIENCE)
        await bob.line.settled(await bob.line.write("alice", "three"), PATIENCE)
        assert (texts(bob), texts(alice)) == (["one", "two"], ["three"])
        after = bob.line.path("alice")
        assert before is not None
        assert after is not None
        assert after.address == (before.address[0], moved.getsockname()[1])
        assert (alice.line.core.line_of("bob"), bob.line.core.line_of("alice")) == opened
        for person in (alice, bob):
            await town.leave(person)
        transport.close()

    asyncio.run(talk())
