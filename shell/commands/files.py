"""Commands that move files, folders, and what programs write."""

import argparse
import codecs
import logging
import shutil
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import cmd2
from cmd2 import Completions
from cmd2.completion import CompletionItem
from rich.console import RenderableType
from rich.filesize import decimal
from rich.text import Text

from shell.commands.names import name_argument, named
from shell.events import Event, TransferEnd
from shell.kit.command import Command, Listing, Outcome, Parser, Said, checked, quantity
from shell.kit.errors import CommandError, ExitCode
from shell.kit.times import duration
from shell.line.errors import Damaged
from shell.line.transfer import Phase, Transfer
from wire.display import safe
from wire.frames import StopReason, TransferKind
from wire.names import name_key

if TYPE_CHECKING:
    from rich.progress import Progress

    from shell.console import UserConsole
    from shell.line.pipes import Pipe

log = logging.getLogger(__name__)

TOPIC = "Files"
CALL_PATIENCE = 30.0  # seconds for the network thread, beyond what the command itself waits
NARROW = 60  # columns below which a bar has no room
REDRAW = 0.2  # seconds between looks at how far a transfer is
PIPE_PATIENCE = "5m"
FOREVER = 10.0 * 365 * 24 * 3600  # seconds; a transfer takes as long as it takes
PIPE_READ = 256 * 1024  # bytes of standard input at once
REASONS = {
    StopReason.DECLINED: "declined",
    StopReason.CANCELLED: "cancelled",
    StopReason.NO_CONSENT: "not taken: they have to accept you first, so write them a message",
    StopReason.TOO_LARGE: "larger than its recipient takes",
    StopReason.TOO_MANY: "one too many: others wait there already",
    StopReason.CHANGED: "gone or no longer what was offered",
    StopReason.DAMAGED: "damaged on its way, so nothing was kept; send it again",
    StopReason.DISK_FAILED: "not written: the disk there failed or is full",
}
_UNDER_WAY = (Phase.OFFERED.value, Phase.MOVING.value)
_REFUSALS = (StopReason.DECLINED, StopReason.NO_CONSENT, StopReason.TOO_LARGE, StopReason.TOO_MANY)


class Moved(Outcome, frozen=True):
    """What became of a transfer, as far as one knows."""

    number: int
    name: str
    outgoing: bool
    kind: str
    title: str
    size: int | None
    moved: int
    """Bytes that have travelled."""
    state: str
    """`offered`, `moving`, `done`, or why it was stopped."""
    path: str
    """What is sent, or where what arrived was saved."""

    def render(self, *, plain: bool) -> Text:
        """A sentence."""
        pipe = self.kind == TransferKind.PIPE.value
        what, name = self.kind if pipe else f"{self.kind} {safe(self.title)}", safe(self.name)
        number = self.number
        match self.state:
            case Phase.DONE.value if self.outgoing:
                return Text(f"{name} has the {what}.")
            case Phase.DONE.value:
                return Text(f"The {what} of {name} is saved as {safe(self.path)}")
            case Phase.OFFERED.value:
                return Text(f"Offered the {what} to {name}; `files` shows it, `cancel {number}` ends it.")
            case Phase.MOVING.value:
                return Text(f"The {what} goes on by itself; `files` shows it, `cancel {number}` ends it.")
            case _:
                return Text(f"The {what} was {REASONS[StopReason(self.state)]}.")

    @property
    def exit_code(self) -> ExitCode:
        """0 where it is done or on its way, 7 where it was refused."""
        if self.state in (Phase.DONE.value, *_UNDER_WAY):
            return ExitCode.DONE
        return ExitCode.REFUSED if StopReason(self.state) in _REFUSALS else ExitCode.USER


class Transferred(Listing, frozen=True):
    """What `files` shows."""

    transfers: list[Moved]

    def rows(self) -> list[Moved]:
        """Oldest first."""
        return self.transfers

    def columns(self) -> tuple[str, ...]:
        """Heads."""
        return ("number", "with", "what", "size", "state")

    def cells(self, row: Moved, *, plain: bool) -> tuple[RenderableType, ...]:
        """One transfer."""
        share = f" {row.moved * 100 // row.size}%" if row.state == Phase.MOVING.value and row.size else ""
        return (
            str(row.number),
            f"{'to' if row.outgoing else 'from'} {safe(row.name)}",
            f"{row.kind} {safe(row.title)}",
            "" if row.size is None else decimal(row.size),
            row.state + share,
        )

    def empty(self) -> str:
        """There are none."""
        return "No files. `send NAME FILE` offers one."


