"""Hooks of a real shell, set in its settings and at the prompt."""

import json
import sys
from pathlib import Path

from tests.e2e.world import Server, parley, shell, sign_up, until

KEEP = "import json, sys; open(sys.argv[1], 'a').write(json.dumps(sys.argv[2:]) + chr(10))"


def test_a_hook_runs_for_each_message_and_one_that_fails_is_named(server: Server, tmp_path: Path) -> None:
    seen = tmp_path / "seen"
    bob = "--server", server.address, "--data", str(tmp_path / "bob")
    parley(*bob, "-c", "signup bob")
    with shell(server.address, tmp_path / "alice", columns=160) as alice:
        sign_up(alice, "alice")
        alice.enter("on request run no-such-program")
        alice.see("There is no program 'no-such-program' here")
        alice.enter(f'on message run {sys.executable} -c "{KEEP}" {seen} {{name}} -- {{text}}')
        alice.see("^Hook 1: on message run ")
        alice.enter("on message bob --containing secret run false")
        alice.see("^Hook 2: on message bob --containing 'secret' run false")
        alice.enter("msg bob write to me")
        parley(*bob, "--user", "bob", "-c", "wait request --timeout 20", "-c", "accept alice",
               "-c", "msg alice $(id) is 'secret'", "-c", "msg alice two")  # fmt: skip
        until(lambda: seen.exists() and seen.read_text().count("\n") == 2, "two runs")
        alice.see(r"Hook 2 \(on message bob --containing 'secret' run false\) failed: exit code 1")
        alice.enter("off 1")
        alice.see("Hook 1 is gone")
    lines = [json.loads(line) for line in seen.read_text().splitlines()]
    assert lines == [["bob", "--", "$(id) is 'secret'"], ["bob", "--", "two"]]


def test_a_script_with_hooks_waits_for_them_and_tells_what_failed(server: Server, tmp_path: Path) -> None:
    settings = tmp_path / "settings.toml"
    settings.write_text("[shell]\nstart = ['on status run false']\n")
    common = "--server", server.address, "--data", str(tmp_path / "alice")
    parley(*common, "-c", "signup alice")
    watched = parley(
        *common, "--settings", str(settings), "--user", "alice", "--json",
        "-c", "wait status alice online", "-c", "on", "-c", "wait mesage --timeout 1",
    )  # fmt: skip
    assert json.loads(watched.stdout.splitlines()[1]) == {"number": 1, "on": "status", "run": ["false"]}
    assert watched.returncode == 2
    error = json.loads(watched.stderr.splitlines()[-1])
    assert "invalid choice: 'mesage'" in error["message"]
