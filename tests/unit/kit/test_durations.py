"""Durations and times of day as people type them."""

from datetime import datetime

import pytest

from shell.kit.times import duration, next_clock

NOON = datetime(2026, 11, 25, 12, 0).astimezone().timestamp()
HOUR = 3600.0


@pytest.mark.parametrize(
    ("text", "seconds"), [("90", 90), ("60s", 60), ("5m", 300), ("1.5h", 5400), ("2d", 172800)]
)
def test_durations(text: str, seconds: float) -> None:
    assert duration(text) == seconds


@pytest.mark.parametrize("text", ["", "soon", "5 m", "-1", "1e3", "1w", "9" * 20])
def test_what_is_no_duration_is_named(text: str) -> None:
    with pytest.raises(ValueError, match="is no duration; write 90, 60s, 5m, 2h or 7d"):
        duration(text)


def test_a_time_of_day_is_the_next_one() -> None:
    assert next_clock("17:00", NOON) - NOON == 5 * HOUR
    assert next_clock("9:30", NOON) - NOON == 21.5 * HOUR
    assert next_clock("12:00", NOON) - NOON == 24 * HOUR
    assert next_clock("90m", NOON) - NOON == 1.5 * HOUR


@pytest.mark.parametrize("text", ["noon", "24:00", "17:60", "17"])
def test_what_is_no_time_is_named(text: str) -> None:
    if text == "17":
        assert next_clock(text, NOON) == NOON + 17
        return
    with pytest.raises(ValueError, match="is no time; write 17:00, 90m or 2h"):
        next_clock(text, NOON)
