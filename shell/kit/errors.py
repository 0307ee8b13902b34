"""How a command ends: exit codes, and the one error that commands raise."""

import enum


class ExitCode(enum.IntEnum):
    """What scripts see."""

    DONE = 0
    USER = 1
    """Something that the user can mend."""
    USAGE = 2
    NETWORK = 3
    """Phone book or network."""
    KEY = 4
    """A key is not trusted."""
    RATE = 5
    """Rate limited."""
    QUEUED = 6
    """Queued, but not delivered in time."""
    REFUSED = 7
    """Refused by the other side."""
    INTERRUPTED = 130
    """Ctrl-C (128 + SIGINT)."""


class CommandError(Exception):
    """A command could not do it; `str()` is one sentence that says what was wrong and what to do."""

    def __init__(self, message: str, *, code: str = "error", exit_code: ExitCode = ExitCode.USER) -> None:
        super().__init__(message)
        self.code = code
        """A stable word for `--json`."""
        self.exit_code = exit_code
