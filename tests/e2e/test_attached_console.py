"""The admin console attached to a running phone book: real processes over the Unix socket."""

import contextlib
import os
import pwd
import re
import socket
import sqlite3
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from tests.e2e.world import PATIENCE, Server, Terminal, environment, parley

NOBODY = 65534  # a Unix user that is neither root nor the one who runs the tests


def console(folder: Path, *arguments: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
    """Runs `parley-server console` to its end."""
    return subprocess.run(
        [sys.executable, "-m", "server.main", "console", "--data", str(folder), *arguments],
        input=stdin,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
        env=environment(),
    )


def sign_up(server: Server, name: str) -> None:
    folder = server.folder.parent / name
    ended = parley("--server", server.address, "--data", str(folder), "-c", f"signup {name}")
    assert ended.returncode == 0, ended.stderr


@contextlib.contextmanager
def attached(folder: Path) -> Iterator[Terminal]:
    with Terminal("server.main", "console", "--data", str(folder)) as terminal:
        terminal.see("^server> ?$")
        yield terminal


@pytest.mark.parametrize("form", [[], ["--json"]])
@pytest.mark.parametrize("command", ["stats", "watch", "stats --live --every 0.1s"])
def test_a_reader_that_stops_reading_is_no_error_and_ends_what_goes_on(
    server: Server, command: str, form: list[str]
) -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "server.main", "console", "--data", str(server.folder), *form, "-c", command],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment(PYTHONUNBUFFERED=""),
    ) as writing:
        assert writing.stdout is not None
        assert writing.stderr is not None
        writing.stdout.close()  # nothing happens after that which it could notice by writing
        assert (writing.stderr.read(), writing.wait(PATIENCE)) == (b"", 0)


def test_one_shots_json_pipes_and_exit_codes(server: Server, tmp_path: Path) -> None:
    sign_up(server, "alice")
    listed = console(server.folder, "--json", "-c", "accounts")
    assert listed.returncode == 0, listed.stderr
    (account,) = map(msgspec.json.decode, listed.stdout.splitlines())
    assert (account["name"], account["online"]) == ("alice", False)
    piped = console(server.folder, stdin="clients\ninspect alice\n")
    assert "Nobody is logged in." in piped.stdout
    assert "alice" in piped.stdout
    missing = console(server.folder, "--json", "-c", "inspect bob", "-c", "stats")
    assert (missing.returncode, missing.stdout) == (1, "")
    assert msgspec.json.decode(missing.stderr)["error"] == "unknown-name"
    assert console(server.folder, "-c", "inspect").returncode == 2


def test_numbers_times_and_digests_that_mean_nothing_are_refused(server: Server) -> None:
    sign_up(server, "alice")
    refused = {
        "stats --live --count 0": "'0' is no number from 1 to",
        "watch --last 0": "'0' is no number from 1 to",
        "watch --count -2": "'-2' is no number from 1 to",
        "audit --last 0": "'0' is no number from 1 to",
        "undo 99999999999999999999": "is no number of an entry",
        "ban alice --for 0s": "'0s' is over at once",
        "passwd alice --for 0s": "'0s' is over at once",
        "invite --for 0h": "'0h' is over at once",
        "stats --live --every 0s": "'0s' is over at once",
        "drain --for 1x": "'1x' is no duration; write 90, 60s, 5m, 2h or 7d",
        "prune --idle-since 2100-01-01 --dry-run": "'2100-01-01' is still to come",
        "prune --idle-since tomorrow": "3d or 1w. Usage: ",
        "audit verify --digest 00": "A digest is 64 hexadecimal characters.",
        f"notice {'x' * 70_000}": "That is too long for the phone book; write less.",
    }
    ended = console(server.folder, stdin="".join(f"{line}\n" for line in (*refused, "clients")))
    assert ended.stdout == "Nobody is logged in.\n"
    for said, (line, wrong) in zip(ended.stderr.splitlines(), refused.items(), strict=True):
        assert wrong in said, (line[:80], said)


