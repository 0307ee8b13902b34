"""Commands of the admin console about the phone book itself: figures, feed, notices, the end."""

import argparse
import queue
from datetime import datetime, timedelta
from time import monotonic
from typing import TYPE_CHECKING

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from server.actions import GetStats, ListRecent, SendNotice, Shutdown, Stats
from server.console_changes import ShownChange, changed, counted
from server.console_live import live_arguments, show_live
from server.console_names import dry_run_argument
from server.effects import Happened
from shell.kit.command import Command, Outcome, Parser, Said, checked, quantity
from shell.kit.errors import CommandError
from shell.kit.records import unread
from shell.kit.tables import table
from shell.kit.theme import QUIET
from shell.kit.times import duration
from wire.display import safe

if TYPE_CHECKING:
    from server.console import AdminConsole

TOPIC = "Server"
MAX_FEED = 10_000  # events that wait to be printed; beyond, the newest are left out


class Figures(Outcome, frozen=True):
    """What `stats` shows."""

    stats: Stats

    def records(self) -> list[Stats]:
        """One object."""
        return [self.stats]

    def render(self, *, plain: bool) -> Table:
        """One row a figure."""
        stats = self.stats
        rows = [
            ("uptime", str(timedelta(seconds=int(stats.uptime)))),
            ("accounts", f"{stats.accounts:,}"),
            ("sessions", f"{stats.sessions:,}"),
            ("connections", f"{stats.connections:,}"),
            ("requests", f"{stats.requests:,}"),
            ("password hashes waiting", str(stats.hashes_waiting)),
            *((what, f"{count:,}") for what, count in stats.events.items()),
        ]
        return table(("what", "figure"), rows, plain=plain)


class ShownEvents(Outcome, frozen=True):
    """What `watch --last` shows."""

    events: tuple[Happened, ...]

    def records(self) -> tuple[Happened, ...]:
        """One object an event."""
        return self.events

    def render(self, *, plain: bool) -> RenderableType:
        """One line an event."""
        return Text("\n").join(map(event_line, self.events)) if self.events else Text("Nothing happened yet.")


def event_line(event: Happened) -> Text:
    """One event as a line: when, what, who."""
    details = ", ".join(safe(detail) for detail in (event.detail, event.address) if detail)
    detail = f" ({details})" if details else ""
    moment = datetime.fromtimestamp(event.when).astimezone()
    return Text.assemble((f"{moment:%H:%M:%S} ", QUIET), f"{event.what}: {safe(event.name)}{detail}")


def _stats(app: "AdminConsole", arguments: argparse.Namespace) -> Outcome | None:
    return show_live(app, arguments, lambda: Figures(app.operator.ask(GetStats())))


def _watch(app: "AdminConsole", arguments: argparse.Namespace) -> Outcome | None:
    kinds = tuple(arguments.only.split(",")) if arguments.only else ()
    if arguments.last:
        recent = app.operator.ask(ListRecent(arguments.last, kinds))
        return ShownEvents(recent.events)
    if app.interactive and arguments.time is arguments.count is None:
        app.watching = None if arguments.switch == "off" else kinds
        return Said("The feed is off." if app.watching is None else "What happens is shown as it happens.")
    if app.answers is not None and arguments.time is arguments.count is None:
        raise CommandError("A transcript cannot watch for ever; say --count N, --for TIME or --last N.")
    _print_events(app, kinds, arguments)
    return None


def _print_events(app: "AdminConsole", kinds: tuple[str, ...], arguments: argparse.Namespace) -> None:
    """Events as they happen, until the time or the count is over, or Ctrl-C."""
    events: queue.Queue[Happened] = queue.Queue(MAX_FEED)

    def heard(event: Happened) -> None:
        if not events.full() and (not kinds or event.what in kinds):
            events.put_nowait(event)

    ends = monotonic() + arguments.time if arguments.time is not None else None
    unsubscribe = app.operator.subscribe(heard)
    shown = 0
    try:
        while shown != arguments.count and app.operator.running and not unread(app.stdout):
            patience = min(_LOOK, ends - monotonic()) if ends is not None else _LOOK
            if patience <= 0:
                break
            try:
                event = events.get(timeout=patience)
            except queue.Empty:
                continue
            app.show(ShownEvents((event,)))
            shown += 1
    except KeyboardInterrupt:
        pass  # how a person ends it
    finally:
        unsubscribe()


_LOOK = 1.0  # seconds between looks whether the phone book, and who reads, is still there


def _notice(app: "AdminConsole", arguments: argparse.Namespace) -> ShownChange:
    told = app.operator.ask(SendNotice(arguments.text, dry_run=arguments.dry_run))
    return changed(told, f"Told {counted(len(told.hit), 'person', 'people')}.")


def _shutdown(app: "AdminConsole", arguments: argparse.Namespace) -> ShownChange:
    done = app.operator.ask(Shutdown(reason=arguments.text or "", dry_run=arguments.dry_run))
    if arguments.dry_run:
        return changed(done, "")
    raise SystemExit(0)


def _watch_arguments(parser: Parser) -> None:
    parser.add_argument("switch", nargs="?", default="on", choices=("on", "off"), help="the feed")
    parser.add_argument("--only", metavar="KINDS", help="only these, as login,login-failed,kick")
    parser.add_argument("--last", type=checked(quantity), metavar="N", help="show the last N events instead")
    parser.add_argument(
        "--for", dest="time", type=checked(duration), metavar="TIME", help="end after this time"
    )
    parser.add_argument("--count", type=checked(quantity), metavar="N", help="end after N events")


def _notice_arguments(parser: Parser) -> None:
    parser.add_argument("text", metavar="TEXT", nargs="+", help="told to everybody, as it is")
    dry_run_argument(parser)


def _shutdown_arguments(parser: Parser) -> None:
    parser.add_argument("text", metavar="TEXT", nargs="*", help="told to everybody")
    dry_run_argument(parser)


COMMANDS: tuple[Command["AdminConsole"], ...] = (
    Command(
        "notice",
        TOPIC,
        "Tell everybody something",
        _notice,
        _notice_arguments,
        ("text",),
        options_between=True,
    ),
    Command("stats", TOPIC, "Show the phone book in figures", _stats, live_arguments),
    Command("watch", TOPIC, "Show logins, kicks and the like as they happen", _watch, _watch_arguments),
    Command(
        "shutdown",
        TOPIC,
        "Tell everybody and stop",
        _shutdown,
        _shutdown_arguments,
        ("text?",),
        options_between=True,
    ),
)
