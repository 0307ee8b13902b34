"""kill -9 of either shell at random points of a talk: nothing delivered is missing, nothing is shown twice.

The suite runs a short form; the long one is

    uv run python -m tests.faults.killing --points 50 --messages 500
"""

import argparse
import random
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.e2e.world import Server, environment

NAMES = ("alice", "bob")
PATIENCE = 60.0  # seconds without any progress after which the talk counts as stuck
LOOK = 0.005  # seconds between looks at the disks
MAX_DELAY = 0.03  # seconds after such a look at which a shell is killed, at most


class Side:
    """One person: a process that is started again and again on the same folder."""

    def __init__(self, server: str, folder: Path, name: str, messages: int) -> None:
        self.name = name
        self.other = NAMES[1 - NAMES.index(name)]
        self.folder = folder / name
        self._command = [sys.executable, "-m", "tests.faults.talker", server]
        self._command += [str(self.folder), name, self.other, str(messages)]
        self.start()

    def start(self) -> None:
        self._log = self.folder.with_suffix(".log").open("ab")
        self.process = subprocess.Popen(
            self._command, stdout=self._log, stderr=subprocess.STDOUT, env=environment()
        )

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()
        self._log.close()

    def stored(self, *, outgoing: bool) -> list[tuple[str, str, int]]:
        """Text, state, and whether it was looked at, as the disk has them."""
        files = list(self.folder.rglob("mailbox.db"))
        if not files:
            return []
        connection = sqlite3.connect(files[0])
        try:
            query = "SELECT text, state, seen FROM messages WHERE outgoing = ? ORDER BY number"
            return connection.execute(query, (outgoing,)).fetchall()
        except sqlite3.OperationalError:  # not made yet
            return []
        finally:
            connection.close()

    def shown(self) -> list[str]:
        """What stood on the screen, over all runs."""
        screen = self.folder.with_suffix(".screen")
        return screen.read_text().splitlines() if screen.exists() else []


def kill_anywhere(folder: Path, *, points: int, messages: int, seed: int) -> None:
    """Plays the talk; AssertionError where a promise is broken."""
    dice = random.Random(seed)
    at = sorted(dice.randrange(2 * messages) for _ in range(points))
    with Server(folder / "server") as server:
        sides = [Side(server.address, folder, name, messages) for name in NAMES]
        try:
            _talk(sides, at, messages, dice)
        finally:
            for side in sides:
                side.kill()
    for side, other in (sides, reversed(sides)):
        expected = [f"{other.name} {number}" for number in range(messages)]
        kept = side.stored(outgoing=False)
        assert [text for text, _, _ in kept] == expected, f"{side.name} misses messages or has them twice"
        assert {state for _, state, _ in other.stored(outgoing=True)} == {"delivered"}
        shown = side.shown()
        assert len(shown) == len(set(shown)), f"{side.name} was shown something twice"
        assert shown == [text for text in expected if text in set(shown)], "shown in another order"


def _talk(sides: list[Side], at: list[int], messages: int, dice: random.Random) -> None:
    arrived, progressed = 0, time.monotonic()
    while True:
        now = sum(len(side.stored(outgoing=False)) for side in sides)
        settled = all(
            [state for _, state, _ in side.stored(outgoing=True)] == ["delivered"] * messages
            for side in sides
        )
        if settled and not at:
            return
        if now > arrived:
            arrived, progressed = now, time.monotonic()
        assert time.monotonic() - progressed < PATIENCE, f"stuck after {arrived} messages"
        if at and arrived >= at[0]:
            at.pop(0)
            victim, other = dice.sample(sides, 2)
            time.sleep(dice.uniform(0, MAX_DELAY))
            victim.kill()
            _check_receipts(other, victim)
            _check_receipts(victim, other)
            victim.start()
            progressed = time.monotonic()
        time.sleep(LOOK)


def _check_receipts(writer: Side, recipient: Side) -> None:
    confirmed = {text for text, state, _ in writer.stored(outgoing=True) if state == "delivered"}
    assert confirmed <= {text for text, _, _ in recipient.stored(outgoing=False)}, "delivered, but not there"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--points", type=int, default=50, help="how often a shell is killed (50)")
    parser.add_argument("--messages", type=int, default=500, help="messages each way (500)")
    parser.add_argument("--seed", type=int, default=random.randrange(10**6), help="of the random points")
    given = parser.parse_args()
    print(f"seed {given.seed}")
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="parley-") as folder:
        kill_anywhere(Path(folder), points=given.points, messages=given.messages, seed=given.seed)
    print(
        f"{given.points} kills, {given.messages} messages each way, {time.monotonic() - began:.0f} s: "
        "nothing is missing, nothing was shown twice"
    )


if __name__ == "__main__":
    main()
