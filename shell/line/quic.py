"""QUIC connections by qh3, with no socket and no clock. The only file that knows which library it is.

One bidirectional stream carries the frames of a line, unidirectional ones what files and pipes hold;
connection ids route datagrams (RFC 8999 §5).
"""

import contextlib
from functools import lru_cache
from typing import Any

import msgspec
from qh3.quic import events as qh3_events
from qh3.quic.configuration import QuicConfiguration
from qh3.quic.connection import QuicConnection, QuicConnectionError
from qh3.quic.packet import encode_quic_retry

from wire.certificates import Fingerprint, Identity
from wire.frames import ALPN

CONNECTION_ID_BYTES = 8
IDLE_TIMEOUT = 60.0  # seconds without a datagram after which a line is dead
MIN_INITIAL = 1200  # bytes; a shorter Initial is not valid (RFC 9000 §14.1)
FRAME_STREAM = 0  # the first bidirectional stream that the caller opens (RFC 9000 §2.1)
MAX_WINDOW = 16 * 1024 * 1024  # bytes in flight on one connection; bounds what a peer can make us hold
DATAGRAM_BYTES = 1200  # bytes of one, on every path: IPv6's least MTU is 1280, and the relay's envelope fits
INITIAL_RTT = 0.1  # seconds, before the first sample; RFC 9002 §6.2.2 recommends 0.333 for the open internet
_PEER = ("::1", 1)
"""What QUIC takes for the other side's address; the real one is chosen below it (`shell.line.paths`)."""
_GONE = (QuicConnectionError, ValueError)  # what qh3 raises where a connection or a stream is over
_UNIDIRECTIONAL = 0x02  # of a stream id (RFC 9000 §2.1)
_LONG_HEADER, _FIXED_BIT, _INITIAL_MASK, _INITIAL = 0x80, 0x40, 0x30, 0x00


class Connected(msgspec.Struct, frozen=True):
    """The handshake is complete: the callee's certificate is proven."""


class Received(msgspec.Struct, frozen=True):
    """Bytes of the frame stream."""

    data: bytes


class StreamReceived(msgspec.Struct, frozen=True):
    """Bytes of a stream that the other side opened."""

    stream: int
    data: bytes
    end: bool
    """Whether nothing follows."""


class StreamCut(msgspec.Struct, frozen=True):
    """A stream is over before its end: its sender reset it, or its receiver wants no more of it."""

    stream: int


class Ended(msgspec.Struct, frozen=True):
    """The connection is over; `code` is None unless one side closed it with an application code."""

    code: int | None
    reason: str


class RouteAdded(msgspec.Struct, frozen=True):
    """Datagrams to this connection id belong here too."""

    connection_id: bytes


class RouteRemoved(msgspec.Struct, frozen=True):
    """Datagrams to this connection id no longer belong here."""

    connection_id: bytes


QuicEvent = Connected | Received | StreamReceived | StreamCut | Ended | RouteAdded | RouteRemoved


