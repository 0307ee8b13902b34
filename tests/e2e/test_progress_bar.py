"""The bar of a file on its way, in real terminals: what it shows, and that nothing of it stays."""

import os
import re
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.e2e.world import Server, Terminal, shell, sign_up

TITLE = "[red]report.bin"  # what looks like markup is a name like any other
SIZE = 4 * 2**30  # bytes, none of them on disk: longer on its way than the test takes


@pytest.fixture
def friends(columns: int, server: Server, tmp_path: Path) -> Iterator[list[Terminal]]:
    """Alice and Bob, whose bars show a file on its way from her to him."""
    with ExitStack() as stack:
        alice, bob = (
            stack.enter_context(shell(server.address, tmp_path / name, columns=columns))
            for name in ("alice", "bob")
        )
        sign_up(alice, "alice")
        sign_up(bob, "bob")
        alice.enter("msg bob hello")
        bob.see("alice wants to talk to you")
        bob.enter("accept alice")
        alice.see("Delivered to bob")
        alice.enter("net delay 50ms")
        alice.see("net off")
        (tmp_path / TITLE).touch()
        os.truncate(tmp_path / TITLE, SIZE)
        alice.enter(f"send bob {tmp_path / TITLE}")
        bob.see("refuse")
        bob.enter("take alice")
        yield [alice, bob]


def bar(columns: int) -> str:
    far = r"\d+%" if columns < 60 else r"[━╸╺]+ [\d.]+/4\.3 GB"
    return rf"^\[red\]rep.* {far} [\d.]+ [kM]B/s \d:\d\d:\d\d$"


@pytest.mark.parametrize(("columns", "who"), [(100, 0), (40, 1)])
def test_rate_and_time_left_are_seen_and_a_cancel_leaves_the_prompt_clean(
    friends: list[Terminal], columns: int, who: int
) -> None:
    pattern = bar(columns)
    for terminal in friends:
        terminal.see(pattern)
    ending, other = friends[who], friends[1 - who]
    name = ("alice", "bob")
    ending.type("\x03")
    ending.see(r"goes\s+on\s+by\s+itself")
    ending.see(rf"^{name[who]}> ?$")
    assert "B/s" not in ending.text
    ending.enter("cancel 1")
    ending.see(r"is\s+cancelled\.")
    other.see(r"was\s+cancelled\.")
    for terminal, owner in ((ending, name[who]), (other, name[1 - who])):
        terminal.see(rf"^{owner}> ?$")
        assert "B/s" not in terminal.text
        assert "━" not in terminal.text
    # Whoever saw it end is not told a second time, in other words.
    other.enter("visibility")
    other.see("Your visibility is online")
    assert not re.search(r"was\s+ended\s+by", other.text)
