"""What the user decides about people, handed to the core and committed."""

from time import monotonic

from shell.line.core import LineCore
from shell.line.happenings import Happenings
from wire.certificates import Fingerprint
from wire.names import NameKey


class Decisions:
    """Consent and keys. Each raises `MailboxFailed`."""

    _core: LineCore
    _happenings: Happenings

    async def accept(self, name: str) -> None:
        """Consents to somebody's messages."""
        await self._happenings.perform(lambda: self._core.accept(name, monotonic()))

    async def decline(self, name: str) -> None:
        """Turns down what somebody new wrote."""
        await self._happenings.perform(lambda: self._core.decline(name))

    async def block(self, name: str) -> None:
        """Wants no word from somebody any more."""
        await self._happenings.perform(lambda: self._core.block(name))

    async def unblock(self, name: str) -> None:
        """Takes a block back."""
        await self._happenings.perform(lambda: self._core.unblock(name))

    async def verify(self, name: str) -> None:
        """Marks somebody's key as compared."""
        await self._happenings.perform(lambda: self._core.verify(name))

    async def accept_key(self, name: str, key: Fingerprint) -> None:
        """Trusts somebody's changed key. Raises `KeyNotAccepted` where it is another than this by now."""
        await self._happenings.perform(lambda: self._core.accept_key(name, key, monotonic()))

    async def reach(self, name: str) -> None:
        """To offer is to accept."""
        await self._happenings.perform(lambda: self._core.reach(name))

    def want_line(self, peer: NameKey, *, wanted: bool) -> None:
        """Whether a line to somebody is needed for files."""
        self._happenings.put(lambda: self._core.want_line(peer, monotonic(), wanted=wanted))
