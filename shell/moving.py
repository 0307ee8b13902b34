"""Takes an account to another machine: its key, its contacts with their pins, the pin of its phone book."""

from pathlib import Path
from typing import TYPE_CHECKING

from shell import letters
from shell.datafolder import DataFolder
from shell.disk import on_disk, opened
from shell.keybackup import Backup
from shell.mailbox import Mailbox
from wire.names import name_key

if TYPE_CHECKING:  # the network loads after the prompt
    from shell.line.line import Line
    from shell.phonebook import PhoneBook


def make_backup(folder: DataFolder, book: "PhoneBook", line: "Line", name: str) -> Backup:
    """What makes a new machine the same person."""
    return Backup(
        name,
        book.host_and_port,
        folder.pinned(book.host_and_port) or "",
        book.ticket_key,
        line.identity.certificate_pem,
        line.identity.key_pem,
        tuple(line.core.contacts()),
    )


async def restore_backup(folder: DataFolder, backup: Backup, *, replace: bool) -> Path | None:
    """Takes a backup in; where another key that was here is kept, if there was one.

    What this machine knows of a contact's key stays as it is. Raises `DataFolderError`, `MailboxFailed`.
    """
    account = folder.account(backup.ticket_key, name_key(backup.name))
    kept = await on_disk(account.restore, backup.identity, replace=replace)
    if backup.phone_book_key and await on_disk(folder.pinned, backup.phone_book) is None:
        await on_disk(folder.pin, backup.phone_book, backup.phone_book_key)
    mailbox = await opened(lambda: Mailbox(account.mailbox), Mailbox.close)
    try:
        await mailbox.read(lambda connection: letters.restore_contacts(connection, backup.contacts))
    finally:
        await on_disk(mailbox.close)
    return kept
