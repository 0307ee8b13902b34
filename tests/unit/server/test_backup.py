"""Backups: complete, private, never over another file; and back again, or not at all."""

import asyncio
import errno
import io
import os
import tarfile
from pathlib import Path

import pytest

from server.accounts import SqliteAccounts, read_all
from server.backup import back_up, restore
from server.datafolder import DataFolder
from server.errors import BackupFailed
from server.knocks import Knocks
from wire.messages import Knocked
from wire.names import name_key


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "server"
    DataFolder(made).close()
    SqliteAccounts(made / "accounts.db").close()
    for name in ("server.log", "server.log.1", "server.log.2.gz", "older.tar", "accounts.toml"):
        (made / name).write_text("no part of a backup")
    return made


def test_a_backup_has_what_a_phone_book_needs_and_nothing_else(folder: Path, tmp_path: Path) -> None:
    size = back_up(folder, tmp_path / "b.tar")
    assert size == (tmp_path / "b.tar").stat().st_size
    assert (tmp_path / "b.tar").stat().st_mode & 0o777 == 0o600
    with tarfile.open(tmp_path / "b.tar") as archive:
        assert archive.getnames() == ["accounts.db", "secrets.bin", "server.pem"]
    restore(tmp_path / "b.tar", tmp_path / "again")
    for name in ("secrets.bin", "server.pem"):
        assert (tmp_path / "again" / name).read_bytes() == (folder / name).read_bytes()
    assert list(read_all(tmp_path / "again" / "accounts.db")) == []
    assert {file.stat().st_mode & 0o777 for file in (tmp_path / "again").iterdir()} == {0o600}
    assert (tmp_path / "again").stat().st_mode & 0o777 == 0o700


def test_a_backup_comes_back_through_a_link_to_the_folder(folder: Path, tmp_path: Path) -> None:
    back_up(folder, tmp_path / "b.tar")
    (tmp_path / "private").mkdir()
    (tmp_path / "link").symlink_to("private")
    restore(tmp_path / "b.tar", tmp_path / "link")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "private" / "secrets.bin").read_bytes() == (folder / "secrets.bin").read_bytes()


def test_nothing_is_overwritten(folder: Path, tmp_path: Path) -> None:
    back_up(folder, tmp_path / "b.tar")
    with pytest.raises(BackupFailed, match="never overwrites"):
        back_up(folder, tmp_path / "b.tar")
    with pytest.raises(BackupFailed, match="not empty"):
        restore(tmp_path / "b.tar", folder)
    with pytest.raises(BackupFailed, match="no such file"):
        back_up(folder, tmp_path / "nowhere" / "b.tar")


def test_a_backup_fits_on_a_disk_without_hard_links(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def link(made: Path, target: Path) -> None:
        for late in came_meanwhile:
            target.write_text(late)
        raise PermissionError(
            errno.EPERM, "Operation not permitted"
        )  # exFAT's answer; few kernels can mount it

    came_meanwhile: list[str] = []
    monkeypatch.setattr(os, "link", link)
    back_up(folder, tmp_path / "b.tar")
    assert (tmp_path / "b.tar").stat().st_mode & 0o777 == 0o600
    restore(tmp_path / "b.tar", tmp_path / "again")
    came_meanwhile.append("mine")
    with pytest.raises(BackupFailed, match="file exists"):
        back_up(folder, tmp_path / "c.tar")
    assert (tmp_path / "c.tar").read_text() == "mine"
    assert sorted(found.name for found in tmp_path.iterdir()) == ["again", "b.tar", "c.tar", "server"]


def evil(name: str, kind: bytes = tarfile.REGTYPE) -> tarfile.TarInfo:
    made = tarfile.TarInfo(name)
    made.type, made.linkname = kind, "/etc/passwd"
    return made


@pytest.mark.parametrize(
    "member",
    [
        evil("../outside"),
        evil("/tmp/outside"),
        evil("a/b"),
        evil("accounts.db", tarfile.SYMTYPE),
        evil("accounts.db", tarfile.LNKTYPE),
        evil("accounts.db", tarfile.DIRTYPE),
        evil("accounts.db", tarfile.CHRTYPE),
    ],
    ids=lambda member: f"{member.name}-{member.type!r}",
)
def test_an_archive_with_anything_else_is_refused_whole(tmp_path: Path, member: tarfile.TarInfo) -> None:
    with tarfile.open(tmp_path / "evil.tar", "w") as archive:
        archive.addfile(member, io.BytesIO())
    with pytest.raises(BackupFailed):
        restore(tmp_path / "evil.tar", tmp_path / "again")
    assert [file.name for file in tmp_path.iterdir()] == ["evil.tar"]


@pytest.mark.parametrize("damage", ["cut", "accounts.db", "text"])
def test_a_damaged_backup_leaves_no_folder(folder: Path, tmp_path: Path, damage: str) -> None:
    file = tmp_path / "b.tar"
    back_up(folder, file)
    content = file.read_bytes()
    match damage:
        case "cut":
            file.write_bytes(content[:10_000])
        case "text":
            file.write_text("no archive")
        case _:
            at = content.index(b"SQLite format 3")
            file.write_bytes(content[:at] + b"x" * 8192 + content[at + 8192 :])
    with pytest.raises(BackupFailed) as caught:
        restore(file, tmp_path / "again")
    assert "\n" not in str(caught.value)
    assert sorted(found.name for found in tmp_path.iterdir()) == ["b.tar", "server"]


def test_knocks_that_wait_are_still_there_on_a_new_machine(folder: Path, tmp_path: Path) -> None:
    bob = name_key("bob")
    knocks = Knocks(folder / "knocks.db")
    asyncio.run(knocks.leave(bob, "alice", 1.0))
    back_up(folder, tmp_path / "b.tar")  # while the phone book runs, from the write-ahead log as well
    knocks.close()
    restore(tmp_path / "b.tar", tmp_path / "again")
    restored = Knocks(tmp_path / "again" / "knocks.db")
    assert asyncio.run(restored.take(bob, 0.0)) == [Knocked("alice", 1.0)]
    restored.close()
