"""Somebody who is logged in, as the directory sees them."""

from dataclasses import dataclass, field

from msgspec import Raw

from server.account import Account
from server.effects import SessionId
from wire.messages import Endpoint, Status, Visibility
from wire.names import NameKey

PUBLIC = {
    Visibility.ONLINE: Status.ONLINE,
    Visibility.AWAY: Status.AWAY,
    Visibility.BUSY: Status.BUSY,
}
"""What everybody sees of an account with one of these; with another, only some see that it is there."""


@dataclass(slots=True)
class Session:
    """Somebody who is logged in."""

    id: SessionId
    account: Account
    """Changes by `becomes` only."""
    address: str
    """Where the connection comes from, an IP address."""
    since: float
    """When the session began, seconds since the epoch."""
    status_since: float
    """When its visible status began."""
    endpoints: tuple[Endpoint, ...] = ()
    watching: set[NameKey] = field(default_factory=set)
    introduced: set[NameKey] = field(default_factory=set)
    fresh: dict[NameKey, float] = field(default_factory=dict)
    """Whose introduction is still good for a call, and until when."""
    public: Status = field(init=False)
    """What everybody sees but those whom the account allows to see more."""
    allowed: frozenset[NameKey] = field(init=False)
    """Those who see more, where not everybody sees the same."""
    cards: list[Raw | None] = field(init=False)
    """What everybody is told, encoded when first asked for: without the endpoints, and with them."""

    def __post_init__(self) -> None:
        self.becomes(self.account)

    def becomes(self, account: Account) -> None:
        """The account was written anew."""
        self.account = account
        self.public = PUBLIC.get(account.visibility, Status.OFFLINE)
        self.allowed = frozenset(account.allowed if self.public is Status.OFFLINE else ())
        self.cards = [None, None]

    def moves(self, endpoints: tuple[Endpoint, ...]) -> None:
        """Its shell can be reached elsewhere."""
        self.endpoints = endpoints
        self.cards = [None, None]
