"""Files and pipes between real shells: interrupted, declined, joined."""

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import IO

import pytest

from tests.e2e.world import PASSWORD, PATIENCE, Server, environment, parley, until
from tests.faults.interrupting import MIB, Shell, interrupt


def test_a_file_interrupted_three_times_arrives_with_the_right_checksum(tmp_path: Path) -> None:
    sent, arrived, seen = interrupt(tmp_path, 24 * MIB, 3)
    assert sent == arrived
    assert all(bytes_ < 24 * MIB for bytes_ in seen), "it was over before it was interrupted"


@pytest.fixture
def friends(server: Server, tmp_path: Path) -> Server:
    """Alice and Bob have accepted each other."""
    alice, bob = (("--server", server.address, "--data", str(tmp_path / name)) for name in ("alice", "bob"))
    for options in (
        (*alice, "-c", "signup alice"),
        (*bob, "-c", "signup bob", "-c", "accept alice"),
        (*alice, "--user", "alice", "-c", "accept bob"),
    ):
        done = parley(*options)
        assert done.returncode == 0, done.stderr
    return server


DYING = """
import os, signal, sys
from shell.line.files import Files
from shell.line.sink import DiskSink
from shell.main import main

def die(*_):
    os.kill(os.getpid(), signal.SIGKILL)

{moment} = die
sys.exit(main())
"""


@pytest.mark.parametrize(
    ("what", "moment"),
    [("file", "Files._finished"), ("folder", "Files._finished"), ("folder", "DiskSink._settle")],
)
def test_what_got_its_name_when_the_shell_was_killed_arrives_once(
    friends: Server, tmp_path: Path, what: str, moment: str
) -> None:
    sent = tmp_path / "plans"
    if what == "folder":
        sent.mkdir()
    inside = sent / "a.txt" if what == "folder" else sent
    inside.write_text("all of it")
    dying = ("-c", DYING.format(moment=moment))
    bob = Shell(
        friends, tmp_path / "bob", "bob", "wait offer --timeout 30", "take 1 --no-wait", program=dying
    )
    alice = Shell(friends, tmp_path / "alice", "alice", f"send bob {sent} --no-wait")
    assert bob.process.wait(PATIENCE) == -signal.SIGKILL
    files = tmp_path / "bob" / "files"
    saved = files / inside.relative_to(tmp_path)
    assert saved.read_text() == "all of it"
    bob = Shell(friends, tmp_path / "bob", "bob")
    expected = {saved, files / "plans"}
    until(lambda: set(files.rglob("*")) == expected, "what was left is gone")
    saved.write_text("mine now")
    alice.enter("wait file --timeout 30")
    assert f"bob: {what} plans done" in alice.leave()
    bob.enter("files")
    listed = bob.leave()
    assert "done" in listed
    assert "Traceback" not in listed
    assert set(files.rglob("*")) == expected
    assert saved.read_text() == "mine now"


def pipe(
    server: Server,
    folder: Path,
    name: str,
    other: str,
    output: int | IO[bytes] = subprocess.PIPE,
    source: int | IO[bytes] = subprocess.PIPE,
) -> "subprocess.Popen[bytes]":
    return subprocess.Popen(
        [
            *(sys.executable, "-m", "shell.main", "--server", server.address, "--data", str(folder)),
            *("--user", name, "pipe", other),
        ],
        stdin=source,
        stdout=output,
        stderr=subprocess.PIPE,
        env=environment(PARLEY_PASSWORD=PASSWORD),
    )


def test_two_programs_are_joined_both_ways(friends: Server, tmp_path: Path) -> None:
    content = os.urandom(3 * MIB)
    alice = pipe(friends, tmp_path / "alice", "alice", "bob")
    with (tmp_path / "output").open("wb") as output:
        bob = pipe(friends, tmp_path / "bob", "bob", "alice", output)
    assert bob.stdin is not None
    bob.stdin.write(b"back\0")
    bob.stdin.close()
    bob.stdin = None
    came, complaint = alice.communicate(content, timeout=2 * PATIENCE)
    assert (came, alice.returncode) == (b"back\0", 0), complaint
    _, complaint = bob.communicate(timeout=2 * PATIENCE)
    assert bob.returncode == 0, complaint
    assert (tmp_path / "output").read_bytes() == content


def test_a_pipe_that_is_declined_ends_with_7(friends: Server, tmp_path: Path) -> None:
    bob = Shell(friends, tmp_path / "bob", "bob", "wait offer --timeout 30", "refuse 1")
    alice = pipe(friends, tmp_path / "alice", "alice", "bob")
    came, complaint = alice.communicate(b"unwanted", timeout=2 * PATIENCE)
    assert (alice.returncode, came) == (7, b""), complaint
    assert b"declined" in complaint
    bob.leave()


def test_endless_input_ends_with_the_pipe(friends: Server, tmp_path: Path) -> None:
    with Path("/dev/zero").open("rb") as endless:
        alice = pipe(friends, tmp_path / "alice", "alice", "bob", source=endless)
    bob = pipe(friends, tmp_path / "bob", "bob", "alice")
    assert bob.stdout is not None
    assert bob.stdout.read(MIB) == bytes(MIB)
    bob.send_signal(signal.SIGINT)
    _, complaint = alice.communicate(timeout=PATIENCE)
    assert (alice.returncode, complaint) == (1, b"The pipe was cancelled.\n")
    bob.communicate(timeout=PATIENCE)


def test_a_pipe_ends_in_words_when_the_account_is_used_elsewhere(friends: Server, tmp_path: Path) -> None:
    alice = pipe(friends, tmp_path / "alice", "alice", "bob")
    bob = pipe(friends, tmp_path / "bob", "bob", "alice")
    assert bob.stdin is not None
    bob.stdin.write(b"joined")
    bob.stdin.flush()
    assert alice.stdout is not None
    assert alice.stdout.read(6) == b"joined"
    again = parley(
        *("--server", friends.address, "--data", str(tmp_path / "elsewhere"), "--user", "alice"), "-c", "list"
    )
    assert again.returncode == 0, again.stderr
    _, complaint = alice.communicate(timeout=PATIENCE)
    assert alice.returncode != 0
    assert b"Your session was taken over" in complaint
    assert b"inside Parley" not in complaint
    bob.send_signal(signal.SIGINT)
    bob.communicate(timeout=PATIENCE)
