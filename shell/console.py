"""The user's console: one person at the prompt, the network on its own thread. Its commands come on top."""

import io
import threading
from collections.abc import Callable, Coroutine
from pathlib import Path
from time import time
from typing import TYPE_CHECKING, Any, Protocol, TextIO, TypeVar

import msgspec
from cmd2 import Completions
from cmd2.utils import CustomCompletionSettings
from rich.text import Text

from shell import finding
from shell.attention import Attention
from shell.chat import Chat
from shell.datafolder import DataFolder
from shell.errors import NO_CONNECTION, HostingFailed, NotConnected, NotLoggedIn
from shell.events import Event, KeyChanged, MessageArrived, MessageProgressed, SessionEnded, TransferEnd
from shell.hooks import Hooks
from shell.inbox import Inbox
from shell.keyboard import Keyboard
from shell.kit.app import ConsoleApp
from shell.kit.command import verbatim_names
from shell.kit.errors import CommandError, ExitCode
from shell.kit.records import write_records
from shell.kit.theme import WARNING, unicode_works
from shell.kit.typed import first_line
from shell.line.model import Rules, State
from shell.news import ended_line, news
from shell.sentences import sentence_of
from shell.settings import ShellSettings, data_folder, taking
from shell.shown import ShownKeys
from shell.talks import Talks
from shell.toolbar import Standing, standing_of, toolbar
from wire.certificates import Fingerprint
from wire.display import safe
from wire.errors import WireError
from wire.messages import Visibility
from wire.names import name_key

if TYPE_CHECKING:
    from shell.bridge import Bridge
    from shell.messenger import Messenger

T = TypeVar("T")

