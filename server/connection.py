"""One client's TCP connection: lines in, replies out in the order of the requests, bounds on everything.

All replies to what one read brought go out in one write. A request that needs disk or hash holds the later
ones back; when too many wait, the connection is not read.
"""

import asyncio
import logging
import socket
import struct
from collections.abc import Callable, Coroutine
from time import monotonic
from typing import Any, cast

import msgspec

from server.busy_poll import BusyPoll
from server.client import Client
from server.service import Service
from wire.errors import ErrorCode, FrameTooLong, Refused
from wire.framing import LineSplitter
from wire.limits import MAX_FRAME
from wire.messages import CloseReason, Closing, Message
from wire.rpc import (
    BadRequest,
    Failure,
    Request,
    RequestId,
    Result,
    decode_requests,
    encode_error,
    encode_push,
    encode_replies,
)

log = logging.getLogger(__name__)

END_PATIENCE = 2.0  # seconds for a client to read the last words of a connection that is ended
NO_LINGER = struct.pack("ii", 1, 0)  # SO_LINGER: a reset instead of a queue that nobody reads
MAX_PENDING = 64  # requests that wait for an earlier one; beyond, the connection is not read
_ENDS_CONNECTION = frozenset(
    {ErrorCode.PARSE_ERROR, ErrorCode.INVALID_REQUEST, ErrorCode.VERSION_MISMATCH, ErrorCode.BANNED}
)

Spawn = Callable[[Coroutine[Any, Any, None]], object]


