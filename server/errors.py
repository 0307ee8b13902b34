"""What keeps the phone book from starting; `str()` is the sentence for the operator.

ServerError
├── SettingsError      the settings file or an option
├── DataFolderError    the data folder
│   └── FolderInUse    another phone book has it open
├── PortTaken          the address to listen on
├── NotAttached        the running phone book cannot be operated from here
├── NameInUse          an account of that name, or of one that looks like it, exists
├── Overtaken          an account is no longer as it was when a change of it was decided
├── BackupFailed       a backup, or the way back
└── TransferFailed     an export or import of accounts
"""


class ServerError(Exception):
    """The base of all errors of the server."""


class SettingsError(ServerError):
    """The settings have something that cannot be."""


class DataFolderError(ServerError):
    """The data folder cannot be used."""


class FolderInUse(DataFolderError):
    """Another phone book has the data folder open."""


class PortTaken(ServerError):
    """The address cannot be listened on."""


class NotAttached(ServerError):
    """There is no running phone book that this user may operate."""


class NameInUse(ServerError):
    """An account of that name, or of one that looks like it, exists."""


class Overtaken(ServerError):
    """An account is no longer as it was when a change of it was decided; nothing was changed."""


class BackupFailed(ServerError):
    """A backup could not be written or restored."""


class TransferFailed(ServerError):
    """Accounts could not be exported or imported."""