def send(app: "UserConsole", arguments: argparse.Namespace) -> Outcome:
    """Offers a file or folder, and shows how it goes."""
    name = named(app, arguments.name)
    transfer = app.call(app.messenger.line.files.send(name, Path(arguments.file).expanduser()), FOREVER)
    return _shown(app, transfer) if arguments.no_wait else _watched(app, transfer)


def take(app: "UserConsole", arguments: argparse.Namespace) -> Outcome:
    """Takes what somebody offers, and shows how it goes."""
    number = _offered(app, arguments.which).number
    transfer = app.call(app.messenger.line.files.take(number))
    return _shown(app, transfer) if arguments.no_wait else _watched(app, transfer)


def refuse(app: "UserConsole", arguments: argparse.Namespace) -> Outcome:
    """Declines what somebody offers."""
    transfer = _offered(app, arguments.which)
    app.call(app.messenger.line.files.end(transfer.number))
    return Said(f"You declined the {transfer.kind.value} {safe(transfer.title)}.")


def cancel(app: "UserConsole", arguments: argparse.Namespace) -> Outcome:
    """Ends a transfer, from either side."""
    transfer = app.call(app.messenger.line.files.end(arguments.number))
    return Said(f"The {transfer.kind.value} {safe(transfer.title)} is cancelled.")


def files(app: "UserConsole", arguments: argparse.Namespace) -> Outcome:
    """All transfers, those that are over too."""
    return Transferred([_shown(app, transfer) for transfer in app.messenger.line.files.core])


def pipe(app: "UserConsole", arguments: argparse.Namespace) -> None:
    """Joins standard input and output with the same command of somebody else."""
    name = named(app, arguments.name)
    moves = app.messenger.line.files
    joined = app.call(moves.open_pipe(name))
    try:
        if not app.call(moves.joined(joined, arguments.timeout), arguments.timeout + CALL_PATIENCE):
            raise CommandError(
                f"{safe(name)} has not joined the pipe within {arguments.timeout:g} s.",
                code="no-answer",
                exit_code=ExitCode.QUEUED,
            )
        threading.Thread(target=_feed, args=(app, joined), name="pipe-input", daemon=True).start()
        write = _writer(app)
        while data := app.call(joined.sink.read(), FOREVER):
            write(data)
        ends = app.call(moves.pipe_over(joined), FOREVER)
    except Damaged as error:
        raise CommandError(f"The pipe is damaged: {error}", code="damaged") from None
    except BrokenPipeError:
        raise CommandError("Whoever read from the pipe has stopped reading.", code="broken-pipe") from None
    finally:
        app.call(moves.close_pipe(joined))
    for transfer in ends:
        ended = _shown(app, transfer)
        if transfer.phase is Phase.STOPPED:
            raise CommandError(
                ended.render(plain=True).plain, code=ended.state.replace(" ", "-"), exit_code=ended.exit_code
            )


# --- inside ---------------------------------------------------------------------------------------------


def _feed(app: "UserConsole", joined: "Pipe") -> None:
    """Standard input into the pipe; what a person types at a terminal is no input for it."""
    stream = None if app.stdin.isatty() else getattr(app.stdin, "buffer", None)
    try:
        while stream is not None and (data := stream.read1(PIPE_READ)):
            if not app.call(joined.source.feed(data), FOREVER):
                return
        app.call(joined.source.end())
    except OSError as error:  # what was not read to its end must not look so
        log.warning("event=pipe_input_failed reason=%r", error)
        app.bridge.submit(app.messenger.line.files.close_pipe(joined))
    except Exception as error:  # the thread's edge: the shell may end at any moment
        log.info("event=pipe_input_ended reason=%r", error)


def _writer(app: "UserConsole") -> Callable[[bytes], None]:
    """Bytes as they are into files and programs; to a terminal only what cannot control it."""
    stream = getattr(app.stdout, "buffer", None)
    decode = codecs.getincrementaldecoder("utf-8")("replace").decode

    def write(data: bytes) -> None:
        if stream is None or app.stdout.isatty():
            app.stdout.write(safe(decode(data), keep_newlines=True))
            app.stdout.flush()
        else:
            stream.write(data)
            stream.flush()

    return write


def _shown(app: "UserConsole", transfer: Transfer) -> Moved:
    now = app.messenger.line.files.core.get(transfer.id) or transfer
    return Moved(
        now.number,
        now.name,
        now.outgoing,
        now.kind.value,
        now.title,
        now.size,
        app.messenger.line.files.moved(now),
        now.reason.value if now.reason is not None else now.phase.value,
        now.path,
    )


