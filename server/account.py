"""What an account is, and what the phone book needs of the store that keeps the accounts. Nothing here reads
a clock, a socket or a disk; `server.accounts` is the embedded store, and another database can take its place.
"""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, NewType, Protocol

import msgspec

from wire.messages import Visibility
from wire.names import NameKey

AccountId = NewType("AccountId", int)

NOTHING: Mapping[str, Any] = MappingProxyType({})


class Account(msgspec.Struct, frozen=True):
    """One account."""

    id: AccountId
    key: NameKey
    name: str
    password_hash: str
    created: float
    """Seconds since the epoch, UTC."""
    fingerprint: bytes
    visibility: Visibility = Visibility.ONLINE
    allowed: tuple[NameKey, ...] = ()
    """Who sees the account as online where its visibility is `contacts` or `hidden`."""
    last_seen: float = 0.0
    """When the account was last visible to everybody."""
    epoch: int = 0
    """Counts sessions; a resume token of another epoch does not hold."""
    active: float = 0.0
    """When the account last had a session, seen by others or not; for the operator alone."""
    blocked: dict[NameKey, float] = {}
    """To whom the account looks offline, each with the time since when (seconds since the epoch)."""


class AccountStore(Protocol):
    """What the phone book needs of its store. All raise `Refused(STORAGE_FAILED)` where it fails."""

    async def create(self, account: Account) -> Account:
        """Keeps a new account; `id` is given by the store. Raises `NameInUse`."""
        ...

    async def find(self, key: NameKey) -> Account | None:
        """The account of a name."""
        ...

    async def find_all(self, keys: Sequence[NameKey]) -> list[Account]:
        """The accounts of names; those without one are left out."""
        ...

    async def get(self, account_id: AccountId) -> Account | None:
        """The account of an id."""
        ...

    async def settled(self, account_id: AccountId) -> Account | None:
        """The account of an id after all changes that were asked before, and before all later ones.

        Whoever waits for it goes on before whoever waits for a later change.
        """
        ...

    async def page(self, after: NameKey, pattern: str, limit: int) -> list[Account]:
        """Accounts by key; `pattern` is a beginning, or has `*` and `?`."""
        ...

    async def update(
        self,
        account_id: AccountId,
        *,
        new_epoch: bool = False,
        provided: Mapping[str, Any] = NOTHING,
        **changes: Any,
    ) -> Account:
        """Keeps changed fields and, where asked, counts a new epoch; the account as it is then.

        Raises `Overtaken` where the fields in `provided` are no longer so: what a change was decided on, such
        as the password that was verified, may have been changed by another that came first.
        """
        ...

    async def redeem(self, account_id: AccountId, digest: bytes, now: float, **changes: Any) -> Account:
        """Uses up a reset token and keeps what it allows, of a new epoch: both or neither.

        Raises `Overtaken` where the token is not, or no longer, good for the account.
        """
        ...

    async def count(self) -> int:
        """How many accounts there are."""
        ...

    async def add(self, accounts: list[Account]) -> None:
        """Keeps accounts of elsewhere with their ids, all or none. Raises `NameInUse`."""
        ...

    async def idle(self, since: float, limit: int) -> list[Account]:
        """Accounts that had no session since then, by key."""
        ...

    async def remove(self, accounts: list[Account]) -> None:
        """The accounts are gone; no id is given again, so that no old resume token fits another."""
        ...
