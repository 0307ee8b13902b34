"""A key goes to another machine: whoever pinned it sees the same person."""

import json
import stat
from pathlib import Path

from tests.e2e.world import Server, parley
from tests.faults.test_kill import leave, start, stored

PASSPHRASE = "seven wooden boats"


def test_a_new_machine_with_the_backup_is_still_you(befriended: Server, tmp_path: Path) -> None:
    old = ("--server", befriended.address, "--data", str(tmp_path / "alice"), "--user", "alice")
    new = ("--server", befriended.address, "--data", str(tmp_path / "new"))
    bob = start(befriended, tmp_path / "bob", "bob")
    file = tmp_path / "alice.keys"
    commands = ("wait status bob online --timeout 30", "msg bob from the old machine", "verify bob --confirm")
    words = [word for command in (*commands, f"keys export {file}") for word in ("-c", command)]
    made = parley(*old, *words, PARLEY_PASSPHRASE=PASSPHRASE)
    assert made.returncode == 0, made.stderr
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    wrong = parley(*new, "-c", f"keys import {file}", PARLEY_PASSPHRASE="not that passphrase")
    assert wrong.returncode == 1
    assert "The passphrase is not right" in wrong.stderr
    assert wrong.stderr.count("\n") == 1
    # The phone book's pin comes along, so nothing is trusted anew; and Bob is verified as before.
    later = (f"keys import {file}", "login alice", "msg bob from the new machine", "contacts")
    words = [word for command in later for word in ("-c", command)]
    entered = parley(*new, "--json", *words, PARLEY_PASSPHRASE=PASSPHRASE)
    assert entered.returncode == 0, entered.stderr
    _, login, sent, contact = map(json.loads, entered.stdout.splitlines())
    assert login["newly_pinned"] is None
    assert sent["state"] == "delivered"
    assert contact["key"] == "verified"
    leave(bob)
    texts = [text for text, _ in stored(tmp_path / "bob", outgoing=False)]
    assert texts == ["from the old machine", "from the new machine"]
    secrets = [path for path in (tmp_path / "new").rglob("*") if path.is_file()]
    assert {stat.S_IMODE(path.stat().st_mode) for path in secrets} == {0o600}
