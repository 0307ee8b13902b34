"""What a line needs of the phone book (`shell.line.calls.Introducer`), for whoever is logged in."""

from collections.abc import Awaitable, Callable

from shell.lookup import Lookup
from shell.phonebook import PhoneBook
from wire.messages import Introduce, Introduction
from wire.tickets import Ticket, open_ticket


class BookIntroducer:
    """Lives on the event loop's thread."""

    def __init__(self, book: PhoneBook, lookup: Lookup, refresh: Callable[[], Awaitable[None]]) -> None:
        """`refresh` is awaited before somebody is called, who is told where this shell is now."""
        self._book, self._lookup, self._refresh = book, lookup, refresh

    async def introduce(self, name: str) -> Introduction:
        """Asks to be introduced to somebody."""
        await self._refresh()
        return await self._book.request(Introduce(name), Introduction)

    async def watch(self, name: str) -> object:
        """Asks for somebody's presence."""
        return await self._lookup.watch(name)

    def open_ticket(self, signed: bytes) -> Ticket:
        """The ticket, if this phone book signed it and it has not expired by its clock."""
        return open_ticket(signed, self._book.ticket_key, self._book.now())

    def now(self) -> float:
        """The phone book's clock, seconds since the epoch."""
        return self._book.now()
