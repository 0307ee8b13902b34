"""The phone book is down: who has data on this machine gets in, reaches contacts, and catches up later."""

import json
import subprocess
import sys
from pathlib import Path

from tests.e2e.world import PASSWORD, Server, environment, parley, until
from tests.faults.test_kill import leave, start, stored, type_into


def arrived(folder: Path) -> list[str]:
    return [text for text, _ in stored(folder, outgoing=False)]


def test_contacts_talk_while_the_phone_book_is_down_and_catch_up_when_it_is_back(
    befriended: Server, tmp_path: Path
) -> None:
    bob = start(befriended, tmp_path / "bob", "bob")
    place = ("--server", befriended.address, "--data", str(tmp_path / "alice"), "--user", "alice")
    common = (*place, "--json")
    ready = parley(*common, "-c", "wait status bob online --timeout 30", "-c", "msg bob one", "-c", "list")
    assert ready.returncode == 0, ready.stderr
    befriended.kill()
    commands = ("history bob", "msg bob two", "list", "contacts")
    asked = parley(*common, *(word for command in commands for word in ("-c", command)))
    assert asked.returncode == 0, asked.stderr
    before, delivered, *people, contact = map(json.loads, asked.stdout.splitlines())
    assert before["text"] == "one"
    assert delivered["state"] == "delivered"
    assert {person["name"] for person in people} == {"alice", "bob"}
    assert all(person["as_of"] <= before["written"] + 60 for person in people)
    assert (contact["name"], contact["status"]) == ("bob", "online")
    until(lambda: arrived(tmp_path / "bob") == ["one", "two"], "a message past the phone book")
    alice = start(befriended, tmp_path / "alice", "alice")
    type_into(alice, "msg bob three", "list")
    until(lambda: arrived(tmp_path / "bob")[2:] == ["three"], "a message of a shell that has just started")
    type_into(bob, "msg alice four")
    until(lambda: arrived(tmp_path / "alice") == ["four"], "an answer")
    with befriended.restarted():
        type_into(alice, "wait connection --timeout 30", "msg bob five", "list")
        until(lambda: arrived(tmp_path / "bob")[3:] == ["five"], "the last message")
        output, _ = alice.communicate("quit\n", timeout=30)
        leave(bob)
    assert "on this machine only" in output
    assert "The phone book is back." in output
    assert output.count("as of") == 1
    assert PASSWORD not in "".join(path.read_text() for path in tmp_path.rglob("*.toml"))


def test_without_data_here_there_is_no_way_in_and_a_wrong_password_ends_when_the_phone_book_is_back(
    server: Server, tmp_path: Path
) -> None:
    place = ("--server", server.address, "--data", str(tmp_path / "alice"))
    assert parley(*place, "-c", "signup alice").returncode == 0
    server.kill()
    refused = parley(*place, "-c", "login carol")
    assert refused.returncode == 3, refused.stdout
    assert "No phone book answers" in refused.stderr
    alice = subprocess.Popen(
        [sys.executable, "-m", "shell.main", *place, "--user", "alice"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=environment(PARLEY_PASSWORD="not the password"),
    )
    assert alice.stdout is not None
    shown = ""
    while "on this machine only" not in shown:
        line = alice.stdout.readline()
        assert line, f"not let in: {shown}"
        shown += line
    with server.restarted():
        output, _ = alice.communicate("wait end --timeout 30\nlist\nquit\n", timeout=60)
    assert "The name or the password is not right." in output
    assert "You are not logged in" in output
