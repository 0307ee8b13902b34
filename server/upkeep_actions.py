"""What operators ask for a long life: settings, backups, accounts out and in, drain. Pure."""

import msgspec

from server.action import Action, Change, Reply
from server.reload import SettingChange


class SettingInfo(msgspec.Struct, frozen=True):
    """One setting of the phone book."""

    key: str
    value: str
    """As a settings file has it."""
    default: str
    live: bool
    """Whether `settings reload` changes it while the phone book runs."""


class Settings(Reply, frozen=True):
    """All settings, as they hold."""

    settings: tuple[SettingInfo, ...]


class GetSettings(Action[Settings], frozen=True):
    """The settings."""


class Reloaded(Reply, frozen=True):
    """What the settings file had otherwise, and whether there is another certificate."""

    changes: tuple[SettingChange, ...]
    certificate: bool


class BackedUp(Reply, frozen=True):
    """A backup was written."""

    path: str
    bytes: int


class Exported(Reply, frozen=True):
    """Accounts were written to a file."""

    path: str
    accounts: int


class ReloadSettings(Action[Reloaded], frozen=True):
    """Reads settings and certificate anew."""


class MakeBackup(Action[BackedUp], frozen=True):
    """Writes everything to a new file on the phone book's machine."""

    path: str


class ExportAccounts(Action[Exported], frozen=True):
    """Writes all accounts, password hashes included, to a new file as TOML."""

    path: str


Task = ReloadSettings | MakeBackup | ExportAccounts
"""What changes no account, and stands in the journal all the same."""


class ImportAccounts(Change, frozen=True):
    """Takes accounts from such a file, all or none."""

    path: str


class Drain(Change, frozen=True):
    """Lets nobody in any more, tells everybody, and stops after so many seconds or when nobody is left."""

    seconds: float
