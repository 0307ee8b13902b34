"""A file between two real shells, kill -9 of either in the middle: `python -m tests.faults.interrupting`.

Arguments: MiB of the file (1024) and how often it is interrupted (3). The same in small is a test.
"""

import argparse
import hashlib
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.e2e.world import PASSWORD, Server, environment, parley

MIB = 2**20
PATIENCE = 600.0  # seconds without a byte after which it is given up; a gibibyte takes about a minute in all


class Shell:
    """A shell that is fed commands."""

    def __init__(
        self,
        server: Server,
        folder: Path,
        name: str,
        *commands: str,
        program: tuple[str, ...] = ("-m", "shell.main"),
    ) -> None:
        self.process = subprocess.Popen(
            [
                *(sys.executable, *program, "--server", server.address),
                *("--data", str(folder), "--user", name),
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env=environment(PARLEY_PASSWORD=PASSWORD),
        )
        self.enter(*commands)

    def enter(self, *commands: str) -> None:
        """Types lines."""
        assert self.process.stdin is not None
        self.process.stdin.write("".join(f"{line}\n" for line in commands))
        self.process.stdin.flush()

    def kill(self) -> None:
        """kill -9."""
        self.process.send_signal(signal.SIGKILL)
        self.process.communicate()

    def leave(self) -> str:
        """Quits; all that was written."""
        return self.process.communicate("quit\n", timeout=PATIENCE)[0]


def interrupt(folder: Path, size: int, times: int) -> tuple[str, str, list[int]]:
    """SHA-256 of what was sent and of what arrived, and the bytes that were there at each interruption."""
    sent = folder / "large.bin"
    digest = hashlib.sha256()
    with sent.open("wb") as file:
        for _ in range(size // MIB):
            block = os.urandom(MIB)
            digest.update(block)
            file.write(block)
    with Server(folder / "server") as server:
        for name in ("alice", "bob"):
            made = parley("--server", server.address, "--data", str(folder / name), "-c", f"signup {name}")
            assert made.returncode == 0, made.stderr
        bob = Shell(server, folder / "bob", "bob", "accept alice", "wait offer --timeout 60", "take alice")
        alice = Shell(server, folder / "alice", "alice", "wait status bob online --timeout 60")
        alice.enter(f"send bob {sent} --no-wait")
        files = folder / "bob" / "files"
        seen: list[int] = []
        for time_ in range(times):
            seen.append(_until(files, size * (time_ + 1) // (times + 1)))
            if time_ % 2:
                alice.kill()
                alice = Shell(server, folder / "alice", "alice")
            else:
                bob.kill()
                bob = Shell(server, folder / "bob", "bob")
        _until(files, size)
        saved = files / sent.name
        deadline = time.monotonic() + PATIENCE
        while [path.name for path in files.iterdir()] != [sent.name]:
            assert time.monotonic() < deadline, "it did not get its name, or something else is left"
            time.sleep(0.02)
        said = alice.leave() + bob.leave()
        assert "Traceback" not in said, said
        arrived = hashlib.sha256()
        with saved.open("rb") as file:
            while block := file.read(MIB):
                arrived.update(block)
        return digest.hexdigest(), arrived.hexdigest(), seen


def _until(files: Path, size: int) -> int:
    """Waits until so much has arrived; how much it is."""
    deadline = time.monotonic() + PATIENCE
    before = here = 0
    while here < size:
        here = sum(path.stat().st_size for path in files.glob("*") if path.is_file())
        here += sum(path.stat().st_size for path in files.glob(".*.part"))
        deadline = time.monotonic() + PATIENCE if here != before else deadline
        before = here
        assert time.monotonic() < deadline, f"{here} bytes, and no more"
        time.sleep(0.005)
    return here


def main() -> int:
    """Says how it went."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("mib", type=int, nargs="?", default=1024)
    parser.add_argument("times", type=int, nargs="?", default=3)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="parley-files-") as folder:
        began = time.monotonic()
        sent, arrived, seen = interrupt(Path(folder), options.mib * MIB, options.times)
        seconds = time.monotonic() - began
    shown = ", ".join(f"{bytes_ / MIB:,.0f}" for bytes_ in seen)
    same = "the same" if sent == arrived else "NOT the same"
    print(f"{options.mib} MiB in {seconds:.0f} s, killed at {shown} MiB: {same}")
    return int(sent != arrived)


if __name__ == "__main__":
    sys.exit(main())
