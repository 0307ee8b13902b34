"""A question from a script waits for a person's answer and ends with its exit code."""

import asyncio
import subprocess
import sys
from pathlib import Path

import pytest

from shell.api import LineError, enter
from tests.e2e.world import PASSWORD, PATIENCE, Server, environment, parley, shell, sign_up


@pytest.mark.parametrize(("answer", "code"), [("yes", 0), ("NO", 7)])
def test_ask_ends_with_the_answer(server: Server, tmp_path: Path, answer: str, code: int) -> None:
    def options(name: str) -> tuple[str, ...]:
        return "--server", server.address, "--data", str(tmp_path / name)

    for name in ("alice", "bob"):
        parley(*options(name), "-c", f"signup {name}")
    parley(*options("bob"), "--user", "bob", "-c", "accept alice")
    bob = subprocess.Popen(
        [sys.executable, "-m", "shell.main", *options("bob"), "--user", "bob"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=environment(PARLEY_PASSWORD=PASSWORD),
    )
    assert bob.stdin is not None
    bob.stdin.write(f"wait message --timeout 30\nanswer alice {answer}\n")
    bob.stdin.flush()
    asked = parley(
        *options("alice"), "--user", "alice",
        "-c", "wait status bob online --timeout 30",
        "-c", 'ask bob "reboot db1?" --choices yes,no --timeout 20s',
    )  # fmt: skip
    said, _ = bob.communicate("quit\n", timeout=PATIENCE)
    assert asked.returncode == code, (asked.stdout, asked.stderr, said)
    assert asked.stdout.splitlines()[-1].casefold() == answer.casefold()
    assert "alice: reboot db1?" in said


def test_nobody_asks_or_writes_to_themselves(server: Server, tmp_path: Path) -> None:
    """What nobody takes would wait on this disk for ever, and `wait delivered` with it."""

    async def write() -> None:
        data = tmp_path / "alice"
        async with enter("alice", PASSWORD, server=server.address, data=data, signup=True) as me:
            with pytest.raises(LineError, match="That is you"):
                await me.send("Alice", "hello")

    asyncio.run(write())
    ended = parley(
        *("--server", server.address, "--data", str(tmp_path / "alice"), "--user", "alice"),
        *("-c", "group lab1 alice", "-c", "wait delivered --timeout 10s", "-c", "roll lab1 present?"),
    )
    assert ended.stdout.splitlines() == ["The group lab1 is alice.", "Everything is delivered."]
    assert (ended.stderr, ended.returncode) == ("That is you; name others.\n", 1)


def test_what_was_said_is_not_forgotten_unasked(server: Server, tmp_path: Path) -> None:
    options = "--server", server.address, "--data", str(tmp_path / "alice")
    for name in ("bob", "alice"):
        parley(*options, "-c", f"signup {name}")
    ended = parley(*options, "--user", "alice", "-c", "msg bob hi", stdin="")
    assert ended.returncode == 6, ended.stderr
    ended = parley(*options, "--user", "alice", "-c", "forget bob")
    assert ended.stderr == "There is no terminal to ask; to forget all the same: --yes.\n"


def test_a_roll_call_shows_who_is_where_while_it_waits(server: Server, tmp_path: Path) -> None:
    with shell(server.address, tmp_path / "alice") as alice, shell(server.address, tmp_path / "bob") as bob:
        sign_up(alice, "alice")
        sign_up(bob, "bob")
        parley("--server", server.address, "--data", str(tmp_path / "carol"), "-c", "signup carol")
        bob.enter("msg alice hello")
        alice.see("bob wants to talk to you")
        alice.enter("accept bob")
        alice.see("bob may write to you now")
        alice.enter("group lab1 alice bob carol")
        alice.see("The group lab1 is alice, bob, carol")
        alice.type("roll la\t")
        alice.see("^alice> roll lab1 ?$")
        alice.type('"present?" --wait 25s\r')
        alice.see("^bob +delivered")
        alice.see("^carol +unreachable")
        bob.see("alice asks: present\\?")
        bob.enter("answer alice here")
        alice.see("^bob +answered +here")
        alice.type("\x03")
        alice.see("^alice> ?$")
        alice.see("^bob +answered +here")
        # What a command has shown is not told again, neither here nor there.
        alice.enter('ask bob "and well?" --choices fine,bad')
        bob.see("alice asks: and well\\?")
        bob.enter("answer alice FINE")
        alice.see("^fine$")
        alice.enter("visibility")
        alice.see("Your visibility is online")
        alice.see(r"^ alice ● online \| 1 queued \| 127")
        assert "answers: " not in alice.text
