"""Files, folders and pipes between real lines on loopback, with real disks."""

import asyncio
import os
import threading
from pathlib import Path

import pytest

from shell.errors import MailboxFailed, NotLoggedIn
from shell.events import FileArrived, FileOffered, FileStopped, FileTaken
from shell.line.candidates import Address
from shell.line.channel import Channel
from shell.line.errors import PeerGone
from shell.line.model import State
from shell.line.pipes import Pipe
from shell.line.transfer import Phase, Transfer
from shell.line.turns import MAX_TURNS
from tests.unit.line.lines import MAX_FILE, PATIENCE, Person, Town, offered, over, two
from wire.frames import LineClose, Offer, StopReason, Taken, TransferKind
from wire.limits import TRANSFER_WINDOW
from wire.names import name_key


def test_a_file_arrives_whole_and_keeps_nothing_else(tmp_path: Path) -> None:
    content = os.urandom(3_000_000)
    (tmp_path / "report.pdf").write_bytes(content)

    async def talk() -> None:
        town, alice, bob = await two(tmp_path)
        sent = await alice.line.files.send("bob", tmp_path / "report.pdf")
        event = await offered(bob)
        assert (event.title, event.size) == ("report.pdf", len(content))
        taken = await bob.line.files.take(event.number)
        assert (await over(bob, taken)).phase is Phase.DONE
        assert (await over(alice, sent)).phase is Phase.DONE
        assert [file.name for file in bob.folder.iterdir()] == ["report.pdf"]
        saved = bob.folder / "report.pdf"
        assert saved.read_bytes() == content
        assert saved.stat().st_mode & 0o777 == 0o600
        assert len(alice.told(FileTaken)) == len(bob.told(FileArrived)) == 1
        for person in (alice, bob):
            await town.leave(person)

    asyncio.run(talk())


def test_a_folder_arrives_with_what_is_in_it_and_no_links(tmp_path: Path) -> None:
    folder = tmp_path / "plans"
    (folder / "deep" / "empty").mkdir(parents=True)
    (folder / "one.txt").write_text("one")
    (folder / "deep" / "two.bin").write_bytes(os.urandom(100_000))
    (folder / "run.sh").write_text("#!/bin/sh\n")
    (folder / "run.sh").chmod(0o755)
    (folder / "link").symlink_to("/etc/passwd")

    async def talk() -> None:
        town, alice, bob = await two(tmp_path)
        sent = await alice.line.files.send("bob", folder)
        taken = await bob.line.files.take((await offered(bob)).number)
        assert (await over(bob, taken)).path == str(bob.folder / "plans")
        assert (await over(alice, sent)).phase is Phase.DONE
        found = sorted(path.relative_to(bob.folder).as_posix() for path in bob.folder.rglob("*"))
        assert found == [
            "plans",
            "plans/deep",
            "plans/deep/empty",
            "plans/deep/two.bin",
            "plans/one.txt",
            "plans/run.sh",
        ]
        two_bin = "deep/two.bin"
        assert (bob.folder / "plans" / two_bin).read_bytes() == (folder / two_bin).read_bytes()
        assert not (bob.folder / "plans" / "run.sh").stat().st_mode & 0o111
        for person in (alice, bob):
            await town.leave(person)

    asyncio.run(talk())


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("new")

    async def talk() -> None:
        town, alice, bob = await two(tmp_path)
        bob.folder.mkdir()
        (bob.folder / "a.txt").write_text("old")
        await alice.line.files.send("bob", tmp_path / "a.txt")
        taken = await bob.line.files.take((await offered(bob)).number)
        assert (await over(bob, taken)).path == str(bob.folder / "a (2).txt")
        assert (bob.folder / "a.txt").read_text() == "old"
        assert (bob.folder / "a (2).txt").read_text() == "new"
        for person in (alice, bob):
            await town.leave(person)

    asyncio.run(talk())


