"""A worse network, decided with no clock and no socket."""

import contextlib
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shell.line.impairment import DISORDER, MAX_DELAY, BadImpairment, Impairment, parse_impairment


def test_words_say_what_they_do() -> None:
    found = parse_impairment(["loss", "5%", "delay", "80ms", "duplicate", "1%", "reorder", "10%"])
    assert found == Impairment(0.05, 0.08, 0.01, 0.1)
    assert str(found) == "loss 5%, delay 80ms, duplicate 1%, reorder 10%"
    assert parse_impairment(["delay", "1.5s"]).delay == 1.5


@pytest.mark.parametrize(
    ("words", "helpful"),
    [
        (["loss"], "Write pairs"),
        (["lag", "5ms"], "there are loss, delay, duplicate, reorder"),
        (["loss", "5"], "a share from 0% to 100%"),
        (["loss", "101%"], "a share from 0% to 100%"),
        (["delay", "5%"], "a time of 10s at most"),
        (["delay", "11s"], "a time of 10s at most"),
    ],
)
def test_other_words_are_refused_with_what_would_do(words: list[str], helpful: str) -> None:
    with pytest.raises(BadImpairment, match=helpful):
        parse_impairment(words)


@given(st.lists(st.text(max_size=8), max_size=6))
def test_any_words_are_understood_or_refused(words: list[str]) -> None:
    with contextlib.suppress(BadImpairment):
        parse_impairment(words)


shares = st.floats(0, 1)


@given(shares, st.floats(0, MAX_DELAY), shares, shares, st.integers())
def test_each_copy_comes_within_the_delay_and_the_disorder(
    loss: float, delay: float, duplicate: float, reorder: float, seed: int
) -> None:
    impairment = Impairment(loss, delay, duplicate, reorder)
    fate = impairment.fate(random.Random(seed).random)
    assert len(fate) <= 2
    assert all(delay <= after <= delay + DISORDER for after in fate)


def test_shares_are_what_they_say() -> None:
    source = random.Random(7).random
    fates = [Impairment(loss=0.3, duplicate=0.1).fate(source) for _ in range(10_000)]
    assert 0.28 < sum(not fate for fate in fates) / 10_000 < 0.32
    assert 0.06 < sum(len(fate) == 2 for fate in fates) / 10_000 < 0.08
