"""The line as the shell uses it: the core's rules carried out on a real socket and a real mailbox.

line = Line(identity, book, tell)
await line.bind(port=0)
await line.start(mailbox)
written = await line.write("bob", "hello")
print((await line.settled(written, patience=3.0)).state)
"""

import asyncio
import logging
import secrets
from collections import deque
from collections.abc import Callable, Coroutine
from functools import partial
from time import monotonic, time
from typing import Any, TypeVar, assert_never

from shell import letters
from shell.errors import MailboxFailed, NotConnected, NotLoggedIn
from shell.events import Event, MessageProgressed, PathChanged, StorageFailed
from shell.line.calls import Introducer
from shell.line.candidates import Candidate, PathKind
from shell.line.channel import Channel, LineFrame, Opened
from shell.line.core import LineCore
from shell.line.decisions import Decisions
from shell.line.effects import (
    Act,
    DeclineHeld,
    Dial,
    Effect,
    HangUp,
    Keep,
    KeepContact,
    KeepIncoming,
    KeepOutgoing,
    KeepRead,
    KeepSeen,
    KeepState,
    LineId,
    ReleaseHeld,
    SendFrames,
    Tell,
    Waits,
    WatchPresence,
)
from shell.line.files import Files
from shell.line.happenings import Happenings
from shell.line.model import MessageId, Outgoing, Rules, State
from shell.line.network import Network
from shell.line.outbox import check_sendable
from shell.line.quic import StreamCut, StreamReceived
from shell.line.settling import Settled, Waiting, Written
from shell.line.tasks import Tasks
from shell.line.transfer import Taking
from shell.mailbox import Mailbox
from wire.certificates import Fingerprint, Identity
from wire.errors import BadTicket, Refused
from wire.frames import MESSAGE_ID_BYTES, LineClose, TransferFrame
from wire.messages import Endpoint, Introduction
from wire.names import NameKey, name_key
from wire.times import possible

log = logging.getLogger(__name__)
T = TypeVar("T")

TICK = 1.0  # seconds between looks at retries and silent lines
KEEPALIVE = 20.0  # seconds between PINGs on a line; most NATs keep a mapping for 30 s (RFC 9000 §10.1.2)
MAX_EARLY = 64  # introductions that may come while the mailbox is read


