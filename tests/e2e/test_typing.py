"""What somebody types while others write, key by key, on the screen that they see."""

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.world import PASSWORD, Server, Terminal, environment, parley, shell, sign_up

MESSAGES = 100
SENTENCE = "msg bob the quick brown fox jumps over the lazy dog, and back again, while everybody writes"
RUBOUT = "\x7f"


@pytest.fixture
def alice(server: Server, tmp_path: Path) -> Iterator[Terminal]:
    """Alice at a terminal, who has accepted Bob; Bob's data is in the folder `bob`."""
    with shell(server.address, tmp_path / "alice", columns=120) as terminal:
        sign_up(terminal, "alice")
        bob = ("--server", server.address, "--data", str(tmp_path / "bob"))
        assert parley(*bob, "-c", "signup bob").returncode == 0
        parley(*bob, "--user", "bob", "-c", "msg alice hello")
        terminal.see("bob wants to talk to you")
        terminal.enter("accept bob")
        terminal.see("bob may write to you now")
        assert parley(*bob, "--user", "bob", "-c", "wait delivered").returncode == 0
        terminal.see("bob: hello")
        yield terminal


def keystrokes() -> list[tuple[str, str]]:
    """Every key, with what stands behind the prompt after it: each fifth character is first typed wrong."""
    keys, line = [], ""
    for number, character in enumerate(SENTENCE):
        if number % 5 == 4:
            keys += [("#", line + "#"), (RUBOUT, line)]
        line += character
        keys.append((character, line))
    return keys


def test_not_one_typed_character_is_lost_or_moved_while_a_hundred_messages_arrive(
    server: Server, alice: Terminal, tmp_path: Path
) -> None:
    bob = subprocess.Popen(
        [sys.executable, "-m", "shell.main", "--server", server.address, "--data", str(tmp_path / "bob"),
         "--user", "bob"],
        stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True,
        env=environment(PARLEY_PASSWORD=PASSWORD),
    )  # fmt: skip
    assert bob.stdin is not None
    keys = keystrokes()
    assert len(keys) >= MESSAGES
    possible = {line for _, line in keys} | {""}
    for number, (key, _) in enumerate(keys):
        if number < MESSAGES:
            bob.stdin.write(f"msg alice number {number} of many\n")
            bob.stdin.flush()
        alice.type(key)
        for frame in alice.frames():
            check(frame, possible)
    bob.stdin.close()
    alice.see(f"number {MESSAGES - 1} of many")
    alice.see(f"^alice> {re.escape(SENTENCE)}$")
    alice.enter("")
    assert bob.wait(30) == 0
    arrived = parley(
        "--server", server.address, "--data", str(tmp_path / "bob"), "--user", "bob", "-c", "wait message"
    )
    assert arrived.stdout == f"alice: {SENTENCE.removeprefix('msg bob ')}\n"


def check(frame: list[str], possible: set[str]) -> None:
    """Messages stand alone on their lines, and behind the last prompt is what was typed so far."""
    screen = "\n".join(frame)
    for row in frame:
        if "of many" in row:
            assert re.fullmatch(r"(\d\d:\d\d )?bob: number \d+ of many", row), screen
        if "#" in row:
            assert row.startswith("alice> "), screen
    last = [row.removeprefix("alice> ") for row in frame if row.startswith("alice> ")][-1:]
    assert not last or {last[0], last[0] + " "} & (possible | {"accept bob"}), screen