def test_no_phone_book_is_one_line(tmp_path: Path) -> None:
    ended = console(tmp_path / "none", "-c", "stats")
    assert (ended.returncode, ended.stderr.count("\n")) == (3, 1)
    assert "No phone book runs on" in ended.stderr


def test_transcripts_play_against_the_running_phone_book(server: Server, tmp_path: Path) -> None:
    sign_up(server, "alice")
    played = tmp_path / "morning.transcript"
    played.write_text(
        "server> clients\nNobody is logged in.\nserver> inspect bob\nThere is no account bob.\n"
    )
    ended = console(server.folder, "--transcript", str(played))
    assert (ended.returncode, ended.stdout) == (0, f"{played}: passed\n"), ended.stderr
    played.write_text("server> clients\nEverybody is here.\n")
    ended = console(server.folder, "--transcript", str(played))
    assert ended.returncode == 1
    assert "- Everybody is here.\n+ Nobody is logged in." in ended.stderr


def test_several_consoles_at_once_complete_names_and_follow_what_happens(server: Server) -> None:
    with attached(server.folder) as first, attached(server.folder) as second:
        first.enter("watch")
        first.see("as it happens")
        second.enter("stats --live --every 1s")
        second.see(r"accounts +0$")
        sign_up(server, "alice")
        first.see("login: alice")
        second.see(r"accounts +1$")
        second.type("\x03")
        second.see("^server> ?$")
        assert len(re.findall("figure$", second.text, re.MULTILINE)) == 1, second.text
        second.type("inspect al\t")
        second.see("^server> inspect alice ?$")
        second.type("\r")
        second.see("last seen")
        second.enter("quit")
        assert second.ended() == 0
        first.enter("shutdown for the night")
        assert first.ended() == 0
    assert server.process.wait(PATIENCE) == 0
    assert not (server.folder / "console.sock").exists()


def test_a_console_learns_that_the_phone_book_has_stopped(server: Server) -> None:
    with attached(server.folder) as terminal:
        server.kill()
        terminal.enter("stats")
        terminal.see("The phone book has stopped")
        terminal.enter("quit")
        assert terminal.ended() == 0
    with server.restarted() as again:
        assert console(again.folder, "-c", "stats").returncode == 0


def test_an_attached_console_ends_a_phone_book_whose_own_console_waits(tmp_path: Path) -> None:
    folder = tmp_path / "server"
    with Terminal("server.main", "--data", str(folder), "--listen", "127.0.0.1:0") as own:
        own.see("^server> ?$")
        assert console(folder, "-c", "shutdown").returncode == 0
        assert own.ended() == 0


def test_the_socket_is_for_its_owner_even_in_a_folder_with_a_long_name(tmp_path: Path) -> None:
    folder = tmp_path / ("a long name " * 9) / "server"
    folder.parent.mkdir()
    with Server(folder) as server:
        made = (server.folder / "console.sock").stat()
        assert stat.S_ISSOCK(made.st_mode)
        assert stat.S_IMODE(made.st_mode) == 0o600
        assert made.st_uid == os.geteuid()
        assert console(folder, "-c", "stats").returncode == 0


def test_a_console_that_does_not_read_costs_nobody_anything(server: Server) -> None:
    with socket.socket(socket.AF_UNIX) as silent:
        silent.connect(str(server.folder / "console.sock"))
        silent.sendall(b'{"line":"follow","on":true}\n')
        sign_up(server, "alice")
        silent.sendall(b"not a line of a console\n")
        heard = b""
        while data := silent.recv(65536):
            heard += data
    greeting, *_, last = heard.splitlines()
    assert msgspec.json.decode(greeting)["line"] == "greeting"
    assert msgspec.json.decode(last)["line"] == "denied"
    assert console(server.folder, "-c", "stats").returncode == 0


