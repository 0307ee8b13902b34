"""Errors of the layers below as what a command says: one sentence, a stable code, an exit code. Pure."""

from shell.errors import MailboxFailed, NotConnected, PhoneBookKeyChanged, ShellError
from shell.kit.errors import CommandError, ExitCode
from shell.line.errors import KeyNotAccepted, LineError, PeerGone
from wire.display import safe
from wire.errors import ErrorCode, Refused, WireError

_RATE_CODES = (ErrorCode.RATE_LIMITED, ErrorCode.BUSY)
_NETWORK_CODES = (ErrorCode.VERSION_MISMATCH, ErrorCode.SHUTTING_DOWN, ErrorCode.STORAGE_FAILED)


def sentence_of(error: BaseException) -> CommandError | None:
    """What to say of an error; None for one that nobody foresaw."""
    message = safe(str(error))
    match error:
        case Refused(code=code, slug=slug):
            exit_code = (
                ExitCode.RATE
                if code in _RATE_CODES
                else ExitCode.NETWORK
                if code in _NETWORK_CODES
                else ExitCode.USER
            )
            return CommandError(message, code=slug, exit_code=exit_code)
        case PhoneBookKeyChanged():
            return CommandError(message, code="phone-book-key-changed", exit_code=ExitCode.KEY)
        case KeyNotAccepted():
            return CommandError(message, code="key-changed", exit_code=ExitCode.KEY)
        case NotConnected() | WireError():
            return CommandError(message, code="not-connected", exit_code=ExitCode.NETWORK)
        case PeerGone():
            return CommandError(message, code=_slug(error), exit_code=ExitCode.NETWORK)
        case MailboxFailed():
            return CommandError(message, code="mailbox-failed")
        case UnicodeEncodeError(encoding=encoding):
            return CommandError(
                f"Your locale ({encoding}) does not have all letters of that name; set LC_ALL=C.UTF-8.",
                code="no-such-letters",
            )
        case ShellError() | LineError():
            return CommandError(message, code=_slug(error))
        case _:
            return None


def _slug(error: BaseException) -> str:
    """`NotLoggedIn` as `not-logged-in`."""
    name = type(error).__name__
    return "".join(f"-{letter.lower()}" if letter.isupper() else letter for letter in name).lstrip("-")
