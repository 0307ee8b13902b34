"""A conversation on the screen: marks that change in place, pastes kept whole, one key to switch."""

import io
import re
from pathlib import Path

from tests.e2e.world import PASSWORD, Server, Terminal, befriend, parley, shell, sign_up

ALT_ENTER, UP, ALT_1, ALT_A = "\x1b\r", "\x1b[A", "\x1b1", "\x1ba"
BELL = r"(?<!Parley: alice)(?<!hello)(?<!here)(?<!talk to you;)\x07"  # at the end of no sequence
PASTE = "\x1b[200~{}\x1b[201~"


def test_messages_call_whoever_is_not_busy(server: Server, tmp_path: Path) -> None:
    settings = tmp_path / "settings.toml"
    settings.write_text('[shell]\nnotify = "osc777"\nnotify_preview = true\n')
    bob = ("--server", server.address, "--data", str(tmp_path / "bob"), "--user", "bob", "-c")
    with shell(server.address, tmp_path / "alice", "--settings", str(settings)) as alice:
        written = alice.child.logfile_read = io.StringIO()
        sign_up(alice, "alice")
        assert "\x1b]2;Parley: alice\x07" in written.getvalue()
        befriend(server, alice, tmp_path / "bob")
        # The first of a burst calls, and is told before the rest.
        assert "\x1b]777;notify;bob wants to talk to you;\x07" in written.getvalue()
        assert re.search(BELL, written.getvalue())
        assert parley(*bob, "msg alice look here").returncode == 0
        alice.see("bob: look here")
        assert "\x1b]2;(2) Parley: alice\x07" in written.getvalue()
        alice.enter("visibility busy")
        alice.see("Your visibility is busy")
        before = len(written.getvalue())
        assert parley(*bob, "msg alice not now").returncode == 0
        alice.see("bob: not now")
        assert not re.search(BELL, written.getvalue()[before:])
        alice.enter("visibility online")
        alice.see(r"While you were away, since \d\d:\d\d: bob \(1\)\. See inbox\.")


def test_what_was_shown_at_the_prompt_is_seen_by_whoever_types_on(server: Server, tmp_path: Path) -> None:
    bob = ("--server", server.address, "--data", str(tmp_path / "bob"), "--user", "bob", "-c")
    mine = ("--server", server.address, "--data", str(tmp_path / "alice"), "--user", "alice", "-c")
    with shell(server.address, tmp_path / "alice") as alice:
        sign_up(alice, "alice")
        befriend(server, alice, tmp_path / "bob")
        alice.see("Alt-1 bob 1 new")
        alice.type("visib")  # the line is not done, and Alt-A still knows whom to open
        assert parley(*bob, "msg alice are you there").returncode == 0
        alice.see("Alt-1 bob 2 new")
        alice.enter("ility")
        alice.see("Your visibility is online")
        alice.see(r"^ alice ● online \| 127\.0\.0\.1:\d+$")
        assert parley(*bob, "msg alice one more").returncode == 0
        alice.see("Alt-1 bob 1 new")
        alice.type("\x04")
        assert alice.ended() == 0
    assert re.search(r"unread +none", parley(*mine, "status").stdout)


def test_what_nobody_was_there_to_see_stays_new(server: Server, tmp_path: Path) -> None:
    settings = tmp_path / "settings.toml"
    settings.write_text("[shell]\naway_after = 0.001\n")
    mine = ("--server", server.address, "--data", str(tmp_path / "alice"), "--user", "alice", "-c")
    with shell(server.address, tmp_path / "alice", "--settings", str(settings)) as alice:
        sign_up(alice, "alice")
        befriend(server, alice, tmp_path / "bob")
        alice.enter("visibility")
        alice.see("While you were away")
        alice.see("Your visibility is online")
        alice.see("Alt-1 bob 1 new")
        alice.enter("quit")
        assert alice.ended() == 0
    assert re.search(r"unread +bob \(1\)", parley(*mine, "status").stdout)


def log_in(terminal: Terminal, name: str) -> None:
    terminal.see("^parley> ?$")
    terminal.enter(f"login {name}")
    terminal.see("^Password: ?$")
    terminal.enter(PASSWORD)
    terminal.see(f"^{name}> ?$")


def test_a_conversation(server: Server, tmp_path: Path) -> None:
    with shell(server.address, tmp_path / "alice", columns=80) as alice:
        sign_up(alice, "alice")
        befriend(server, alice, tmp_path / "bob")
        befriend(server, alice, tmp_path / "carol")
        # Alt-1 opens the first conversation; whoever is offline is said to be.
        alice.type(ALT_1)
        alice.see("^alice → bob> ?$")
        alice.see("bob is offline; what you write waits here and goes out when bob appears")
        alice.see("offline, what you write waits")
        alice.enter("are you there?")
        alice.see(r"alice: are you there\?  … queued$")
        # Lines and pastes stay together.
        alice.type("first line" + ALT_ENTER)
        alice.see("> first line\n +> ?$")
        alice.enter(PASTE.format("second line\r\nthird"))
        alice.see(r"alice: first line\n +second line\n +third  … queued")
        with shell(server.address, tmp_path / "bob") as bob:
            log_in(bob, "bob")
            bob.see("alice: first line\n    second line\n    third")
            # The marks change where they stand: nothing is said twice.
            alice.see(r"alice: are you there\?  ✓ delivered$")
            alice.see(r"second line\n +third  ✓ delivered$")
            assert "queued" not in alice.text
            assert alice.text.count("are you there?") == 1
            bob.enter("chat alice")
            bob.see("^bob → alice> ?$")
            bob.enter("here I am")
            alice.see(r"^\d\d:\d\d bob: here I am$")
            # The arrow goes through what was written to this person, first through the lines of the last.
            alice.type(UP * 4)
            alice.see("> are you there\\?$")
            # Another conversation by one key; what was not sent waits.
            parley(
                "--server", server.address, "--data", str(tmp_path / "carol"), "--user", "carol",
                "-c", "msg alice one more thing",
            )  # fmt: skip
            alice.see("Alt-2 carol 1 new")
            alice.type(ALT_A)
            alice.see("^alice → carol> ?$")
            alice.type(ALT_1)
            alice.see("^alice → bob> are you there\\?$")
            alice.type("\x15/whois bob\r")
            alice.see("you and they")
            alice.enter("/end")
            alice.see("The chat with bob is over")
            alice.see("^alice> ?$")
        alice.enter("inbox")
        alice.see(r"Alt-1 +bob .* here I am")
    # The words of messages rest in the mailbox alone.
    typed = (tmp_path / "alice" / "typed-commands.dat").read_bytes()
    assert not re.search(rb"are you there|first line", typed)
