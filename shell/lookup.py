"""Who has an account and who is there: asked of the phone book, and kept for when it does not answer."""

from collections.abc import Callable, Iterable
from time import time

from shell import roster
from shell.mailbox import Mailbox
from shell.phonebook import PhoneBook
from shell.roster import Known, Roster
from wire.limits import PAGE
from wire.messages import Done, Knock, ListPeople, People, Person, Profile, Status, Statuses, Watch, Whois
from wire.names import NameKey, name_key

MAX_PEOPLE = 10_000  # people that one `list` fetches, page by page


class Lookup:
    """Lives on the event loop's thread; `on_seen` is told of everybody watched whose status is learned."""

    def __init__(self, book: PhoneBook, on_seen: Callable[[str, Status], None]) -> None:
        self._book = book
        self._on_seen = on_seen
        self._watched: set[str] = set()
        self._roster = Roster()
        self.statuses: dict[NameKey, Status] = {}
        """What was last seen of people in this session."""

    async def people(self, pattern: str, status: Status | None, limit: int) -> list[Person]:
        """Everybody with an account whose name fits, up to `limit`."""
        found: list[Person] = []
        after = ""
        while len(found) < limit:
            page = await self._book.request(ListPeople(pattern, status, after), People)
            found += page.people
            for person in page.people:
                self._note(person.name, person.status)
            if not page.more or not page.people:
                break
            after = page.people[-1].name
        return found[:limit]

    async def whois(self, name: str) -> Profile:
        """What the phone book tells of somebody."""
        profile = await self._book.request(Whois(name), Profile)
        self._note(profile.name, profile.status)
        return profile

    async def watch(self, name: str) -> Status | None:
        """Asks to be told of somebody's comings and goings; their status now."""
        seen = await self.watch_all([name])
        if name_key(name) in seen:
            self._watched.add(name)
        return seen.get(name_key(name))

    async def watch_all(self, names: Iterable[str]) -> dict[NameKey, Status]:
        """Asks for all of these, and for those that were asked for before."""
        wanted = sorted({*names, *self._watched})
        seen: dict[NameKey, Status] = {}
        for start in range(0, len(wanted), PAGE):
            request = Watch(tuple(wanted[start : start + PAGE]))
            for person in (await self._book.request(request, Statuses)).people:
                seen[name_key(person.name)] = person.status
                self.seen(person.name, person.status)
        return seen

    async def knock(self, name: str) -> None:
        """Leaves word for somebody that one wants to talk; nothing comes back of whether they are there."""
        await self._book.request(Knock(name), Done)

    def seen(self, name: str, status: Status) -> None:
        """The phone book tells of somebody watched."""
        self._note(name, status)
        self._on_seen(name, status)

    def last_known(self, pattern: str, status: Status | None) -> list[Known]:
        """Who fits among those who were seen, for when the phone book does not answer."""
        return self._roster.matching(pattern, status)

    def last_seen(self, name: str) -> Known | None:
        """Somebody as they were seen last."""
        return self._roster.of(name)

    def lost(self, names: Iterable[str]) -> None:
        """The phone book is away; until now it has told of every change of these."""
        self._roster.lost({*names, *self._watched}, time())

    async def load(self, mailbox: Mailbox) -> None:
        """Takes up what earlier runs have seen."""
        self._roster = Roster(await mailbox.read(roster.read))

    async def keep(self, mailbox: Mailbox) -> None:
        """Puts what was seen on disk. Raises `MailboxFailed`."""
        changes = self._roster.take_changes()
        if changes:
            await mailbox.read(lambda connection: roster.keep(connection, changes))

    def clear(self) -> None:
        """Nobody is logged in any more."""
        self.statuses.clear()
        self._watched.clear()
        self._roster = Roster()

    def _note(self, name: str, status: Status) -> None:
        self.statuses[name_key(name)] = status
        self._roster.note(name, status, time())
