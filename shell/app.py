"""The user's shell: the console with its table of commands."""

from shell.commands import COMMANDS
from shell.console import UserConsole


class Shell(UserConsole):
    """One user's shell."""

    COMMANDS = COMMANDS
