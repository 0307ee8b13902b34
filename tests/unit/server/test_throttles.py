"""Who has to wait: brute force is slowed, owners are not kept out, tables stay small."""

import contextlib
from collections.abc import Callable
from functools import partial

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.settings import ServerSettings
from server.throttles import OVERFLOW, Buckets, Delays, Levels, Prefix, Throttles, prefix_of
from wire.errors import ErrorCode, Refused
from wire.names import NameKey

DAY = 24 * 3600.0
ALICE, HOME, ELSEWHERE = NameKey("alice"), Prefix("192.0.2.1"), Prefix("198.51.100.7")


def throttles(**changes: object) -> Throttles:
    return Throttles(msgspec.structs.replace(ServerSettings(), **changes), salt=b"salt")


def guesses(book: Throttles, name: NameKey, prefix: Prefix, now: float) -> tuple[int, float]:
    """How many wrong passwords are looked at now, and how long the next has to wait."""
    for tried in range(1_000):
        try:
            book.login(name, prefix, now)
        except Refused as error:
            assert error.code == ErrorCode.RATE_LIMITED
            return tried, error.retry_after
    raise AssertionError("nothing slows them")


def guesses_in(book: Throttles, names: list[NameKey], prefixes: list[Prefix], duration: float) -> int:
    """How many wrong passwords somebody gets looked at who tries again whenever a wait is over."""
    now, looked_at = 0.0, 0
    while now < duration:
        waits = []
        for name in names:
            for prefix in prefixes:
                tried, wait = guesses(book, name, prefix, now)
                looked_at += tried
                waits.append(wait)
        now += max(0.001, min(waits))
    return looked_at


def test_one_account_from_fifty_addresses_costs_as_long_as_from_one() -> None:
    addresses = [Prefix(f"203.0.113.{number}") for number in range(50)]
    assert guesses_in(throttles(), [ALICE], addresses, DAY) <= 5 + 9 + DAY / 300
    assert guesses_in(throttles(), [ALICE], addresses[:1], DAY) <= 5 + 9 + DAY / 300


def test_a_thousand_accounts_from_one_address_are_one_guesser() -> None:
    book = throttles()
    looked_at = sum(guesses(book, NameKey(f"user{number}"), HOME, 0.0)[0] for number in range(1_000))
    assert looked_at == 21, "twenty are free, and the one after them begins the wait"


def test_the_wait_doubles_up_to_the_longest_and_is_forgotten() -> None:
    book, now, waits = throttles(), 0.0, []
    for _ in range(16):
        try:
            book.login(ALICE, HOME, now)
        except Refused as error:
            waits.append(error.retry_after)
            now += error.retry_after
            book.login(ALICE, HOME, now)
    assert waits[:4] == [
        1.0,
        pytest.approx(2, rel=0.02),
        pytest.approx(4, rel=0.02),
        pytest.approx(8, rel=0.02),
    ]
    assert max(waits) <= 300.0
    assert guesses(book, ALICE, HOME, now + 7 * DAY)[0] == 6, "as if nothing had been"


def test_strangers_who_guess_do_not_keep_the_owner_out() -> None:
    book = throttles()
    book.succeeded(book.login(ALICE, HOME, 0.0), 0.0)
    guesses(book, ALICE, ELSEWHERE, 1.0)
    with pytest.raises(Refused):
        book.login(ALICE, Prefix("203.0.113.9"), 1.0)
    book.succeeded(book.login(ALICE, HOME, 1.0), 1.0)


def test_a_right_password_of_ones_own_does_not_renew_the_guesses_at_others() -> None:
    book = throttles()
    carol = NameKey("carol")
    looked_at = 0
    for _ in range(200):
        try:
            book.login(ALICE, ELSEWHERE, 0.0)
            looked_at += 1
        except Refused:
            pass
        with contextlib.suppress(Refused):
            book.succeeded(book.login(carol, ELSEWHERE, 0.0), 0.0)
    assert looked_at <= 6


def test_many_attempts_at_the_same_moment_gain_nothing() -> None:
    book = throttles()
    _, wait = guesses(book, ALICE, HOME, 0.0)
    assert guesses(book, ALICE, HOME, wait)[0] == 1


def test_an_attempt_that_was_not_judged_costs_nothing() -> None:
    book = throttles()
    for _ in range(100):
        book.abandoned(book.login(ALICE, HOME, 0.0), 0.0)
    assert guesses(book, ALICE, HOME, 0.0)[0] == 6


