"""The line below the prompt: who I am, whom I talk to, what waits; what matters least goes first."""

from typing import TYPE_CHECKING

import msgspec

from shell.kit.theme import marked
from shell.kit.toolbar import Part, fitting
from wire.display import safe
from wire.messages import Status
from wire.names import name_key

if TYPE_CHECKING:
    from shell.console import UserConsole

MAX_NAMES = 9  # conversations that are named; as many as have a key


class Talk(msgspec.Struct, frozen=True):
    """One conversation with something new, or the open one."""

    name: str
    number: int | None
    """Its key: Alt and this digit."""
    unread: int = 0


class Standing(msgspec.Struct, frozen=True):
    """What the toolbar tells."""

    user: str | None
    visibility: str
    phone_book: str
    connected: bool
    open_with: str | None = None
    """Whom free lines go to."""
    open_status: str = ""
    talks: tuple[Talk, ...] = ()
    """Those with something new."""
    requests: int = 0
    queued: int = 0
    held: int = 0
    """Messages that wait at others, until they accept this user."""


def standing_of(app: "UserConsole", user: str) -> Standing:
    """What there is to tell of a console where somebody is logged in."""
    messenger, shown = app.messenger, app.chat_with
    core = messenger.line.core
    return Standing(
        user,
        messenger.visibility.value,
        app.settings.server,
        messenger.book.connected,
        shown,
        messenger.statuses.get(name_key(shown), Status.OFFLINE).value if shown else "",
        tuple(
            Talk(name, app.talks.number(name), count)
            for name, count in tuple(app.talks.unread.items())
            if shown is None or name_key(name) != name_key(shown)
        ),
        len(core.requests()),
        core.queued(),
        core.held_there(),
    )


def toolbar(standing: Standing, width: int) -> str:
    """As much as fits into `width` cells."""
    if standing.user is None:
        where = Part(0, f"phone book {standing.phone_book}", standing.phone_book)
        return fitting([Part(1, "not logged in"), where], width)
    parts = [Part(9, f"{safe(standing.user)} {marked(standing.visibility)}")]
    if not standing.connected:
        parts.append(Part(7, "phone book away, trying again", "phone book away"))
    if standing.open_with is not None:
        status = f"{safe(standing.open_with)} {marked(standing.open_status)}"
        waits = ", what you write waits" if standing.open_status == "offline" else ""
        parts.append(Part(8, status + waits, status))
    for place, talk in enumerate(standing.talks[:MAX_NAMES]):
        key = f"Alt-{talk.number} " if talk.number else ""
        parts.append(Part(6 - place, f"{key}{safe(talk.name)} {talk.unread} new"))
    if standing.requests:
        requests = f"{standing.requests} {'request' if standing.requests == 1 else 'requests'}"
        parts.append(Part(5, requests))
    if standing.queued:
        parts.append(Part(2, f"{standing.queued} queued"))
    if standing.held:
        parts.append(Part(1, f"{standing.held} held"))
    if standing.connected:
        parts.append(Part(0, standing.phone_book))
    return fitting(parts, width)
