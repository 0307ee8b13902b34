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
from itertools import count
from time import monotonic, time
from typing import Any, Protocol, TypeVar, assert_never

from shell import letters
from shell.errors import MailboxFailed, NotConnected, NotLoggedIn
from shell.events import DatagramSeen, Event, MessageProgressed, StorageFailed
from shell.line.addresses import plain_host
from shell.line.channel import Arrived, Channel, ChannelEvent, Closed, Opened
from shell.line.core import LineCore
from shell.line.effects import (
    Act,
    DeclineHeld,
    Dial,
    Effect,
    HangUp,
    Keep,
    KeepIncoming,
    KeepOutgoing,
    KeepRead,
    KeepSeen,
    LineId,
    ReleaseHeld,
    SendFrames,
    Tell,
    Waits,
    WatchPresence,
)
from shell.line.endpoint import UdpEndpoint
from shell.line.errors import Unreachable
from shell.line.happenings import Happenings
from shell.line.invitations import Admission
from shell.line.model import MessageId, Outgoing, State
from shell.line.settling import Settled, Waiting, Written
from shell.line.trace import describe
from shell.mailbox import Mailbox
from wire.certificates import Fingerprint, Identity
from wire.errors import BadTicket, ErrorCode, Refused, WireError
from wire.frames import MESSAGE_ID_BYTES, LineClose
from wire.messages import Introduction
from wire.names import NameKey, name_key
from wire.tickets import Ticket

log = logging.getLogger(__name__)
T = TypeVar("T")

TICK = 1.0  # seconds between looks at retries and silent lines
KEEPALIVE = 20.0  # seconds between PINGs on a line; NATs keep UDP mappings for 30 s or more (RFC 4787 §4.3)
MAX_EARLY = 64  # introductions that may come while the mailbox is read


class Introducer(Protocol):
    """What the line needs of the phone book."""

    async def introduce(self, name: str) -> Introduction:
        """Raises `Refused`, `NotConnected`."""
        ...

    async def watch(self, name: str) -> object:
        """Asks for presence."""
        ...

    def open_ticket(self, signed: bytes) -> Ticket:
        """Raises `BadTicket`."""
        ...


