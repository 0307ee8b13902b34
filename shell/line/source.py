"""Where the bytes of a transfer come from: a file, a folder as a tar archive made on the way, or a pipe.

The archive of a folder is the same each time it is made of the same files, so that it can be taken up
anywhere in the middle. Files are read on threads of their own, never on the event loop.
"""

import asyncio
import hashlib
import os
import stat
import tarfile
import threading
from bisect import bisect_right
from collections.abc import Iterator
from concurrent.futures import Executor
from pathlib import Path
from typing import Protocol, runtime_checkable

import msgspec

from shell.line.errors import CannotSend
from wire.frames import TransferKind
from wire.limits import MAX_FILE, MAX_FILE_NAME, TRANSFER_WINDOW

MAX_ENTRIES = 100_000  # files and folders in one folder that is sent
MAX_DEPTH = 100  # names in a path inside it; each level costs a look at the disk there
_BLOCK = tarfile.BLOCKSIZE
_END_OF_ARCHIVE = bytes(2 * _BLOCK)  # POSIX.1-2001 pax: two blocks of zeros
_HASH_READ = 1024 * 1024  # bytes at once while only the checksum is made


@runtime_checkable
class Source(Protocol):
    """Bytes that may be asked for again from any offset that was not acknowledged."""

    async def read(self, offset: int, size: int) -> bytes:
        """At most `size` bytes from `offset` on, empty at the end. Raises `CannotSend`."""
        ...

    def acknowledge(self, offset: int) -> None:
        """What comes before this offset is not asked for again."""
        ...

    def sha256(self) -> bytes:
        """The checksum of all of it, once all of it was read."""
        ...

    def close(self) -> None:
        """Nothing is read any more."""
        ...


class _Piece(msgspec.Struct, frozen=True):
    """Some bytes of a parcel: those of a file, or given ones."""

    start: int
    size: int
    content: bytes | Path
    mtime_ns: int = 0


class Parcel(msgspec.Struct, frozen=True):
    """What a path holds, as it will travel."""

    path: str
    """Absolute."""
    kind: TransferKind
    title: str
    size: int
    stamp: str
    """Changes when any file of it does."""
    pieces: tuple[_Piece, ...]


def survey(path: Path) -> Parcel:
    """Looks at a file or folder; blocks on the disk. Raises `CannotSend`.

    Links and devices inside a folder are left out.
    """
    try:
        found = path.stat()
        title = (path.name or path.resolve().name)[-MAX_FILE_NAME:].encode(errors="replace").decode()
        if stat.S_ISREG(found.st_mode):
            piece = _Piece(0, found.st_size, path, found.st_mtime_ns)
            return _parcel(path, TransferKind.FILE, title, (piece,))
        if stat.S_ISDIR(found.st_mode):
            return _parcel(path, TransferKind.FOLDER, title, tuple(_archive(path)))
    except OSError as error:
        raise _unreadable(path, error) from None
    raise CannotSend(f"{path} is neither a file nor a folder.")


class DiskSource:
    """A file or folder as it was surveyed."""

    def __init__(self, parcel: Parcel, readers: Executor) -> None:
        self._parcel = parcel
        self._starts = [piece.start for piece in parcel.pieces]
        self._readers = readers
        self._reading = threading.Lock()
        self._hash = hashlib.sha256()
        self._hashed = 0
        self._open: tuple[_Piece, int] | None = None
        self._closed = False

    async def read(self, offset: int, size: int) -> bytes:
        """At most `size` bytes from `offset` on, empty at the end. Raises `CannotSend`."""
        return await asyncio.get_running_loop().run_in_executor(self._readers, self._read, offset, size)

    def acknowledge(self, offset: int) -> None:
        """The disk keeps it anyway."""

    def sha256(self) -> bytes:
        """The checksum of all of it."""
        return self._hash.digest()

    def close(self) -> None:
        """Gives the file back."""
        self._closed = True
        with self._reading:
            self._close()

    def _read(self, offset: int, size: int) -> bytes:
        with self._reading:
            while self._hashed < offset and not self._closed:
                self._take(self._hashed, min(_HASH_READ, offset - self._hashed))
            if self._closed:
                raise CannotSend("Nothing of it is sent any more.")
            return self._take(offset, size)

    def _take(self, offset: int, size: int) -> bytes:
        parts: list[bytes] = []
        end = min(offset + size, self._parcel.size)
        position = offset
        while position < end:
            piece = self._parcel.pieces[bisect_right(self._starts, position) - 1]
            part = self._of(piece, position - piece.start, min(end, piece.start + piece.size) - position)
            parts.append(part)
            position += len(part)
        data = b"".join(parts)
        if position > self._hashed:
            self._hash.update(memoryview(data)[self._hashed - offset :])
            self._hashed = position
        return data

    def _of(self, piece: _Piece, offset: int, size: int) -> bytes:
        if isinstance(piece.content, bytes):
            return piece.content[offset : offset + size]
        try:
            if self._open is None or self._open[0] is not piece:
                self._close()
                self._open = piece, os.open(piece.content, os.O_RDONLY | os.O_CLOEXEC)
            descriptor = self._open[1]
            data = os.pread(descriptor, size, offset)
            found = os.fstat(descriptor)
        except OSError as error:
            raise _unreadable(piece.content, error) from None
        if not data or (found.st_size, found.st_mtime_ns) != (piece.size, piece.mtime_ns):
            raise CannotSend(f"{piece.content} has changed since it was offered.")
        return data

    def _close(self) -> None:
        if self._open is not None:
            os.close(self._open[1])
            self._open = None


