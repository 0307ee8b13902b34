"""Which of several ways is taken, with no clock and no socket."""

import itertools

from hypothesis import given
from hypothesis import strategies as st

from shell.line.addresses import Interfaces, local_endpoints
from shell.line.candidates import (
    DIRECT_PATIENCE,
    LOCAL_GRACE,
    MAX_CANDIDATES,
    RELAY_PATIENCE,
    Attempt,
    Candidate,
    PathKind,
)
from wire.messages import Endpoint

LOCAL = Candidate(("192.168.1.7", 5000), PathKind.LOCAL)
PUNCHED = Candidate(("203.0.113.6", 6000), PathKind.PUNCHED)
RELAYED = Candidate(("relay", 0), PathKind.RELAYED)


def test_all_are_knocked_at_at_once_and_ever_less_often() -> None:
    attempt = Attempt((LOCAL, PUNCHED), 0.0)
    assert attempt.due(0.0) == [LOCAL.address, PUNCHED.address]
    assert attempt.due(0.01) == []
    times = []
    while not attempt.over(attempt.wake()):
        times.append(attempt.wake())
        assert attempt.due(times[-1]) == [LOCAL.address, PUNCHED.address]
    gaps = [later - earlier for earlier, later in itertools.pairwise(times)]
    assert gaps == sorted(gaps)
    assert attempt.over(DIRECT_PATIENCE)


def test_local_wins_though_outside_answers_first() -> None:
    attempt = Attempt((PUNCHED, LOCAL), 0.0)
    attempt.due(0.0)
    attempt.answered(PUNCHED, b"nonce", 0.010)
    assert attempt.chosen(0.011) is None
    attempt.answered(LOCAL, b"nonce", 0.020)
    assert attempt.chosen(0.021) == (LOCAL, b"nonce")


def test_outside_is_taken_when_local_stays_silent() -> None:
    attempt = Attempt((PUNCHED, LOCAL), 0.0)
    attempt.due(0.0)
    attempt.answered(PUNCHED, b"nonce", 0.010)
    assert attempt.wake() <= 0.010 + LOCAL_GRACE
    assert attempt.chosen(0.011 + LOCAL_GRACE) == (PUNCHED, b"nonce")


def test_nobody_waits_where_nothing_better_could_answer() -> None:
    attempt = Attempt((PUNCHED,), 0.0)
    attempt.due(0.0)
    attempt.answered(PUNCHED, b"nonce", 0.010)
    assert attempt.chosen(0.010) == (PUNCHED, b"nonce")


def test_a_datagram_of_the_callee_shows_where_to_knock() -> None:
    attempt = Attempt((LOCAL,), 0.0)
    attempt.due(0.0)
    attempt.punched(PUNCHED)
    assert attempt.due(0.001) == [PUNCHED.address]
    assert attempt.heard_from == PUNCHED


def test_the_relay_is_due_only_after_every_direct_way_was_silent() -> None:
    attempt = Attempt((LOCAL,), 0.0, RELAYED)
    attempt.due(0.0)
    assert RELAYED.address not in attempt.due(DIRECT_PATIENCE - 0.01)
    assert attempt.wake() <= DIRECT_PATIENCE
    assert attempt.due(DIRECT_PATIENCE)[-1] == RELAYED.address
    attempt.answered(RELAYED, b"nonce", DIRECT_PATIENCE + 0.1)
    assert attempt.chosen(DIRECT_PATIENCE + 0.1 + LOCAL_GRACE) == (RELAYED, b"nonce")
    assert not attempt.over(DIRECT_PATIENCE + RELAY_PATIENCE - 0.01)
    assert attempt.over(DIRECT_PATIENCE + RELAY_PATIENCE)


def test_what_was_tried_says_who_answered_and_when() -> None:
    attempt = Attempt((PUNCHED, LOCAL), 5.0)
    attempt.due(5.0)
    attempt.answered(PUNCHED, b"nonce", 5.25)
    assert [(tried.candidate, tried.knocks, tried.answered) for tried in attempt.tried()] == [
        (LOCAL, 1, None),
        (PUNCHED, 1, 0.25),
    ]


def test_where_a_direct_way_answers_the_relay_is_not_tried_but_kept_for_later() -> None:
    attempt = Attempt((LOCAL,), 0.0, RELAYED)
    attempt.due(0.0)
    attempt.answered(LOCAL, b"nonce", 0.1)
    assert attempt.chosen(0.1) == (LOCAL, b"nonce")
    assert RELAYED.address not in attempt.due(DIRECT_PATIENCE)
    assert attempt.candidates() == (LOCAL, RELAYED)


@given(st.lists(st.tuples(st.integers(0, 40), st.floats(0, 0.5)), max_size=60))
def test_a_chosen_way_is_one_that_answered_and_the_table_is_bounded(steps: list[tuple[int, float]]) -> None:
    attempt = Attempt((), 0.0)
    now, answered = 0.0, set()
    for number, pause in steps:
        now += pause
        candidate = Candidate(("192.0.2.1", 1000 + number), list(PathKind)[number % 3])
        if number % 2:
            attempt.add(candidate)
        else:
            attempt.answered(candidate, b"n", now)
            answered.add(candidate)
        attempt.due(now)
        chosen = attempt.chosen(now)
        assert chosen is None or chosen[0] in answered
    assert len(attempt.candidates()) <= MAX_CANDIDATES


def test_local_endpoints_come_before_outside_ones_and_a_guess_gives_way_to_an_answer() -> None:
    here = Interfaces(("127.0.0.1", "192.168.1.2", "2001:db8::2"), frozenset())
    outside = Endpoint("203.0.113.2", 61000, outside=True)
    found = local_endpoints(here, 5000, "192.168.1.2", "203.0.113.2", [outside])
    assert found == (Endpoint("192.168.1.2", 5000), Endpoint("2001:db8::2", 5000), outside)
    guess = Endpoint("203.0.113.2", 5000, outside=True)
    assert local_endpoints(here, 5000, "192.168.1.2", "203.0.113.2")[-1] == guess


def test_loopback_is_published_only_where_the_phone_book_is_there_too() -> None:
    here = Interfaces(("127.0.0.1", "192.168.1.2"), frozenset())
    assert local_endpoints(here, 5000, "::ffff:127.0.0.1", "127.0.0.1") == (
        Endpoint("127.0.0.1", 5000),
        Endpoint("192.168.1.2", 5000),
    )
