"""Where the bytes of a transfer go: a new file, a new folder, or whoever reads a pipe.

What arrives rests in a hidden working file of the folder for files until all of it is there and its checksum
holds, and is unpacked into a hidden folder; only what is whole gets a name. Nothing is ever overwritten, made
executable, or written outside.
"""

import asyncio
import contextlib
import hashlib
import os
import shutil
import stat
import tarfile
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Executor
from os.path import samestat
from pathlib import Path
from typing import ParamSpec, Protocol, TypeVar

from shell.line.errors import CannotTake, Damaged
from shell.line.filenames import candidates, safe_name
from shell.line.transfer import Transfer
from shell.line.unpacking import FILE_MODE, FOLDER_MODE, NEW, sync, unpack
from wire.frames import TransferKind

P = ParamSpec("P")
T = TypeVar("T")

SPARE_DISK = 64 * 1024 * 1024  # bytes that a file must leave free on the disk
_HASH_READ = 1024 * 1024  # bytes at once while only the checksum is made


class Sink(Protocol):
    """Takes the bytes of one transfer in order."""

    async def saved(self) -> str | None:
        """Where all of it rests already, if it does. Raises `CannotTake`."""
        ...

    async def open(self) -> int:
        """How many bytes are here already. Raises `CannotTake`."""
        ...

    async def write(self, chunks: list[bytes]) -> None:
        """Puts bytes away. Raises `CannotTake`."""
        ...

    async def finish(self, sha256: bytes) -> str:
        """All is here: where it rests now. Raises `Damaged`, `CannotTake`."""
        ...

    async def settle(self) -> None:
        """It is known to rest where it does. Raises `CannotTake`."""
        ...

    async def discard(self) -> None:
        """The transfer is over before its end: what arrived goes."""
        ...

    def halt(self) -> None:
        """What the disk is busy with ends soon."""
        ...

    def close(self) -> None:
        """The shell ends; what arrived stays."""
        ...


class _Halted(Exception):
    """Nobody waits for what the disk is busy with."""


