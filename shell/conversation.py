"""One conversation as it looks: lines with times, a separator for each day, delivery marks that change. Pure.

It knows no screen and no clock: what happened goes in, lines and changes of lines come out.
"""

from collections import OrderedDict
from collections.abc import Iterable
from datetime import date, datetime, timedelta

import msgspec
from rich.console import RenderableType
from rich.rule import Rule
from rich.table import Table
from rich.text import Text

from shell.events import MessageArrived
from shell.kit.direction import isolated
from shell.kit.tail import Change, Line
from shell.kit.theme import NAME, OWN, QUIET, WARNING, marked, unicode_works
from wire.display import safe

MAX_FOLLOWED = 1_000  # messages of one's own whose marks may still change
TAB = 8  # columns
MAX_QUOTED = 40  # characters of a message that is told of
KEYS = (
    "Every line is a message; /COMMAND is a command, /end or Ctrl-D ends. Alt-Enter begins a new line, "
    "Alt-1 to Alt-9 and Alt-A open another conversation."
)
_SETTLED = frozenset(("delivered", "read", "refused"))


class Spoken(msgspec.Struct, frozen=True):
    """One message of a conversation."""

    id: str
    """Hexadecimal."""
    writer: str
    text: str
    written: float
    """Seconds since the epoch."""
    state: str = ""
    """Of one's own message; empty for theirs."""
    choices: tuple[str, ...] | None = None
    """For a question: the answers that it offers."""
    answers: bool = False
    """Whether it answers a question."""
    answered: bool = False
    """For a question: whether it has been answered."""


class Conversation:
    """The view of one conversation, from when it was opened."""

    def __init__(self, name: str, user: str, time_format: str) -> None:
        self.name = name
        self._user = user
        self._time_format = time_format
        self._day: date | None = None
        self._followed: OrderedDict[str, Spoken] = OrderedDict()
        self._tells_reads = False

    def opened(
        self, earlier: Iterable[Spoken], status: str, today: date, *, explained: bool = True
    ) -> list[Line]:
        """The head and the last messages; what the keys do where that was not `explained` yet."""
        head = Text.assemble((safe(self.name), NAME), " ", marked(status))
        lines = [Line(_rule(head))]
        if not explained:
            lines.insert(0, Line(Text(KEYS, QUIET)))
        for message in earlier:
            lines += self.said(message, today)
        if status == "offline":
            lines.append(Line(self.waits()))
        return lines

    def waits(self) -> Text:
        """What to know before writing to somebody who is not there."""
        name = safe(self.name)
        return Text(f"{name} is offline; what you write waits here and goes out when {name} appears.", QUIET)

    def said(self, message: Spoken, today: date) -> list[Line]:
        """One more message, after a separator where a day has begun."""
        lines = []
        day = datetime.fromtimestamp(message.written).astimezone().date()
        if day != self._day:
            self._day = day
            lines.append(Line(_rule(Text(day_words(day, today)))))
        live = self._may_change(message.state)
        if live:
            self._followed[message.id] = message
            while len(self._followed) > MAX_FOLLOWED:
                self._followed.popitem(last=False)
        return [*lines, Line(self._look(message), message.id, live)]

    def progressed(self, message_id: str, state: str) -> Change | None:
        """The mark of one's own message changes; None where nothing of it is seen here."""
        if state == "read":
            self._tells_reads = True
        message = self._followed.get(message_id)
        if message is None or message.state == state:
            return None
        message = msgspec.structs.replace(message, state=state)
        live = self._may_change(state)
        if live:
            self._followed[message_id] = message
        else:
            del self._followed[message_id]
        told = None if state in ("queued", "sent") else told_of(self.name, message.text, state)
        return Change(message_id, self._look(message), live, told)

    def _may_change(self, state: str) -> bool:
        # Most shells never say that a message was read; only those that do are waited for.
        return bool(state) and (state not in _SETTLED or (state == "delivered" and self._tells_reads))

    def _look(self, message: Spoken) -> RenderableType:
        time = datetime.fromtimestamp(message.written).astimezone().strftime(self._time_format)
        own = bool(message.state)
        row = Table.grid(padding=(0, 1, 0, 0))
        row.add_column(no_wrap=True)
        row.add_column(overflow="fold")
        words = spoken_text(message, OWN if own else NAME)
        words.expand_tabs(TAB)  # which the width of a column does not count
        row.add_row(Text(time, QUIET), words)
        return row


def spoken_of(message: MessageArrived) -> Spoken:
    """What somebody said."""
    answers = bool(message.answers)
    return Spoken(message.id, message.name, message.text, message.written, "", message.choices, answers)


def spoken_text(message: Spoken, name_style: str) -> Text:
    """Writer and words, the answers that a question offers, and the mark of an own message."""
    name = safe(message.writer)
    line = Text.assemble(
        (isolated(name), name_style),
        " asks: " if message.choices is not None else " answers: " if message.answers else ": ",
        isolated(safe(message.text, keep_newlines=True)),
    )
    if message.choices is not None:
        offered = offered_by(message.choices)
        if not message.state and not message.answered:
            line.append(f"  (answer {name} {offered or 'TEXT'})", QUIET)
        elif offered:
            line.append(f"  ({offered})", QUIET)
    if message.state:
        style = WARNING if message.state == "refused" else QUIET
        line.append(f"  {marked(message.state)}", style)
    return line


def offered_by(choices: tuple[str, ...] | None) -> str:
    """The answers of a question; empty for one that takes any, and for what is no question."""
    return "|".join(map(safe, choices or ()))


def told_of(name: str, text: str, state: str) -> Text:
    """What became of a message whose line cannot change any more."""
    words = safe(" ".join(text.split()))
    quoted = isolated(words if len(words) <= MAX_QUOTED else f"{words[: MAX_QUOTED - 1]}…")
    name = safe(name)
    match state:
        case "delivered":
            return Text(f"Delivered to {name}: {quoted}", QUIET)
        case "read":
            return Text(f"Read by {name}: {quoted}", QUIET)
        case "held":
            return Text(f"Waits for {name} to accept you: {quoted}", QUIET)
        case _:
            return Text(f"{name} declined: {quoted}", WARNING)


def day_words(day: date, today: date) -> str:
    """A day as people say it."""
    if day == today:
        return "Today"
    if day == today - timedelta(days=1):
        return "Yesterday"
    words = f"{day:%A}, {day.day} {day:%B}"
    return words if day.year == today.year else f"{words} {day.year}"


def _rule(words: Text) -> Rule:
    return Rule(words, align="left", style=QUIET, characters="─" if unicode_works() else "-")