CALL_PATIENCE = 30.0  # seconds for the network thread to answer a command
CLOSE_PATIENCE = 5.0  # seconds to say goodbye
MIN_EARLIER = 5  # earlier messages that a conversation shows on the lowest terminal
DAY = 86_400.0  # seconds
PROMPT = "parley> "
SHORTCUTS = {"@": "msg", "?": "help", "!": "shell"}
_ON_THE_WAY = (State.QUEUED.value, State.SENT.value)
"""No script waits for a message to be sent, and there is one such event for each."""


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
        folder = DataFolder(data_folder(settings), taking(settings))
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
        if (parser := self.command_parsers.get(self.do_commands)) is not None:
            parser.prog = "commands"
        # The words of messages rest in the mailbox alone, where `forget` and `keep_days` reach them.
        self.exclude_from_history += [*verbatim_names(self.COMMANDS), "ask", "answer", "roll"]
        self.theme = settings.theme
        self.inbox = Inbox()
        self.session_ended: str | None = None
        """Why the last session ended by itself; a script may hear of it by its next command only."""
        self.password_file: str | None = None
        """Where a script's password is, unless a command names another file."""
        self.hooks = Hooks(lambda sentence: self.remark("hook-failed", sentence))
        self.chat_with: str | None = None
        """Whose name free lines go to."""
        self.talks = Talks()
        self.shown_keys = ShownKeys()
        self.chat = Chat(self)
        self.attention = Attention(settings, self.lines, self.talks, plain=self.plain)
        self._draft = ""
        self._tidied = float("-inf")
        self.keyboard = Keyboard(self)
        self.watched_transfers: set[int] = set()
        """Numbers of transfers whose end a command tells."""
        self.watched_questions: set[str] = set()
        """Ids of questions whose answers a command shows."""
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
                    Rules(
                        self.settings.read_receipts,
                        self.settings.max_requests,
                        self.settings.messages_per_request,
                    ),
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
        file = file or (None if self.asks else self.password_file)
        return self.ask_secret(question) if file is None else first_line(Path(file).expanduser())

    def looked_at(self, name: str) -> None:
        """The person has seen what somebody wrote."""
        self.talks.seen(name)
        self.call(self.messenger.looked_at(name))

    def remark(self, code: str, sentence: str) -> None:
        """Tells what went wrong beside what a command does, on any thread; its exit code stays."""
        if self.interactive:
            self.announce(Text(sentence, WARNING))
        elif self.json_output:
            write_records(self.stderr, [{"error": code, "message": sentence}])
        else:
            self.stderr.write(f"{sentence}\n")
            self.stderr.flush()

    def use(self, server: str) -> None:
        """From now on another phone book; nobody is logged in."""
        self.settings = msgspec.structs.replace(self.settings, server=server)
        with self._network_lock:
            network, self._network = self._network, None
        if network is not None:
            bridge, messenger = network
            bridge.call(messenger.close(), CLOSE_PATIENCE)
            bridge.stop()

    def groups(self) -> dict[str, tuple[str, ...]]:
        """The groups of names, those of the `group` command before those of the settings file."""
        return {**self.settings.groups, **self.folder.groups()}

    def host(self) -> Hosted:
        """The phone book of one's own, started where it does not run yet. Raises `HostingFailed`."""
        if self._hosted is None:
            if self._host is None:
                raise HostingFailed("This shell cannot host a phone book; start `parley --host`.")
            self._hosted = self._host()
        return self._hosted

    @property
    def unread(self) -> dict[str, int]:
        """Messages by name that arrived since this user last looked there."""
        return self.talks.unread

    @unread.setter
    def unread(self, unread: dict[str, int]) -> None:
        """Somebody has logged in."""
        self._tidied = float("-inf")
        self.talks.begin(unread, [contact.name for contact in self.messenger.line.core.accepted()])

    @property
    def live(self) -> bool:
        """Whether the terminal shows a conversation whose lines change."""
        return self.interactive and not self.plain and not self.json_output and self.recorder is None

    def enter_chat(self, name: str) -> None:
        """From now on free lines are messages to somebody."""
        self.chat.close()
        self.chat_with = name
        self.talks.add(name)
        self._draft = self.chat.take_draft(name)
        if self.live:
            rows = self.main_session.output.get_size().rows
            self.call(self.chat.open(name, min(self.settings.history_lines, max(MIN_EARLIER, rows // 2))))
            self.looked_at(name)

    def leave_chat(self) -> None:
        """Lines are commands again."""
        self.chat.close()
        self.chat_with = None
        self._draft = self.chat.take_draft(None)

    def said_in_chat(self, name: str, text: str) -> bool:
        """Writes to whom the shown conversation is with; False where none is shown, or another."""
        if not (self.live and self.chat.is_open_with(name)):
            return False
        try:
            self.call(self.chat.say(name, text))
        except BaseException:
            self._draft = text  # nothing that was typed is lost
            raise
        return True

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
        if not self.interactive and (isinstance(error, NotLoggedIn) or str(error) == NO_CONNECTION):
            ended = self.session_ended
            if ended is not None and self.messenger.user is None:
                return CommandError(ended, code="session-ended", exit_code=ExitCode.NETWORK)
        return error if isinstance(error, CommandError) else sentence_of(error)

    def pre_prompt(self) -> None:
        """The prompt shows who types, and to whom; a message becomes a line of the conversation above it."""
        self.prompt = self._prompt()
        draft, self._draft = self._draft, ""
        self.keyboard.place(draft)
        super().pre_prompt()

    def onecmd_plus_hooks(self, line: str, **options: Any) -> bool:
        """Runs a typed line; a command that was typed in a conversation stays to be seen."""
        if self.keyboard.erased() and line and not self.keyboard.writes_text(line):
            self.poutput(f"{self.visible_prompt}{safe(self.end_of_input() if line == '_eof' else line)}")
        return super().onecmd_plus_hooks(line, **options)

    def _read_command_line(self, prompt: str) -> str:
        line = super()._read_command_line(prompt)
        self.keyboard.entered()
        return line

    def postcmd(self, stop: bool, statement: Any) -> bool:
        """After a command somebody else may be logged in, or be seen differently."""
        self.prompt = self._prompt()
        if self.user is not None:
            self._tidy()
        if self.interactive:
            self.attention.stands(self.user, self.messenger.visibility if self.user else Visibility.ONLINE)
        return super().postcmd(stop, statement)

    def postloop(self) -> None:
        """The window gets its own title back."""
        self.attention.leave()
        super().postloop()

    def complete(
        self,
        text: str,
        line: str,
        begidx: int,
        endidx: int,
        custom_settings: CustomCompletionSettings | None = None,
    ) -> Completions:
        """Commands complete behind a slash too; in a conversation nothing else does."""
        if custom_settings is not None:
            return super().complete(text, line, begidx, endidx, custom_settings)
        return self.keyboard.complete(super().complete, text, line, begidx, endidx)

    def get_bottom_toolbar(self) -> str:
        """Who I am, where, and what waits."""
        user, columns = self.user, self.main_session.output.get_size().columns
        if user is None:
            return toolbar(Standing(None, "", self.settings.server, connected=False), columns)
        return toolbar(standing_of(self, user), columns)

    def close(self) -> None:
        """Leaves the phone book and ends the network thread; a phone book of one's own stops after that."""
        try:
            self.hooks.close()
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
        arrow = "→" if unicode_works() and not self.plain else "->"
        return f"{safe(user)} {arrow} {safe(self.chat_with)}> " if self.chat_with else f"{safe(user)}> "

    def _heard(self, event: Event) -> None:
        """Called on the network thread for everything that happens."""
        if isinstance(event, MessageArrived):
            self.talks.arrived(event.name)
        if isinstance(event, SessionEnded):
            self.session_ended = ended_line(event)
            self.chat.close()
            self.chat_with = None
        # Asked before the command that watches is woken, since it says itself what became of it.
        watched = isinstance(event, TransferEnd) and event.number in self.watched_transfers
        answers = isinstance(event, MessageArrived) and event.answers in self.watched_questions
        if not (isinstance(event, MessageProgressed) and event.state in _ON_THE_WAY):
            self.inbox.put(event)
        self.hooks.heard(event)
        if not self.interactive or watched:
            return
        there = self.attention.heard(event, self.user)
        if not self.chat.heard(event) and not answers:
            shown = news(event, time_format=self.settings.time_format, plain=self.plain)
            if shown is not None:
                self.announce(shown)
        if isinstance(event, MessageArrived):
            self.lines.do(lambda output: self._stands(event.name, there=there))
        if isinstance(event, KeyChanged):
            self.shown_keys.warned_of(name_key(event.name), event.pinned, Fingerprint(event.presented))
        if isinstance(event, SessionEnded):
            self.prompt = PROMPT
            self.lines.redraw()

    def _stands(self, name: str, *, there: bool) -> None:
        """A message has come above the prompt. In a conversation those of others only pass by."""
        if self.chat_with is None:
            if there:
                self.talks.shown(name)
        elif name_key(self.chat_with) == name_key(name):
            self.chat.unseen = True

    def _tidy(self) -> None:
        """Once a day what is older than `keep_days` goes."""
        keep, now = self.settings.keep_days, time()
        if keep and now - self._tidied >= DAY:
            self._tidied = now
            before = now - keep * DAY
            self.call(self.messenger.mailbox.read(lambda connection: finding.expire(connection, before)))
