"""Archives of others: whatever they hold, little is read at once, and nothing leaves the new folder."""

import asyncio
import contextlib
import ctypes
import errno
import hashlib
import io
import os
import tarfile
import tracemalloc
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shell.line import unpacking
from shell.line.errors import CannotSend, Damaged
from shell.line.filenames import numbered
from shell.line.sink import DiskSink
from shell.line.source import MAX_DEPTH, DiskSource, survey
from shell.line.transfer import Transfer, TransferId
from shell.line.unpacking import MAX_HEADER, unpack
from wire.frames import TransferKind
from wire.names import NameKey

MIB = 2**20
BLOCK = tarfile.BLOCKSIZE
END = bytes(2 * BLOCK)


def header(name: str, size: int = 0, kind: bytes = tarfile.REGTYPE) -> bytes:
    entry = tarfile.TarInfo(name)
    entry.type, entry.size = kind, size
    return entry.tobuf(tarfile.PAX_FORMAT, "utf-8")


def go_on() -> None:
    """Nobody ends it."""


def unpacked(folder: Path, archive: bytes) -> Path:
    (folder / "an.tar").write_bytes(archive)
    inside = folder / "inside"
    inside.mkdir()
    unpack(folder / "an.tar", inside, go_on)
    return inside


def test_a_hostile_archive_stays_in_its_folder(tmp_path: Path) -> None:
    archive = tmp_path / "hostile.tar"
    with tarfile.open(archive, "w") as tar:
        for name, kind in (
            ("../../outside", tarfile.REGTYPE),
            ("/absolute", tarfile.REGTYPE),
            ("link", tarfile.SYMTYPE),
            ("link/through", tarfile.REGTYPE),
            ("device", tarfile.CHRTYPE),
            ("twice", tarfile.REGTYPE),
            ("twice", tarfile.REGTYPE),
            ("..", tarfile.DIRTYPE),
            ("\x1b[2J", tarfile.REGTYPE),
        ):
            entry = tarfile.TarInfo(name)
            entry.type, entry.linkname, entry.mode, entry.size = kind, "/etc", 0o4777, 1
            entry.size = int(kind == tarfile.REGTYPE)
            tar.addfile(entry, io.BytesIO(b"x") if kind == tarfile.REGTYPE else None)
    inside = tmp_path / "deep" / "inside"
    inside.mkdir(parents=True)
    unpack(archive, inside, go_on)
    files = {path.relative_to(inside).as_posix() for path in inside.rglob("*") if path.is_file()}
    assert files == {
        "unnamed/unnamed/outside",
        "absolute",
        "link/through",
        "twice",
        "twice (2)",
        "_[2J",
    }
    assert {path.name for path in tmp_path.iterdir()} == {"hostile.tar", "deep"}
    assert not [path for path in inside.rglob("*") if path.is_symlink()]
    assert all(path.stat().st_mode & 0o7111 == 0 for path in inside.rglob("*") if path.is_file())


@pytest.mark.parametrize("kind", [tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.GNUTYPE_LONGNAME])
def test_a_long_header_is_not_read_into_memory(tmp_path: Path, kind: bytes) -> None:
    size = 64 * MIB
    archive = tmp_path / "hostile.tar"
    with archive.open("wb") as file:
        file.write(header("p", size, kind))
        file.truncate(BLOCK + size + len(END))
    tracemalloc.start()
    try:
        if kind == tarfile.XGLTYPE:
            unpack(archive, tmp_path, go_on)  # what it says of all entries is of no use here
        else:
            with pytest.raises(ValueError, match=str(MAX_HEADER)):
                unpack(archive, tmp_path, go_on)
        assert tracemalloc.get_traced_memory()[1] < MIB
    finally:
        tracemalloc.stop()