class PipeSource:
    """What a program writes; kept until the other side has put it away. Lives on the event loop's thread."""

    def __init__(self) -> None:
        self._kept = bytearray()
        self._start = 0
        self._ended = self._closed = False
        self._hash = hashlib.sha256()
        self._grown = asyncio.Event()
        self._shrunk = asyncio.Event()

    async def feed(self, data: bytes) -> bool:
        """Takes bytes in, waiting until there is room for them; False once nobody wants any."""
        while len(self._kept) >= TRANSFER_WINDOW and not self._closed:
            self._shrunk.clear()
            await self._shrunk.wait()
        if self._closed:
            return False
        self._hash.update(data)
        self._kept += data
        self._grown.set()
        return True

    async def end(self) -> None:
        """Nothing follows."""
        self._ended = True
        self._grown.set()

    async def read(self, offset: int, size: int) -> bytes:
        """At most `size` bytes from `offset` on, as soon as there are any; empty at the end."""
        while not self._ended and self._start + len(self._kept) <= offset:
            self._grown.clear()
            await self._grown.wait()
        at = offset - self._start
        if at < 0:
            raise CannotSend("The other side asks again for what it had.")
        return bytes(self._kept[at : at + size])

    def acknowledge(self, offset: int) -> None:
        """What comes before this offset is not asked for again."""
        gone = min(offset - self._start, len(self._kept))
        if gone > 0:
            del self._kept[:gone]
            self._start += gone
            self._shrunk.set()

    def sha256(self) -> bytes:
        """The checksum of all of it."""
        return self._hash.digest()

    def close(self) -> None:
        """Nothing is read any more."""
        self._closed = True
        self._kept.clear()
        self._shrunk.set()


def _parcel(path: Path, kind: TransferKind, title: str, pieces: tuple[_Piece, ...]) -> Parcel:
    stamp = hashlib.sha256()
    for piece in pieces:
        content = piece.content if isinstance(piece.content, bytes) else b""
        stamp.update(b"%d %d %d " % (piece.size, piece.mtime_ns, len(content)) + content)
    size = pieces[-1].start + pieces[-1].size
    if size > MAX_FILE:
        raise CannotSend(f"{title} has more than {MAX_FILE} bytes.")
    return Parcel(str(path.absolute()), kind, title, size, stamp.hexdigest(), pieces)


def _archive(root: Path) -> Iterator[_Piece]:
    """The pieces of a tar archive of a folder, in one order each time."""
    position = entries = 0

    def piece(size: int, content: bytes | Path, mtime_ns: int = 0) -> _Piece:
        nonlocal position
        made = _Piece(position, size, content, mtime_ns)
        position += size
        return made

    for folder, folders, files in os.walk(root, onerror=_raise):
        folders.sort()
        here = Path(folder)
        entries += 1 + len(files)
        if entries > MAX_ENTRIES:
            raise CannotSend(f"{root} holds more than {MAX_ENTRIES} files; send an archive of it.")
        if len(here.relative_to(root).parts) >= MAX_DEPTH:
            raise CannotSend(f"{root} is nested more than {MAX_DEPTH} folders deep; send an archive of it.")
        if here != root:
            header = _header(here.relative_to(root), here.stat(), tarfile.DIRTYPE)
            yield piece(len(header), header)
        for name in sorted(files):
            path = here / name
            found = path.lstat()
            if not stat.S_ISREG(found.st_mode):
                continue
            header = _header(path.relative_to(root), found, tarfile.REGTYPE)
            yield piece(len(header), header)
            if found.st_size:
                yield piece(found.st_size, path, found.st_mtime_ns)
                padding = -found.st_size % _BLOCK
                if padding:
                    yield piece(padding, bytes(padding))
    yield piece(len(_END_OF_ARCHIVE), _END_OF_ARCHIVE)


def _header(path: Path, found: os.stat_result, kind: bytes) -> bytes:
    entry = tarfile.TarInfo(path.as_posix())
    entry.type = kind
    entry.size = found.st_size if kind == tarfile.REGTYPE else 0
    entry.mtime = int(found.st_mtime)
    return entry.tobuf(tarfile.PAX_FORMAT, "utf-8", "replace")


def _raise(error: OSError) -> None:
    raise error


def _unreadable(path: Path, error: OSError) -> CannotSend:
    return CannotSend(f"{path} cannot be read: {(error.strerror or str(error)).lower()}.")
