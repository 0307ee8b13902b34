"""Two or more real lines on loopback, introduced by a phone book of a few lines with a real ticket key."""

import asyncio
import time
from collections.abc import Callable
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from shell.errors import NotConnected
from shell.events import Event, FileOffered
from shell.line.line import Line
from shell.line.model import Rules
from shell.line.transfer import Taking, Transfer
from shell.mailbox import Mailbox
from wire.certificates import Identity, make_identity
from wire.errors import ErrorCode, Refused
from wire.limits import TICKET_LIFE
from wire.messages import Endpoint, Introduction
from wire.names import name_key
from wire.tickets import TICKET_ID_BYTES, Ticket, open_ticket, sign_ticket

MAX_FILE = 64 * 2**20  # bytes
PATIENCE = 20.0  # seconds that any wait of a test may take


class Person:
    """Somebody with a mailbox, a key and a line."""

    def __init__(
        self,
        name: str,
        folder: Path,
        town: "Town",
        identity: Identity | None = None,
        *,
        rules: Rules = Rules(),  # noqa: B008 - frozen
    ) -> None:
        self.name = name
        self.identity = identity or make_identity(name)
        self.events: list[Event] = []
        self.mailbox = Mailbox(folder / f"{name}.db")
        self.folder = folder / f"{name}-files"
        taking = Taking(self.folder, MAX_FILE)
        self.line = Line(self.identity, Desk(town, self), self._tell, taking, rules)
        self._changed = asyncio.Event()

    def _tell(self, event: Event) -> None:
        self.events.append(event)
        self._changed.set()

    async def until(self, happened: Callable[[list[Event]], bool], patience: float = PATIENCE) -> None:
        async with asyncio.timeout(patience):
            while not happened(self.events):
                self._changed.clear()
                await self._changed.wait()

    def told(self, kind: type[Event]) -> list[Event]:
        return [event for event in self.events if isinstance(event, kind)]


class Town:
    """Who is online, and the key that signs introductions."""

    def __init__(self) -> None:
        self.key = Ed25519PrivateKey.generate()
        self.people: dict[str, Person] = {}
        self._tickets = 0
        self.book_away = False

    async def enter(self, person: Person) -> Person:
        await person.line.bind(0)
        await person.line.start(person.mailbox)
        self.people[name_key(person.name)] = person
        for other in () if self.book_away else self.people.values():
            other.line.presence(person.name, online=True)
        return person

    async def leave(self, person: Person) -> None:
        self.people.pop(name_key(person.name), None)
        await person.line.stop()
        person.mailbox.close()
        for other in () if self.book_away else self.people.values():
            other.line.presence(person.name, online=False)

    def lose_book(self) -> None:
        self.book_away = True
        for person in self.people.values():
            person.line.book_lost()

    def endpoint(self, person: Person) -> Endpoint:
        """Where others reach somebody."""
        return Endpoint("127.0.0.1", person.line.port)

    def introduce(self, caller: Person, callee: Person) -> Introduction:
        self._tickets += 1
        ticket = Ticket(
            self._tickets.to_bytes(TICKET_ID_BYTES),
            caller.name,
            caller.identity.fingerprint,
            callee.name,
            callee.identity.fingerprint,
            time.time() + TICKET_LIFE,
        )
        signed = sign_ticket(ticket, self.key)

        def about(person: Person) -> Introduction:
            return Introduction(person.name, person.identity.fingerprint, (self.endpoint(person),), signed)

        callee.line.introduced(about(caller))
        return about(callee)


class Desk:
    """The phone book as one person's line sees it."""

    def __init__(self, town: Town, person: Person) -> None:
        self._town = town
        self._person = person

    async def introduce(self, name: str) -> Introduction:
        if self._town.book_away:
            raise NotConnected("The phone book is away.")
        callee = self._town.people.get(name_key(name))
        if callee is None:
            raise Refused(ErrorCode.UNAVAILABLE, f"{name} is offline.")
        return self._town.introduce(self._person, callee)

    async def watch(self, name: str) -> None:
        pass

    def now(self) -> float:
        return time.time()

    def open_ticket(self, signed: bytes) -> Ticket:
        key = self._town.key.public_key().public_bytes_raw()
        return open_ticket(signed, key, time.time())


async def two(folder: Path) -> tuple[Town, Person, Person]:
    """Alice and Bob, who know each other."""
    town = Town()
    alice = await town.enter(Person("alice", folder, town))
    bob = await town.enter(Person("bob", folder, town))
    await bob.line.accept("alice")
    await alice.line.accept("bob")
    return town, alice, bob


async def offered(person: Person) -> FileOffered:
    """The last offer that somebody got."""
    await person.until(lambda events: bool(person.told(FileOffered)))
    event = person.told(FileOffered)[-1]
    assert isinstance(event, FileOffered)
    return event


async def over(person: Person, transfer: Transfer) -> Transfer:
    async with asyncio.timeout(PATIENCE):
        return await person.line.files.over(transfer.number)
