"""Times for people: seconds since the epoch as local words."""

from datetime import datetime, timedelta
from time import time


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
