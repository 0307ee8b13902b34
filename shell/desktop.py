"""Ways to a desktop: sequences that terminals turn into notifications, and the program `notify-send`."""

import html
import logging
import os
import subprocess
import threading
from collections.abc import Callable
from time import monotonic

from prompt_toolkit.output import Output

from shell.kit.live import Deed
from shell.notice import Notice

log = logging.getLogger(__name__)

WAYS = ("off", "osc9", "osc777", "notify-send")
PATIENCE = 5.0  # seconds that notify-send may take
MIN_PAUSE = 1.0  # seconds between two notifications, or two bells; a burst of messages is one
PROGRAM = "notify-send"
PUSH_TITLE, POP_TITLE = "\x1b[22;0t", "\x1b[23;0t"  # xterm's stack of titles, which most others know


class Desktop:
    """One person's desktop. `tell` gets a sentence where a way does not work."""

    def __init__(self, way: str, tell: Callable[[str], None]) -> None:
        self._way = way
        self._tell = tell
        self._last = float("-inf")

    def notify(self, notice: Notice) -> Deed | None:
        """Notifies at once, or returns what the terminal has to be sent."""
        now = monotonic()
        if self._way == "off" or now - self._last < MIN_PAUSE:
            return None
        self._last = now
        if self._way == PROGRAM:
            threading.Thread(target=self._run, args=(notice,), name=PROGRAM, daemon=True).start()
            return None
        sequence = osc(self._way, notice, tmux="TMUX" in os.environ)
        return lambda output: output.write_raw(sequence)

    def _run(self, notice: Notice) -> None:
        try:
            subprocess.run(
                # A notification's body may have markup; nothing of what others write may be any.
                [PROGRAM, "--app-name=Parley", "--", notice.title, html.escape(notice.body, quote=False)],
                stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                timeout=PATIENCE, check=True,
            )  # fmt: skip
        except FileNotFoundError:
            self._way = "off"
            self._tell(
                "There is no program notify-send here, so no notifications; see `notify` in the settings."
            )
        except (OSError, subprocess.SubprocessError) as error:
            log.warning("event=notify_failed reason=%s", type(error).__name__)


def osc(way: str, notice: Notice, *, tmux: bool) -> str:
    """The sequence: OSC 9 (iTerm2, Windows Terminal, kitty, foot) or OSC 777 (urxvt, VTE, foot, WezTerm)."""
    if way == "osc9":
        words = f"{notice.title}: {notice.body}" if notice.body else notice.title
        sequence = f"\x1b]9;{words}\x07"
    else:
        title, body = (text.replace(";", ",") for text in (notice.title, notice.body))
        sequence = f"\x1b]777;notify;{title};{body}\x07"
    # tmux hands on only what is wrapped (its option allow-passthrough), with each escape doubled.
    return "\x1bPtmux;" + sequence.replace("\x1b", "\x1b\x1b") + "\x1b\\" if tmux else sequence


def push_title(output: Output) -> None:
    """Keeps the title that the window has."""
    output.write_raw(PUSH_TITLE)


def pop_title(output: Output) -> None:
    """Gives the window its title back."""
    output.write_raw(POP_TITLE)
