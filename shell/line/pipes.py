"""Two programs joined, and how one end finds out that the other is not there any more."""

from dataclasses import dataclass
from time import monotonic

from shell.line.channel import Channel
from shell.line.endpoint import UdpEndpoint
from shell.line.sink import PipeSink
from shell.line.source import PipeSource
from wire.names import NameKey

PATIENCE = 60.0  # seconds without a word of the other side after which a pipe is over
OFFLINE_PATIENCE = 20.0  # the same for somebody offline; to find another path takes less
LOOK = 2.0  # seconds between looks, each of which asks for a word


@dataclass(slots=True)
class Pipe:
    """Two programs joined: what goes out and what comes in are two transfers."""

    peer: NameKey
    outgoing: int
    """The number of what goes out."""
    source: PipeSource
    sink: PipeSink
    incoming: int | None = None
    """The number of what comes in, once the other side has joined."""
    heard: bool = False
    """Whether the other side knows that all of it came."""
    gone: bool = False
    """Whether the other side was not heard for too long."""


class Silence:
    """For how long the other side was not heard, with a line to it or without.

    To be offline is not to be gone: whoever is hidden looks so, and whoever lost the phone book alone. And a
    program at the other end that is gone does not come back.
    """

    def __init__(self, endpoint: UdpEndpoint) -> None:
        self._endpoint = endpoint
        self._heard = monotonic()

    def too_long(self, channel: Channel | None, *, offline: bool) -> bool:
        """Whether it is over; asks for a word on the line that there is now."""
        path = self._endpoint.path(channel) if channel is not None else None
        if channel is not None and path is not None:
            self._heard = monotonic() if path.unanswered is None else path.unanswered
            self._endpoint.keep_alive(channel)
        return monotonic() - self._heard > (OFFLINE_PATIENCE if offline else PATIENCE)