def test_kill_9_loses_no_ban_and_no_entry_and_tampering_is_found(server: Server) -> None:
    sign_up(server, "bob")
    banned = console(server.folder, "--json", "-c", "ban bob --for 2h it's late")
    assert banned.returncode == 0, banned.stderr
    assert msgspec.json.decode(banned.stdout)["number"] == 1
    server.kill()
    with server.restarted() as again:
        login = ("--server", again.address, "--data", str(again.folder.parent / "bob"))
        refused = parley(*login, "--json", "-c", "login bob")
        assert refused.returncode == 1
        said = msgspec.json.decode(refused.stderr)
        assert said["error"] == "banned"
        assert "it's late" in said["message"]
        assert console(again.folder, "-c", "audit verify").returncode == 0
        entry = msgspec.json.decode(console(again.folder, "--json", "-c", "audit").stdout)
        assert entry["author"] == pwd.getpwuid(os.geteuid()).pw_name
        assert abs(entry["when"] - time.time()) < PATIENCE
        assert console(again.folder, "-c", "undo 1").returncode == 0
        assert parley(*login, "-c", "login bob").returncode == 0
        with sqlite3.connect(again.folder / "accounts.db") as connection:
            connection.execute(
                "UPDATE journal SET content = replace(content, 'late', 'early') WHERE number = 1"
            )
        found = console(again.folder, "-c", "audit verify")
        assert (found.returncode, found.stdout) == (
            1,
            "The journal was tampered with: entry 1 is not as it was written. 0 entries before that hold.\n",
        )


def test_an_invite_and_a_reset_token_go_from_console_to_shell(server: Server, tmp_path: Path) -> None:
    assert console(server.folder, "-c", "registration invite").returncode == 0
    made = console(server.folder, "--json", "-c", "invite --for 1h")
    (code,) = msgspec.json.decode(made.stdout)["codes"]
    alice = ("--server", server.address, "--data", str(tmp_path / "alice"))
    missing = parley(*alice, "--json", "-c", "signup alice")
    assert (missing.returncode, msgspec.json.decode(missing.stderr)["error"]) == (1, "invite-needed")
    assert parley(*alice, "-c", f"signup alice --invite {code}").returncode == 0
    reset = console(server.folder, "--json", "-c", "passwd alice")
    (token,) = msgspec.json.decode(reset.stdout)["codes"]
    new = "an entirely new one"
    assert parley(*alice, "-c", f"login alice --reset {token}", password=new).returncode == 0
    assert parley(*alice, "-c", "login alice").returncode == 1
    assert parley(*alice, "-c", "login alice", password=new).returncode == 0
    _, log = server.terminate()
    assert code not in log
    assert token not in log


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_another_unix_user_is_refused_by_mode_and_by_credentials() -> None:
    script = f"""
import contextlib, os, socket, sys
os.setgroups([]); os.setgid({NOBODY}); os.setuid({NOBODY})
made = socket.socket(socket.AF_UNIX)
made.connect(sys.argv[1])
with contextlib.suppress(ConnectionError):  # it may be shown the door before it has asked
    made.sendall(b'{{"line":"call","number":1,"action":{{"action":"get-stats"}}}}\\n')
with contextlib.suppress(ConnectionError):
    while data := made.recv(65536):
        sys.stdout.write(data.decode())
"""
    # A folder of its own under /tmp: those of pytest let no other user pass.
    with tempfile.TemporaryDirectory() as outer, Server(Path(outer) / "server") as server:
        path = server.folder / "console.sock"

        def as_nobody() -> str:
            """What the phone book says to another user."""
            command = [sys.executable, "-c", script, str(path)]
            ended = subprocess.run(command, capture_output=True, text=True, check=False)
            return ended.stdout + ended.stderr

        assert "PermissionError" in as_nobody()
        # Let through by a careless chmod of folders and socket, the user is still told apart.
        for careless, mode in ((Path(outer), 0o755), (server.folder, 0o755), (path, 0o666)):
            careless.chmod(mode)
        (line,) = as_nobody().splitlines()
        denied = msgspec.json.decode(line)
        assert denied["line"] == "denied"
        assert "may not operate this phone book" in denied["message"]
        _, log = server.terminate()
        assert "event=console_refused" in log
