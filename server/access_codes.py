"""One-time codes at work: an invite lets one account be made, a reset token sets one password."""

import contextlib
import logging
from collections.abc import AsyncIterator
from time import time

from server.access import Access, Registration
from server.account import Account
from server.codes import code_digest
from server.errors import Overtaken
from server.ledger import SqliteLedger
from wire.errors import ErrorCode, Refused
from wire.names import NameKey

log = logging.getLogger(__name__)


class AccessCodes:
    """Runs on the phone book's event loop."""

    def __init__(self, access: Access, ledger: SqliteLedger) -> None:
        self._access = access
        self._ledger = ledger
        self._in_use: set[bytes] = set()

    @contextlib.asynccontextmanager
    async def invited(self, code: str, key: NameKey) -> AsyncIterator[None]:
        """While an account is made. Raises `Refused` where by now nobody may, or nobody without an invite.

        The code is for this name before there is an account, so that after a crash in between the same person
        can try again and nobody else; where no account could be made it is free again.
        """
        self._access.check_registration(code)
        if self._access.registration is not Registration.INVITE:
            yield
            return
        digest = code_digest(code)
        if digest in self._in_use:
            raise _bad_invite()
        self._in_use.add(digest)  # before anything is awaited: of two with one code and one name, one goes on
        try:
            if not await self._ledger.take_invite(digest, key, time()):
                raise _bad_invite()
            try:
                yield
            except BaseException:
                await self._ledger.settle_invite(digest, used=False)
                raise
            try:
                await self._ledger.settle_invite(digest, used=True)
            except Refused as refused:  # there is an account, and nobody else can use the code
                log.warning("event=invite_not_settled reason=%r", str(refused))
        finally:
            self._in_use.discard(digest)

    async def may_reset(self, digest: bytes, account: Account | None) -> Account:
        """The account for which a token may set a new password; it is not used up. Raises `Overtaken`."""
        # The same look without an account, which the time would tell of.
        good = await self._ledger.good_reset(digest, account.id if account is not None else None, time())
        if account is None or not good:
            raise Overtaken("The token is not good.")
        return account


def _bad_invite() -> Refused:
    return Refused(
        ErrorCode.INVITE_REFUSED,
        "That invite is not good: it was mistyped, was used, or has run out. Ask the operator.",
    )
