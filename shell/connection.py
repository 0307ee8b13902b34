"""One TLS connection to a phone book: requests out, replies matched, pushes handed on."""

import asyncio
import ssl
from collections.abc import Callable
from itertools import count
from typing import TypeVar, cast

from shell.disk import on_disk
from shell.errors import NO_CONNECTION, NotConnected
from wire.certificates import Fingerprint, fingerprint
from wire.errors import BadFrame, FrameTooLong, Refused
from wire.framing import LineSplitter
from wire.limits import MAX_FRAME
from wire.messages import Message
from wire.rpc import Reply, decode_incoming, decode_result, encode_request

ReplyT = TypeVar("ReplyT", bound=Message)

CONNECT_PATIENCE = 10.0  # seconds for TCP and TLS to come up
REPLY_PATIENCE = 15.0  # seconds for an answer; a login may wait for others' password hashes


class Connection(asyncio.Protocol):
    """Lives on the event loop's thread."""

    def __init__(self, on_push: Callable[[Message], None], on_lost: Callable[[str], None]) -> None:
        self._on_push = on_push
        self._on_lost = on_lost
        self._splitter = LineSplitter(MAX_FRAME)
        self._waiting: dict[int, tuple[Message, asyncio.Future[Message]]] = {}
        self._ids = count(1)
        self._lost: str | None = None
        self._refused: Refused | None = None
        """Why the phone book does not want this connection."""
        self._transport: asyncio.Transport | None = None

    async def request(self, request: Message, reply_type: type[ReplyT]) -> ReplyT:
        """Sends a request and waits for its reply.

        Raises `Refused` as the phone book says, `NotConnected` where no answer comes.
        """
        self.check()
        number = next(self._ids)
        answer: asyncio.Future[Message] = asyncio.get_running_loop().create_future()
        self._waiting[number] = request, answer
        cast(asyncio.Transport, self._transport).write(encode_request(number, request))
        try:
            async with asyncio.timeout(REPLY_PATIENCE):
                reply = await answer
        except TimeoutError:
            self.abort(f"The phone book did not answer within {REPLY_PATIENCE:g} s.")
            raise NotConnected(f"The phone book did not answer within {REPLY_PATIENCE:g} s.") from None
        finally:
            self._waiting.pop(number, None)
        if not isinstance(reply, reply_type):
            raise NotConnected("The phone book gave an answer to another question.")
        return reply

    def check(self) -> None:
        """Raises `NotConnected` once it is over, or `Refused` where the phone book said why."""
        if self._refused is not None:
            raise self._refused
        if self._transport is None or self._lost is not None:
            raise NotConnected(self._lost or NO_CONNECTION)

    @property
    def certificate_fingerprint(self) -> Fingerprint:
        """The fingerprint of the certificate that the phone book proved to hold."""
        transport = cast(asyncio.Transport, self._transport)
        tls = cast(ssl.SSLObject, transport.get_extra_info("ssl_object"))
        return fingerprint(tls.getpeercert(binary_form=True) or b"")

    @property
    def local_host(self) -> str:
        """The IP address of this side."""
        transport = cast(asyncio.Transport, self._transport)
        return str(transport.get_extra_info("sockname")[0])

    @property
    def remote(self) -> tuple[str, int]:
        """IP address and port of the phone book."""
        transport = cast(asyncio.Transport, self._transport)
        host, port = transport.get_extra_info("peername")[:2]
        return str(host), int(port)

    def close(self) -> None:
        """Ends the connection after what was written; nobody is told."""
        self._lost = self._lost or "The connection was closed."
        if self._transport is not None:
            self._transport.close()

    def abort(self, reason: str) -> None:
        """Ends the connection at once and tells why."""
        self._end(reason)
        if self._transport is not None:
            self._transport.abort()

    # --- asyncio.Protocol -------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """TLS is up."""
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        """Bytes of the phone book."""
        try:
            for line in self._splitter.feed(data):
                incoming = decode_incoming(line)
                if isinstance(incoming, Reply):
                    self._replied(incoming)
                elif incoming is not None:
                    self._on_push(incoming)
        except Refused as error:  # an error that answers no request is about the connection
            self._refused = error
            self.abort(str(error))
        except (BadFrame, FrameTooLong) as error:
            self.abort(str(error))

    def connection_lost(self, exc: Exception | None) -> None:
        """The phone book or the network ended it."""
        self._end(f"The connection to the phone book was lost{f' ({exc})' if exc else ''}.")

    def _replied(self, reply: Reply) -> None:
        waiting = self._waiting.get(reply.id) if isinstance(reply.id, int) else None
        if waiting is None:
            return
        request, answer = waiting
        if answer.done():
            return
        try:
            answer.set_result(decode_result(request, reply))
        except (Refused, BadFrame) as error:
            answer.set_exception(error)

    def _end(self, reason: str) -> None:
        told = self._lost is not None
        self._lost = self._lost or reason
        for _, answer in self._waiting.values():
            if not answer.done():
                answer.set_exception(self._refused or NotConnected(reason))
        if not told:
            self._on_lost(reason)


async def open_connection(
    host: str,
    port: int,
    *,
    verify: bool,
    on_push: Callable[[Message], None],
    on_lost: Callable[[str], None],
) -> Connection:
    """A connection with TLS 1.3. Raises `NotConnected`.

    Without `verify` the certificate is not judged here: the caller compares its fingerprint with the pin
    before anything is sent. With it, the system's certificate authorities must vouch for it.
    """
    if verify:
        context = await on_disk(ssl.create_default_context)
    else:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    try:
        async with asyncio.timeout(CONNECT_PATIENCE):
            _, connection = await asyncio.get_running_loop().create_connection(
                lambda: Connection(on_push, on_lost), host, port, ssl=context, server_hostname=host
            )
    except TimeoutError:
        raise NotConnected(f"No answer from {host}:{port} within {CONNECT_PATIENCE:g} s.") from None
    except ssl.SSLError as error:
        reason = error.reason or str(error)
        raise NotConnected(f"{host}:{port} does not speak TLS as a phone book does ({reason}).") from None
    except OSError as error:
        why = (error.strerror or str(error)).lower()
        raise NotConnected(
            f"No phone book answers at {host}:{port} ({why}); is parley-server running there?"
        ) from None
    return connection