class Quic:
    """One connection: datagrams in, events and datagrams out, time as an argument (seconds, monotonic)."""

    __slots__ = ("_connection", "routes")

    def __init__(self, connection: QuicConnection, routes: set[bytes]) -> None:
        self._connection = connection
        self.routes = routes
        """The connection ids under which datagrams for this connection arrive."""

    @classmethod
    def dial(cls, callee: Fingerprint, now: float) -> "Quic":
        """A connection to whoever holds the certificate with this fingerprint."""
        # Chain and name are not asked for: the fingerprint from the introduction says more than either.
        connection = QuicConnection(
            configuration=_configuration(is_client=True, assert_fingerprint=callee.hex(), verify_mode=0)
        )
        connection.connect(_PEER, now)
        return cls(connection, {connection.host_cid})

    @classmethod
    def answer(cls, identity: Identity, first_datagram: bytes, retried: bytes | None = None) -> "Quic":
        """The callee's side, made for the first datagram of a caller; feed it that datagram next.

        `retried` is the id to which the caller sent before it was told to try again.
        """
        addressed = destination_id(first_datagram)
        connection = QuicConnection(
            configuration=_answering(identity),
            original_destination_connection_id=retried or addressed,
            retry_source_connection_id=addressed if retried else None,
        )
        return cls(connection, {addressed, connection.host_cid})

    def receive(self, datagram: bytes, now: float) -> None:
        """Takes one datagram in."""
        try:
            # The way for many also spares a look at the header of each one, once the handshake is over.
            self._connection.receive_many_datagrams([datagram], _PEER, now)
        except QuicConnectionError as error:
            self._connection.close(error.error_code, reason_phrase=error.reason_phrase)

    def send(self, data: bytes) -> None:
        """Queues bytes of the frame stream; lost where that is over, as `Ended` or `StreamCut` tells."""
        with contextlib.suppress(*_GONE):
            self._connection.send_stream_data(FRAME_STREAM, data)

    def open_stream(self, head: bytes) -> int | None:
        """A new stream to the other side that begins with `head`; None where it takes no more of them."""
        stream = self._connection.get_next_available_stream_id(is_unidirectional=True)
        try:
            self._connection.send_stream_data(stream, head)
        except _GONE:
            return None
        return stream

    def send_on(self, stream: int, data: bytes, *, end: bool = False) -> None:
        """Queues bytes of a stream; lost where the other side wants no more, which `StreamCut` tells."""
        with contextlib.suppress(*_GONE):
            self._connection.send_stream_data(stream, data, end)

    def queued(self, stream: int) -> int:
        """Bytes of a stream that have not been in a datagram yet."""
        return self._connection.get_send_buffer_size(stream)

    def cut(self, stream: int) -> None:
        """Ends a stream of one's own before its end (RFC 9000 §19.4)."""
        with contextlib.suppress(*_GONE):
            self._connection.reset_stream(stream, 0)

    def refuse(self, stream: int) -> None:
        """Asks the other side to send no more on its stream (RFC 9000 §19.5)."""
        with contextlib.suppress(*_GONE):
            self._connection.stop_stream(stream, 0)

    def ping(self) -> None:
        """Queues a PING frame, which keeps NAT mappings and finds out whether the peer is there."""
        with contextlib.suppress(QuicConnectionError):
            self._connection.send_ping(0)

    def close(self, code: int, reason: str) -> None:
        """Says goodbye with an application code (RFC 9000 §19.19)."""
        self._connection.close(code, reason_phrase=reason)

    def events(self) -> list[QuicEvent]:
        """What happened since the last call."""
        found: list[QuicEvent] = []
        while (event := self._connection.next_event()) is not None:
            translated = self._translate(event)
            if translated is not None:
                found.append(translated)
        return found

    def transmit(self, now: float) -> list[bytes]:
        """The datagrams to send now."""
        return [datagram for datagram, _ in self._connection.datagrams_to_send(now)]

    def deadline(self) -> float | None:
        """When `expire` must be called, None for never."""
        return self._connection.get_timer()

    def expire(self, now: float) -> None:
        """Time has passed: retransmissions, idle timeout."""
        self._connection.handle_timer(now)

    def _translate(self, event: qh3_events.QuicEvent) -> QuicEvent | None:
        match event:
            case qh3_events.HandshakeCompleted():
                return Connected()
            case qh3_events.StreamDataReceived(stream_id=stream, data=data) if stream == FRAME_STREAM:
                return Received(data)
            case qh3_events.StreamDataReceived(stream_id=stream, data=data, end_stream=end) if (
                stream & _UNIDIRECTIONAL
            ):
                return StreamReceived(stream, data, end)
            case qh3_events.StreamReset(stream_id=stream) | qh3_events.StopSendingReceived(stream_id=stream):
                return StreamCut(stream)
            case qh3_events.ConnectionTerminated(error_code=code, frame_type=frame, reason_phrase=reason):
                return Ended(code if frame is None else None, reason)
            case qh3_events.ConnectionIdIssued(connection_id=connection_id):
                self.routes.add(connection_id)
                return RouteAdded(connection_id)
            case qh3_events.ConnectionIdRetired(connection_id=connection_id):
                self.routes.discard(connection_id)
                return RouteRemoved(connection_id)
            case _:
                return None


def is_quic(datagram: bytes) -> bool:
    """Whether the fixed bit is set, which QUIC always sets (RFC 9000 §17.2)."""
    return len(datagram) > 1 + CONNECTION_ID_BYTES and bool(datagram[0] & _FIXED_BIT)


def is_first(datagram: bytes) -> bool:
    """Whether a datagram may begin a connection: a full-size Initial."""
    return len(datagram) >= MIN_INITIAL and datagram[0] & (_LONG_HEADER | _FIXED_BIT | _INITIAL_MASK) == (
        _LONG_HEADER | _FIXED_BIT | _INITIAL
    )


def destination_id(datagram: bytes) -> bytes:
    """The connection id to which a QUIC datagram is sent (RFC 8999 §5.1, §5.2)."""
    if datagram[0] & _LONG_HEADER:
        length = datagram[5]
        return datagram[6 : 6 + length]
    return datagram[1 : 1 + CONNECTION_ID_BYTES]


def token_of(first: bytes) -> bytes:
    """The token in a first datagram, empty for none (RFC 9000 §17.2.2)."""
    at = 6 + first[5]
    at += 1 + first[at]
    size = 1 << (first[at] >> 6)  # a variable-length integer says with two bits how long it is (§16)
    length = int.from_bytes(first[at : at + size]) & (1 << (8 * size - 2)) - 1
    return first[at + size : at + size + length]


def retry(first: bytes, new_id: bytes, token: bytes) -> bytes:
    """The Retry that answers a first datagram (RFC 9000 §17.2.5)."""
    original = destination_id(first)
    at = 6 + len(original)
    source = first[at + 1 : at + 1 + first[at]]
    version = int.from_bytes(first[1:5])
    return bytes(encode_quic_retry(version, new_id, source, original, token))


def _configuration(**options: Any) -> QuicConfiguration:
    return QuicConfiguration(
        alpn_protocols=[ALPN],
        connection_id_length=CONNECTION_ID_BYTES,
        idle_timeout=IDLE_TIMEOUT,
        initial_rtt=INITIAL_RTT,
        max_datagram_size=DATAGRAM_BYTES,
        probe_datagram_size=False,  # the path changes below QUIC, to one that may be narrower
        max_data=MAX_WINDOW,
        max_stream_data=MAX_WINDOW,
        **options,
    )


@lru_cache(maxsize=8)
def _answering(identity: Identity) -> QuicConfiguration:
    configuration = _configuration(is_client=False)
    configuration.load_cert_chain(identity.certificate_pem, identity.key_pem)
    return configuration
