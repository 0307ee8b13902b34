"""Tables that refresh in place, for a person; one after the other, for a script."""

import argparse
import contextlib
import threading
from collections.abc import Callable
from itertools import count
from typing import TYPE_CHECKING

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
    draws = app.interactive and not app.json_output and not app.plain
    pause = threading.Event()  # nobody sets it: a wait that Ctrl-C ends
    view = app.live_view(stays=True) if draws else contextlib.nullcontext(app.show)
    with contextlib.suppress(KeyboardInterrupt), view as show:  # Ctrl-C is how a person ends it
        for number in count(1):
            show(look())
            if number == arguments.count or unread(app.stdout):
                break
            pause.wait(arguments.every)
    return None
