"""Times for people: seconds since the epoch as local words, and spans as they are typed."""

import contextlib
import re
from datetime import datetime, timedelta
from time import time

from settings.spelling import nearest

_SECONDS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_DURATION = re.compile(r"(\d{1,6}(?:\.\d{1,3})?)([smhd]?)")
_CLOCK = re.compile(r"([01]?\d|2[0-3]):([0-5]\d)")


def duration(text: str) -> float:
    """Seconds from `90`, `60s`, `5m`, `1.5h` or `2d`. Raises ValueError with a sentence."""
    found = _DURATION.fullmatch(text)
    if found is None:
        raise ValueError(f"{text!r} is no duration; write 90, 60s, 5m, 2h or 7d")
    return float(found[1]) * _SECONDS[found[2] or "s"]


def span(text: str) -> float:
    """A duration in which something can happen. Raises ValueError with a sentence."""
    seconds = duration(text)
    if not seconds:
        raise ValueError(f"{text!r} is over at once; write 60s, 5m, 2h or 7d")
    return seconds


def next_clock(text: str, now: float) -> float:
    """The next time (seconds since the epoch) that local clocks show `17:00`, or after a duration.

    Raises ValueError with a sentence.
    """
    found = _CLOCK.fullmatch(text)
    if found is None:
        try:
            return now + duration(text)
        except ValueError:
            raise ValueError(f"{text!r} is no time; write 17:00, 90m or 2h") from None
    today = datetime.fromtimestamp(now).astimezone()
    then = today.replace(hour=int(found[1]), minute=int(found[2]), second=0, microsecond=0)
    return (then if then > today else then + timedelta(days=1)).timestamp()


def moment(when: float) -> str:
    """Date and time."""
    return f"{datetime.fromtimestamp(when).astimezone():%Y-%m-%d %H:%M}"


def ago(since: float) -> str:
    """How long it is since then, to the second."""
    return str(timedelta(seconds=max(0, int(time() - since))))


def clock(when: float, time_format: str) -> str:
    """A time of today in the given format, with the date before it for any other day."""
    then, now = datetime.fromtimestamp(when).astimezone(), datetime.fromtimestamp(time()).astimezone()
    shown = then.strftime(time_format)
    return shown if then.date() == now.date() else f"{then:%Y-%m-%d} {shown}"


_AGO = re.compile(r"(\d{1,6})\s*(m|h|d|w)(?:\s+ago)?")
_UNITS = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_WORDS = ("today", "yesterday", *_DAYS)


class MomentUnknown(ValueError):
    """A text names no moment; `str()` says which forms there are."""


def parse_moment(text: str, now: datetime) -> datetime:
    """The moment in the past that a person names, in the time zone of `now`.

    A date, a date and a time, a time of today, `yesterday`, a weekday (the last one), or how long ago (`2h`,
    `3d`, `1w`). Raises `MomentUnknown`.
    """
    words = text.strip().lower()
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
    if found := _AGO.fullmatch(words):
        return now - timedelta(**{_UNITS[found[2]]: int(found[1])})
    if words == "today":
        return midnight
    if words == "yesterday":
        return midnight - timedelta(days=1)
    if words in _DAYS:
        back = (midnight.weekday() - _DAYS.index(words)) % 7 or 7
        return midnight - timedelta(days=back)
    for form in ("%H:%M", "%H:%M:%S"):
        with contextlib.suppress(ValueError):
            return datetime.combine(midnight.date(), datetime.strptime(words, form).time(), midnight.tzinfo)  # noqa: DTZ007
    with contextlib.suppress(ValueError, OverflowError):
        # Python 3.11 reads every form of ISO 8601 that people write.
        moment = datetime.fromisoformat(words.upper())
        return moment if moment.tzinfo else moment.astimezone(midnight.tzinfo)
    near = nearest(words, _WORDS)
    hint = f" Did you mean {near}?" if near else ""
    raise MomentUnknown(
        f"{text!r} is no moment; write 2026-11-24, 14:00, yesterday, monday, 2h, 3d or 1w.{hint}"
    )


def past(text: str) -> float:
    """A moment in the past, in seconds since the epoch. Raises `MomentUnknown`."""
    now = datetime.fromtimestamp(time()).astimezone()
    moment = parse_moment(text, now)
    if moment > now:
        raise MomentUnknown(f"{text!r} is still to come; write a moment in the past, as yesterday, 3d or 1w.")
    return moment.timestamp()