def test_headers_about_headers_come_to_an_end(tmp_path: Path) -> None:
    archive = tmp_path / "hostile.tar"
    for number in (MAX_HEADER // BLOCK - 1, MAX_HEADER):
        archive.write_bytes(header("p", 0, tarfile.XHDTYPE) * number + header("a") + END)
        if number < MAX_HEADER:
            unpack(archive, tmp_path, go_on)
        else:
            with pytest.raises(ValueError, match=str(MAX_HEADER)):
                unpack(archive, tmp_path, go_on)


def test_entries_of_one_name_are_each_named_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tried = 0

    def count(wanted: str, number: int) -> str:
        nonlocal tried
        tried += 1
        return numbered(wanted, number)

    monkeypatch.setattr(unpacking, "numbered", count)
    inside = unpacked(tmp_path, header("x") * 500 + END)
    assert {path.name for path in inside.iterdir()} == {"x", *(f"x ({number})" for number in range(2, 501))}
    assert tried <= 502


def test_what_is_nested_too_deep_ends_in_words_and_leaves_nothing(tmp_path: Path) -> None:
    paths = ("/".join("a" * depth) for depth in range(1, 1900))
    archive = b"".join(header(path, 0, tarfile.DIRTYPE) for path in paths) + END

    async def take() -> None:
        transfer = Transfer(
            TransferId(bytes(16)), 1, NameKey("b"), "b", False, TransferKind.FOLDER, "x", len(archive)
        )
        with ThreadPoolExecutor(1) as writers:
            sink = DiskSink(tmp_path, transfer, writers)
            await sink.open()
            await sink.write([archive])
            with pytest.raises(Damaged, match=str(MAX_DEPTH)):
                await sink.finish(hashlib.sha256(archive).digest())

    asyncio.run(take())
    assert list(tmp_path.iterdir()) == []


def test_one_entry_makes_no_more_folders_than_an_archive_may_hold(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(unpacking, "MAX_ENTRIES", 50)
    archive = b"".join(header(f"{first}/b/c/d/e/f/g/h/i/j") for first in range(50)) + END
    with pytest.raises(ValueError, match="50 files and folders"):
        unpacked(tmp_path, archive)
    assert len(list((tmp_path / "inside").rglob("*"))) <= 51


@pytest.mark.parametrize("size", [b"\xff" * 10 + b"\xfe\x00", b"\x80" + b"\xff" * 11, b"77777777777\0"])
def test_a_size_that_cannot_be_is_refused(tmp_path: Path, size: bytes) -> None:
    entry = bytearray(header("d"))
    entry[124:136] = size
    entry[148:156] = b" " * 8
    entry[148:156] = b"%06o\0 " % sum(entry)
    with pytest.raises(EOFError):
        unpacked(tmp_path, bytes(entry) + END)


def tree(folder: Path) -> Path:
    root = folder / "tree"
    (root / "deep" / ("long" * 50)).mkdir(parents=True)
    (root / "deep" / ("long" * 50) / "täglich.txt").write_text("x" * 700)
    (root / "empty").mkdir()
    (root / "a").write_bytes(os.urandom(3 * BLOCK))
    return root


def packed(root: Path) -> bytes:
    async def read() -> bytes:
        with ThreadPoolExecutor(1) as readers:
            parcel = survey(root)
            return await DiskSource(parcel, readers).read(0, parcel.size)

    return asyncio.run(read())


def test_a_folder_is_unpacked_as_it_was(tmp_path: Path) -> None:
    root = tree(tmp_path)
    inside = unpacked(tmp_path, packed(root))

    def held(top: Path) -> dict[str, bytes | None]:
        return {
            path.relative_to(top).as_posix(): path.read_bytes() if path.is_file() else None
            for path in top.rglob("*")
        }

    assert held(inside) == held(root)


@given(st.data())
def test_any_damage_is_an_error_that_is_known(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    folder = tmp_path_factory.mktemp("damaged")
    archive = bytearray(packed(tree(folder)))
    for _ in range(data.draw(st.integers(1, 4))):
        archive[data.draw(st.integers(0, len(archive) - 1))] = data.draw(st.integers(0, 255))
    del archive[data.draw(st.integers(0, len(archive))) :]
    with pytest.MonkeyPatch.context() as patch:
        # With the right checksum, more of it is believed.
        patch.setattr(tarfile, "calc_chksums", lambda block: range(8**8))
        with contextlib.suppress(tarfile.TarError, EOFError, ValueError, OSError):
            unpacked(folder, bytes(archive))
    assert {path.name for path in folder.iterdir()} == {"an.tar", "inside", "tree"}


def test_a_folder_that_would_not_be_taken_is_not_offered(tmp_path: Path) -> None:
    root = tmp_path / "tree"
    deepest = root.joinpath(*("a" for _ in range(MAX_DEPTH - 1)))
    deepest.mkdir(parents=True)
    (deepest / "x").write_text("x")
    unpacked(tmp_path, packed(root))
    (deepest / "one-more").mkdir()
    with pytest.raises(CannotSend, match=str(MAX_DEPTH)):
        survey(root)


def test_an_archive_of_too_much_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unpacking, "MAX_ENTRIES", 3)
    unpacked(tmp_path, header("x") * 3 + END)
    (tmp_path / "an.tar").write_bytes(header("link", 0, tarfile.SYMTYPE) * 4 + END)
    with pytest.raises(ValueError, match="3 entries"):
        unpack(tmp_path / "an.tar", tmp_path / "inside", go_on)


@pytest.mark.parametrize("at_once", [True, False])
def test_what_was_unpacked_is_on_disk_before_it_gets_a_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at_once: bool
) -> None:
    done: list[str] = []

    class System:
        def syncfs(self, descriptor: int) -> int:
            assert len(list(inside.iterdir())) == 20
            done.append("syncfs")
            return 0

    def fsync(descriptor: int) -> None:
        done.append(str(Path(f"/proc/self/fd/{descriptor}").readlink()))

    monkeypatch.setattr(unpacking, "_LIBC", System() if at_once else object())
    monkeypatch.setattr(os, "fsync", fsync)
    inside = tmp_path / "inside"
    unpacked(tmp_path, b"".join(header(f"{number}") for number in range(20)) + END)
    if at_once:
        assert done == ["syncfs"]
    else:
        assert sorted(done) == sorted(map(str, (inside, *inside.iterdir())))


def test_a_disk_that_fails_at_the_end_is_not_taken_for_done(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class System:
        def syncfs(self, descriptor: int) -> int:
            ctypes.set_errno(errno.EIO)
            return -1

    monkeypatch.setattr(unpacking, "_LIBC", System())
    with pytest.raises(OSError, match="Input/output error"):
        unpacked(tmp_path, header("x") + END)
