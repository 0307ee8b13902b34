"""What this shell knows of the ways to people: which are in use, what was tried, who is to be found again."""

import logging
from collections.abc import Callable, Coroutine
from typing import Any, Protocol

from shell.errors import NotConnected, NotLoggedIn
from shell.line.candidates import Attempt, PathKind
from shell.line.channel import Channel
from shell.line.endpoint import UdpEndpoint
from wire.errors import Refused
from wire.messages import Introduction
from wire.names import NameKey, name_key

log = logging.getLogger(__name__)


class Introducer(Protocol):
    """Whoever can tell where somebody is."""

    async def introduce(self, name: str) -> Introduction:
        """Raises `Refused`, `NotConnected`, `NotLoggedIn`."""
        ...


class Ways:
    """Lives on the event loop's thread."""

    def __init__(
        self,
        book: Introducer,
        relayed: Callable[[str, PathKind], None],
        spawn: Callable[[Coroutine[Any, Any, None], str], None],
    ) -> None:
        self._book = book
        self._tell = relayed
        self._spawn = spawn
        self._relayed: set[Channel] = set()
        self.failures: dict[NameKey, str] = {}
        """Why the last try to reach somebody failed; nothing where a line came up since."""
        self.attempts: dict[NameKey, Attempt] = {}
        """The last try to reach somebody."""

    def changed(self, channel: Channel, kind: PathKind) -> None:
        """An open line goes this way now; only what people should know of is told."""
        log.info("event=path peer=%r kind=%s", channel.peer, kind.value)
        if channel.peer is not None and (channel in self._relayed) != (kind is PathKind.RELAYED):
            self._relayed ^= {channel}
            self._tell(channel.peer, kind)

    def closed(self, channel: Channel) -> None:
        """A line is gone."""
        self._relayed.discard(channel)

    def silent(self, endpoint: UdpEndpoint, channel: Channel) -> None:
        """The other side is not heard: an introduction tells both where the other is now."""
        if channel.peer is not None:
            endpoint.outside.doubt()
            self._spawn(self._find_again(endpoint, channel.peer), f"find-{name_key(channel.peer)}")

    async def _find_again(self, endpoint: UdpEndpoint, name: str) -> None:
        try:
            introduction = await self._book.introduce(name)
        except (Refused, NotConnected, NotLoggedIn) as error:
            log.info("event=not_found_again peer=%r reason=%r", name, str(error))
        else:
            endpoint.moved(name, introduction.endpoints, introduction.relay)
