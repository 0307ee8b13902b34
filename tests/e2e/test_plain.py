"""A screen reader's terminal: nothing but text, one event a line, a backspace at most."""

import io
import re
from pathlib import Path

from tests.e2e.world import Server, befriend, parley, shell, sign_up


def test_plain_text_is_only_added(server: Server, tmp_path: Path) -> None:
    with shell(server.address, tmp_path / "alice", "--plain", columns=80) as alice:
        written = alice.child.logfile_read = io.StringIO()
        sign_up(alice, "alice")
        befriend(server, alice, tmp_path / "bob")
        # A backspace takes back what was typed; Tab names what there is.
        alice.type("visix\x7f\t")
        alice.see("^alice> visibility ?$")
        alice.type("b\t")
        alice.see("^alice> visibility busy ?$")
        alice.enter("")
        alice.see("Your visibility is busy")
        # What arrives has a line of its own, and what was typed stands again behind the prompt.
        alice.type("msg bob half a sen")
        alice.see("half a sen$")
        bob = ("--server", server.address, "--data", str(tmp_path / "bob"), "--user", "bob")
        assert parley(*bob, "-c", "msg alice one event").returncode == 0
        alice.see(r"half a sen\n\d\d:\d\d bob: one event\n(bob is .*\n)?alice> msg bob half a sen$")
        alice.enter("tence")
        alice.see("^alice> msg bob half a sentence$")
        # A table is a line for each row.
        alice.enter("inbox")
        alice.see("^key Alt-1; name bob; status offline; last .*; words half a sentence$")
        # In a chat what arrives is seen with the next key, and no sooner.
        alice.enter("chat bob")
        alice.see("^alice -> bob> ?$")
        assert parley(*bob, "-c", "msg alice in the chat").returncode == 0
        alice.see("bob: in the chat")
        alice.enter("/status")
        alice.see("unread: none")
        alice.enter("/end")
        alice.enter("help")
        alice.see("^Scripts$")
        alice.enter("quit")
        assert alice.ended() == 0
    text = re.sub("\b \b|\a", "", written.getvalue())
    assert not set(re.findall(r"[^\x20-\x7e\r\n]", text))


def test_what_is_pasted_is_shown_and_not_obeyed(server: Server, tmp_path: Path) -> None:
    pasted = "\x1b[200~\x1b[31mred\x1b]0;t\x07 \x9b2Jend\x1b[201~"
    bob = ("--server", server.address, "--data", str(tmp_path / "bob"))
    assert parley(*bob, "-c", "signup bob").returncode == 0
    for name, options in ("alice", ()), ("carol", ("--plain",)):
        with shell(server.address, tmp_path / name, *options) as terminal:
            written = terminal.child.logfile_read = io.StringIO()
            sign_up(terminal, name)
            terminal.type(f"msg bob {pasted}")
            terminal.see("2Jend$")
            terminal.type("\x7f" * 4)
            terminal.see(f"^{name}> msg bob .*2$")
            assert not re.search("\x1b\\[31m|\x1b\\]0;t|\x9b", written.getvalue())
            terminal.enter("")
            terminal.see("your message is queued")
            # All of it arrives, and nothing of it was taken for a key.
            terminal.enter("history bob")
            terminal.see(r"to bob: ␛\[31mred␛\]0;t␇ <U\+009B>2  \(queued\)$")
