"""TLS over a TCP transport: OpenSSL between two memory buffers (`ssl.SSLObject`), with no loop of its own.

The event loop brings TLS as well, but that costs 7 KiB more for each idle connection and an eighth more time
for each request (see docs/performance.md): it keeps buffers of its own, and reads until OpenSSL raises.
"""

import asyncio
import contextlib
import ssl
from typing import Any, cast

RECORD = 16 * 1024  # bytes of plain text that one record carries at most (RFC 8446 §5.1)


class TlsConnection(asyncio.Transport, asyncio.Protocol):
    """The server's side of one connection: a protocol to the TCP transport, a transport to the one above."""

    __slots__ = ("_closing", "_incoming", "_outgoing", "_shaken", "_tcp", "_tls", "_up", "_upper")

    def __init__(self, context: ssl.SSLContext, upper: asyncio.Protocol) -> None:
        """`upper` is told of the connection when the handshake is done."""
        super().__init__()
        self._upper = upper
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_side=True)
        self._tcp: asyncio.Transport | None = None
        self._shaken: asyncio.Future[None] | None = asyncio.get_running_loop().create_future()
        self._up = self._closing = False

    async def shaken(self) -> None:
        """Waits for the handshake. Raises `ssl.SSLError` or `ConnectionError` where it fails."""
        if self._shaken is not None:
            await self._shaken

    # --- asyncio.Protocol: what TCP says ----------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """TCP is up."""
        self._tcp = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        """Records of the client, whole or not."""
        if self._closing:
            return
        incoming = self._incoming
        incoming.write(data)
        records: list[bytes] = []
        goodbye = False
        try:
            if not self._up and not self._shake():
                return
            while incoming.pending:  # a read takes a whole record, so OpenSSL itself holds no text back
                record = self._tls.read(RECORD)
                if not record:
                    goodbye = True
                    break
                records.append(record)
        except ssl.SSLWantReadError:  # the rest of a record is still on its way
            pass
        except ssl.SSLError as error:
            self._fail(error)
            return
        if records:
            self._upper.data_received(b"".join(records))
        elif self._outgoing.pending:  # an answer of TLS itself, such as to new keys
            self._flush()
        if goodbye and self._tcp is not None:  # the client hears no more, so nothing can be lost
            self.close()
            self._tcp.close()

    def pause_writing(self) -> None:
        """More waits to be sent than should."""
        self._upper.pause_writing()

    def resume_writing(self) -> None:
        """Less does again."""
        self._upper.resume_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        """TCP is over."""
        self._closing, self._tcp = True, None
        self._settle(ConnectionResetError("the connection was lost during the handshake"))
        if self._up:
            self._upper.connection_lost(exc)

    # --- asyncio.Transport: what the protocol above says ------------------------------------------------

    def write(self, data: Any) -> None:
        """Encrypts and sends."""
        if not self._closing and self._tcp is not None:
            self._tls.write(data)
            self._tcp.write(self._outgoing.read())

    def close(self) -> None:
        """Ends it after what was written: the client may still read, and is heard no more.

        Whoever closes aborts in the end, should the client not hang up.
        """
        if self._closing or self._tcp is None:
            return
        self._closing = True
        with contextlib.suppress(ssl.SSLError):  # it waits for the client's goodbye, which nobody needs
            self._tls.unwrap()
        self._flush()
        # A close would reset what the client has not read, so only the way out is closed.
        self._tcp.write_eof()
        self._tcp.resume_reading()

    def abort(self) -> None:
        """Ends it at once."""
        self._closing = True
        if self._tcp is not None:
            self._tcp.abort()

    def is_closing(self) -> bool:
        """Whether nothing can be sent any more."""
        return self._closing

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """How many bytes may wait to be sent before the protocol is told."""
        if self._tcp is not None:
            self._tcp.set_write_buffer_limits(high, low)

    def pause_reading(self) -> None:
        """No more data until `resume_reading`."""
        if self._tcp is not None:
            self._tcp.pause_reading()

    def resume_reading(self) -> None:
        """Data again."""
        if self._tcp is not None:
            self._tcp.resume_reading()

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """What TCP knows, and the `ssl_object`."""
        if name == "ssl_object":
            return self._tls
        return self._tcp.get_extra_info(name, default) if self._tcp is not None else default

    # --- inside -----------------------------------------------------------------------------------------

    def _shake(self) -> bool:
        try:
            self._tls.do_handshake()
        except ssl.SSLWantReadError:
            self._flush()
            return False
        self._flush()
        self._up = True
        self._upper.connection_made(self)
        self._settle(None)
        return True

    def _fail(self, error: ssl.SSLError) -> None:
        self._flush()  # the alert that says why
        self._settle(error)
        self._closing = True
        if self._tcp is not None:
            self._tcp.close()

    def _flush(self) -> None:
        if self._tcp is not None:
            self._tcp.write(self._outgoing.read())

    def _settle(self, error: Exception | None) -> None:
        shaken = self._shaken
        if shaken is None or shaken.done():
            return
        if error is None:
            shaken.set_result(None)
            self._shaken = None
        else:
            shaken.set_exception(error)
            shaken.exception()  # nobody may wait for it any more, and that is no fault
