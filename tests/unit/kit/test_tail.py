"""The lines above the prompt: what stays while it may change, what is let go, and in which order."""

from hypothesis import given
from hypothesis import strategies as st

from shell.kit.tail import MAX_LIVE, Change, Line, Tail

LINES = st.lists(st.tuples(st.integers(1, 5), st.booleans()), max_size=30)


def tail_of(*lines: Line) -> Tail:
    tail = Tail()
    for line in lines:
        tail.add(line)
    return tail


def one(line: Line) -> int:
    return 1


def test_nothing_waits_where_nothing_may_change() -> None:
    tail = tail_of(Line("a"), Line("b"))
    assert [line.shown for line in tail.let_go(10, one)] == ["a", "b"]
    assert tail.lines == ()


def test_what_came_after_a_live_line_waits_with_it() -> None:
    tail = tail_of(Line("a"), Line("mine, sent", "1", live=True), Line("b"))
    assert [line.shown for line in tail.let_go(10, one)] == ["a"]
    tail.change(Change("1", "mine, delivered", live=False, told="told"))
    assert [line.shown for line in tail.let_go(10, one)] == ["mine, delivered", "b"]


def test_a_line_that_was_let_go_is_told_of() -> None:
    tail = tail_of(Line("mine, queued", "1", live=True), Line("b"), Line("c"))
    assert [line.shown for line in tail.let_go(2, one)] == ["mine, queued", "b", "c"]
    tail.change(Change("1", "mine, delivered", live=False, told="Delivered: mine"))
    tail.change(Change("2", "never shown", live=False))
    assert [line.shown for line in tail.lines] == ["Delivered: mine"]


@given(LINES, st.integers(0, 12))
def test_order_is_kept_room_is_kept_and_no_live_line_goes_without_need(
    lines: list[tuple[int, bool]], room: int
) -> None:
    made = [Line(str(height), str(number), live=live) for number, (height, live) in enumerate(lines)]
    tail = tail_of(*made)

    def height(line: Line) -> int:
        return int(str(line.shown))

    gone = tail.let_go(room, height)
    assert [*gone, *tail.lines] == made
    assert sum(map(height, tail.lines)) <= room
    assert len(tail.lines) <= MAX_LIVE
    live_gone = [line for line in gone if line.live]
    if live_gone:
        since = made[made.index(live_gone[-1]) :]
        assert sum(map(height, since)) > room