def _watched(app: "UserConsole", transfer: Transfer) -> Moved:
    """Waits until it is over; a person sees a bar, and may leave it with Ctrl-C."""
    app.watched_transfers.add(transfer.number)
    bar = _bar(shutil.get_terminal_size().columns)
    task = bar.add_task("", total=transfer.size)

    def is_end(event: Event) -> bool:
        return isinstance(event, TransferEnd) and event.number == transfer.number

    try:
        with app.drawing() as draw:
            while app.inbox.take(is_end, REDRAW) is None:
                now = _shown(app, transfer)
                waits = now.state == Phase.OFFERED.value
                shown = f"waiting for {safe(now.name)}" if waits else safe(now.title)
                bar.update(task, completed=now.moved, description=shown)
                draw(bar.get_renderable())
        return _shown(app, transfer)
    except KeyboardInterrupt:
        if not app.interactive:
            raise
        return _shown(app, transfer)
    finally:
        app.watched_transfers.discard(transfer.number)


def _bar(columns: int) -> "Progress":
    """How far a transfer is, on one row: of a narrow one the name and the bar itself give up room."""
    from rich.progress import (
        BarColumn,
        DownloadColumn,
        Progress,
        TaskProgressColumn,
        TextColumn,
        TimeRemainingColumn,
        TransferSpeedColumn,
    )
    from rich.table import Column

    def whole() -> Column:
        return Column(no_wrap=True)

    name = TextColumn(
        "{task.description}", markup=False, table_column=Column(no_wrap=True, ratio=1, overflow="ellipsis")
    )
    far = (
        (TaskProgressColumn(table_column=whole()),)
        if columns < NARROW
        else (BarColumn(None, table_column=Column(ratio=1)), DownloadColumn(table_column=whole()))
    )
    rate, left = TransferSpeedColumn(table_column=whole()), TimeRemainingColumn(table_column=whole())
    return Progress(name, *far, rate, left, expand=True)


def _offered(app: "UserConsole", which: str) -> Transfer:
    """The offer with a number, or the oldest of somebody."""
    moves = app.messenger.line.files.core
    if which.isdecimal():
        return moves.numbered(int(which))
    for transfer in moves:
        if transfer.peer == name_key(which) and not transfer.outgoing and transfer.phase is Phase.OFFERED:
            return transfer
    raise CommandError(f"{safe(which)} offers you no file; `files` lists them.", code="no-such-transfer")


def _complete_offers(app: "UserConsole", text: str, line: str, begidx: int, endidx: int) -> Completions:
    return _completed(app, text, lambda one: not one.outgoing and one.phase is Phase.OFFERED)


def _complete_open(app: "UserConsole", text: str, line: str, begidx: int, endidx: int) -> Completions:
    return _completed(app, text, lambda one: not one.over)


def _completed(app: "UserConsole", text: str, fits: Callable[[Transfer], bool]) -> Completions:
    found = app.messenger.line.files.core if app.messenger.user else ()
    return Completions(
        [
            CompletionItem(
                str(one.number),
                text=str(one.number),
                display_meta=f"{safe(one.title)} {'to' if one.outgoing else 'from'} {safe(one.name)}",
            )
            for one in found
            if fits(one) and str(one.number).startswith(text)
        ]
    )


def _send_arguments(parser: Parser) -> None:
    name_argument(parser)
    parser.add_argument("file", metavar="FILE", help="file or folder", completer=cmd2.Cmd.path_complete)
    _no_wait(parser)


def _take_arguments(parser: Parser) -> None:
    _which(parser)
    _no_wait(parser)


def _which(parser: Parser) -> None:
    parser.add_argument(
        "which", metavar="NUMBER|NAME", help="of the offer, or who offers", completer=_complete_offers
    )


def _no_wait(parser: Parser) -> None:
    parser.add_argument("--no-wait", action="store_true", help="leave it to itself")


def _cancel_arguments(parser: Parser) -> None:
    parser.add_argument(
        "number", metavar="NUMBER", type=checked(quantity), help="of the transfer", completer=_complete_open
    )


def _pipe_arguments(parser: Parser) -> None:
    name_argument(parser)
    parser.add_argument(
        "--timeout",
        type=checked(duration),
        default=PIPE_PATIENCE,
        metavar="TIME",
        help="to join (5m)",
    )


COMMANDS: tuple[Command["UserConsole"], ...] = (
    Command("send", TOPIC, "Offer a file or folder to somebody", send, _send_arguments),
    Command("take", TOPIC, "Take a file that somebody offers", take, _take_arguments),
    Command("refuse", TOPIC, "Decline a file that somebody offers", refuse, _which),
    Command("cancel", TOPIC, "End a transfer", cancel, _cancel_arguments),
    Command("files", TOPIC, "Show files on their way, and those that came and went", files),
    Command(
        "pipe",
        TOPIC,
        "Join standard input and output with `pipe` of somebody else",
        pipe,
        _pipe_arguments,
        details="`tar c . | parley pipe bob` there, `parley pipe alice | tar x` here.",
    ),
)
