"""Real lines on loopback: keys, strangers, replay, several people."""

import asyncio
import time
from pathlib import Path

from shell.events import KeyChanged, MessageArrived, MessagesRead, NotTrusted, RequestArrived
from shell.line.model import State
from shell.line.quic import Quic
from tests.unit.line.lines import PATIENCE, Person, Town
from wire.certificates import make_identity
from wire.frames import NONCE_BYTES, Probe, ProbeKind


def texts(person: Person) -> list[str]:
    return [event.text for event in person.told(MessageArrived) if isinstance(event, MessageArrived)]


async def two(folder: Path) -> tuple[Town, Person, Person]:
    """Alice and Bob, who takes Alice's messages."""
    town = Town()
    alice = await town.enter(Person("alice", folder, town))
    bob = await town.enter(Person("bob", folder, town))
    await bob.line.accept("alice")
    await alice.line.accept("bob")
    return town, alice, bob


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
        await alice.line.accept_key("bob")
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


def test_what_was_read_is_told_also_on_the_next_line_and_not_without_the_setting(tmp_path: Path) -> None:
    async def talk() -> None:
        town = Town()
        alice = await town.enter(Person("alice", tmp_path, town))
        bob = await town.enter(Person("bob", tmp_path, town, tells_read=True))
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
