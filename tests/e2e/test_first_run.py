"""The first run: a phone book is found, or hosted, and an account made, with no file to edit."""

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from shell.datafolder import DataFolder, Joined
from tests.e2e.world import PASSWORD, PATIENCE, Server, Terminal, environment, parley, shell

SETTINGS = '[shell]\ndiscover = "{}"\n[server]\nargon2_memory_kib = 8192\n'


@pytest.fixture
def settings(tmp_path: Path) -> Path:
    """Settings that keep multicast on loopback."""
    file = tmp_path / "settings.toml"
    file.write_text(SETTINGS.format("127.0.0.1"))
    return file


@pytest.fixture
def announced(tmp_path: Path) -> Iterator[Server]:
    with Server(tmp_path / "server", announce=True) as running:
        yield running


def first_shell(tmp_path: Path, settings: Path, name: str, *options: str, columns: int = 110) -> Terminal:
    begin = ("--settings", str(settings), "--data", str(tmp_path / name))
    return Terminal("shell.main", *begin, *options, columns=columns)


def make_account(terminal: Terminal, name: str) -> None:
    terminal.see(r"Your name there: ?$")
    terminal.enter(name)
    terminal.see(rf"Make a new account {name}\? .*\[Y/n\] ?$")
    terminal.enter("")
    terminal.see("^Password: ?$")
    terminal.enter(PASSWORD)
    terminal.see("^Again: ?$")
    terminal.enter(PASSWORD)
    terminal.see(f"^{name}> ?$")


def test_a_phone_book_is_found_joined_and_remembered(
    tmp_path: Path, settings: Path, announced: Server
) -> None:
    until_announced(announced)
    with first_shell(tmp_path, settings, "alice") as alice:
        number = alice.see(rf"^ +(\d+)  Parley at .*\({re.escape(announced.address)}\)$")[1]
        alice.see(r"Which\? .*\[1\] ?$")
        alice.enter(number)
        make_account(alice, "alice")
        alice.enter("quit")
        assert alice.ended() == 0
    with first_shell(tmp_path, settings, "alice") as again:
        again.see(rf"^Logging in as alice at {re.escape(announced.address)}\.\n\n?Password: ?$")
        again.enter(PASSWORD)
        again.see(f"You are logged in as alice at {re.escape(announced.address)}")


def test_one_hosts_and_another_joins(tmp_path: Path, settings: Path) -> None:
    settings.write_text(SETTINGS.format("off"))
    with first_shell(tmp_path, settings, "alice", "--host", "--listen", "127.0.0.1:0") as alice:
        address = alice.see(r"parley --server (127\.0\.0\.1:\d+)$")[1]
        make_account(alice, "alice")
        with first_shell(tmp_path, settings, "bob") as bob:
            bob.see("Your settings say not to look")
            bob.see(r"Which\? .* ?$")
            bob.enter(address)
            make_account(bob, "bob")
            bob.enter("msg alice found you")
            alice.see("bob wants to talk to you")
        alice.enter("quit")
        assert alice.ended() == 0
    # Whoever hosted once hosts again.
    with first_shell(tmp_path, settings, "alice", "--listen", "127.0.0.1:0") as again:
        again.see("You host a phone book")


def test_whoever_joins_is_asked_until_the_account_is_there(
    server: Server, tmp_path: Path, settings: Path
) -> None:
    settings.write_text(SETTINGS.format("off"))
    with first_shell(tmp_path, settings, "alice") as alice:
        alice.see(r"Which\? .* ?$")
        alice.enter("127.0.0.1:1")  # where no phone book answers, nobody stays
        alice.see("No phone book answers at 127.0.0.1:1")
        alice.see("^parley> ?$")
        alice.see(r"^ not logged in \| phone book 127\.0\.0\.1:6969$")
        alice.enter(f"join {server.address}")
        alice.see("^Your name there: ?$")
        alice.enter("al@ce")
        alice.see(r"^Make a new account al@ce\? .*\[Y/n\] ?$")
        alice.enter("")
        alice.see(r"COMMERCIAL AT\) is none\.\nYour name there: ?$")
        alice.enter("alice")
        alice.see(r"^Make a new account alice\? .*\[Y/n\] ?$")
        alice.enter("n")
        for again in "Password", "Password", "Your name there":
            alice.see("^Password: ?$")
            alice.enter(f"before {again}")
            alice.see(rf"The name or the password is not right\.\n{again}: ?$")
        make_account(alice, "alice")
        alice.see(f"You are logged in as alice at {re.escape(server.address)}")


