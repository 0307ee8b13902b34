"""The user's console: one person at the prompt, the network on its own thread. Its commands come on top."""

import io
import threading
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TextIO, TypeVar

import msgspec

from shell.datafolder import DataFolder
from shell.errors import HostingFailed, MailboxFailed, NotConnected, PhoneBookKeyChanged, ShellError
from shell.events import Event, MessageArrived, MessageProgressed, RequestArrived, SessionEnded
from shell.inbox import Inbox
from shell.kit.app import ConsoleApp
from shell.kit.errors import CommandError, ExitCode
from shell.kit.theme import marked, unicode_works
from shell.line.errors import KeyNotAccepted, LineError
from shell.line.model import State
from shell.news import news
from shell.settings import ShellSettings, data_folder
from wire.display import safe
from wire.errors import ErrorCode, Refused, WireError
from wire.names import name_key

if TYPE_CHECKING:
    from shell.bridge import Bridge
    from shell.messenger import Messenger

T = TypeVar("T")

CALL_PATIENCE = 30.0  # seconds for the network thread to answer a command
CLOSE_PATIENCE = 5.0  # seconds to say goodbye
PROMPT = "parley> "
SHORTCUTS = {"@": "msg", "?": "help", "!": "shell"}
_ON_THE_WAY = (State.QUEUED.value, State.SENT.value)
"""No script waits for a message to be sent, and there is one such event for each."""
_RATE_CODES = (ErrorCode.RATE_LIMITED, ErrorCode.BUSY)
_NETWORK_CODES = (ErrorCode.VERSION_MISMATCH, ErrorCode.SHUTTING_DOWN, ErrorCode.STORAGE_FAILED)


class Hosted(Protocol):
    """A phone book that runs in this process."""

    @property
    def address(self) -> str:
        """Where this shell reaches it, `host:port`."""
        ...

    @property
    def invitation(self) -> str:
        """What to tell others, so that they can join."""
        ...

    def stop(self) -> None:
        """Ends it."""
        ...


