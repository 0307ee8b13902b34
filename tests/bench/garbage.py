"""A talk while a stranger sends garbage: how much later messages are delivered."""

import asyncio
import random
import socket
import sys
import tempfile
import time
from pathlib import Path

from server.embedded import new_event_loop
from shell.line.quic import Quic
from tests.bench.figures import Figure
from tests.unit.line.lines import PATIENCE, Person, Town
from wire.certificates import make_identity

TITLE = "A talk under garbage"
RATE = 10_000  # datagrams a second of a stranger
SIZE = 1200  # bytes at most
P99_RATIO = 3.0  # to reach
START = 1.5  # seconds until a stranger is at its rate
FLOOD_SECONDS = 60  # after which a forgotten stranger stops by itself


def run(quick: bool) -> list[Figure]:
    """Measures the same talk in turns with and without a stranger."""
    with (
        tempfile.TemporaryDirectory(prefix="parley-bench-") as folder,
        asyncio.Runner(loop_factory=new_event_loop) as runner,
    ):
        calm, flooded = runner.run(_talk(Path(folder), 200 if quick else 2000))
    found = []
    for what, part in (("p50", 0.5), ("p99", 0.99)):
        before = Figure(f"delivered, calm, {what}", _part(calm, part) * 1000, "ms")
        after = Figure(f"delivered, {RATE:,} garbage datagrams/s, {what}", _part(flooded, part) * 1000, "ms")
        found += [before, after.compared(before, at_most=P99_RATIO if what == "p99" else None)]
    return found


async def _talk(folder: Path, count: int) -> tuple[list[float], list[float]]:
    town = Town()
    alice = await town.enter(Person("alice", folder, town))
    bob = await town.enter(Person("bob", folder, town))
    await bob.line.accept("alice")
    await alice.line.accept("bob")
    calm, flooded = [], []
    for _ in range(4):
        calm += await _deliver(alice, count // 4)
        port = str(bob.line.port)
        stranger = await asyncio.create_subprocess_exec(sys.executable, "-m", "tests.bench.garbage", port)
        await asyncio.sleep(START)
        flooded += await _deliver(alice, count // 4)
        stranger.terminate()
        await stranger.wait()
    for person in (alice, bob):
        await town.leave(person)
    return calm, flooded


async def _deliver(alice: Person, count: int) -> list[float]:
    """Seconds from writing to delivered, one message after the other."""
    taken = []
    for number in range(count):
        began = time.perf_counter()
        await alice.line.settled(await alice.line.write("bob", f"message {number}"), PATIENCE)
        taken.append(time.perf_counter() - began)
    return taken


def _part(values: list[float], part: float) -> float:
    return sorted(values)[int(len(values) * part)]


def flood(port: int) -> None:
    """A stranger: garbage, uninvited Initials and knocks with made-up tickets, at a steady rate."""
    source = random.Random(1)
    initial = Quic.dial(make_identity("stranger").fingerprint, 0.0).transmit(0.0)[0]
    kinds = [source.randbytes(source.randrange(1, SIZE)) for _ in range(200)]
    kinds += [initial] * 100 + [b"\x08\x01" + source.randbytes(32) for _ in range(100)]
    source.shuffle(kinds)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sending:
        began = time.monotonic()
        sent = 0
        while (elapsed := time.monotonic() - began) < FLOOD_SECONDS:
            while sent < elapsed * RATE:
                sending.sendto(kinds[sent % len(kinds)], ("127.0.0.1", port))
                sent += 1
            time.sleep(0.001)


if __name__ == "__main__":
    flood(int(sys.argv[1]))
