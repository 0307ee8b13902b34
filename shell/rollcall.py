"""A roll call: whom it asks, and where each of them is. Pure.

`unreachable` is whoever is offline, hidden or cannot be reached: their question waits on this disk.
"""

from collections.abc import Mapping, Sequence

import msgspec

from shell.line.model import State
from wire.names import name_key

ASKING, ANSWERED, UNREACHABLE, FAILED = "asking", "answered", "unreachable", "failed"
_STATE_OF = {State.QUEUED: UNREACHABLE, State.SENT: ASKING}


class Call(msgspec.Struct, frozen=True):
    """One person of a roll call."""

    name: str
    state: str = ASKING
    """`asking`, `delivered`, `read`, `answered`, `held` (they have to accept you first), `refused`,
    `unreachable`, or `failed`."""
    answer: str = ""
    """What they said; for `failed` why."""


class RollCall:
    """All calls of one question, in the order of asking."""

    def __init__(self, names: Sequence[str]) -> None:
        self._calls = {name: Call(name) for name in names}
        self._asked: dict[str, str] = {}

    @property
    def calls(self) -> list[Call]:
        """Where everybody is now."""
        return list(self._calls.values())

    @property
    def open(self) -> bool:
        """Whether an answer may still come."""
        return any(call.state not in (ANSWERED, FAILED, State.REFUSED.value) for call in self.calls)

    def asked(self, name: str, message_id: str) -> None:
        """The question is on this disk, as a message with this id."""
        self._asked[message_id] = name

    def failed(self, name: str, reason: str) -> None:
        """The question could not be written."""
        self._calls[name] = Call(name, FAILED, reason)

    def moved(self, message_id: str, state: State) -> bool:
        """The question to somebody has another state; whether that shows."""
        return self._change(message_id, _STATE_OF.get(state, state.value))

    def answered(self, message_id: str, text: str) -> bool:
        """Somebody answered; whether that was asked here and is the first answer."""
        return self._change(message_id, ANSWERED, text)

    def _change(self, message_id: str, state: str, answer: str = "") -> bool:
        name = self._asked.get(message_id)
        if name is None or self._calls[name].state in (state, ANSWERED):
            return False
        self._calls[name] = Call(name, state, answer)
        return True


def expanded(names: Sequence[str], groups: Mapping[str, Sequence[str]]) -> list[str]:
    """Groups replaced by their members, everybody once, in order."""
    found: dict[str, str] = {}
    for name in names:
        for member in groups.get(name, (name,)):
            found.setdefault(name_key(member), member)
    return list(found.values())