def test_unknown_accounts_are_slowed_exactly_as_known_ones() -> None:
    assert guesses(throttles(), ALICE, HOME, 0.0) == guesses(throttles(), NameKey("nobody"), HOME, 0.0)


def test_sign_ups_are_counted_by_address_and_introductions_by_account() -> None:
    book = throttles(signups_per_hour=3, introductions_per_minute=2)
    asked: list[tuple[Callable[[float], None], Callable[[float], None], int]] = [
        (partial(book.signup, HOME), partial(book.signup, ELSEWHERE), 3),
        (partial(book.introduction, ALICE), partial(book.introduction, NameKey("bob")), 2),
    ]
    for one, other, limit in asked:
        for _ in range(limit):
            one(0.0)
        with pytest.raises(Refused) as caught:
            one(0.0)
        assert caught.value.code == ErrorCode.RATE_LIMITED
        other(0.0)
        one(caught.value.retry_after)


def test_new_settings_hold_from_the_next_attempt_on() -> None:
    book = throttles()
    guesses(book, ALICE, HOME, 0.0)
    book.change(msgspec.structs.replace(ServerSettings(), login_failures_per_account=50))
    assert guesses(book, ALICE, HOME, 1.0)[0] > 10


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("192.0.2.1", "192.0.2.2", False),
        ("::ffff:192.0.2.1", "192.0.2.1", True),
        ("2001:db8:1:2::1", "2001:db8:1:2:ffff::9", True),
        ("2001:db8:1:2::1", "2001:db8:1:3::1", False),
        ("fe80::1%eth0", "fe80::2", True),
    ],
)
def test_an_ipv6_network_counts_as_one_address(one: str, other: str, same: bool) -> None:
    assert (prefix_of(one) == prefix_of(other)) is same


# --- tables ---------------------------------------------------------------------------------------------

moves = st.lists(
    st.tuples(st.integers(0, 200), st.floats(0, 50), st.booleans()), max_size=300
)  # key, seconds that pass, whether it is undone


@given(moves)
def test_no_table_grows_past_its_bound(steps: list[tuple[int, float, bool]]) -> None:
    delays, now = Delays(size=10), 0.0
    delays.change(2, 1.0, 30.0, 20.0)
    for key, passed, undone in steps:
        now += passed
        if delays.wait(key, now) == 0:
            attempt = delays.attempt(key, now)
            if undone:
                delays.undo(attempt, now)
        assert len(delays) <= 10 + OVERFLOW


@given(moves)
def test_strangers_never_wash_out_what_is_held_against_somebody(steps: list[tuple[int, float, bool]]) -> None:
    levels = Levels(leak=0.01, size=10)
    levels.put("held", 50.0, 0.0, until=40.0)
    now = 0.0
    for key, passed, _ in steps:
        now += passed / 10
        levels.put(key, levels.level(key, now) + 1, now)
        assert levels.level("held", now) == pytest.approx(max(0.0, 50.0 - now * 0.01))
        assert levels.until("held") == 40.0 or now > 5_000


@given(moves)
def test_whoever_comes_to_a_full_table_is_slowed_at_least_as_much(
    steps: list[tuple[int, float, bool]],
) -> None:
    small, large, now = Delays(size=3), Delays(size=10_000), 0.0
    for delays in (small, large):
        delays.change(2, 1.0, 30.0, 20.0)
    for key, passed, _ in steps:
        now += passed
        assert small.wait(key, now) >= large.wait(key, now)
        if small.wait(key, now) == 0:
            small.attempt(key, now)
            large.attempt(key, now)


@given(st.lists(st.floats(0, 10), min_size=1, max_size=300), st.floats(0.1, 5), st.integers(1, 20))
def test_a_bucket_gives_its_burst_and_its_rate_and_no_more(
    pauses: list[float], rate: float, burst: int
) -> None:
    bucket, now, taken = Buckets(rate, burst), 0.0, 0
    for pause in pauses:
        now += pause
        wait = bucket.take("key", now)
        taken += wait == 0
        if wait > 0:
            assert bucket.take("key", now + wait + 1e-6) == 0
            taken += 1
            now += wait + 1e-6
    assert taken <= burst + now * rate + 1e-6