def test_a_stranger_offers_in_vain(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("a")

    async def talk() -> None:
        town = Town()
        alice = await town.enter(Person("alice", tmp_path, town))
        bob = await town.enter(Person("bob", tmp_path, town))
        sent = await alice.line.files.send("bob", tmp_path / "a.txt")
        assert (await over(alice, sent)).reason is StopReason.NO_CONSENT
        assert bob.told(FileOffered) == []
        assert list(bob.line.files.core) == []
        for person in (alice, bob):
            await town.leave(person)

    asyncio.run(talk())


def test_what_is_larger_than_the_setting_is_declined_by_itself(tmp_path: Path) -> None:
    with (tmp_path / "huge").open("wb") as file:
        file.truncate(MAX_FILE + 1)

    async def talk() -> None:
        town, alice, bob = await two(tmp_path)
        sent = await alice.line.files.send("bob", tmp_path / "huge")
        assert (await over(alice, sent)).reason is StopReason.TOO_LARGE
        assert bob.told(FileOffered) == []
        for person in (alice, bob):
            await town.leave(person)

    asyncio.run(talk())


def test_a_file_that_changed_since_it_was_offered_is_not_sent(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("a")

    async def talk() -> None:
        town, alice, bob = await two(tmp_path)
        sent = await alice.line.files.send("bob", tmp_path / "a.txt")
        event = await offered(bob)
        (tmp_path / "a.txt").write_text("another")
        taken = await bob.line.files.take(event.number)
        assert (await over(alice, sent)).reason is StopReason.CHANGED
        assert (await over(bob, taken)).reason is StopReason.CHANGED
        assert list(bob.folder.iterdir()) == []
        for person in (alice, bob):
            await town.leave(person)

    asyncio.run(talk())


@pytest.mark.parametrize("by_sender", [True, False])
def test_either_side_cancels_and_nothing_stays(tmp_path: Path, by_sender: bool) -> None:
    with (tmp_path / "large").open("wb") as file:
        file.truncate(MAX_FILE)

    async def talk() -> None:
        town, alice, bob = await two(tmp_path)
        sent = await alice.line.files.send("bob", tmp_path / "large")
        taken = await bob.line.files.take((await offered(bob)).number)
        await moved(bob, taken, MAX_FILE // 16)
        await (alice.line.files.end(sent.number) if by_sender else bob.line.files.end(taken.number))
        assert (await over(alice, sent)).reason is StopReason.CANCELLED
        assert (await over(bob, taken)).reason is StopReason.CANCELLED
        assert [event.by_peer for event in stopped(bob if by_sender else alice)] == [True]
        assert list(bob.folder.iterdir()) == []
        for person in (alice, bob):
            await town.leave(person)

    asyncio.run(talk())


def test_a_file_goes_on_after_a_lost_line_and_restarts_of_both_sides(tmp_path: Path) -> None:
    content = os.urandom(MAX_FILE // 4)
    (tmp_path / "large").write_bytes(content)

    async def talk() -> None:
        town, alice, bob = await two(tmp_path)
        sent = await alice.line.files.send("bob", tmp_path / "large")
        taken = await bob.line.files.take((await offered(bob)).number)
        await moved(bob, taken, len(content) // 8)
        channel = bob.line.channel_to(name_key("alice"))
        assert channel is not None
        bob.line.drop(channel, LineClose.DONE, "as a test wants it")
        await moved(bob, taken, len(content) // 4)
        await town.leave(bob)
        before = next(bob.folder.glob(".*.part")).stat().st_size
        bob = await town.enter(Person("bob", tmp_path, town, bob.identity))
        await moved(bob, taken, len(content) // 2)
        await town.leave(alice)
        alice = await town.enter(Person("alice", tmp_path, town, alice.identity))
        assert (await over(bob, taken)).phase is Phase.DONE
        assert (await over(alice, sent)).phase is Phase.DONE
        assert before >= len(content) // 4
        assert (bob.folder / "large").read_bytes() == content
        for person in (alice, bob):
            await town.leave(person)

    asyncio.run(talk())


def test_a_pipe_carries_both_ways_and_waits_for_its_reader(tmp_path: Path) -> None:
    content = os.urandom(3 * TRANSFER_WINDOW)

    async def talk() -> None:
        town, alice, bob = await two(tmp_path)
        ours = await alice.line.files.open_pipe("bob")
        theirs = await bob.line.files.open_pipe("alice")
        assert await alice.line.files.joined(ours, PATIENCE)
        assert await bob.line.files.joined(theirs, PATIENCE)
        fed = 0

        async def feed() -> None:
            nonlocal fed
            for start in range(0, len(content), 65_536):
                await ours.source.feed(content[start : start + 65_536])
                fed = start
            await ours.source.end()

        async def read(pipe: Pipe) -> bytes:
            parts = []
            while data := await pipe.sink.read():
                parts.append(data)
            return b"".join(parts)

        assert await theirs.source.feed(b"the other way")
        await theirs.source.end()
        feeding = asyncio.create_task(feed())
        assert await read(ours) == b"the other way"
        # Nobody reads what comes to Bob: after a while nothing more is taken from the program of Alice.
        assert fed < 2 * TRANSFER_WINDOW + 65_536
        assert not feeding.done()
        assert await read(theirs) == content
        await feeding
        for person, pipe in ((alice, ours), (bob, theirs)):
            ends = await person.line.files.pipe_over(pipe)
            assert [end.phase for end in ends] == [Phase.DONE] * 2
            await person.line.files.close_pipe(pipe)
            assert not await pipe.source.feed(b"too late")
        for person in (alice, bob):
            await town.leave(person)

    asyncio.run(talk())


@pytest.mark.parametrize("known", [True, False])
def test_a_pipe_whose_other_end_is_gone_is_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, known: bool
) -> None:
    monkeypatch.setattr("shell.line.pipes.OFFLINE_PATIENCE" if known else "shell.line.pipes.PATIENCE", 0.2)
    monkeypatch.setattr("shell.line.pipes.LOOK", 0.02)

    async def talk() -> None:
        town, alice, bob = await two(tmp_path)
        pipe, _ = await joined(alice, bob)
        # As after kill -9: not a word more, and the phone book knows it or not.
        monkeypatch.setattr(bob.line.network.endpoint.socket, "send", lambda datagram, address: None)
        if known:
            alice.line.presence("bob", online=False)
        async with asyncio.timeout(PATIENCE):
            assert await pipe.sink.read() == b""
            with pytest.raises(PeerGone, match="bob is gone"):
                await alice.line.files.pipe_over(pipe)
        for person in (alice, bob):
            await town.leave(person)

    asyncio.run(talk())


def test_a_pipe_goes_on_with_whoever_only_looks_offline(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shell.line.pipes.LOOK", 0.03)

    async def talk() -> None:
        town, alice, bob = await two(tmp_path)
        pipe, theirs = await joined(alice, bob)
        monkeypatch.setattr("shell.line.pipes.OFFLINE_PATIENCE", 1.0)
        alice.line.presence("bob", online=False)
        looks, ask = 0, alice.line.network.endpoint.keep_alive

        def look(channel: Channel) -> None:
            nonlocal looks
            looks += 1
            ask(channel)

        monkeypatch.setattr(alice.line.network.endpoint, "keep_alive", look)
        async with asyncio.timeout(PATIENCE):
            while looks < 50:  # longer than somebody who is gone is waited for  # noqa: ASYNC110
                await asyncio.sleep(0.01)
            await pipe.source.feed(b"still here")
            assert await theirs.sink.read() == b"still here"
        assert not pipe.gone
        for person in (alice, bob):
            await town.leave(person)

    asyncio.run(talk())


async def joined(alice: Person, bob: Person) -> tuple[Pipe, Pipe]:
    ours, theirs = await alice.line.files.open_pipe("bob"), await bob.line.files.open_pipe("alice")
    assert await alice.line.files.joined(ours, PATIENCE)
    assert await bob.line.files.joined(theirs, PATIENCE)
    return ours, theirs


def test_the_last_word_before_a_goodbye_counts(tmp_path: Path) -> None:
    async def talk() -> None:
        town, alice, bob = await two(tmp_path)
        pipe, other_end = await joined(alice, bob)
        await pipe.source.feed(b"all")
        assert await other_end.sink.read() == b"all"
        channel = alice.line.channel_to(name_key("bob"))
        assert channel is not None
        # Both come in one datagram, as from a program that says it and is gone.
        alice.line.told(channel, Taken(alice.line.files.core.numbered(pipe.outgoing).id))
        alice.line.network.drop(channel, LineClose.DONE, "The other side hung up.")
        async with asyncio.timeout(PATIENCE):
            assert (await alice.line.files.over(pipe.outgoing)).phase is Phase.DONE
        for person in (alice, bob):
            await town.leave(person)

    asyncio.run(talk())


def test_whoever_leaves_a_pipe_is_heard_before(tmp_path: Path) -> None:
    async def talk() -> None:
        town, alice, bob = await two(tmp_path)
        ours, theirs = await joined(alice, bob)
        await theirs.source.end()
        assert (await bob.line.files.over(theirs.outgoing)).phase is Phase.DONE
        socket, lost = bob.line.network.endpoint.socket, 0
        carry = socket.send

        def lose(datagram: bytes, address: Address) -> None:
            nonlocal lost
            lost += 1
            if lost > 4:
                carry(datagram, address)

        socket.send = lose  # type: ignore[method-assign]
        await ours.source.end()
        assert await theirs.sink.read() == b""
        await bob.line.files.pipe_over(theirs)
        await bob.line.files.close_pipe(theirs)
        await town.leave(bob)
        assert lost > 4
        async with asyncio.timeout(PATIENCE):
            assert (await alice.line.files.over(ours.outgoing)).phase is Phase.DONE
        await town.leave(alice)

    asyncio.run(talk())


def test_one_who_floods_takes_no_turn_of_others(tmp_path: Path) -> None:
    async def talk() -> None:
        town, alice, bob = await two(tmp_path)
        carol = await town.enter(Person("carol", tmp_path, town))
        await bob.line.accept("carol")
        await carol.line.accept("bob")
        for person in (alice, carol):
            written = await person.line.write("bob", "hello")
            assert (await person.line.settled(written, PATIENCE)).state is State.DELIVERED
        held = threading.Event()
        waiting = asyncio.create_task(bob.mailbox.read(lambda connection: held.wait(PATIENCE)))
        line = bob.line.channel_to(name_key("alice"))
        assert line is not None
        for number in range(2 * MAX_TURNS):
            bob.line.files.received(line, Offer(number.to_bytes(16), TransferKind.FILE, "x", 1))
        assert bob.line.channel_to(name_key("alice")) is not line, "who brings too much loses the line"
        (tmp_path / "a.txt").write_text("a")
        await carol.line.files.send("bob", tmp_path / "a.txt")
        held.set()
        await waiting
        await bob.until(
            lambda events: any(isinstance(event, FileOffered) and event.name == "carol" for event in events)
        )
        for person in (alice, bob, carol):
            await town.leave(person)

    asyncio.run(talk())


def test_whoever_waits_hears_when_the_session_ends(tmp_path: Path) -> None:
    async def talk() -> None:
        town, alice, bob = await two(tmp_path)
        pipe, _ = await joined(alice, bob)
        written = await alice.line.write("carol", "hello")
        waits = [
            asyncio.create_task(alice.line.files.pipe_over(pipe)),
            asyncio.create_task(alice.line.files.over(pipe.outgoing)),
        ]
        read, settled = asyncio.create_task(pipe.sink.read()), asyncio.ensure_future(written.settling)
        await asyncio.sleep(0)
        await town.leave(alice)
        async with asyncio.timeout(PATIENCE):
            for ended in await asyncio.gather(*waits, return_exceptions=True):
                assert isinstance(ended, NotLoggedIn)
            assert await read == b""
            assert (await settled).state is State.QUEUED
            await alice.line.files.close_pipe(pipe)
        with pytest.raises(MailboxFailed, match="closed"):
            await alice.mailbox.settle()
        await town.leave(bob)

    asyncio.run(talk())


def test_whoever_waits_for_a_turn_hears_when_it_never_begins(tmp_path: Path) -> None:
    async def talk() -> None:
        town, alice, bob = await two(tmp_path)
        turns = alice.line.files._turns
        waiting = asyncio.create_task(turns.perform(list))
        await asyncio.sleep(0)  # the turn is spawned, and has not taken its first step
        await turns.stop()
        async with asyncio.timeout(PATIENCE):
            with pytest.raises(NotLoggedIn):
                await waiting
        for person in (alice, bob):
            await town.leave(person)

    asyncio.run(talk())


async def moved(person: Person, transfer: Transfer, size: int) -> None:
    """Waits until so many bytes have come to somebody."""
    async with asyncio.timeout(PATIENCE):
        while person.line.files.moved(transfer) < size:  # noqa: ASYNC110 - nothing tells every datagram
            await asyncio.sleep(0.001)


def stopped(person: Person) -> list[FileStopped]:
    return [event for event in person.events if isinstance(event, FileStopped)]


def test_a_question_that_the_sender_could_not_hear_is_asked_again(tmp_path: Path) -> None:
    """Of two lines dialed at once, each side may count with another for a moment, and drops words on it."""
    (tmp_path / "a.txt").write_text("a")

    async def talk() -> None:
        town, alice, bob = await two(tmp_path)
        sent = await alice.line.files.send("bob", tmp_path / "a.txt")
        event = await offered(bob)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(alice.line.files, "received", lambda channel, word: [])
            taken = await bob.line.files.take(event.number)
            # What follows on the line is heard after the question was dropped.
            await alice.line.settled(await alice.line.write("bob", "hello"), PATIENCE)
            await bob.line.settled(await bob.line.write("alice", "hello"), PATIENCE)
        channel = bob.line.channel_to(name_key("alice"))
        assert channel is not None
        bob.line.files.received(channel, Offer(sent.id, sent.kind, sent.title, sent.size))
        assert (await over(bob, taken)).phase is Phase.DONE
        assert (await over(alice, sent)).phase is Phase.DONE
        for person in (alice, bob):
            await town.leave(person)

    asyncio.run(talk())
