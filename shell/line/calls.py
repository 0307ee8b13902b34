"""How a line to somebody comes up: by an introduction of the phone book or, while that is away, by the
pinned key and last endpoints of a contact.
"""

import asyncio
from collections.abc import Iterable
from time import monotonic
from typing import Protocol

from shell.errors import NotConnected
from shell.line.candidates import Attempt
from shell.line.endpoint import UdpEndpoint
from shell.line.errors import Unreachable
from shell.line.invitations import Admission
from shell.line.knocks import PERIOD, Knocks, period_of
from shell.line.model import Contact
from wire.certificates import Identity
from wire.messages import Endpoint, Introduction
from wire.tickets import Ticket

BOOK_PATIENCE = 3.0  # seconds for an introduction, where there is another way
MAX_INTRODUCED = 1024  # introductions whose lines have not come up; beyond, the oldest go


class Introducer(Protocol):
    """What the line needs of the phone book."""

    async def introduce(self, name: str) -> Introduction:
        """Raises `Refused`, `NotConnected`."""
        ...

    async def watch(self, name: str) -> object:
        """Asks for presence."""
        ...

    def open_ticket(self, signed: bytes) -> Ticket:
        """Raises `BadTicket`."""
        ...

    def now(self) -> float:
        """The phone book's clock, seconds since the epoch."""
        ...


class Calls:
    """Who may call this user, and with what this user calls others."""

    def __init__(self, identity: Identity, book: Introducer, endpoint: UdpEndpoint) -> None:
        self._book = book
        self._endpoint = endpoint
        self._knocks = Knocks(identity)
        self._introduced: dict[bytes, tuple[Endpoint, ...]] = {}
        self._quiet = False

    def announced(self, introduction: Introduction) -> Admission:
        """Who is about to call, as the phone book signed it. Raises `BadTicket`."""
        admission = Admission.by_ticket(self._book.open_ticket(introduction.ticket), introduction.ticket)
        self._remember(admission, introduction.endpoints)
        return admission

    async def way_to(self, name: str, contact: Contact | None) -> tuple[Admission, Attempt]:
        """With what to call somebody, and the try to reach them.

        Raises `Refused`, `NotConnected`, `NotLoggedIn`, `BadTicket`, `Unreachable`.
        """
        known = self._known_way(contact) if contact is not None else None
        try:
            async with asyncio.timeout(BOOK_PATIENCE if known is not None else None):
                introduction = await self._book.introduce(name)
        except (NotConnected, TimeoutError) as error:
            if contact is not None and known is not None:
                return known, self._endpoint.attempt(contact.endpoints)
            raise Unreachable(
                f"{error} Only contacts to whom this shell has had a line can be reached without it."
            ) from None
        admission = Admission.by_ticket(self._book.open_ticket(introduction.ticket), introduction.ticket)
        self._remember(admission, introduction.endpoints)
        return admission, self._endpoint.attempt(introduction.endpoints, introduction.relay)

    def endpoints(self, knock_id: bytes) -> tuple[Endpoint, ...]:
        """Where the phone book said that the other side of a line is; empty between contacts."""
        return self._introduced.pop(knock_id, ())

    async def stand(self, contacts: Iterable[Contact]) -> None:
        """From now on these contacts may call without a ticket, and no others."""
        now = self._book.now()
        # The first time each key costs a fifth of a millisecond: a thousand contacts would hold up the loop.
        admissions = await asyncio.to_thread(self._knocks.expected, list(contacts), period_of(now))
        self._endpoint.stand([] if self._quiet else admissions, monotonic() + 2 * PERIOD)

    def keep_quiet(self, *, quiet: bool) -> None:
        """Answers no contact, or from the next `stand` on: who is hidden looks as if they were not there."""
        self._quiet = quiet
        if quiet:
            self._endpoint.stand([], monotonic())

    def _known_way(self, contact: Contact) -> Admission | None:
        if not contact.endpoints:
            return None
        return self._knocks.toward(contact, period_of(self._book.now()))

    def _remember(self, admission: Admission, endpoints: tuple[Endpoint, ...]) -> None:
        while len(self._introduced) >= MAX_INTRODUCED:
            del self._introduced[next(iter(self._introduced))]
        self._introduced[admission.id] = endpoints
