from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shell.kit.times import MomentUnknown, parse_moment

NOW = datetime(2026, 11, 25, 15, 30, tzinfo=UTC)  # a Wednesday


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2h", NOW - timedelta(hours=2)),
        ("3d ago", NOW - timedelta(days=3)),
        ("1 w", NOW - timedelta(weeks=1)),
        ("today", NOW.replace(hour=0, minute=0)),
        ("Yesterday", NOW.replace(day=24, hour=0, minute=0)),
        ("monday", NOW.replace(day=23, hour=0, minute=0)),
        ("wednesday", NOW.replace(day=18, hour=0, minute=0)),
        ("14:00", NOW.replace(hour=14, minute=0)),
    ],
)
def test_moments_as_people_name_them(text: str, moment: datetime) -> None:
    assert parse_moment(text, NOW) == moment


@pytest.mark.parametrize("text", ["2026-11-24", "2026-11-24 08:15", "2026-11-24T08:15:00+00:00"])
def test_dates_are_iso(text: str) -> None:
    assert parse_moment(text, NOW).astimezone(UTC).date() <= datetime(2026, 11, 24, tzinfo=UTC).date()


def test_what_is_no_moment_gets_the_nearest_word() -> None:
    with pytest.raises(MomentUnknown, match="Did you mean yesterday"):
        parse_moment("yestrday", NOW)


@given(st.text(max_size=20))
def test_any_text_is_a_moment_or_is_refused(text: str) -> None:
    try:
        assert parse_moment(text, NOW).tzinfo is not None
    except MomentUnknown as error:
        assert "write 2026-11-24" in str(error)
