"""A line on one QUIC connection: who is there, then frames both ways. No socket, no clock.

The callee is proven by its certificate, whose fingerprint the introduction names. The caller's first frame
is its proof: the introduction's ticket, its certificate, and a signature over a nonce that the callee made
for this ticket alone. Until then the callee takes nothing else.
"""

import enum
from collections.abc import Callable
from dataclasses import dataclass
from typing import assert_never

from shell.line.quic import Connected, Ended, Quic, Received, RouteAdded, RouteRemoved
from wire.certificates import Fingerprint, Identity, fingerprint, verifies
from wire.errors import WireError
from wire.frames import (
    Accept,
    AnyFrame,
    Bye,
    Frame,
    LineClose,
    Proof,
    Read,
    Receipt,
    Text,
    decode_frame,
    encode_frame,
    proof_message,
)
from wire.framing import FrameSplitter
from wire.limits import MAX_LINE_FRAME
from wire.tickets import Ticket

LineFrame = Text | Receipt | Read
"""What flows on an open line."""


@dataclass(frozen=True, slots=True)
class Opened:
    """The other side is who the introduction names; frames may flow."""

    peer: str
    fingerprint: Fingerprint


@dataclass(frozen=True, slots=True)
class Arrived:
    """A message, or what became of one."""

    frame: LineFrame


@dataclass(frozen=True, slots=True)
class Closed:
    """The line is over; `code` where a side said why."""

    code: LineClose | None
    reason: str


ChannelEvent = Opened | Arrived | Closed


class _State(enum.Enum):
    CONNECTING = enum.auto()
    AWAITING_PROOF = enum.auto()
    AWAITING_ACCEPT = enum.auto()
    OPEN = enum.auto()
    CLOSED = enum.auto()


@dataclass(frozen=True, slots=True)
class Invitation:
    """An introduction that the phone book announced: this caller may knock until it expires."""

    ticket: Ticket
    signed: bytes
    nonce: bytes
    expires: float
    """Monotonic seconds."""


@dataclass(frozen=True, slots=True)
class Call:
    """What the caller needs to prove itself."""

    identity: Identity
    ticket: Ticket
    signed: bytes
    nonce: bytes


class Channel:
    """One side of a line."""

    def __init__(
        self, quic: Quic, *, calling: Call | None, redeem: Callable[[bytes], Invitation | None]
    ) -> None:
        self.quic = quic
        self.peer: str | None = None
        """Name of the other side, None until it is proven."""
        self._call = calling
        self._redeem = redeem
        self._state = _State.CONNECTING
        self._splitter = FrameSplitter(MAX_LINE_FRAME)

    @property
    def calling(self) -> bool:
        """Whether this side dialed."""
        return self._call is not None

    @property
    def open(self) -> bool:
        """Whether frames may flow."""
        return self._state is _State.OPEN

    @property
    def closed(self) -> bool:
        """Whether the line is over."""
        return self._state is _State.CLOSED

    def send(self, frame: Frame) -> None:
        """Queues a frame."""
        self.quic.send(encode_frame(frame))

    def say_bye(self, code: LineClose) -> None:
        """Announces the end of an open line; the datagrams must go out before `close`."""
        if self.open:
            self.send(Bye(code))

    def close(self, code: LineClose, reason: str = "") -> None:
        """Ends the line and tells the other side why."""
        if not self.closed:
            self._state = _State.CLOSED
            self.quic.close(code, reason or code.name.lower().replace("_", " "))

    def events(self) -> tuple[list[ChannelEvent], list[RouteAdded | RouteRemoved]]:
        """What happened since the last call, and what it means for the routing of datagrams."""
        happened: list[ChannelEvent] = []
        routes: list[RouteAdded | RouteRemoved] = []
        for event in self.quic.events():
            match event:
                case RouteAdded() | RouteRemoved():
                    routes.append(event)
                case Connected():
                    self._connected()
                case Received(data):
                    happened += self._received(data)
                case Ended(code, reason):
                    self._state = _State.CLOSED
                    happened.append(Closed(_close_code(code), reason))
                case _:
                    assert_never(event)
        return happened, routes

    def _connected(self) -> None:
        if self._call is None:
            self._state = _State.AWAITING_PROOF
            return
        ticket, identity = self._call.ticket, self._call.identity
        signed = proof_message(
            self._call.nonce, ticket.caller_fingerprint, ticket.callee_fingerprint, ticket.id
        )
        self.send(Proof(self._call.signed, identity.certificate, identity.sign(signed)))
        self._state = _State.AWAITING_ACCEPT

    def _received(self, data: bytes) -> list[ChannelEvent]:
        happened: list[ChannelEvent] = []
        try:
            for payload in self._splitter.feed(data):
                if self.closed:
                    break
                happened += self._take(decode_frame(payload))
        except WireError as error:
            self.close(LineClose.BAD_FRAME, str(error))
            happened.append(Closed(LineClose.BAD_FRAME, str(error)))
        return happened

    def _take(self, frame: AnyFrame) -> list[ChannelEvent]:
        match self._state, frame:
            case _State.OPEN, Text() | Receipt() | Read():
                return [Arrived(frame)]
            case _State.OPEN, Bye(code):
                self.close(LineClose.DONE)
                return [Closed(_close_code(code), "The other side hung up.")]
            case _State.AWAITING_ACCEPT, Accept() if self._call is not None:
                ticket = self._call.ticket
                return self._open(ticket.callee, Fingerprint(ticket.callee_fingerprint))
            case _State.AWAITING_PROOF, Proof():
                return self._check(frame)
            case _:
                reason = f"A {type(frame).__name__} came while {self._state.name.lower().replace('_', ' ')}."
                self.close(LineClose.BAD_FRAME, reason)
                return [Closed(LineClose.BAD_FRAME, reason)]

    def _check(self, proof: Proof) -> list[ChannelEvent]:
        invitation = self._redeem(proof.ticket)
        if invitation is None or not _proves(proof, invitation):
            self.close(LineClose.BAD_PROOF)
            return [Closed(LineClose.BAD_PROOF, "The caller did not prove to be who the ticket names.")]
        self.send(Accept())
        return self._open(invitation.ticket.caller, Fingerprint(invitation.ticket.caller_fingerprint))

    def _open(self, peer: str, key: Fingerprint) -> list[ChannelEvent]:
        self._state = _State.OPEN
        self.peer = peer
        return [Opened(peer, key)]


def _proves(proof: Proof, invitation: Invitation) -> bool:
    ticket = invitation.ticket
    message = proof_message(invitation.nonce, ticket.caller_fingerprint, ticket.callee_fingerprint, ticket.id)
    return fingerprint(proof.certificate) == ticket.caller_fingerprint and verifies(
        proof.certificate, proof.signature, message
    )


def _close_code(code: int | None) -> LineClose | None:
    try:
        return None if code is None else LineClose(code)
    except ValueError:
        return None
