"""A line on one QUIC connection: who is there, then frames both ways. No socket, no clock.

The callee is proven by its certificate, whose fingerprint the introduction or the pin names. The caller's
first frame is its proof: what it knocked with, its certificate, and a signature over a nonce that the callee
made for this line alone. Until then the callee takes nothing else.
"""

import enum
from collections.abc import Callable
from typing import assert_never

import msgspec

from shell.line.invitations import Admission, Invitation
from shell.line.quic import (
    FRAME_STREAM,
    Connected,
    Ended,
    Quic,
    Received,
    RouteAdded,
    RouteRemoved,
    StreamCut,
    StreamReceived,
)
from wire.certificates import Fingerprint, Identity, fingerprint, verifies
from wire.errors import WireError
from wire.frames import (
    Accept,
    AnyFrame,
    Bye,
    Credit,
    End,
    Frame,
    LineClose,
    Offer,
    Proof,
    Read,
    Receipt,
    Stop,
    Take,
    Taken,
    Text,
    TransferFrame,
    decode_frame,
    encode_frame,
    proof_message,
)
from wire.framing import FrameSplitter
from wire.limits import MAX_LINE_FRAME

LineFrame = Text | Receipt | Read
"""What flows on an open line."""


class Opened(msgspec.Struct, frozen=True):
    """The other side is who the introduction names; frames may flow."""

    peer: str
    fingerprint: Fingerprint
    certificate: bytes
    """Of the other side, DER."""
    knock_id: bytes
    """What the caller knocked with."""


class Arrived(msgspec.Struct, frozen=True):
    """A message, or what became of one."""

    frame: LineFrame


class TransferWord(msgspec.Struct, frozen=True):
    """A word about a file or a pipe."""

    frame: TransferFrame


class Closed(msgspec.Struct, frozen=True):
    """The line is over; `code` where a side said why."""

    code: LineClose | None
    reason: str


ChannelEvent = Opened | Arrived | TransferWord | StreamReceived | StreamCut | Closed


class _State(enum.Enum):
    CONNECTING = enum.auto()
    AWAITING_PROOF = enum.auto()
    AWAITING_ACCEPT = enum.auto()
    OPEN = enum.auto()
    CLOSED = enum.auto()


class Call(msgspec.Struct, frozen=True):
    """What the caller needs to prove itself."""

    admission: Admission
    nonce: bytes


Redeem = Callable[[bytes, bytes], Invitation | None]
"""Gives the invitation for a knock id and a signed ticket, which is good for one line."""


class Channel:
    """One side of a line."""

    def __init__(
        self,
        quic: Quic,
        *,
        identity: Identity,
        calling: Call | None,
        redeem: Redeem,
        path_key: bytes = b"",
    ) -> None:
        self.quic = quic
        self.peer: str | None = None
        """Name of the other side, None until it is proven."""
        self.watch: Callable[[bool, Frame, int], None] | None = None
        """Is shown every frame, with whether it goes out and its size in bytes."""
        self.path_key = path_key
        """The secret of both sides with which paths are probed: made by the callee, told in `Accept`."""
        self._identity = identity
        self.on_flushed: Callable[[], None] | None = None
        """Is called when datagrams went out, so that there may be room for more on a stream."""
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
        encoded = encode_frame(frame)
        if self.watch is not None:
            self.watch(True, frame, len(encoded))
        self.quic.send(encoded)

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
                case StreamCut(stream) if stream == FRAME_STREAM:
                    reason = "The other side ended the stream of frames."
                    self.close(LineClose.BAD_FRAME, reason)
                    happened.append(Closed(LineClose.BAD_FRAME, reason))
                case StreamReceived() | StreamCut():
                    if self.open:
                        happened.append(event)
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
        admission = self._call.admission
        signature = self._identity.sign(_to_sign(admission, self._call.nonce))
        self.send(Proof(admission.id, self._identity.certificate, signature, admission.signed))
        self._state = _State.AWAITING_ACCEPT

    def _received(self, data: bytes) -> list[ChannelEvent]:
        happened: list[ChannelEvent] = []
        try:
            for payload in self._splitter.feed(data):
                if self.closed:
                    break
                frame = decode_frame(payload)
                if self.watch is not None:
                    self.watch(False, frame, len(payload))
                happened += self._take(frame)
        except WireError as error:
            self.close(LineClose.BAD_FRAME, str(error))
            happened.append(Closed(LineClose.BAD_FRAME, str(error)))
        return happened

    def _take(self, frame: AnyFrame) -> list[ChannelEvent]:
        match self._state, frame:
            case _State.OPEN, Text() | Receipt() | Read():
                return [Arrived(frame)]
            case _State.OPEN, Offer() | Take() | Credit() | End() | Taken() | Stop():
                return [TransferWord(frame)]
            case _State.OPEN, Bye(code):
                self.close(LineClose.DONE)
                return [Closed(_close_code(code), "The other side hung up.")]
            case _State.AWAITING_ACCEPT, Accept() if self._call is not None:
                admission, self.path_key = self._call.admission, frame.path_key
                if fingerprint(frame.certificate) != admission.callee_fingerprint:
                    self.close(LineClose.BAD_PROOF)
                    return [Closed(LineClose.BAD_PROOF, "The callee sent another certificate than its own.")]
                return self._open(
                    admission.callee, admission.callee_fingerprint, frame.certificate, admission.id
                )
            case _State.AWAITING_PROOF, Proof():
                return self._check(frame)
            case _:
                reason = f"A {type(frame).__name__} came while {self._state.name.lower().replace('_', ' ')}."
                self.close(LineClose.BAD_FRAME, reason)
                return [Closed(LineClose.BAD_FRAME, reason)]

    def _check(self, proof: Proof) -> list[ChannelEvent]:
        invitation = self._redeem(proof.id, proof.ticket)
        if invitation is None or not _proves(proof, invitation):
            self.close(LineClose.BAD_PROOF)
            return [Closed(LineClose.BAD_PROOF, "The caller did not prove to be who the knock names.")]
        self.send(Accept(self._identity.certificate, self.path_key))
        admission = invitation.admission
        return self._open(admission.caller, admission.caller_fingerprint, proof.certificate, admission.id)

    def _open(self, peer: str, key: Fingerprint, certificate: bytes, knock_id: bytes) -> list[ChannelEvent]:
        self._state = _State.OPEN
        self.peer = peer
        return [Opened(peer, key, certificate, knock_id)]


def _to_sign(admission: Admission, nonce: bytes) -> bytes:
    return proof_message(nonce, admission.caller_fingerprint, admission.callee_fingerprint, admission.id)


def _proves(proof: Proof, invitation: Invitation) -> bool:
    admission = invitation.admission
    return fingerprint(proof.certificate) == admission.caller_fingerprint and verifies(
        proof.certificate, proof.signature, _to_sign(admission, invitation.nonce)
    )


def _close_code(code: int | None) -> LineClose | None:
    try:
        return None if code is None else LineClose(code)
    except ValueError:
        return None