class Connection(asyncio.Protocol):
    """One client. Lives on the event loop's thread."""

    __slots__ = (
        "_busy",
        "_busy_poll",
        "_closing",
        "_on_lost",
        "_on_session",
        "_paused",
        "_pending",
        "_send_buffer",
        "_service",
        "_spawn",
        "_splitter",
        "_transport",
        "client",
        "connected_at",
        "heard_at",
        "partial_at",
    )

    def __init__(
        self,
        service: Service,
        spawn: Spawn,
        send_buffer: int,
        *,
        busy_poll: BusyPoll,
        on_session: Callable[["Connection"], None],
        on_lost: Callable[["Connection"], None],
    ) -> None:
        self._service = service
        self._spawn = spawn
        self._send_buffer = send_buffer
        self._busy_poll = busy_poll
        self._on_session = on_session
        self._on_lost = on_lost
        self._splitter = LineSplitter(MAX_FRAME)
        self._pending: list[Request | BadRequest] = []
        self._busy = False
        self._closing = False
        self._paused = False
        self._transport: asyncio.Transport | None = None
        self.client = Client("")
        self.connected_at = self.heard_at = 0.0
        self.partial_at = 0.0
        """Since when the beginning of a line waits for its end; 0 where none does."""

    @property
    def lost(self) -> bool:
        """Whether nothing can be sent any more."""
        return self._transport is None or self._transport.is_closing()

    @property
    def nobody_since(self) -> float:
        """Since when it waits for somebody to log in, where nobody is."""
        return max(self.connected_at, self.client.left_at)

    def send(self, line: bytes) -> None:
        """Sends an encoded notification."""
        self._write(line)

    def close(self, reason: CloseReason, text: str = "") -> None:
        """Says why, and ends the connection after what was written."""
        self._write(encode_push(Closing(reason, text)))
        self._end()

    def refuse(self, error: Refused) -> None:
        """Ends the connection with an error that answers no request."""
        self._write(encode_error(None, error))
        self._end()

    def abort(self) -> None:
        """Ends the connection at once; what was not sent is not kept for it by the system either."""
        if self._transport is not None:
            sock = self._transport.get_extra_info("socket")
            if sock is not None and sock.fileno() >= 0:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, NO_LINGER)
            self._transport.abort()

    # --- asyncio.Protocol -------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """TLS is up."""
        self._transport = cast(asyncio.Transport, transport)
        self._transport.set_write_buffer_limits(high=self._send_buffer)
        self.connected_at = self.heard_at = monotonic()

    def data_received(self, data: bytes) -> None:
        """Bytes of the client."""
        if self._closing:
            return
        self.heard_at = monotonic()
        try:
            requests = decode_requests(self._splitter.feed_whole(data))
        except FrameTooLong as error:
            self._service.note(self.client, "bad-request", str(error))
            self.refuse(BadRequest(ErrorCode.INVALID_REQUEST, str(error), None))
            return
        if not self._splitter.rest:
            self.partial_at = 0.0
        elif requests or not self.partial_at:
            self.partial_at = self.heard_at
        if not self._busy:
            self._work(requests)
            return
        self._pending.extend(requests)
        if len(self._pending) > MAX_PENDING and self._transport is not None and not self._paused:
            self._paused = True
            self._transport.pause_reading()

    def connection_lost(self, exc: Exception | None) -> None:
        """The client or the network ended it."""
        self._closing = True
        self._transport = None
        self._on_lost(self)

    def pause_writing(self) -> None:
        """A client that does not read is cut, not buffered; should it read on, it finds out why."""
        if not self._closing:
            self._service.note(self.client, "too-slow")
            self.close(CloseReason.TOO_SLOW, "You did not read what was sent.")

    # --- inside -----------------------------------------------------------------------------------------

    def _work(self, requests: list[Request | BadRequest]) -> None:
        """Answers requests in their order, up to one that takes time; the others wait for that."""
        replies: list[Result | Failure] = []
        waiting = iter(requests)
        for request in waiting:
            if self._closing:
                return
            try:
                if isinstance(request, BadRequest):
                    if request.code not in _ENDS_CONNECTION:
                        self._service.charge(self.client)
                    raise request
                result = self._service.answer(self.client, request.params)
            except Refused as error:
                self._refused(request.id, error, replies)
                continue
            if isinstance(result, (msgspec.Raw, Message)):
                replies.append(Result(request.id, result))
            else:
                self._busy = True
                self._busy_poll.waits()
                self._pending.extend(waiting)
                self._spawn(self._finish(request.id, result))
        if replies:
            self._write(encode_replies(replies))
            self._busy_poll.answered()

    def _refused(self, request_id: RequestId | None, error: Refused, replies: list[Result | Failure]) -> None:
        replies.append(Failure(request_id, error.to_object()))
        if error.code in _ENDS_CONNECTION:
            what = "banned" if error.code == ErrorCode.BANNED else "bad-request"
            self._service.note(self.client, what, str(error))
            self._write(encode_replies(replies))
            replies.clear()
            self._end()

    async def _finish(self, request_id: RequestId, answer: Coroutine[Any, Any, Message]) -> None:
        try:
            reply = encode_replies([Result(request_id, await answer)])
        except Refused as error:
            reply = encode_error(request_id, error)
        except Exception:  # the edge of one request: the others go on
            log.exception("event=request_fault address=%s", self.client.address)
            reply = encode_error(
                request_id, Refused(ErrorCode.INTERNAL_ERROR, "The phone book failed at that; it was logged.")
            )
        finally:
            self._busy_poll.served()
        if self.client.session_id is not None:
            self._on_session(self)
        self._write(reply)
        self._busy_poll.answered()
        self._busy = False
        pending, self._pending = self._pending, []
        self._work(pending)
        if self._paused and not self._busy and self._transport is not None and not self._closing:
            self._paused = False
            self._transport.resume_reading()

    def _write(self, data: bytes) -> None:
        transport = self._transport
        if transport is not None and not transport.is_closing():
            transport.write(data)

    def _end(self) -> None:
        self._closing = True
        self._pending.clear()
        if self._transport is not None and not self._transport.is_closing():
            self._transport.close()
            asyncio.get_running_loop().call_later(END_PATIENCE, self.abort)