class UserConsole(ConsoleApp):
    """What the shell's commands find in `app`."""

    def __init__(
        self,
        settings: ShellSettings,
        *,
        json: bool = False,
        plain: bool = False,
        output: io.StringIO | None = None,
        stdin: TextIO | None = None,
        host: Callable[[], Hosted] | None = None,
    ) -> None:
        """Opens the data folder. `host` starts a phone book in this process. Raises `DataFolderError`."""
        self.settings = settings
        self._host = host
        self._hosted: Hosted | None = None
        folder = DataFolder(data_folder(settings))
        history = folder.path / "typed-commands.dat" if output is None else None
        super().__init__(
            prompt=PROMPT,
            json=json,
            plain=plain,
            history_file=history,
            shortcuts=SHORTCUTS,
            stdin=stdin,
            stdout=output,
            stderr=output,
        )
        # cmd2's own `history` of typed lines makes room for the history of messages.
        self.do_commands = super().do_history
        self.inbox = Inbox()
        self.chat_with: str | None = None
        """Whose name free lines go to."""
        self.unread: dict[str, int] = {}
        """Messages by name that arrived since this user last looked there."""
        self.folder = folder
        self._network: tuple[Bridge, Messenger] | None = None
        self._network_lock = threading.Lock()

    # --- the network, which takes a quarter of a second to load and is not needed for a prompt ----------

    @property
    def bridge(self) -> "Bridge":
        """The network thread."""
        return self._connected()[0]

    @property
    def messenger(self) -> "Messenger":
        """Phone book, mailbox and line; lives on the network thread."""
        return self._connected()[1]

    @property
    def user(self) -> str | None:
        """Who is logged in."""
        return self._network[1].user if self._network is not None else None

    def preloop(self) -> None:
        """The person reads the first prompt while the network loads."""
        super().preloop()
        threading.Thread(target=self._connected, name="loading", daemon=True).start()

    def _connected(self) -> "tuple[Bridge, Messenger]":
        with self._network_lock:
            if self._network is None:
                from shell.bridge import Bridge
                from shell.messenger import Messenger

                messenger = Messenger(
                    self.settings.server,
                    self.folder,
                    self.settings.port,
                    self._heard,
                    tells_read=self.settings.read_receipts,
                    stun=self.settings.stun,
                )
                self._network = Bridge(), messenger
            return self._network

    # --- what commands use ------------------------------------------------------------------------------

    def call(self, work: Coroutine[Any, Any, T], patience: float = CALL_PATIENCE) -> T:
        """Runs a coroutine of the messenger on the network thread and waits for it."""
        return self.bridge.call(work, patience)

    def read_password(self, question: str, file: str | None) -> str:
        """A password from a file's first line, or from the person, who is asked without echo."""
        if file is None:
            return self.ask_secret(question)
        try:
            return Path(file).expanduser().read_text(encoding="utf-8").splitlines()[0]
        except (OSError, UnicodeDecodeError, IndexError) as error:
            raise CommandError(f"The password file {file} cannot be read: {error}.") from None

    def looked_at(self, name: str) -> None:
        """The person has seen what somebody wrote."""
        for known in [known for known in self.unread if name_key(known) == name_key(name)]:
            del self.unread[known]
        self.call(self.messenger.looked_at(name))

    def use(self, server: str) -> None:
        """From now on another phone book; nobody is logged in."""
        self.settings = msgspec.structs.replace(self.settings, server=server)
        with self._network_lock:
            network, self._network = self._network, None
        if network is not None:
            bridge, messenger = network
            bridge.call(messenger.close(), CLOSE_PATIENCE)
            bridge.stop()

    def host(self) -> Hosted:
        """The phone book of one's own, started where it does not run yet. Raises `HostingFailed`."""
        if self._hosted is None:
            if self._host is None:
                raise HostingFailed("This shell cannot host a phone book; start `parley --host`.")
            self._hosted = self._host()
        return self._hosted

    # --- ConsoleApp -------------------------------------------------------------------------------------

    def rewrite(self, line: str) -> str:
        """In a chat free lines are messages, and commands have a slash; `//` begins a message with one."""
        if self.chat_with is None or not line.strip():
            return super().rewrite(line)
        stripped = line.lstrip()
        if stripped.startswith("//"):
            return f"msg {self.chat_with} {stripped[1:]}"
        if stripped.startswith("/"):
            return stripped[1:]
        return f"msg {self.chat_with} {line}"

    def end_of_input(self) -> str:
        """Ctrl-D ends a chat first, then the shell."""
        return "/end" if self.chat_with is not None else "quit"

    def translate(self, error: BaseException) -> CommandError | None:
        """Errors of the layers below, with the exit codes that scripts rely on."""
        message = safe(str(error))
        match error:
            case CommandError():
                return error
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
            case MailboxFailed():
                return CommandError(message, code="mailbox-failed")
            case ShellError() | LineError():
                return CommandError(message, code=_slug(error))
            case _:
                return None

    def pre_prompt(self) -> None:
        """The prompt shows who types, and to whom."""
        self.prompt = self._prompt()
        super().pre_prompt()

    def postcmd(self, stop: bool, statement: Any) -> bool:
        """After a command somebody else may be logged in."""
        self.prompt = self._prompt()
        return super().postcmd(stop, statement)

    def get_bottom_toolbar(self) -> str:
        """Who I am, where, and what waits."""
        user = self.user
        if user is None:
            return f" not logged in | phone book {self.settings.server} "
        parts = [
            safe(user),
            marked(self.messenger.visibility.value, plain=self.plain),
            self.settings.server if self.messenger.book.connected else "phone book away, trying again",
        ]
        if self.unread:
            names = ", ".join(safe(name) for name in list(self.unread)[:3])
            parts.append(f"{sum(self.unread.values())} unread ({names})")
        core = self.messenger.line.core
        for count, what in ((len(core.requests()), "requests"), (core.undelivered(), "queued")):
            if count:
                parts.append(f"{count} {what}")
        return " " + " | ".join(parts) + " "

    def close(self) -> None:
        """Leaves the phone book and ends the network thread; a phone book of one's own stops after that."""
        try:
            self._leave()
        finally:
            if self._hosted is not None:
                self._hosted.stop()

    def _leave(self) -> None:
        if self._network is None:
            return
        try:
            self.bridge.call(self.messenger.close(), CLOSE_PATIENCE)
        except (NotConnected, WireError, TimeoutError):
            pass  # it is told by the end of the connection as well
        finally:
            self.bridge.stop()

    # --- inside -----------------------------------------------------------------------------------------

    def _prompt(self) -> str:
        user = self.user
        if user is None:
            return PROMPT
        arrow = "→" if unicode_works() else "->"
        return f"{safe(user)} {arrow} {safe(self.chat_with)}> " if self.chat_with else f"{safe(user)}> "

    def _heard(self, event: Event) -> None:
        """Called on the network thread for everything that happens."""
        if isinstance(event, MessageArrived):
            if self.chat_with is not None and name_key(self.chat_with) == name_key(event.name):
                self.messenger.line.looked_at(event.name)
            else:
                self.unread[event.name] = self.unread.get(event.name, 0) + 1
        if isinstance(event, SessionEnded):
            self.chat_with = None
        if not (isinstance(event, MessageProgressed) and event.state in _ON_THE_WAY):
            self.inbox.put(event)
        if self.settings.bell and self.interactive and isinstance(event, MessageArrived | RequestArrived):
            self.lines.do(lambda output: output.bell())
        shown = news(event, time_format=self.settings.time_format, plain=self.plain)
        if shown is not None:
            self.announce(shown)
        if isinstance(event, SessionEnded) and self.interactive:
            self.prompt = PROMPT
            self.lines.redraw()


def _slug(error: BaseException) -> str:
    """`NotLoggedIn` as `not-logged-in`."""
    name = type(error).__name__
    return "".join(f"-{letter.lower()}" if letter.isupper() else letter for letter in name).lstrip("-")
