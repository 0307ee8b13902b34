"""Shells in real pseudo terminals: type, Tab, Ctrl-C, Ctrl-D."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.world import PASSWORD, Server, Terminal, parley


@pytest.fixture
def alice(server: Server, tmp_path: Path) -> Iterator[Terminal]:
    with Terminal(server.address, tmp_path / "alice") as terminal:
        terminal.sign_up("alice")
        yield terminal


@pytest.fixture
def bob(server: Server, tmp_path: Path) -> Iterator[Terminal]:
    with Terminal(server.address, tmp_path / "bob") as terminal:
        terminal.sign_up("bob")
        yield terminal


def meet(alice: Terminal, bob: Terminal) -> None:
    """Alice writes, Bob accepts."""
    alice.enter("msg bob hello")
    bob.see("alice wants to talk to you")
    bob.enter("accept alice")
    bob.see("alice: hello")
    alice.see("Delivered to bob")


def test_two_people_meet_and_talk(alice: Terminal, bob: Terminal) -> None:
    meet(alice, bob)
    bob.enter("chat alice")
    bob.see("alice> ")
    bob.enter("every line is a message; even this > that")
    alice.see(re.escape("bob: every line is a message; even this > that"))
    bob.enter("/whois alice")
    bob.see("endpoints")
    bob.enter("/end")
    bob.see("The chat with alice is over")


def test_tab_completes_names_with_their_status(alice: Terminal, bob: Terminal, server: Server, tmp_path: Path) -> None:
    parley("--server", server.address, "--data", str(tmp_path / "bonnie"), "-c", "signup bonnie")
    alice.type("whois b\t")
    alice.see("bonnie.*offline")
    alice.type("ob\t\r")
    alice.see("account since")
    alice.type("visib\t")
    alice.see("visibility")
    alice.type("hid\t\r")
    alice.see("Your visibility is hidden")


def test_ctrl_c_clears_the_line_and_keeps_the_shell(alice: Terminal) -> None:
    alice.type("msg nobody this is never sent")
    alice.see("never sent")
    alice.type("\x03")
    alice.see("alice> ")
    alice.enter("visibility")
    alice.see("Your visibility is online")


def test_ctrl_c_at_a_question_cancels_just_the_question(alice: Terminal) -> None:
    alice.enter("passwd")
    alice.see("Old password: ")
    alice.type("\x03")
    alice.see("Cancelled")
    alice.enter("visibility")
    alice.see("Your visibility is online")


def test_ctrl_c_ends_a_wait(alice: Terminal) -> None:
    alice.enter("wait message --timeout 60")
    alice.see("--timeout 60")
    alice.type("\x03")
    alice.enter("visibility")
    alice.see("Your visibility is online")


def test_ctrl_d_ends_a_chat_and_then_the_shell(alice: Terminal, bob: Terminal) -> None:
    alice.enter("chat bob")
    alice.see("bob> ")
    alice.type("\x04")
    alice.see("The chat with bob is over")
    alice.type("\x04")
    alice.child.wait()
    assert alice.child.exitstatus == 0


def test_a_password_is_not_shown(alice: Terminal, server: Server, tmp_path: Path) -> None:
    assert PASSWORD not in (alice.child.before or "")
    with Terminal(server.address, tmp_path / "carol") as carol:
        carol.see("parley> ")
        carol.enter("signup carol")
        carol.see("Password: ")
        carol.enter("a secret of carol")
        carol.see("Again: ")
        carol.enter("another secret")
        carol.see("differ")
        assert "a secret of carol" not in carol.child.before


def test_escape_sequences_of_others_are_shown_not_obeyed(
    alice: Terminal, bob: Terminal, server: Server, tmp_path: Path
) -> None:
    meet(alice, bob)
    bob.enter("logout")
    bob.see("You are logged out")
    sent = parley(
        "--server", server.address, "--data", str(tmp_path / "bob"), "--user", "bob",
        "-c", "msg alice -", stdin="\x1b[2J\x1b]0;owned\x07 and \u202eback",
    )  # fmt: skip
    assert sent.returncode == 0
    alice.see(re.escape("␛[2J␛]0;owned␇ and <U+202E>back"))


def test_a_kick_is_told_with_its_reason_and_the_shell_goes_on(server: Server, alice: Terminal) -> None:
    with Terminal(server.address, server.folder.parent / "alice2") as second:
        second.see("parley> ")
        second.enter("login alice")
        second.see("Password: ")
        second.enter(PASSWORD)
        second.see("You are logged in as alice")
        alice.see("Your session was taken over")
        alice.see("parley> ")
        alice.enter("login alice")
        alice.see("Password: ")


def test_what_is_typed_survives_what_arrives(alice: Terminal, bob: Terminal) -> None:
    meet(alice, bob)
    alice.type("msg bob half a ")
    alice.see("half a ")
    for number in range(30):
        bob.enter(f"msg alice number {number}")
        bob.see("Delivered to alice")
    alice.type("sentence")
    alice.see("number 29")
    alice.enter("")
    bob.see("alice: half a sentence")


def test_the_server_has_its_console_in_its_own_terminal(tmp_path: Path) -> None:
    import sys

    import pexpect

    from tests.e2e.world import PATIENCE, environment

    child = pexpect.spawn(
        sys.executable,
        ["-m", "server.main", "--data", str(tmp_path / "server"), "--listen", "127.0.0.1:0"],
        env=environment(),  # type: ignore[arg-type]
        encoding="utf-8",
        timeout=PATIENCE,
        dimensions=(30, 100),
    )
    try:
        child.expect(r"Listening on (127\.0\.0\.1:\d+)")
        address = child.match[1]
        child.expect("server> ")
        child.send("watch\r")
        child.expect("as it happens")
        assert parley("--server", address, "--data", str(tmp_path / "a"), "-c", "signup alice").returncode == 0
        child.expect("login: alice")
        child.send("inspect al\t\r")
        child.expect("last seen")
        child.send("stats\r")
        child.expect("uptime")
        child.send("\x03")
        child.expect("server> ")
        child.send("shutdown for the night\r")
        child.expect(pexpect.EOF)
        child.wait()
        assert child.exitstatus == 0
    finally:
        child.close(force=True)
