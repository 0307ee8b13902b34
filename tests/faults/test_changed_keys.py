"""A key that changes again and again: what is accepted is what was shown."""

import io
import json
from collections.abc import Iterator

import pytest

from shell.app import Shell
from shell.host import Town
from shell.kit.errors import ExitCode
from wire.certificates import Fingerprint, show_fingerprint
from wire.names import NameKey

PATIENCE = 30.0  # seconds
BOB = NameKey("bob")


class Person:
    """A shell that reads lines and prints JSON."""

    def __init__(self, town: Town, folder: str) -> None:
        self._output = io.StringIO()
        self.app = Shell(town.settings_of(folder), json=True, output=self._output)
        self.app.answers = lambda question, secret: town.password

    def types(self, line: str) -> dict[str, object]:
        """The last object that a command printed."""
        self._output.seek(0)
        self._output.truncate()
        self.app.run_line(line)
        said = json.loads(self._output.getvalue().splitlines()[-1])
        assert isinstance(said, dict)
        return said


class Changing:
    """Alice, and Bob, who comes with another key each time."""

    def __init__(self) -> None:
        self.town = Town()
        self.alice = Person(self.town, "alice")
        self.alice.types("signup alice")
        self._machines = 0
        self._bob: Person | None = None
        self.bob("signup")
        self.alice.types("msg bob hello")

    def bob(self, enters: str = "login") -> Person:
        """Bob at a new machine."""
        self.leave()
        self._machines += 1
        bob = self._bob = Person(self.town, f"machine {self._machines}")
        bob.types(f"{enters} bob")
        return bob

    def changed(self) -> Fingerprint:
        """The key of Bob's next machine, presented to Alice by now."""
        bob, line = self.bob().app, self.alice.app.messenger.line
        key = bob.messenger.line.fingerprint
        bob.call(bob.messenger.line.write("alice", "it is me"))
        presented = self.alice.app.inbox.until(
            lambda: ((contact := line.core.contact("bob")) and contact.presented == key) or None, PATIENCE
        )
        assert presented
        return key

    def leave(self) -> None:
        if self._bob is not None:
            self._bob.app.close()


@pytest.fixture
def changing() -> Iterator[Changing]:
    made = Changing()
    try:
        yield made
    finally:
        made.alice.app.close()
        made.leave()
        made.town.close()


def test_only_the_key_that_was_shown_is_accepted(changing: Changing) -> None:
    alice = changing.alice
    line = alice.app.messenger.line
    first = changing.changed()
    assert alice.types("accept-key bob")["error"] == "key-not-shown"
    compared = str(alice.types("verify bob")["number"])
    second = changing.changed()
    for command in (
        "accept-key bob",
        f"accept-key bob {compared}",
        f"accept-key bob {show_fingerprint(first)}",
    ):
        assert alice.types(command)["error"] == "key-changed", command
        assert alice.app.exit is ExitCode.KEY
    assert "is pinned" in str(alice.types(f"accept-key bob {show_fingerprint(second)}")["message"])
    contact = line.core.contact("bob")
    assert contact is not None
    assert (contact.pinned, contact.presented) == (second, None)
    assert alice.types("verify bob --confirm")["error"] == "key-changed"
    # By its number, and by having looked.
    changing.changed()
    number = str(alice.types("verify bob")["number"])
    assert "is pinned" in str(alice.types(f"accept-key bob {number}")["message"])
    changing.changed()
    assert alice.types("accept-key bob")["error"] == "key-changed"
    alice.types("verify bob")
    assert "is pinned" in str(alice.types("accept-key bob")["message"])