class DiskSink:
    """A new file or folder, or as much of it as has arrived, maybe in an earlier run of the shell.

    Between its name and the note that it arrived the shell may be killed, and it must not arrive twice. So
    the working file stays until then: as a second name of the file, and by its name in the folder. A disk of
    one name for each file, as FAT, has a note of the name that it was to get.
    """

    def __init__(self, folder: Path, transfer: Transfer, writers: Executor) -> None:
        self._folder = folder
        self._part, self._unpacked, self._note = _working(folder, transfer)
        self._name = safe_name(transfer.title)
        self._unpacks = transfer.kind is TransferKind.FOLDER
        self._size = transfer.size or 0
        self._writers = writers
        self._writing = threading.Lock()
        self._descriptor = -1
        self._hash = hashlib.sha256()
        self._position = 0
        self._opened = 0
        self._saved: Path | None = None
        self._halted = False

    async def room(self) -> None:
        """Raises `CannotTake` where the disk has no room for the rest of it."""
        await self._run(self._check_room)

    async def saved(self) -> str | None:
        """Where all of it rests already, if it does. Raises `CannotTake`."""
        return await self._run(self._look)

    async def open(self) -> int:
        """How many bytes are here already. Raises `CannotTake`."""
        self._opened += 1
        return await self._run(self._open)

    async def write(self, chunks: list[bytes]) -> None:
        """Puts bytes away. Raises `CannotTake`."""
        await self._run(self._write, chunks, self._opened)

    async def finish(self, sha256: bytes) -> str:
        """Checks it and gives it its name. Raises `Damaged`, `CannotTake`."""
        return await self._run(self._finish, sha256)

    async def settle(self) -> None:
        """It is known to rest where it does. Raises `CannotTake`."""
        await self._run(self._settle)

    async def discard(self) -> None:
        """What arrived goes."""
        self.halt()
        await self._run(self._discard)

    def halt(self) -> None:
        """What the disk is busy with ends soon; what is unpacked by then is unpacked anew next time."""
        self._halted = True

    def close(self) -> None:
        """The shell ends; what arrived stays."""
        with self._writing:
            self._close()

    # --- on the threads ---------------------------------------------------------------------------------

    async def _run(self, work: Callable[P, T], *arguments: P.args, **named: P.kwargs) -> T:
        def locked() -> T:
            # A write that was under way when the line dropped is over before the next thing begins.
            with self._writing:
                try:
                    return work(*arguments, **named)
                except OSError as error:
                    reason = (error.strerror or str(error)).lower()
                    raise CannotTake(f"{self._folder} cannot be written: {reason}.") from None

        return await asyncio.get_running_loop().run_in_executor(self._writers, locked)

    def _check_room(self) -> None:
        self._folder.mkdir(mode=FOLDER_MODE, parents=True, exist_ok=True)
        here = self._part.stat().st_size if self._part.exists() else 0
        # A folder is unpacked beside the archive that it came in.
        needed = self._size * (2 if self._unpacks else 1) - here + SPARE_DISK
        free = shutil.disk_usage(self._folder).free
        if free < needed:
            raise CannotTake(
                f"{self._folder} has {free // 2**20:,} MiB free, and it would take {needed // 2**20:,} MiB."
            )

    def _look(self) -> str | None:
        if self._saved is None and self._descriptor < 0 and self._folder.is_dir():
            self._saved = self._noted() or next(self._named(), None)
        return None if self._saved is None else str(self._saved)

    def _noted(self) -> Path | None:
        """What was about to get its name on a disk of one name for each file, and has it or gets it now."""
        try:
            name, whole, _ = self._note.read_text(encoding="utf-8").partition("\n")
            path = self._folder / name
            found = path.lstat()
        except (OSError, ValueError):
            return None
        if not whole or not stat.S_ISREG(found.st_mode):
            return None
        if not self._part.exists():
            return path if found.st_size == self._size else None
        if found.st_size:
            return None  # it is somebody else's, who came first
        self._part.replace(path)
        sync(self._folder)
        return path

    def _named(self) -> Iterator[Path]:
        """What got its name before the shell was killed, whatever it is called now."""
        part = self._part.stat() if self._part.exists() else None
        if not self._unpacks and (part is None or part.st_nlink == 1):
            return
        for path in self._folder.iterdir():
            with contextlib.suppress(OSError):  # something else of the user, which may go at any moment
                found = path.lstat()
                if self._unpacks:
                    is_it = stat.S_ISDIR(found.st_mode) and os.path.lexists(path / self._part.name)
                else:
                    is_it = part is not None and samestat(found, part)
                if is_it and path not in (self._part, self._unpacked):
                    yield path
        if part is not None and part.st_nlink > 1:
            self._part.unlink()  # the file was moved away, and nothing more is written into it

    def _open(self) -> int:
        if self._descriptor >= 0:
            return self._position
        shutil.rmtree(self._unpacked, ignore_errors=True)
        self._note.unlink(missing_ok=True)  # it speaks of what arrived whole
        self._check_room()
        self._descriptor = os.open(self._part, NEW, FILE_MODE)
        if os.fstat(self._descriptor).st_size > self._size:
            os.ftruncate(self._descriptor, 0)
        self._hash, self._position = hashlib.sha256(), 0
        while data := os.pread(self._descriptor, _HASH_READ, self._position):
            self._go_on()
            self._hash.update(data)
            self._position += len(data)
        return self._position

    def _write(self, chunks: list[bytes], opened: int) -> None:
        if opened != self._opened:
            return  # it was asked for again since, from before this
        data = memoryview(b"".join(chunks))
        while data:
            written = os.pwrite(self._descriptor, data, self._position)
            self._hash.update(data[:written])
            self._position += written
            data = data[written:]

    def _finish(self, sha256: bytes) -> str:
        if self._hash.digest() != sha256:
            self._discard()
            raise Damaged("The checksum does not hold.")
        os.fsync(self._descriptor)
        self._close()
        self._saved = self._unpack() if self._unpacks else self._give_name()
        sync(self._folder)
        return str(self._saved)

    def _give_name(self) -> Path:
        for name in candidates(self._name):
            path = self._folder / name
            try:
                self._link(path)
            except FileExistsError:
                continue
            return path
        raise AssertionError("numbers do not end")

    def _link(self, path: Path) -> None:
        try:
            path.hardlink_to(self._part)
        except FileExistsError:
            raise
        except OSError:
            if os.path.lexists(path):
                raise FileExistsError from None
            _write_note(self._note, f"{path.name}\n")
            # Whoever makes the file owns the name; putting the content there then takes nothing away.
            os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, FILE_MODE))
            self._part.replace(path)

    def _unpack(self) -> Path:
        self._unpacked.mkdir(mode=FOLDER_MODE)
        # No name in an archive of others begins with a dot when it is unpacked.
        (self._unpacked / self._part.name).touch(mode=FILE_MODE)
        try:
            unpack(self._part, self._unpacked, self._go_on)
        except (tarfile.TarError, EOFError, ValueError) as error:
            self._discard()
            raise Damaged(f"The folder cannot be unpacked: {error}.") from None
        for name in candidates(self._name):
            path = self._folder / name
            if not os.path.lexists(path):
                # Nothing but an empty folder that came this moment could be replaced (rename(2)).
                self._unpacked.rename(path)
                return path
        raise AssertionError("numbers do not end")

    def _go_on(self) -> None:
        if self._halted:
            raise _Halted

    def _settle(self) -> None:
        self._part.unlink(missing_ok=True)
        self._note.unlink(missing_ok=True)
        if self._unpacks and self._saved is not None:
            (self._saved / self._part.name).unlink(missing_ok=True)

    def _discard(self) -> None:
        self._close()
        self._settle()
        shutil.rmtree(self._unpacked, ignore_errors=True)

    def _close(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


class PipeSink:
    """Gives what arrives to a reader, and asks for more only as it reads. On the event loop's thread."""

    def __init__(self) -> None:
        self._waiting: list[bytes] = []
        self._over = False
        self._failure: Damaged | None = None
        self._hash = hashlib.sha256()
        self._position = 0
        self._filled = asyncio.Event()
        self._emptied = asyncio.Event()

    async def read(self) -> bytes:
        """What arrived, as soon as there is something; empty at the end. Raises `Damaged`."""
        while not self._waiting and not self._over:
            self._filled.clear()
            await self._filled.wait()
        data = b"".join(self._waiting)
        self._waiting.clear()
        self._emptied.set()
        if not data and self._failure is not None:
            raise self._failure
        return data

    async def saved(self) -> str | None:
        """It rests nowhere."""
        return None

    async def open(self) -> int:
        """How many bytes were taken."""
        return self._position

    async def write(self, chunks: list[bytes]) -> None:
        """Hands bytes over and waits until they are read."""
        for chunk in chunks:
            self._hash.update(chunk)
            self._position += len(chunk)
        self._waiting += chunks
        self._filled.set()
        while self._waiting:
            self._emptied.clear()
            await self._emptied.wait()

    async def finish(self, sha256: bytes) -> str:
        """The reader is told the end. Raises `Damaged`."""
        if self._hash.digest() != sha256:
            self._failure = Damaged("The checksum does not hold.")
        self.cut()
        if self._failure is not None:
            raise self._failure
        return ""

    async def settle(self) -> None:
        """Nothing of it rests."""

    async def discard(self) -> None:
        """Nothing more comes."""
        self.cut()

    def cut(self) -> None:
        """Nothing more comes."""
        self._over = True
        self._filled.set()

    def halt(self) -> None:
        """No disk is busy with it."""

    def close(self) -> None:
        """The shell ends."""


def sweep(folder: Path, over: list[Transfer]) -> None:
    """Removes what a killed shell left of transfers that are over; blocks on the disk."""
    for transfer in over:
        part, unpacked, note = _working(folder, transfer)
        with contextlib.suppress(OSError):
            part.unlink(missing_ok=True)
            note.unlink(missing_ok=True)
            if transfer.kind is TransferKind.FOLDER and transfer.path:
                Path(transfer.path, part.name).unlink(missing_ok=True)
            shutil.rmtree(unpacked, ignore_errors=True)


def _working(folder: Path, transfer: Transfer) -> tuple[Path, Path, Path]:
    """Where it rests until it gets its name: the working file, and the folder that is made of it; and a note
    of that name.
    """
    part, unpacked, note = (folder / f".{transfer.id.hex()}.{what}" for what in ("part", "folder", "name"))
    return part, unpacked, note


def _write_note(note: Path, text: str) -> None:
    with note.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