class Line(Decisions):
    """One account's line. All methods are called on the event loop's thread."""

    def __init__(
        self,
        identity: Identity,
        book: Introducer,
        tell: Callable[[Event], None],
        taking: Taking,
        rules: Rules = Rules(),  # noqa: B008 - frozen
    ) -> None:
        self._identity = identity
        self._mailbox: Mailbox | None = None
        self._book = book
        self._tell = tell
        self._network = Network(identity, book, self)
        self._rules = rules
        self._core = LineCore(identity.fingerprint, rules=rules)
        self.files = Files(self, self._network.endpoint, taking, tell)
        """Files and pipes."""
        self._early: deque[Introduction] = deque(maxlen=MAX_EARLY)
        self._happenings = Happenings(self)
        self._waiting = Waiting()
        self._tasks = Tasks()

    @property
    def core(self) -> LineCore:
        """What is known of people; to be read only."""
        return self._core

    @property
    def identity(self) -> Identity:
        """This account's key, with its private half."""
        return self._identity

    @property
    def fingerprint(self) -> Fingerprint:
        """This account's key."""
        return self._identity.fingerprint

    @property
    def port(self) -> int:
        """The UDP port of this shell."""
        return self._network.endpoint.port

    @property
    def network(self) -> Network:
        """The lines on their socket."""
        return self._network

    def path(self, name: str) -> Candidate | None:
        """How an open line gets to the other side."""
        return self._network.path(self._core.line_of(name))

    async def bind(self, port: int) -> None:
        """Opens the socket, so that its endpoint can be published. Raises OSError where the port is taken."""
        await self._network.endpoint.start(port)

    def last_failure(self, name: str) -> str | None:
        """Why the last attempt to reach somebody failed; None where there was none since the last line."""
        return self._network.last_failure(name)

    async def start(self, mailbox: Mailbox) -> None:
        """Takes up what the mailbox has, and whoever was introduced meanwhile."""
        contacts, waiting, held = await mailbox.read(
            lambda connection: (
                letters.contacts(connection),
                letters.unsettled(connection),
                letters.requests(connection),
            )
        )
        self._core = LineCore(self._identity.fingerprint, contacts, waiting, held, self._rules)
        self._mailbox = mailbox
        await self.files.start(mailbox)
        self._tasks.spawn(self._happenings.run(), "line")
        self._tasks.spawn(self._tick(), "line-clock")
        self._tasks.spawn(self._network.stand(lambda: self._core.accepted()), "line-contacts")
        for introduction in self._early:
            self.introduced(introduction)
        self._early.clear()

    async def stop(self) -> None:
        """Ends all lines; what waits stays on disk."""
        await self._tasks.cancel()
        await self.files.stop()
        self._network.endpoint.stop()
        self._waiting.stop()

    # --- what the user does -----------------------------------------------------------------------------

    async def write(
        self, name: str, text: str, *, choices: tuple[str, ...] | None = None, answers: bytes = b""
    ) -> Written:
        """Puts a message on disk and on its way; with `choices` it is a question, with `answers` an answer.

        Raises `CannotSend`, `MailboxFailed`, `Blocked`, `KeyNotAccepted`, `OutboxFull`.
        """
        sendable = text.encode(errors="replace").decode()  # a terminal may hand over broken UTF-8
        message = Outgoing(
            MessageId(secrets.token_bytes(MESSAGE_ID_BYTES)),
            name_key(name),
            sendable,
            round(possible(time()), 3),
            choices=choices,
            answers=answers,
        )
        check_sendable(message)
        written = self._waiting.expect(message)
        try:
            await self._happenings.perform(lambda: self._core.write(name, message, monotonic()))
        except BaseException:
            written.settling.cancel()
            raise
        return written

    async def settled(self, written: Written, patience: float) -> Settled:
        """Waits until the recipient has the message, or is known to be away, or the patience (s) is over.

        What is said to be queued then survives power loss. Raises `MailboxFailed`.
        """
        try:
            async with asyncio.timeout(patience):
                settled = await written.settling
        except TimeoutError:
            settled = Settled(self._core.state_of(written.message))  # what comes later is told as an event
        if settled.state in (State.QUEUED, State.SENT) and self._mailbox is not None:
            await self._mailbox.settle()
        return settled

    def looked_at(self, name: str) -> None:
        """The user has seen what somebody wrote; it is noted as soon as may be."""
        self._happenings.put(lambda: self._core.looked_at(name))

    # --- what files need (shell.line.files.Lines) -------------------------------------------------------

    def channel_to(self, peer: NameKey) -> Channel | None:
        """The open line to somebody."""
        return self._network.channel(self._core.line_of(peer))

    def drop(self, channel: Channel, code: LineClose, reason: str) -> None:
        """Ends a line whose other side does what cannot be."""
        self._network.drop(channel, code, reason)

    # --- what the phone book says -----------------------------------------------------------------------

    def introduced(self, introduction: Introduction) -> None:
        """Somebody is about to call."""
        if self._mailbox is None:  # consent is not known yet
            self._early.append(introduction)
            return
        try:
            self._network.announce(introduction, self._core.may_call)
        except BadTicket as error:
            log.warning("event=bad_introduction caller=%r reason=%r", introduction.name, str(error))

    def book_lost(self) -> None:
        """The phone book is away; contacts are called by what is known of them."""
        self._happenings.put(lambda: self._core.book_lost(monotonic()))

    def book_back(self) -> None:
        """The phone book is back."""
        self._happenings.put(lambda: self._core.book_back(monotonic()))

    def keep_quiet(self, *, quiet: bool) -> None:
        """Whether contacts who call without a ticket get no answer, because this user is hidden."""
        self._network.keep_quiet(quiet=quiet)

    def presence(self, name: str, *, online: bool) -> None:
        """Somebody came or went."""
        self._happenings.put(lambda: self._core.presence(name, online=online, now=monotonic()))

    # --- Performer (shell.line.happenings) --------------------------------------------------------------

    async def keep(self, keeps: list[Keep]) -> list[Any]:
        """Commits to the mailbox."""
        if self._mailbox is None:
            raise MailboxFailed("The mailbox is not open.")
        return await self._mailbox.keep(keeps)

    def note(self, states: list[KeepState]) -> None:
        """Commits these soon."""
        if self._mailbox is not None:
            self._mailbox.note(states)

    def kept(self, keep: Keep, answer: Any) -> list[Effect]:
        """What follows from what the mailbox said."""
        match keep:
            case KeepIncoming(message, line, _):
                return self._core.incoming_kept(message, answer, line)
            case KeepContact(contact):
                self._core.contact_kept(contact)
                self._network.contacts_changed()
                return []
            case KeepRead(peer):
                return self._core.read(peer, answer)
            case KeepSeen(peer):
                return self._core.seen(peer, answer)
            case ReleaseHeld(peer):
                return self._core.held_released(peer, answer, monotonic())
            case DeclineHeld(peer, silent):
                return self._core.held_declined(peer, answer, monotonic(), silent=silent)
            case _:
                return []

    def undo(self, keeps: list[Keep], acts: list[Act], reason: MailboxFailed) -> None:
        """The disk refused: nothing of this batch may be sent as if it were safe."""
        self._tell(StorageFailed(str(reason)))
        for keep in keeps:
            if isinstance(keep, KeepOutgoing):
                self._core.not_written(keep.message)
            elif isinstance(keep, KeepContact):
                self._happenings.put(partial(list, self._core.contact_not_kept(keep.contact)))
            elif isinstance(keep, KeepIncoming):
                self._core.incoming_not_kept(keep.message, keep.line, monotonic())
        for act in acts:
            if isinstance(act, SendFrames):
                # What the core thinks is on its way is not; a new line begins with what waits.
                self.act(HangUp(act.line, LineClose.DONE))
                self._happenings.put(partial(self._core.line_closed, act.line, None, monotonic()))
            elif not (isinstance(act, Tell) and _says_sent(act.event)):
                self.act(act)

    def act(self, act: Act) -> None:
        """Sends, dials, tells."""
        match act:
            case SendFrames(line, frames):
                self._network.send(line, frames)
            case Dial(peer, name):
                self._tasks.spawn(self._dial(name), f"dial-{peer}")
            case HangUp(line, code):
                self._network.hang_up(line, code)
            case Waits(peer):
                self._waiting.give_up(peer, offline=True)
            case WatchPresence(name):
                self._tasks.spawn(self._watch(name), f"watch-{name}")
            case Tell(event):
                self._told(event)
            case _:
                assert_never(act)

    def _told(self, event: Event) -> None:
        if isinstance(event, MessageProgressed):
            state = State(event.state)
            on_its_way = state in (State.QUEUED, State.SENT)
            if not on_its_way and self._waiting.settle(MessageId(bytes.fromhex(event.id)), state):
                return  # whoever waits for it tells it
        self._tell(event)

    # --- Listener (shell.line.network) ------------------------------------------------------------------

    @property
    def full(self) -> bool:
        """Whether others bring more than this disk can take."""
        return self._happenings.full

    def line_opened(
        self, line: LineId, opened: Opened, endpoints: tuple[Endpoint, ...], *, calling: bool
    ) -> None:
        """A proven line is there; the other side can be reached at these endpoints."""
        self._happenings.put(
            lambda: self._core.line_opened(
                line,
                opened.peer,
                opened.fingerprint,
                calling=calling,
                now=monotonic(),
                certificate=opened.certificate,
                endpoints=endpoints,
            )
        )
        self._happenings.put(lambda: self.files.line_opened(name_key(opened.peer)))

    def told(self, channel: Channel, word: TransferFrame) -> None:
        """A word about a file or a pipe, after what came before it on the line."""
        self._happenings.put(lambda: self.files.received(channel, word))

    def carried(self, channel: Channel, event: StreamReceived | StreamCut) -> None:
        """Something happened on a stream."""
        self.files.carried(channel, event)

    def channel_gone(self, channel: Channel) -> None:
        """Nothing goes over it any more, whoever ended it."""
        self.files.line_closed(channel)

    def line_closed(self, line: LineId, code: LineClose | None) -> None:
        """A line is gone."""
        self._happenings.put(lambda: self._core.line_closed(line, code, monotonic()))

    def arrived(self, line: LineId, frame: LineFrame) -> None:
        """A frame came on a line."""
        self._happenings.put(lambda: self._core.received(line, frame, monotonic()))

    def dial_failed(self, name: str, reason: str, *, offline: bool) -> None:
        """No line to somebody came up."""
        if not offline:
            self._waiting.give_up(name_key(name), offline=False)
        self._happenings.put(lambda: self._core.dial_failed(name, reason, monotonic(), offline=offline))

    def path_changed(self, name: str, kind: PathKind) -> None:
        """A line is relayed from now on, or no more."""
        self._tell(PathChanged(name, kind.value))

    # --- tasks ------------------------------------------------------------------------------------------

    async def _dial(self, name: str) -> None:
        async def allowed(key: Fingerprint) -> bool:
            may = False

            def decide() -> list[Effect]:
                nonlocal may
                may, effects = self._core.may_dial(name, key)
                return effects

            await self._happenings.perform(decide)
            return may

        await self._network.dial(name, self._core.contact(name), allowed)

    async def _watch(self, name: str) -> None:
        try:
            await self._book.watch(name)
        except (Refused, NotConnected, NotLoggedIn) as error:
            log.info("event=watch_failed peer=%r reason=%r", name, str(error))

    async def _tick(self) -> None:
        next_ping = monotonic() + KEEPALIVE
        while True:
            await asyncio.sleep(TICK)
            self._happenings.put(lambda: self._core.tick(monotonic()))
            if monotonic() >= next_ping:
                next_ping = monotonic() + KEEPALIVE
                self._network.keep_alive()

    def spawn(self, work: Coroutine[Any, Any, None], name: str) -> None:
        """Does something beside, as long as the line is there."""
        self._tasks.spawn(work, name)


def _says_sent(event: Event) -> bool:
    return isinstance(event, MessageProgressed) and event.state == State.SENT.value
