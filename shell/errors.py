"""What can go wrong in the shell below its commands; `str()` is the sentence for the person.

ShellError
├── SettingsError       the settings file
├── DataFolderError     the data folder
├── BackupError         a backup of a key
├── DiscoveryFailed     the local network cannot be asked
├── HostingFailed       `--host` cannot start a phone book
│   └── HostedAlready         another process serves it
├── HookRefused         a hook that cannot be made
├── ListFull            a list of names that the phone book keeps
├── MailboxFailed       the mailbox on disk
├── NotConnected        no connection to the phone book
│   └── PhoneBookKeyChanged   its key is not the pinned one
├── NotLoggedIn         the command needs an account
└── UdpPortTaken        the UDP port of `--port`
"""

NO_CONNECTION = "There is no connection to the phone book."


class ShellError(Exception):
    """The base of all errors of the shell."""


class SettingsError(ShellError):
    """The settings file has something that cannot be."""


class DataFolderError(ShellError):
    """The data folder cannot be used."""


class DiscoveryFailed(ShellError):
    """The local network cannot be asked for phone books."""


class HostingFailed(ShellError):
    """A phone book of one's own cannot be started."""


class HostedAlready(HostingFailed):
    """Another process serves the same phone book."""


class HookRefused(ShellError):
    """A hook cannot be made as it was asked for."""


class BackupError(ShellError):
    """A backup of a key cannot be made or opened."""


class ListFull(ShellError):
    """A list of names that the phone book keeps has no room for one more."""


class MailboxFailed(ShellError):
    """The mailbox could not be opened, read or written."""


class NotConnected(ShellError):
    """There is no connection to the phone book."""


class PhoneBookKeyChanged(NotConnected):
    """The phone book shows another key than the one pinned: it may be somebody else."""


class NotLoggedIn(ShellError):
    """The command needs an account."""


class AlreadyLoggedIn(ShellError):
    """Somebody is logged in already."""


class UdpPortTaken(ShellError):
    """The UDP port that was asked for is in use."""
