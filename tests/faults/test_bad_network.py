"""Two lines with a bad network in between: everything arrives exactly once and in order.

The worst network takes about a minute, nearly all of it waiting.
"""

import asyncio
import random
from pathlib import Path
from typing import cast

import pytest

from shell.events import Event, MessageArrived
from shell.line.impairment import Impairment
from tests.unit.line.lines import Person, Town
from wire.messages import Endpoint

COUNT = 1000  # messages each way
TOGETHER = 50  # messages that are written at once
PATIENCE = 170.0  # seconds
NETWORKS = {
    "clean": Impairment(),
    "10% loss, doubles, disorder": Impairment(loss=0.1, duplicate=0.05, reorder=0.2),
    "30% loss, doubles, disorder": Impairment(loss=0.3, duplicate=0.1, reorder=0.3),
    "200 ms each way, 10% loss, doubles, disorder": Impairment(0.1, 0.2, 0.05, 0.2),
    "200 ms each way, 30% loss, doubles, disorder": Impairment(0.3, 0.2, 0.1, 0.3),
}


class Face(asyncio.DatagramProtocol):
    """One side of the proxy: what comes here leaves at the other face, treated badly."""

    def __init__(self, impairment: Impairment, toward: int, source: random.Random) -> None:
        self.other: Face | None = None
        self._impairment = impairment
        self._toward = ("127.0.0.1", toward)
        self._source = source

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.DatagramTransport, transport)

    @property
    def port(self) -> int:
        return int(self.transport.get_extra_info("sockname")[1])

    def datagram_received(self, data: bytes, addr: object) -> None:
        assert self.other is not None
        for delay in self._impairment.fate(self._source.random):
            asyncio.get_running_loop().call_later(delay, self.other.let_go, data)

    def let_go(self, data: bytes) -> None:
        if not self.transport.is_closing():
            self.transport.sendto(data, self._toward)


class TownBehindProxy(Town):
    """Two people who reach each other through the proxy alone."""

    def __init__(self) -> None:
        super().__init__()
        self._faces: dict[str, Face] = {}

    async def build(self, impairment: Impairment, alice: Person, bob: Person) -> None:
        """The proxy between two: where others reach alice is the face from which bob's datagrams come."""
        source = random.Random(1)
        self._faces = {
            "alice": await self._face(impairment, bob.line.port, source),
            "bob": await self._face(impairment, alice.line.port, source),
        }
        self._faces["alice"].other, self._faces["bob"].other = self._faces["bob"], self._faces["alice"]

    def endpoint(self, person: Person) -> Endpoint:
        return Endpoint("127.0.0.1", self._faces[person.name].port)

    def close(self) -> None:
        for face in self._faces.values():
            face.transport.close()

    async def _face(self, impairment: Impairment, toward: int, source: random.Random) -> Face:
        loop = asyncio.get_running_loop()
        _, face = await loop.create_datagram_endpoint(
            lambda: Face(impairment, toward, source), local_addr=("127.0.0.1", 0)
        )
        return face


@pytest.mark.timeout(PATIENCE + 10)
@pytest.mark.parametrize("network", NETWORKS)
def test_every_message_arrives_once_and_in_order(network: str, tmp_path: Path) -> None:

    async def talk() -> None:
        town = TownBehindProxy()
        alice, bob = Person("alice", tmp_path, town), Person("bob", tmp_path, town)
        for person in (alice, bob):
            await town.enter(person)
        await town.build(NETWORKS[network], alice, bob)
        await alice.line.accept("bob")
        await bob.line.accept("alice")

        async def write(person: Person, to: str) -> None:
            for start in range(0, COUNT, TOGETHER):
                lines = (f"{person.name} {number}" for number in range(start, start + TOGETHER))
                await asyncio.gather(*(person.line.write(to, text) for text in lines))

        async with asyncio.timeout(PATIENCE):
            async with asyncio.TaskGroup() as writers:
                writers.create_task(write(alice, "bob"))
                writers.create_task(write(bob, "alice"))
            for person in (alice, bob):
                await person.until(lambda events: len(texts(events)) >= COUNT, PATIENCE)
            for person, other in ((alice, "bob"), (bob, "alice")):
                assert texts(person.events) == [f"{other} {number}" for number in range(COUNT)]
        for person in (alice, bob):
            await town.leave(person)
        town.close()

    asyncio.run(talk())


def texts(events: list[Event]) -> list[str]:
    """What was shown, in order."""
    return [event.text for event in events if isinstance(event, MessageArrived)]
