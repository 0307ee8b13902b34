"""kill -9 at bad moments: what was delivered is there, what was queued goes out, nothing comes twice."""

import json
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from tests.e2e.world import Server, environment, parley, until

COUNT = 40


def start(server: Server, folder: Path, name: str) -> "subprocess.Popen[str]":
    """A shell that reads commands from a pipe."""
    return subprocess.Popen(
        [
            sys.executable,
            "-m",
            "shell.main",
            "--server",
            server.address,
            "--data",
            str(folder),
            "--user",
            name,
        ],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=environment(PARLEY_PASSWORD="correct horse battery"),
    )


def type_into(shell: "subprocess.Popen[str]", *lines: str) -> None:
    assert shell.stdin is not None
    shell.stdin.write("".join(f"{line}\n" for line in lines))
    shell.stdin.flush()


def stored(folder: Path, *, outgoing: bool) -> list[tuple[str, str]]:
    """Texts and states in a mailbox, as the disk has them."""
    (file,) = folder.rglob("mailbox.db")
    connection = sqlite3.connect(file)
    try:
        return connection.execute(
            "SELECT text, state FROM messages WHERE outgoing = ? ORDER BY number", (outgoing,)
        ).fetchall()
    finally:
        connection.close()


def kill(process: "subprocess.Popen[str]") -> None:
    process.send_signal(signal.SIGKILL)
    process.communicate()


def leave(process: "subprocess.Popen[str]") -> None:
    process.communicate("quit\n", timeout=30)


def test_queued_messages_survive_the_writer(befriended: Server, tmp_path: Path) -> None:
    alice = start(befriended, tmp_path / "alice", "alice")
    type_into(alice, *(f"msg bob number {number}" for number in range(COUNT)))
    until(lambda: len(stored(tmp_path / "alice", outgoing=True)) == COUNT, "all messages on disk")
    kill(alice)
    bob = start(befriended, tmp_path / "bob", "bob")
    alice = start(befriended, tmp_path / "alice", "alice")
    until(lambda: len(stored(tmp_path / "bob", outgoing=False)) == COUNT, "all messages to arrive")
    until(
        lambda: {state for _, state in stored(tmp_path / "alice", outgoing=True)} == {"delivered"},
        "all receipts",
    )
    leave(alice)
    leave(bob)
    expected = [f"number {number}" for number in range(COUNT)]
    assert [text for text, _ in stored(tmp_path / "bob", outgoing=False)] == expected


@pytest.mark.parametrize("after", [1, 7, 20])
def test_a_recipient_killed_in_the_middle_misses_nothing(
    befriended: Server, tmp_path: Path, after: int
) -> None:
    alice = start(befriended, tmp_path / "alice", "alice")
    bob = start(befriended, tmp_path / "bob", "bob")
    type_into(
        alice, "wait status bob online --timeout 30", *(f"msg bob number {number}" for number in range(COUNT))
    )
    until(lambda: len(stored(tmp_path / "bob", outgoing=False)) >= after, "some messages to arrive")
    kill(bob)
    confirmed = {text for text, state in stored(tmp_path / "alice", outgoing=True) if state == "delivered"}
    assert confirmed <= {text for text, _ in stored(tmp_path / "bob", outgoing=False)}
    bob = start(befriended, tmp_path / "bob", "bob")
    until(lambda: len(stored(tmp_path / "bob", outgoing=False)) == COUNT, "the rest to arrive")
    leave(alice)
    leave(bob)
    expected = [f"number {number}" for number in range(COUNT)]
    assert [text for text, _ in stored(tmp_path / "bob", outgoing=False)] == expected


def test_a_talk_goes_on_while_the_phone_book_is_away(befriended: Server, tmp_path: Path) -> None:
    alice = start(befriended, tmp_path / "alice", "alice")
    bob = start(befriended, tmp_path / "bob", "bob")
    type_into(alice, "wait status bob online --timeout 30", "msg bob before")
    until(lambda: len(stored(tmp_path / "bob", outgoing=False)) == 1, "the first message")
    befriended.kill()
    type_into(alice, "msg bob during")
    until(lambda: len(stored(tmp_path / "bob", outgoing=False)) == 2, "a message past the phone book")
    with befriended.restarted():
        type_into(alice, "wait connection --timeout 30", "msg bob after")
        type_into(alice, "wait status bob online --timeout 30")
        until(lambda: len(stored(tmp_path / "bob", outgoing=False)) == 3, "the last message")
        output, _ = alice.communicate("quit\n", timeout=30)
        assert "The phone book is back." in output
        assert output.count("bob is online.") == 2
        leave(bob)


def test_a_long_message_and_odd_characters_arrive_whole(befriended: Server, tmp_path: Path) -> None:
    text = "".join(f"{number} Zeile ü 漢字 🙂 שלום\n" for number in range(2_000))[:60_000].strip()
    bob = start(befriended, tmp_path / "bob", "bob")
    common = ("--server", befriended.address, "--data", str(tmp_path / "alice"), "--user", "alice", "--json")
    sent = parley(*common, "-c", "wait status bob online --timeout 30", "-c", "msg bob -", stdin=text)
    assert sent.returncode == 1, "64 KiB is the limit in bytes, and this text has more"
    assert "65,536 bytes" in sent.stderr
    ascii_text = "x" * 60_000
    sent = parley(*common, "-c", "wait status bob online --timeout 30", "-c", "msg bob -", stdin=ascii_text)
    assert sent.returncode == 0, sent.stderr
    short = text[:10_000]
    sent = parley(*common, "-c", "wait status bob online --timeout 30", "-c", "msg bob -", stdin=short)
    assert json.loads(sent.stdout.splitlines()[-1])["state"] == "delivered"
    leave(bob)
    assert [received for received, _ in stored(tmp_path / "bob", outgoing=False)] == [ascii_text, short]