class Line:
    """One account's line. All methods are called on the event loop's thread."""

    def __init__(
        self,
        identity: Identity,
        book: Introducer,
        tell: Callable[[Event], None],
        *,
        tells_read: bool = False,
    ) -> None:
        """`tells_read` is whether others are told what this user has read."""
        self._identity = identity
        self._mailbox: Mailbox | None = None
        self._book = book
        self._tell = tell
        self._endpoint = UdpEndpoint(identity, self._channel_event)
        self._tells_read = tells_read
        self._core = LineCore(identity.fingerprint, tells_read=tells_read)
        self._channels: dict[LineId, Channel] = {}
        self._ids: dict[Channel, LineId] = {}
        self._calls: dict[Channel, str] = {}
        self._failures: dict[NameKey, str] = {}
        self._early: deque[Introduction] = deque(maxlen=MAX_EARLY)
        self._numbers = count(1)
        self._happenings = Happenings(self)
        self._waiting = Waiting()
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def core(self) -> LineCore:
        """What is known of people; to be read only."""
        return self._core

    @property
    def fingerprint(self) -> Fingerprint:
        """This account's key."""
        return self._identity.fingerprint

    @property
    def port(self) -> int:
        """The UDP port of this shell."""
        return self._endpoint.port

    def path(self, name: str) -> tuple[str, int] | None:
        """Where the other side of an open line is."""
        line = self._core.line_of(name)
        address = self._endpoint.address(self._channels[line]) if line in self._channels else None
        return (plain_host(address[0]), address[1]) if address else None

    async def bind(self, port: int) -> None:
        """Opens the socket, so that its endpoint can be published. Raises OSError where the port is taken."""
        await self._endpoint.start(port)

    def last_failure(self, name: str) -> str | None:
        """Why the last attempt to reach somebody failed; None where there was none since the last line."""
        return self._failures.get(name_key(name))

    def trace(self, *, on: bool) -> None:
        """Tells every datagram as an event, or no more."""

        def seen(outgoing: bool, address: tuple[str, int], datagram: bytes) -> None:
            self._tell(DatagramSeen(outgoing, plain_host(address[0]), address[1], describe(datagram)))

        self._endpoint.tracer = seen if on else None

    async def start(self, mailbox: Mailbox) -> None:
        """Takes up what the mailbox has, and whoever was introduced meanwhile."""
        contacts, waiting, held = await mailbox.read(
            lambda connection: (
                letters.contacts(connection),
                letters.unsettled(connection),
                letters.requests(connection),
            )
        )
        self._core = LineCore(
            self._identity.fingerprint, contacts, waiting, held, tells_read=self._tells_read
        )
        self._mailbox = mailbox
        self._spawn(self._happenings.run(), "line")
        self._spawn(self._tick(), "line-clock")
        for introduction in self._early:
            self.introduced(introduction)
        self._early.clear()

    async def stop(self) -> None:
        """Ends all lines; what waits stays on disk."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._endpoint.stop()
        self._waiting.cancel()

    # --- what the user does -----------------------------------------------------------------------------

    async def write(
        self, name: str, text: str, *, choices: tuple[str, ...] | None = None, answers: bytes = b""
    ) -> Written:
        """Puts a message on disk and on its way; with `choices` it is a question, with `answers` an answer.

        Raises `MailboxFailed`, `Blocked`, `KeyNotAccepted`, `OutboxFull`.
        """
        sendable = text.encode(errors="replace").decode()  # a terminal may hand over broken UTF-8
        message = Outgoing(
            MessageId(secrets.token_bytes(MESSAGE_ID_BYTES)),
            name_key(name),
            sendable,
            round(time(), 3),
            choices=choices,
            answers=answers,
        )
        written = self._waiting.expect(message)
        try:
            await self._happenings.perform(lambda: self._core.write(name, message, monotonic()))
        except BaseException:
            written.settling.cancel()
            raise
        return written

    async def settled(self, written: Written, patience: float) -> Settled:
        """Waits until the recipient has the message, or is known to be away, or the patience (s) is over."""
        try:
            async with asyncio.timeout(patience):
                return await written.settling
        except TimeoutError:
            return Settled(self._core.state_of(written.message))  # what comes later is told as an event

    def looked_at(self, name: str) -> None:
        """The user has seen what somebody wrote; it is noted as soon as may be."""
        self._happenings.put(lambda: self._core.looked_at(name))

    async def accept(self, name: str) -> None:
        """Consents to somebody's messages."""
        await self._happenings.perform(lambda: self._core.accept(name, monotonic()))

    async def decline(self, name: str) -> None:
        """Turns down what somebody new wrote."""
        await self._happenings.perform(lambda: self._core.decline(name))

    async def block(self, name: str) -> None:
        """Wants no word from somebody any more."""
        await self._happenings.perform(lambda: self._core.block(name))

    async def unblock(self, name: str) -> None:
        """Takes a block back."""
        await self._happenings.perform(lambda: self._core.unblock(name))

    async def verify(self, name: str) -> None:
        """Marks somebody's key as compared."""
        await self._happenings.perform(lambda: self._core.verify(name))

    async def accept_key(self, name: str) -> None:
        """Trusts somebody's changed key."""
        await self._happenings.perform(lambda: self._core.accept_key(name, monotonic()))

    # --- what the phone book says -----------------------------------------------------------------------

    def introduced(self, introduction: Introduction) -> None:
        """Somebody is about to call."""
        if self._mailbox is None:  # consent is not known yet
            self._early.append(introduction)
            return
        try:
            ticket = self._book.open_ticket(introduction.ticket)
        except BadTicket as error:
            log.warning("event=bad_introduction caller=%r reason=%r", introduction.name, str(error))
            return
        ours = ticket.callee_fingerprint == self._identity.fingerprint
        if ours and self._core.may_call(ticket.caller):
            self._endpoint.invite(Admission.by_ticket(ticket, introduction.ticket))

    def presence(self, name: str, *, online: bool) -> None:
        """Somebody came or went."""
        self._happenings.put(lambda: self._core.presence(name, online=online, now=monotonic()))

    # --- Performer (shell.line.happenings) --------------------------------------------------------------

    async def keep(self, keeps: list[Keep]) -> list[Any]:
        """Commits to the mailbox."""
        if self._mailbox is None:
            raise MailboxFailed("The mailbox is not open.")
        return await self._mailbox.keep(keeps)

    def kept(self, keep: Keep, answer: Any) -> list[Effect]:
        """What follows from what the mailbox said."""
        match keep:
            case KeepIncoming(message, line):
                return self._core.incoming_kept(message, answer, line)
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
        for act in acts:
            if isinstance(act, SendFrames):
                # What the core thinks is on its way is not; a new line begins with what waits.
                self.act(HangUp(act.line, LineClose.DONE))
                self._happenings.put(partial(self._core.line_closed, act.line, None, monotonic()))
            elif not (isinstance(act, Tell) and isinstance(act.event, MessageProgressed)):
                self.act(act)

    def act(self, act: Act) -> None:
        """Sends, dials, tells."""
        match act:
            case SendFrames(line, frames):
                if line in self._channels:
                    self._endpoint.send(self._channels[line], frames)
            case Dial(peer, name):
                self._spawn(self._dial(peer, name), f"dial-{peer}")
            case HangUp(line, code):
                channel = self._channels.pop(line, None)
                if channel is not None:
                    self._ids.pop(channel, None)
                    self._endpoint.close(channel, code)
            case Waits(peer):
                self._waiting.give_up(peer, offline=True)
            case WatchPresence(name):
                self._spawn(self._watch(name), f"watch-{name}")
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

    # --- the network ------------------------------------------------------------------------------------

    def _channel_event(self, channel: Channel, event: ChannelEvent) -> None:
        match event:
            case Opened(peer, key):
                line = next(self._numbers)
                self._channels[line], self._ids[channel] = channel, line
                self._calls.pop(channel, None)
                self._failures.pop(name_key(peer), None)
                self._happenings.put(
                    lambda: self._core.line_opened(line, peer, key, calling=channel.calling, now=monotonic())
                )
            case Arrived() if self._happenings.full:
                # Without receipts the writer sends it again on the next line.
                self._endpoint.close(channel, LineClose.TOO_MANY)
                self._channel_closed(channel, LineClose.TOO_MANY, "It brought more than the disk takes.")
            case Arrived(frame):
                line = self._ids.get(channel, 0)
                self._happenings.put(lambda: self._core.received(line, frame, monotonic()))
            case Closed(code, reason):
                log.info("event=line_closed peer=%r code=%s reason=%r", channel.peer, code, reason)
                self._channel_closed(channel, code, reason)
            case _:
                assert_never(event)

    def _channel_closed(self, channel: Channel, code: LineClose | None, reason: str) -> None:
        line = self._ids.pop(channel, None)
        callee = self._calls.pop(channel, None)
        if line is not None:
            self._channels.pop(line, None)
            self._happenings.put(lambda: self._core.line_closed(line, code, monotonic()))
        elif callee is not None:
            self._failed(callee, reason or "The line was closed while it came up.", offline=False)

    async def _dial(self, peer: NameKey, name: str) -> None:
        try:
            introduction = await self._book.introduce(name)
            ticket = self._book.open_ticket(introduction.ticket)
            key = Fingerprint(introduction.fingerprint)
            allowed = False

            def decide() -> list[Effect]:
                nonlocal allowed
                allowed, effects = self._core.may_dial(name, key)
                return effects

            await self._happenings.perform(decide)
            if not allowed:
                self._failed(name, f"{name}'s key changed.", offline=False)
                return
            admission = Admission.by_ticket(ticket, introduction.ticket)
            channel = await self._endpoint.call(admission, introduction.endpoints)
            self._calls[channel] = name
        except Refused as error:
            self._failed(name, str(error), offline=error.code == ErrorCode.UNAVAILABLE)
        except (NotConnected, NotLoggedIn, Unreachable, WireError, MailboxFailed) as error:
            self._failed(name, str(error), offline=False)

    def _failed(self, name: str, reason: str, *, offline: bool) -> None:
        log.info("event=dial_failed peer=%r offline=%s reason=%r", name, offline, reason)
        if not offline:
            self._failures[name_key(name)] = reason
            self._waiting.give_up(name_key(name), offline=False)
        self._happenings.put(lambda: self._core.dial_failed(name, reason, monotonic(), offline=offline))

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
                for channel in list(self._ids):
                    self._endpoint.keep_alive(channel)

    def _spawn(self, work: Coroutine[Any, Any, None], name: str) -> None:
        task = asyncio.create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        task.add_done_callback(_log_fault)


def _log_fault(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and task.exception() is not None:
        log.error("event=task_fault task=%r", task.get_name(), exc_info=task.exception())
