"""What people read above the prompt of the way that their words take."""

from shell.events import DatagramSeen, Event, FrameSeen, PathChanged
from shell.news import news


def said(event: Event) -> str:
    shown = news(event, time_format="%H:%M", plain=True)
    assert shown is not None
    return shown.plain


def test_a_relayed_line_is_told_and_its_end_too() -> None:
    assert said(PathChanged("bob", "relayed")) == "The line to bob is relayed, still end-to-end encrypted."
    assert said(PathChanged("bob", "punched")) == "The line to bob goes straight to their shell now."


def test_a_trace_says_when_which_way_and_what() -> None:
    datagram = DatagramSeen(True, "192.0.2.7", 4000, "STUN request, 44 bytes", 0.25)
    assert said(datagram) == "   0.2500 s  to   192.0.2.7:4000  STUN request, 44 bytes"
    frame = FrameSeen(False, "bob\x1b[2J", "frame accept, 40 bytes", 1.5)
    assert "\x1b" not in said(frame)
    assert said(frame).endswith("frame accept, 40 bytes")
