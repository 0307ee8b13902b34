"""Unpacks the archive of a folder that somebody sent: files and folders, under safe names, within bounds.

`tarfile` reads a header of any length whole, a header about a header by recursion, and keeps every entry. So
the headers are read here, those of one entry at a time, and it says what they mean.
"""

import ctypes
import io
import os
import tarfile
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from typing import BinaryIO

from shell.line.filenames import numbered, safe_parts
from shell.line.source import MAX_DEPTH, MAX_ENTRIES

FILE_MODE, FOLDER_MODE = 0o600, 0o700  # whoever wants others to read or run it says so
NEW = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
MAX_HEADER = 32 * 1024  # bytes of the headers of one entry; a path has 4 KiB at most (PATH_MAX)
_BLOCK = tarfile.BLOCKSIZE
_READ = 1024 * 1024  # bytes at once
_LIBC = ctypes.CDLL(None, use_errno=True)
_ABOUT_THE_NEXT = (
    *(tarfile.XHDTYPE, tarfile.SOLARIS_XHDTYPE),
    *(tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK),
)


def unpack(archive: Path, folder: Path, go_on: Callable[[], None]) -> None:
    """Unpacks an archive of others into a new, empty folder, which then survives power loss.

    `go_on` is asked again and again, and raises what ends it. Raises `tarfile.TarError`, `EOFError`,
    `ValueError` for what is no such archive, and `OSError`.
    """
    tree = _Tree(folder)
    with archive.open("rb") as packed:
        for number, entry in enumerate(_entries(packed)):
            go_on()
            if number >= MAX_ENTRIES:
                raise ValueError(f"it holds more than {MAX_ENTRIES} entries")
            parts = safe_parts(entry.name)
            if len(parts) > MAX_DEPTH:
                raise ValueError(f"its folders are nested more than {MAX_DEPTH} deep")
            if parts and entry.isdir():
                tree.folder(parts)
            elif parts and entry.isreg():
                with tree.file(parts) as file:
                    _copy(packed, entry.size, file, go_on)
    _sync_all(folder, go_on)


def sync(path: Path) -> None:
    """A file's content, or the names in a folder, survive power loss from now on."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


class _Tree:
    """The new folder as it grows."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._made = 0
        self._last: tuple[list[str], Path] = [], root
        self._free: dict[int, int] = {}
        """Of names that were wanted more than once, by hash: the number from which on it may be free."""

    def folder(self, parts: list[str]) -> Path:
        """Makes a folder, and those on the way to it, where they are missing."""
        if parts == self._last[0]:
            return self._last[1]
        path = self._root
        for part in parts:
            path = path / part
            try:
                path.mkdir(mode=FOLDER_MODE)
            except FileExistsError:
                if not path.is_dir():
                    raise ValueError("a file and a folder of it have one name") from None
            else:
                self._count()
        self._last = parts, path
        return path

    def file(self, parts: list[str]) -> BinaryIO:
        """Makes a new file, under another name where the name is taken."""
        folder, wanted = self.folder(parts[:-1]), parts[-1]
        self._count()
        key = hash(folder / wanted)  # two names with one hash cost a number
        for number in count(self._free.get(key, 1)):
            try:
                opened = os.open(folder / numbered(wanted, number), NEW | os.O_EXCL, FILE_MODE)
            except FileExistsError:
                continue
            if number > 1:
                self._free[key] = number + 1
            return os.fdopen(opened, "wb")
        raise AssertionError("numbers do not end")

    def _count(self) -> None:
        # One entry may ask for all the folders on the way to it.
        self._made += 1
        if self._made > MAX_ENTRIES:
            raise ValueError(f"it holds more than {MAX_ENTRIES} files and folders")


def _entries(archive: BinaryIO) -> Iterator[tarfile.TarInfo]:
    """What an archive holds; the content of each is read next."""
    length = os.fstat(archive.fileno()).st_size
    headers = b""
    while (block := archive.read(_BLOCK)) and block != bytes(_BLOCK):
        entry = tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape")
        headers += block
        if entry.type in _ABOUT_THE_NEXT:
            if not 0 <= entry.size <= MAX_HEADER - len(headers):
                raise ValueError(f"the headers of an entry have more than {MAX_HEADER} bytes")
            headers += archive.read(_padded(entry.size))
            continue
        if len(headers) > _BLOCK:
            entry = _understood(headers)
        headers = b""
        # POSIX.1-2001 pax: links, devices and folders have no content, whatever their size says.
        size = entry.size if entry.isreg() or entry.type not in tarfile.SUPPORTED_TYPES else 0
        end = archive.tell() + _padded(size)
        if size < 0 or end > length:
            raise EOFError("it ends in the middle of a file")
        yield entry
        archive.seek(end)


def _understood(headers: bytes) -> tarfile.TarInfo:
    """The entry that several headers tell of."""
    with tarfile.TarFile(fileobj=io.BytesIO(headers), encoding="utf-8") as tar:
        entry = tar.next()
    if entry is None or entry.issparse():
        raise ValueError("it holds a file with holes")
    return entry


def _copy(archive: BinaryIO, size: int, file: BinaryIO, go_on: Callable[[], None]) -> None:
    while size:
        go_on()
        data = archive.read(min(size, _READ))
        file.write(data)
        size -= len(data)


def _sync_all(folder: Path, go_on: Callable[[], None]) -> None:
    """A folder with all that is in it survives power loss from now on.

    At once where the system can, as a disk takes a millisecond or more for each file (Linux: syncfs(2)).
    """
    if hasattr(_LIBC, "syncfs"):
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            if _LIBC.syncfs(descriptor) != 0:
                number = ctypes.get_errno()
                raise OSError(number, os.strerror(number))
        finally:
            os.close(descriptor)
        return
    for made, _, files in os.walk(folder):
        for path in (*(Path(made, name) for name in files), Path(made)):
            go_on()
            sync(path)


def _padded(size: int) -> int:
    return size + -size % _BLOCK
