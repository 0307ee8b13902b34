"""What keeps a phone book running for years: new settings and certificates while it runs, backups, accounts
out and in, and a stop that nobody is surprised by. Runs on the phone book's event loop.
"""

import asyncio
import contextlib
import logging
from collections.abc import Callable
from pathlib import Path
from time import time
from typing import TYPE_CHECKING, TypeVar, assert_never

from msgspec.structs import replace

from server import upkeep_actions
from server.account import Account
from server.accounts import read_all
from server.action import Reply
from server.backup import back_up
from server.effects import Happened
from server.errors import NameInUse, ServerError
from server.logs import use_settings
from server.reload import AT_START, changes, merged, shown
from server.settings import ServerSettings
from server.transfer import export_accounts, read_accounts
from wire.errors import ErrorCode, Refused

if TYPE_CHECKING:
    from server.phonebook import PhoneBookServer

log = logging.getLogger(__name__)
T = TypeVar("T")

Reread = Callable[[], ServerSettings]


class Upkeep:
    """The life of a running phone book."""

    def __init__(self, server: "PhoneBookServer", on_drained: Callable[[str], None]) -> None:
        self._server = server
        self._on_drained = on_drained
        self._draining: asyncio.Task[None] | None = None
        self._file_work = asyncio.Lock()
        self.reread: Reread | None = None
        """Reads the settings again as they were read at the start; None where they came from no file."""

    async def answer(self, task: upkeep_actions.Task) -> Reply:
        """Carries out what an operator asks. Raises `Refused`."""
        match task:
            case upkeep_actions.ReloadSettings():
                return await self.reload()
            case upkeep_actions.MakeBackup(path):
                return await self._back_up(path)
            case upkeep_actions.ExportAccounts(path):
                return await self._export(path)
            case _:
                assert_never(task)

    def settings(self) -> upkeep_actions.Settings:
        """All settings, as they hold."""
        defaults = ServerSettings()
        return upkeep_actions.Settings(
            tuple(
                upkeep_actions.SettingInfo(
                    key,
                    shown(getattr(self._server.settings, key)),
                    shown(getattr(defaults, key)),
                    key not in AT_START,
                )
                for key in ServerSettings.__struct_fields__
            )
        )

    async def reload(self) -> upkeep_actions.Reloaded:
        """Reads settings and certificate anew. Raises `Refused`, and then nothing has changed."""
        running = self._server.settings
        wanted = await self._blocking(self.reread) if self.reread is not None else running
        found = changes(running, wanted)
        try:
            other_certificate = await self._server.use(merged(running, wanted))
        except ServerError as error:
            raise _refused(error) from None
        use_settings(self._server.settings)
        room = self._server.room
        if room < self._server.settings.max_connections:
            note = f"the limit of open files has room for {room:,} only"
            found = tuple(replace(change, note=note * (change.key == "max_connections")) for change in found)
        log.info("event=reloaded changed=%r", ",".join(change.key for change in found))
        return upkeep_actions.Reloaded(found, other_certificate)

    def drain(self, seconds: float, reason: str) -> None:
        """No new sessions from now on; everybody is told; the end comes in time, or when nobody is left."""
        self._server.entrance.draining = True
        words = f"The phone book stops in {seconds:g} s. {reason}".strip()
        happened = Happened(time(), "drain", "operator", reason)
        self._server.perform([*self._server.directory.notice(words), happened])
        if self._draining is not None:
            self._draining.cancel()
        self._draining = asyncio.create_task(self._drain(seconds, reason), name="drain")

    async def importable(self, path: str) -> list[Account]:
        """The accounts of a file, where none of them exists here. Raises `Refused`."""
        accounts = await self._blocking(lambda: read_accounts(Path(path)))
        taken = [account.name for account in accounts if await self._server.accounts.find(account.key)]
        if taken:
            raise Refused(
                ErrorCode.NAME_TAKEN,
                f"{len(taken)} of these accounts exist already, such as {taken[0]}; nothing was imported.",
            )
        return accounts

    async def take(self, accounts: list[Account]) -> None:
        """Keeps accounts of a file, all or none. Raises `Refused`."""
        try:
            await self._server.accounts.add(accounts)
        except NameInUse:
            raise Refused(
                ErrorCode.NAME_TAKEN,
                "An account of the file has an id in use, or looks like another; nothing was imported.",
            ) from None

    # --- inside -----------------------------------------------------------------------------------------

    async def _back_up(self, path: str) -> upkeep_actions.BackedUp:
        folder = self._server.folder
        async with self._file_work:
            size = await self._blocking(lambda: back_up(folder, Path(path)))
        log.info("event=backup path=%r bytes=%d", path, size)
        return upkeep_actions.BackedUp(path, size)

    async def _export(self, path: str) -> upkeep_actions.Exported:
        database = self._server.accounts.path
        async with self._file_work:
            count = await self._blocking(lambda: export_accounts(read_all(database), Path(path)))
        log.info("event=export path=%r accounts=%d", path, count)
        return upkeep_actions.Exported(path, count)

    async def _drain(self, seconds: float, reason: str) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._server.empty()
        self._on_drained(reason)

    async def _blocking(self, work: Callable[[], T]) -> T:
        """Disk work, off the event loop. Raises `Refused` in the words of what failed."""
        try:
            return await asyncio.to_thread(work)
        except ServerError as error:
            raise _refused(error) from None


def _refused(error: ServerError) -> Refused:
    return Refused(ErrorCode.STORAGE_FAILED, str(error))
