"""Tables that refresh in place, for a person; one after the other, for a script."""

import argparse
import threading
from collections.abc import Callable
from itertools import count
from typing import TYPE_CHECKING

from cmd2 import rich_utils
from rich.live import Live

from shell.kit.command import Outcome, Parser, checked, quantity
from shell.kit.records import unread
from shell.kit.times import span

if TYPE_CHECKING:
    from server.console import AdminConsole

EVERY = "2s"  # between refreshes


def live_arguments(parser: Parser) -> None:
    """The options of a command that can refresh."""
    parser.add_argument("--live", action="store_true", help="refresh in place until Ctrl-C")
    parser.add_argument(
        "--every", type=checked(span), default=EVERY, metavar="TIME", help=f"with --live ({EVERY})"
    )
    parser.add_argument("--count", type=checked(quantity), metavar="N", help="with --live: end after N looks")


def show_live(
    app: "AdminConsole", arguments: argparse.Namespace, look: Callable[[], Outcome]
) -> Outcome | None:
    """What `look` finds, once, or again and again until Ctrl-C or the count is over."""
    if not arguments.live:
        return look()
    show, end = _in_place(app) if app.interactive and not app.json_output else (app.show, lambda: None)
    pause = threading.Event()  # nobody sets it: a wait that Ctrl-C ends
    try:
        for number in count(1):
            show(look())
            if number == arguments.count or unread(app.stdout):
                break
            pause.wait(arguments.every)
    except KeyboardInterrupt:
        pass  # how a person ends it
    finally:
        end()
    return None


def _in_place(app: "AdminConsole") -> tuple[Callable[[Outcome], None], Callable[[], None]]:
    live = Live(console=rich_utils.Cmd2GeneralConsole(file=app.stdout), auto_refresh=False)
    live.start()

    def show(outcome: Outcome) -> None:
        live.update(outcome.render(plain=app.plain) or "", refresh=True)

    return show, live.stop
