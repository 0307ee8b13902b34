"""What a new account needs on this disk, put there before the phone book is asked.

An account that was made and whose key could not be kept would be nobody's, with its name taken for good.
"""

import contextlib
from collections.abc import AsyncIterator

from shell.accountfolder import AccountFolder, KnownAccount
from shell.disk import on_disk, opened
from shell.errors import DataFolderError
from shell.mailbox import Mailbox
from wire.certificates import Identity
from wire.errors import ErrorCode, Refused
from wire.names import is_key, name_key

_NOTHING_DONE = frozenset(
    (
        *(ErrorCode.BAD_NAME, ErrorCode.NAME_TAKEN, ErrorCode.BAD_PASSWORD, ErrorCode.BAD_CERTIFICATE),
        *(ErrorCode.REGISTRATION_CLOSED, ErrorCode.INVITE_NEEDED, ErrorCode.INVITE_REFUSED),
        *(ErrorCode.WRONG_CREDENTIALS, ErrorCode.RATE_LIMITED, ErrorCode.BUSY),
    )
)
"""After these there is no account of this key; any other refusal may have come when it was made."""


@contextlib.asynccontextmanager
async def foothold(
    folder: AccountFolder, identity: Identity, account: KnownAccount
) -> AsyncIterator[Mailbox | None]:
    """The phone book is asked inside. Yields the mailbox where it is new; the folder is claimed then.

    What the phone book refuses leaves nothing here. Where its answer is lost, or says that something failed,
    everything stays: the account may have been made, under this key.

    Raises `DataFolderError`, `MailboxFailed`.
    """
    possible = is_key(name_key(account.name))  # else the phone book says what is wrong with the name
    if not possible or not await on_disk(folder.missing):
        yield None
        return
    await folder.claim()
    missing = await on_disk(folder.missing)  # another shell may have been in it until now
    mailbox, asked = None, False
    try:
        await on_disk(_keep, folder, identity, account)
        mailbox = await opened(lambda: Mailbox(folder.mailbox), Mailbox.close)
        asked = True
        yield mailbox
    except BaseException as error:
        if mailbox is not None:
            await on_disk(mailbox.close)
        if not asked or (isinstance(error, Refused) and error.code in _NOTHING_DONE):
            await on_disk(folder.clear, missing)
        folder.release()
        raise


def _keep(folder: AccountFolder, identity: Identity, account: KnownAccount) -> None:
    folder.save(identity)
    if folder.identity(account.name) != identity:
        raise DataFolderError(
            f"Another shell has just made a key for {account.name} in this data folder; try again."
        )
    if folder.known() is None:
        folder.remember(account)
