"""The board of a roll call."""

from shell.line.model import State
from shell.rollcall import Call, RollCall, expanded


def test_groups_are_replaced_and_everybody_is_asked_once() -> None:
    groups = {"lab1": ("bob", "carol"), "all": ("Bob", "alice")}
    assert expanded(["lab1", "all", "CAROL"], groups) == ["bob", "carol", "alice"]
    assert expanded(["carol", "lab1"], groups) == ["carol", "bob"]


def test_each_person_moves_on_alone() -> None:
    call = RollCall(["bob", "carol", "nobody"])
    call.asked("bob", "b1")
    call.asked("carol", "c1")
    call.failed("nobody", "There is no account nobody.")
    assert call.open
    assert call.moved("b1", State.DELIVERED)
    assert not call.moved("b1", State.DELIVERED)
    assert call.moved("c1", State.QUEUED)
    assert call.answered("b1", "here")
    assert not call.moved("b1", State.READ)
    assert not call.answered("b1", "here again")
    assert not call.answered("x9", "nobody asked me")
    assert call.calls == [
        Call("bob", "answered", "here"),
        Call("carol", "unreachable"),
        Call("nobody", "failed", "There is no account nobody."),
    ]
    assert call.open
    call.moved("c1", State.REFUSED)
    assert not call.open
