"""What calls somebody to the terminal: bell, notifications, the window's title, and words on return."""

from collections.abc import Callable
from time import monotonic, time
from typing import TYPE_CHECKING

from rich.text import Text

from shell.desktop import MIN_PAUSE, Desktop, pop_title, push_title
from shell.events import Event
from shell.kit.live import LiveLines
from shell.kit.theme import QUIET, WARNING
from shell.notice import CALLING, Absence, notice_of, window_title
from shell.settings import ShellSettings
from shell.talks import Talks
from wire.messages import Visibility

if TYPE_CHECKING:
    from prompt_toolkit.output import Output

_ELSEWHERE = (Visibility.AWAY, Visibility.BUSY)


class Attention:
    """Of the person at one terminal. Whoever is busy is not called."""

    def __init__(self, settings: ShellSettings, lines: LiveLines, talks: Talks, *, plain: bool) -> None:
        self._bell = settings.bell
        self._preview = settings.notify_preview
        self._titles = settings.window_title and not plain
        self._lines = lines
        self._talks = talks
        # A sequence is no cursor game, but a dumb terminal would show it.
        way = "off" if plain and settings.notify.startswith("osc") else settings.notify
        self._desktop = Desktop(way, lambda sentence: lines.add(Text(sentence, WARNING)))
        self._absence = Absence(settings.away_after, settings.time_format, time())
        self._title = ""
        self._rung = float("-inf")
        self._visibility = Visibility.ONLINE

    def heard(self, event: Event, user: str | None) -> bool:
        """Something happened; whether somebody is there to see it. Called on the network thread."""
        there = self._absence.arrived(event, time())
        if not isinstance(event, CALLING):
            return there
        if self._visibility is not Visibility.BUSY:
            if self._bell and (now := monotonic()) - self._rung >= MIN_PAUSE:
                self._rung = now
                self._lines.do(lambda output: output.bell())
            notice = notice_of(event, preview=self._preview)
            deed = self._desktop.notify(notice) if notice else None
            if deed is not None:
                self._lines.do(deed)
        self.name_window(user)
        return there

    def key(self) -> None:
        """The person is there."""
        self._say(self._absence.key(time()))

    def stands(self, user: str | None, visibility: Visibility) -> None:
        """A command is over: who is logged in now, and as what others see them."""
        if visibility is not self._visibility:
            self._visibility = visibility
            self._say(self._absence.declare(away=visibility in _ELSEWHERE, now=time()))
        self.name_window(user)

    def name_window(self, user: str | None) -> None:
        """The window's title has the number of unread messages."""
        title = window_title(user, sum(self._talks.unread.values()))
        if not self._titles or title == self._title:
            return
        first, self._title = not self._title, title
        self._lines.do(_titled(title, first=first))

    def leave(self) -> None:
        """The window gets back the title that it had."""
        if self._title:
            self._lines.do(pop_title)

    def _say(self, sentence: str | None) -> None:
        if sentence:
            self._lines.add(Text(sentence, QUIET))


def _titled(title: str, *, first: bool) -> "Callable[[Output], None]":
    def deed(output: "Output") -> None:
        if first:
            push_title(output)
        output.set_title(title)

    return deed
