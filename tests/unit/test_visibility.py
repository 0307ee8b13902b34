"""A visibility for a while ends by itself, after a restart too, and when the phone book is back."""

import asyncio
import threading
from pathlib import Path
from time import time

import pytest

from shell import visibility
from shell.accountfolder import AccountFolder, Kept
from shell.errors import ListFull, NotConnected
from shell.line.model import Consent, Contact
from shell.line.people import People
from shell.visibility import Appearance, Seen, check_room_to_block
from wire.limits import MAX_ALLOWED, MAX_BLOCKED
from wire.messages import Visibility
from wire.names import name_key

PATIENCE = 30.0  # seconds
AWAY = Seen(Visibility.AWAY)
HIDDEN = Seen(Visibility.HIDDEN, ("carol",))


class Stage:
    """One login, with a phone book that keeps what it is told, and may be away for some requests."""

    def __init__(self, path: Path, stored: Visibility, *, away: int = 0) -> None:
        (path / "account").mkdir(exist_ok=True)
        self.folder = AccountFolder(path / "account")
        self.away = away
        self.published: list[Seen] = []
        self.ended = asyncio.Event()
        self.appearance = Appearance(
            self.folder.kept_visibility(),
            stored,
            self._publish,
            self.folder.keep_visibility,
            lambda seen: self.ended.set(),
        )

    async def _publish(self, seen: Seen) -> None:
        if self.away:
            self.away -= 1
            raise NotConnected("The phone book is away.")
        self.published.append(seen)

    async def time_is_up(self) -> Seen:
        async with asyncio.timeout(PATIENCE):
            await self.ended.wait()
        return self.published[-1]


def test_it_goes_back_to_what_was_before(tmp_path: Path) -> None:
    async def work() -> None:
        stage = Stage(tmp_path, Visibility.AWAY)
        await stage.appearance.set(HIDDEN, time())
        assert await stage.time_is_up() == AWAY
        assert stage.appearance.seen == AWAY
        assert stage.appearance.until is None

    asyncio.run(work())


def test_what_ended_while_nobody_was_logged_in_ends_at_the_next_login(tmp_path: Path) -> None:
    async def first() -> None:
        stage = Stage(tmp_path, Visibility.AWAY)
        await stage.appearance.set(Seen(Visibility.BUSY), time() + 3600)
        # A second one while the first lasts goes back to where the first began.
        await stage.appearance.set(HIDDEN, time() - 1)
        stage.appearance.stop()

    async def second() -> None:
        stage = Stage(tmp_path, Visibility.HIDDEN)
        assert stage.appearance.seen == HIDDEN
        stage.appearance.start()
        assert await stage.time_is_up() == AWAY

    asyncio.run(first())
    asyncio.run(second())


def test_it_is_tried_again_when_the_phone_book_is_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(visibility, "LOOK", 0.01)

    async def work() -> None:
        stage = Stage(tmp_path, Visibility.AWAY)
        await stage.appearance.set(HIDDEN, time())
        stage.away = 2
        assert await stage.time_is_up() == AWAY

    asyncio.run(work())


def test_one_that_is_set_for_good_forgets_the_time_and_keeps_the_names(tmp_path: Path) -> None:
    async def work() -> None:
        stage = Stage(tmp_path, Visibility.ONLINE)
        await stage.appearance.set(Seen(Visibility.BUSY), time() + 3600)
        await stage.appearance.set(HIDDEN)
        assert stage.appearance.until is None
        assert Stage(tmp_path, Visibility.HIDDEN).appearance.seen == HIDDEN
        # Another machine of the same account chose something else meanwhile.
        assert Stage(tmp_path, Visibility.CONTACTS).appearance.seen == Seen(Visibility.CONTACTS)

    asyncio.run(work())


def test_a_change_that_the_phone_book_refused_is_none(tmp_path: Path) -> None:
    async def work() -> None:
        stage = Stage(tmp_path, Visibility.ONLINE, away=1)
        with pytest.raises(NotConnected):
            await stage.appearance.set(HIDDEN, time() + 3600)
        assert stage.appearance.seen == Seen(Visibility.ONLINE)
        assert stage.appearance.until is None

    asyncio.run(work())


def test_a_damaged_file_is_no_obstacle(tmp_path: Path) -> None:
    async def work() -> None:
        stage = Stage(tmp_path, Visibility.ONLINE)
        (tmp_path / "account" / "visibility.toml").write_text('visibility = "soon"')
        assert stage.folder.kept_visibility() is None
        await stage.appearance.set(HIDDEN)

    asyncio.run(work())


def people(count: int, consent: Consent) -> People:
    return People([Contact(name_key(f"u{number}"), f"u{number}", consent) for number in range(count)], (), ())


def test_more_people_than_the_phone_book_keeps_are_refused_and_not_cut() -> None:
    contacts = Seen(Visibility.CONTACTS)
    assert len(contacts.allowed(people(MAX_ALLOWED, Consent.ACCEPTED))) == MAX_ALLOWED
    many = people(MAX_ALLOWED + 1, Consent.ACCEPTED)
    with pytest.raises(ListFull, match=r"1,000 people at most, and these are 1,001; .* --except"):
        contacts.allowed(many)
    assert len(Seen(Visibility.CONTACTS, ("u7",)).allowed(many)) == MAX_ALLOWED
    assert Seen(Visibility.ONLINE).allowed(many) == ()


def test_nobody_is_blocked_whom_the_phone_book_would_not_know_of() -> None:
    check_room_to_block(people(MAX_BLOCKED - 1, Consent.BLOCKED), "carol")
    full = people(MAX_BLOCKED, Consent.BLOCKED)
    check_room_to_block(full, "u7")  # is blocked already
    with pytest.raises(ListFull, match=r"You block 500 people.*; unblock somebody first"):
        check_room_to_block(full, "carol")


class SlowDisk:
    """Keeps what it is told once it is let go."""

    def __init__(self) -> None:
        self.begun, self.go = threading.Event(), threading.Event()

    def keep(self, kept: Kept) -> None:
        self.begun.set()
        assert self.go.wait(PATIENCE)


@pytest.mark.parametrize("cancelled", [False, True])
def test_whoever_hides_stays_hidden_when_contacts_change_meanwhile(cancelled: bool) -> None:
    async def work() -> None:
        published: list[Visibility] = []

        async def publish(seen: Seen) -> None:
            published.append(seen.visibility)

        disk = SlowDisk()
        appearance = Appearance(None, Visibility.CONTACTS, publish, disk.keep, lambda seen: None)
        hiding = asyncio.create_task(appearance.set(HIDDEN))
        assert await asyncio.to_thread(disk.begun.wait, PATIENCE)
        if cancelled:
            hiding.cancel()
        changing = asyncio.create_task(appearance.contacts_changed())
        await asyncio.sleep(0)
        disk.go.set()
        await asyncio.gather(hiding, changing, return_exceptions=True)
        assert hiding.cancelled() is cancelled
        assert appearance.seen == HIDDEN
        assert published[-1] is Visibility.HIDDEN

    asyncio.run(work())
