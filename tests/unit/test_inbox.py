"""What arrived by itself waits for whoever asks; whoever writes much takes room from nobody else."""

import io
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shell.app import Shell
from shell.events import DatagramSeen, Event, MessageArrived, NoticeArrived, StatusChanged
from shell.filters import Filter
from shell.inbox import MAX_EVENTS, Inbox
from shell.kit.errors import ExitCode
from shell.settings import ShellSettings
from wire.messages import Status

CAROL = MessageArrived("carol", "the job is done", 1.0)
MUCH = 2 * MAX_EVENTS


def everything(event: Event) -> bool:
    return True


def test_nobody_pushes_out_what_others_wrote() -> None:
    inbox = Inbox()
    inbox.put(CAROL)
    for number in range(MUCH):
        inbox.put(MessageArrived("mallory", str(number), 2.0))
        inbox.put(StatusChanged(f"somebody {number}", Status.ONLINE))
        inbox.put(NoticeArrived(str(number)))
        inbox.put(DatagramSeen(True, "192.0.2.7", 4000, "", 0.0))
    assert inbox.take(Filter("message", "carol").fits, 0.0) == CAROL
    assert inbox.lost("message") == MUCH - MAX_EVENTS + 1
    assert inbox.lost("message") == 0
    # The oldest of a kind went, and what no script can ask for was not kept.
    assert inbox.take(Filter("message").fits, 0.0) == MessageArrived("mallory", str(MAX_EVENTS + 1), 2.0)
    assert inbox.take(Filter("notice").fits, 0.0) == NoticeArrived(str(MAX_EVENTS))
    kept = 0
    while inbox.take(everything, 0.0) is not None:
        kept += 1
    assert kept == 3 * MAX_EVENTS - 3


def test_what_is_waited_for_comes_through_any_flood() -> None:
    inbox = Inbox()
    waits = threading.Event()
    found: list[Event | None] = []

    def fits(event: Event) -> bool:
        waits.set()
        return event == CAROL

    inbox.put(MessageArrived("mallory", "first", 1.0))  # looked at when somebody begins to wait
    waiting = threading.Thread(target=lambda: found.append(inbox.take(fits, 30.0)))
    waiting.start()
    assert waits.wait(30.0)
    for event in (CAROL, *(MessageArrived("carol", str(number), 2.0) for number in range(MUCH))):
        inbox.put(event)
    waiting.join(30.0)
    assert found == [CAROL]


def test_what_came_when_a_wait_was_interrupted_is_there_for_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    inbox = Inbox()

    def interrupted(timeout: float) -> bool:
        inbox.put(CAROL)
        raise KeyboardInterrupt

    monkeypatch.setattr(inbox._arrived, "wait", interrupted)
    with pytest.raises(KeyboardInterrupt):
        inbox.take(everything, 30.0)
    assert inbox.take(everything, 0.0) == CAROL


@given(st.lists(st.tuples(st.sampled_from(["bob", "carol"]), st.booleans())))
def test_events_come_out_in_the_order_they_came(arrivals: list[tuple[str, bool]]) -> None:
    inbox = Inbox()
    events: list[Event] = [
        MessageArrived(name, str(number), 1.0) if message else StatusChanged(name, Status.AWAY)
        for number, (name, message) in enumerate(arrivals)
    ]
    for event in events:
        inbox.put(event)
    assert [inbox.take(everything, 0.0) for _ in events] == events
    assert inbox.take(everything, 0.0) is None


def test_what_went_before_a_wait_is_told_once(tmp_path: Path) -> None:
    output = io.StringIO()
    app = Shell(ShellSettings(data=str(tmp_path)), output=output)
    for number in range(MAX_EVENTS + 3):
        app.inbox.put(NoticeArrived(str(number)))
    app.run_line("wait notice")
    app.run_line("wait notice")
    told, *noticed = output.getvalue().splitlines()
    assert told == "3 more came before `wait notice` asked for them and went: no more than 2,000 are kept."
    assert noticed == ["Notice: 3", "Notice: 4"]
    assert app.exit is ExitCode.DONE
