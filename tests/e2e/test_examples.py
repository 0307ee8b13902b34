"""The examples do what they say, as processes, against a real phone book."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from tests.e2e.world import PASSWORD, PATIENCE, Server, environment, parley, until

EXAMPLES = Path(__file__).parents[2] / "examples"


@contextmanager
def running(*arguments: str) -> Iterator["subprocess.Popen[str]"]:
    """A Python program, killed at the end if it still runs."""
    program = subprocess.Popen(
        [sys.executable, *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment(PARLEY_PASSWORD=PASSWORD, PYTHONPATH=str(EXAMPLES.parent)),
    )
    try:
        yield program
    finally:
        program.kill()
        program.wait()
        for stream in (program.stdin, program.stdout, program.stderr):
            if stream is not None:
                stream.close()


def example(name: str, *arguments: str) -> AbstractContextManager["subprocess.Popen[str]"]:
    """One of the examples."""
    return running(str(EXAMPLES / name), *arguments)


def sign_up(server: Server, folder: Path, name: str) -> tuple[str, ...]:
    common = "--server", server.address, "--data", str(folder / name)
    parley(*common, "-c", f"signup {name}")
    return *common, "--user", name


def test_the_echo_bot_answers_and_is_fifteen_lines(server: Server, tmp_path: Path) -> None:
    alice = sign_up(server, tmp_path, "alice")
    with example("echo.py", server.address, "echo", str(tmp_path / "echo")):
        until(lambda: "echo" in parley(*alice, "-c", "list --status online").stdout, "the bot")
        told = parley(*alice, stdin="msg echo hear me\nwait message echo --timeout 20s\n")
        assert told.stdout.splitlines()[-1] == "echo: hear me", told
    code = [line for line in (EXAMPLES / "echo.py").read_text().splitlines() if line.strip()]
    assert len(code) <= 15 + 1  # and a line that says what it is


def test_the_notifier_tells_of_a_failed_job_and_keeps_its_exit_code(server: Server, tmp_path: Path) -> None:
    alice = sign_up(server, tmp_path, "alice")
    job = "import sys; print('compiling'); sys.exit(3)"
    options = "--server", server.address, "--user", "ci", "--data", str(tmp_path / "ci"), "--to", "alice"
    with example("ci_notify.py", *options, "--", sys.executable, "-c", job) as notifier:
        output, errors = notifier.communicate(timeout=PATIENCE)
    assert notifier.returncode == 3, errors
    assert output == "compiling\n"
    assert "alice: queued" in errors
    with example("ci_notify.py", *options[:-1], "nobody", "--", "true") as notifier:
        assert "Nobody was told: There is no account nobody." in notifier.communicate(timeout=PATIENCE)[1]
    assert notifier.returncode == 0
    # To write to somebody is to accept them; a pipe goes on where a message is only queued.
    with running("-m", "shell.main", *alice) as heard:
        assert heard.stdin is not None
        heard.stdin.write("msg ci tell me\nwait message ci --containing FAILED --timeout 25s\n")
        heard.stdin.flush()
        bob = sign_up(server, tmp_path, "bob")
        until(lambda: "alice" in parley(*bob, "-c", "list --status online").stdout, "alice")
        with example("ci_notify.py", *options, "--", "true") as notifier:
            assert "alice: delivered" in notifier.communicate(timeout=PATIENCE)[1]
        said, _ = heard.communicate("quit\n", timeout=PATIENCE)
    assert "FAILED (3) in" in said
    assert "compiling" in said


def test_the_bridge_carries_lines_both_ways(server: Server, tmp_path: Path) -> None:
    alice = sign_up(server, tmp_path, "alice")
    with example("stdin_bridge.py", server.address, "watcher", "alice", str(tmp_path / "watcher")) as bridge:
        until(lambda: "watcher" in parley(*alice, "-c", "list --status online").stdout, "the bridge")
        parley(*alice, "-c", "msg watcher what is \x1b[2J up")
        assert bridge.stdin is not None
        assert bridge.stdout is not None
        assert bridge.stdout.readline() == "what is ␛[2J up\n"
        bridge.stdin.write("disk full\n")
        bridge.stdin.flush()
        heard = parley(*alice, "-c", "wait message watcher --timeout 20s")
        assert heard.stdout == "watcher: disk full\n", heard
        bridge.stdin.close()
        assert bridge.wait(PATIENCE) == 0