def test_whoever_needs_an_invitation_is_asked_for_it_and_keeps_the_password(
    server: Server, tmp_path: Path
) -> None:
    operator = [sys.executable, "-m", "server.main", "console", "--data", str(server.folder)]
    asked = [*operator, "-c", "registration invite", "-c", "invite"]
    made = subprocess.run(
        asked, capture_output=True, text=True, check=True, timeout=PATIENCE, env=environment()
    )
    code = re.findall(r"(?:\w{4}-){3}\w{4}", made.stdout)[0]
    with shell(server.address, tmp_path / "carol") as carol:
        carol.see("^parley> ?$")
        carol.enter("signup carol")
        for question in "Password", "Again":
            carol.see(f"^{question}: ?$")
            carol.enter(PASSWORD)
        carol.see(r"by invitation.*\n?.*\nInvitation: ?$")
        carol.enter("0000-1111-2222-3333")
        carol.see(r"That invite is not good.*\nInvitation: ?$")
        carol.enter(code)
        carol.see("You are logged in as carol")


def test_a_script_joins_and_later_commands_go_there(server: Server, tmp_path: Path) -> None:
    data = "--data", str(tmp_path / "alice")
    joined = parley(*data, "-c", f"join {server.address}")
    assert joined.returncode == 0, joined.stderr
    assert f"{server.address} is the phone book" in joined.stdout
    signed = parley(*data, "-c", "signup alice")
    assert f"at {server.address}" in signed.stdout
    which = parley(*data, "-c", "join")
    assert which.returncode == 2
    assert "join HOST[:PORT]" in which.stderr


def test_hosting_that_cannot_start_is_one_line(tmp_path: Path, server: Server) -> None:
    data = "--data", str(tmp_path / "alice")
    ended = parley(*data, "--host", "--no-announce", "--listen", server.address, "-c", "status")
    assert ended.returncode == 1
    assert ended.stderr.count("\n") == 1
    assert server.address.partition(":")[2] in ended.stderr


def until_announced(server: Server) -> None:
    """Announcing begins with questions whether the name is free, which take a second."""
    assert server.process.stderr is not None
    for line in server.process.stderr:
        assert "not_announced" not in line, line
        if "event=announced" in line:
            return
    raise AssertionError("the server ended")


def test_what_runs_at_start_says_nothing_and_is_taken_as_written(server: Server, tmp_path: Path) -> None:
    settings = tmp_path / "start.toml"
    settings.write_text('[shell]\nstart = ["group lab1 bob carol", "msg bob I am up"]\n')
    alice = "--server", server.address, "--data", str(tmp_path / "alice")
    parley("--server", server.address, "--data", str(tmp_path / "bob"), "-c", "signup bob")
    parley(*alice, "-c", "signup alice")
    first = "--user", "alice", "--settings", str(settings)
    told = parley(*alice, *first, "-c", "history bob", "-c", "group")
    assert told.stdout.splitlines()[0].endswith("alice to bob: I am up  (queued)")
    assert "lab1    bob, carol" in told.stdout


def test_whoever_joined_last_is_not_needed_for_everything(server: Server, tmp_path: Path) -> None:
    data = "--data", str(tmp_path / "alice")
    folder = DataFolder(tmp_path / "alice")
    parley(*data, "--server", server.address, "-c", "signup alice")
    folder.join(Joined(server.address, "alice"))
    assert "name" in parley(*data, "-c", "list").stdout
    listed = parley(*data, "-c", "group", password=None)
    assert (listed.returncode, listed.stderr) == (0, "")
    refused = parley(*data, "-c", "list", password=None)
    assert "not logged in" in refused.stderr


def test_a_narrow_window_breaks_no_word(tmp_path: Path, settings: Path) -> None:
    hosting = ("--host", "--listen", "127.0.0.1:0", "--no-announce")
    with first_shell(tmp_path, settings, "alice", *hosting, columns=40) as alice:
        alice.see("^Your name there: ?$")
        assert "You host a phone book, as long as this\n    shell runs.\n" in alice.text
        assert "`help` lists everything,\n`quit` leaves" in alice.text
        alice.enter("alice")
        alice.see(r"^Make a new account alice\? \(n where you\nhave it already\) \[Y/n\] ?$")
        alice.enter("y")
        alice.see("^Password: ?$")
