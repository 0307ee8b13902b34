"""Shells in real pseudo terminals: type, Tab, Ctrl-C, Ctrl-D."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.world import PASSWORD, Server, Terminal, parley, shell, sign_up


@pytest.fixture
def alice(server: Server, tmp_path: Path) -> Iterator[Terminal]:
    with shell(server.address, tmp_path / "alice") as terminal:
        sign_up(terminal, "alice")
        yield terminal


@pytest.fixture
def bob(server: Server, tmp_path: Path) -> Iterator[Terminal]:
    with shell(server.address, tmp_path / "bob") as terminal:
        sign_up(terminal, "bob")
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
    bob.see("^bob → alice> ?$")
    bob.enter("every line is a message; even this > that")
    alice.see(re.escape("bob: every line is a message; even this > that"))
    bob.enter("/whois alice")
    bob.see("endpoints")
    bob.enter("/end")
    bob.see("The chat with alice is over")


def test_tab_completes_names_with_their_status(
    alice: Terminal, bob: Terminal, server: Server, tmp_path: Path
) -> None:
    parley("--server", server.address, "--data", str(tmp_path / "bonnie"), "-c", "signup bonnie")
    alice.type("whois b\t")
    alice.see("bonnie +. offline")
    alice.see("bob +. online")
    alice.type("b\t")
    alice.see("^alice> whois bob ?$")
    alice.type("\r")
    alice.see("account since")
    alice.type("visib\t")
    alice.see("^alice> visibility ?$")
    alice.type("hid\t")
    alice.see("^alice> visibility hidden ?$")
    alice.type("\r")
    alice.see("Your visibility is hidden")


def test_ctrl_c_clears_the_line_and_keeps_the_shell(alice: Terminal) -> None:
    alice.type("msg nobody this is never sent")
    alice.see("never sent")
    alice.type("\x03")
    alice.see("^alice> ?$")
    alice.enter("visibility")
    alice.see("Your visibility is online")


def test_ctrl_c_at_a_question_cancels_just_the_question(alice: Terminal) -> None:
    alice.enter("passwd")
    alice.see("^Old password: ?$")
    alice.type("\x03")
    alice.see("Cancelled")
    alice.enter("visibility")
    alice.see("Your visibility is online")


def test_ctrl_c_ends_a_wait(alice: Terminal) -> None:
    alice.enter("wait message --timeout 60")
    alice.see("--timeout 60$")
    alice.type("\x03")
    alice.see("^alice> ?$")
    alice.enter("visibility")
    alice.see("Your visibility is online")


def test_ctrl_d_ends_a_chat_and_then_the_shell(alice: Terminal, bob: Terminal) -> None:
    alice.enter("chat bob")
    alice.see("^alice → bob> ?$")
    alice.type("\x04")
    alice.see("The chat with bob is over")
    alice.see("^alice> ?$")
    alice.type("\x04")
    assert alice.ended() == 0


def test_a_password_is_not_shown(alice: Terminal, server: Server, tmp_path: Path) -> None:
    assert PASSWORD not in alice.text
    with shell(server.address, tmp_path / "carol") as carol:
        carol.see("^parley> ?$")
        carol.enter("signup carol")
        carol.see("^Password: ?$")
        carol.enter("a secret of carol")
        carol.see("^Again: ?$")
        carol.enter("another secret")
        carol.see("differ")
        assert "a secret of carol" not in carol.text


def test_what_cannot_be_is_told_before_the_next_question(server: Server, tmp_path: Path) -> None:
    with shell(server.address, tmp_path / "carol") as carol:
        carol.see("^parley> ?$")
        carol.enter("signup car@l")
        carol.see("A name is made of letters, digits")
        carol.enter("signup carol")
        carol.see("^Password: ?$")
        carol.enter("short")
        carol.see("A password needs 8 characters or more\\.\nPassword: ?$")
        assert "Again" not in carol.text
        for again in ("another secret", PASSWORD):
            carol.enter(PASSWORD)
            carol.see("^Again: ?$")
            carol.enter(again)
            if again != PASSWORD:
                carol.see("The two passwords differ; once more\\.\nPassword: ?$")
        carol.see("You are logged in as carol")


def test_no_password_is_asked_for_where_no_phone_book_answers(tmp_path: Path) -> None:
    with shell("127.0.0.1:1", tmp_path / "alice") as alice:
        alice.see("^parley> ?$")
        alice.enter("login alice")
        alice.see("No phone book answers at 127.0.0.1:1")
        assert "Password" not in alice.text


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


def test_a_password_is_asked_for_three_times(alice: Terminal) -> None:
    alice.enter("logout")
    alice.see("^parley> ?$")
    alice.enter("login alice")
    for number in range(1, 4):
        alice.see("^Password: ?$")
        alice.enter("not the password")
        alice.see(f"(?s)(is not right.*){{{number}}}")
    alice.see("^parley> ?$")
    alice.enter("login alice")
    alice.see("^Password: ?$")
    alice.enter("not yet it")
    alice.see("is not right\\.\nPassword: ?$")
    alice.enter(PASSWORD)
    alice.see("You are logged in as alice")


def test_a_kick_is_told_with_its_reason_and_the_shell_goes_on(server: Server, alice: Terminal) -> None:
    with shell(server.address, server.folder.parent / "alice2") as second:
        second.see("^parley> ?$")
        second.enter("login alice")
        second.see("^Password: ?$")
        second.enter(PASSWORD)
        second.see("You are logged in as alice")
        alice.see("Your session was taken over")
        alice.see("^parley> ?$")
        alice.enter("login alice")
        alice.see("^Password: ?$\\Z")


def test_what_is_typed_survives_what_arrives(alice: Terminal, bob: Terminal) -> None:
    meet(alice, bob)
    alice.type("msg bob half a ")
    alice.see("half a$")
    for number in range(30):
        bob.enter(f"msg alice number {number}")
    alice.see("number 29")
    alice.type("sentence")
    alice.see("^alice> msg bob half a sentence$")
    alice.enter("")
    bob.see("alice: half a sentence")


def test_the_server_has_its_console_in_its_own_terminal(tmp_path: Path) -> None:
    options = ("--data", str(tmp_path / "server"), "--listen", "127.0.0.1:0")
    with Terminal("server.main", *options) as console:
        address = console.see(r"^Listening on (127\.0\.0\.1:\d+)$")[1]
        console.see("^server> ?$")
        with shell(address, tmp_path / "b") as bob:
            sign_up(bob, "bob")
            console.see(r"\| 1 connection$")
        console.enter("watch")
        console.see("as it happens")
        signed = parley("--server", address, "--data", str(tmp_path / "a"), "-c", "signup alice")
        assert signed.returncode == 0
        console.see("login: alice")
        console.type("inspect al\t")
        console.see("^server> inspect alice ?$")
        console.type("\r")
        console.see("last seen")
        console.enter("stats")
        console.see("uptime")
        console.type("not a command\x03")
        console.see("^server> ?$")
        console.enter("shutdown for the night")
        assert console.ended() == 0


def test_the_demo_ends_in_a_live_shell_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    with Terminal("shell.main", "demo") as demo:
        demo.see("Now it is your turn")
        demo.see("^you> ?$")
        demo.enter("msg bob hello")
        demo.see("bob: Hello! Your words came straight to me over UDP")
        demo.see("^you> ?$")
        demo.enter("quit")
        assert demo.ended() == 0
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("columns", [60, 80, 200])
def test_the_shell_fits_the_window(server: Server, tmp_path: Path, columns: int) -> None:
    with shell(server.address, tmp_path / "alice", columns=columns) as alice:
        sign_up(alice, "alice")
        alice.enter("whois alice")
        alice.see("you and they")
        assert max(map(len, alice.text.splitlines())) <= columns
        alice.enter("help")
        alice.see("Consent and keys")


def test_pasted_colours_are_no_mouse(alice: Terminal) -> None:
    alice.type("passw\x1b[31m\x1b[<1md\x1b[0m\r")  # as a terminal pastes that does not say that it does
    alice.see("Old password:")
    alice.type("any\x1b[31mthing\x03")
    alice.see("Cancelled")
    assert "exception" not in alice.text.casefold()
