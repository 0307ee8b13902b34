"""What somebody types while others write, key by key, on the screen that they see."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.world import Server, Terminal, befriend, parley, shell, sign_up, typist

MESSAGES = 100
SENTENCE = "msg bob the quick brown fox jumps over the lazy dog, and back again, while everybody writes"
RUBOUT = "\x7f"


@pytest.fixture
def alice(server: Server, tmp_path: Path) -> Iterator[Terminal]:
    """Alice at a terminal, who has accepted Bob; Bob's data is in the folder `bob`."""
    with shell(server.address, tmp_path / "alice", columns=120, rows=24) as terminal:
        sign_up(terminal, "alice")
        befriend(server, terminal, tmp_path / "bob")
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


@pytest.mark.parametrize("prompt", ["alice> ", "alice → bob> "])
def test_not_one_typed_character_is_lost_or_moved_while_a_hundred_messages_arrive(
    server: Server, alice: Terminal, tmp_path: Path, prompt: str
) -> None:
    """At the commands, and in a conversation with lines that still change."""
    if "bob" in prompt:
        alice.enter("chat bob")
        alice.see("bob is offline; what you write waits")
        alice.enter("a line that waits")
        alice.see("a line that waits  … queued")
    bob = typist(server, tmp_path / "bob", "--user", "bob")
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
            check(frame, prompt, possible)
    bob.stdin.close()
    alice.see(f"number {MESSAGES - 1} of many")
    alice.see(f"^{prompt}{re.escape(SENTENCE)}$")
    alice.enter("")
    assert bob.wait(30) == 0
    arrived = parley(
        "--server", server.address, "--data", str(tmp_path / "bob"), "--user", "bob", "-c", "wait message"
    )
    assert arrived.stdout == f"alice: {SENTENCE if 'bob' in prompt else SENTENCE.removeprefix('msg bob ')}\n"


def check(frame: list[str], prompt: str, possible: set[str]) -> None:
    """Messages stand alone on their lines, and behind the last prompt is what was typed so far."""
    screen = "\n".join(frame)
    for row in frame:
        if "of many" in row:
            assert re.fullmatch(r"(\d\d:\d\d )?bob: number \d+ of many", row), screen
        if "#" in row:
            assert row.startswith(prompt), screen
    last = [row.removeprefix(prompt) for row in frame if row.startswith(prompt)][-1:]
    assert not last or {last[0], last[0] + " "} & (possible | {"chat bob", "accept bob"}), screen
