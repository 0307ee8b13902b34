"""Bytes in, whole frames out. Nothing here knows what a frame says.

Two framings: a line feed after each JSON text (TCP, RFC 8259 forbids a raw one inside), and a four-byte
big-endian length before each frame (between shells, where frames carry bytes).
"""

from collections.abc import Iterator

from wire.errors import FrameTooLong

LENGTH_BYTES = 4  # bytes of the length before a frame


class LineSplitter:
    """Cuts a byte stream into lines; never holds more than `limit` bytes and one read."""

    __slots__ = ("_limit", "rest")

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self.rest = b""
        """The start of a line that waits for its end."""

    def feed(self, data: bytes) -> list[bytes]:
        """Whole lines, without their line feed.

        Raises `FrameTooLong` for a line over the limit, finished or not.
        """
        lines = self.feed_whole(data).split(b"\n")
        lines.pop()
        return lines

    def feed_whole(self, data: bytes) -> bytes:
        """The same lines in one piece, each with its line feed, for those who decode many at once."""
        if self.rest:
            data = self.rest + data
        elif data.endswith(b"\n") and len(data) <= self._limit:  # nearly always
            return data
        end = data.rfind(b"\n") + 1
        self.rest = data[end:]
        if len(data) > self._limit and any(len(line) > self._limit for line in data.split(b"\n")):
            raise FrameTooLong(f"A line may have {self._limit} bytes at most.")
        return data[:end]


class FrameSplitter:
    """Cuts a byte stream into length-prefixed frames of at most `limit` bytes."""

    __slots__ = ("_buffer", "_limit")

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._buffer = bytearray()

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Whole frames; raises `FrameTooLong` as soon as a length says too much."""
        self._buffer += data
        while len(self._buffer) >= LENGTH_BYTES:
            length = int.from_bytes(self._buffer[:LENGTH_BYTES])
            if length > self._limit:
                raise FrameTooLong(f"A frame may have {self._limit} bytes at most.")
            end = LENGTH_BYTES + length
            if len(self._buffer) < end:
                return
            frame = bytes(self._buffer[LENGTH_BYTES:end])
            del self._buffer[:end]
            yield frame


def frame(payload: bytes) -> bytes:
    """The payload with its length before it."""
    return len(payload).to_bytes(LENGTH_BYTES) + payload
