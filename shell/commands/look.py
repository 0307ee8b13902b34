"""Commands that look back: inbox, history, search, export, forget."""

import argparse
import os
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from time import time
from typing import TYPE_CHECKING

import msgspec
from rich.console import RenderableType
from rich.text import Text

from settings.spelling import nearest
from shell import finding
from shell.commands.names import complete_names, known, name_argument
from shell.conversation import offered_by
from shell.exports import FORMATS, SUFFIXES, exported
from shell.finding import Letter, Span
from shell.kit.command import Command, Listing, Outcome, Parser, Said
from shell.kit.direction import isolated
from shell.kit.errors import CommandError, ExitCode
from shell.kit.hanging import Hanging
from shell.kit.theme import FOUND, NAME, OWN, QUIET, marked, style_of
from shell.kit.times import MomentUnknown, clock, parse_moment
from shell.line.model import State
from wire.display import safe
from wire.messages import Status
from wire.names import name_key

if TYPE_CHECKING:
    from shell.console import UserConsole

TOPIC = "Messages"
MAX_SHOWN = 10_000  # messages that `history` or `search` shows at most
MAX_CONTEXT = 20  # messages before and after one that was found
MAX_INBOX = 200  # conversations that `inbox` lists
EXPORT_PAGE = 1_000  # messages that are read at once
PRIVATE = 0o600  # mode of an exported file
FIRST_WORDS = 60  # characters of the last message that `inbox` shows
_SETTLED = (State.DELIVERED.value, State.READ.value)


class LetterRow(msgspec.Struct, frozen=True):
    """One message as `--json` prints it."""

    name: str
    outgoing: bool
    text: str
    written: float
    """Seconds since the epoch."""
    state: str
    choices: tuple[str, ...] | None = None
    """For a question: the answers that it offers."""
    answers: bool = False
    """Whether it answers a question."""


class HitRow(msgspec.Struct, frozen=True):
    """One message that was found, as `--json` prints it."""

    name: str
    outgoing: bool
    text: str
    written: float
    state: str
    before: list[LetterRow]
    after: list[LetterRow]
    choices: tuple[str, ...] | None = None
    answers: bool = False


class Letters(Outcome, frozen=True):
    """What `history` shows."""

    letters: list[LetterRow]
    user: str
    time_format: str

    def records(self) -> list[LetterRow]:
        """One object for each message."""
        return self.letters

    def render(self, *, plain: bool) -> RenderableType:
        """An entry for each, oldest first."""
        if not self.letters:
            return Text("No messages.")
        return Hanging(*(letter_line(letter, self.user, self.time_format) for letter in self.letters))


class Found(Outcome, frozen=True):
    """What `search` shows."""

    hits: list[HitRow]
    text: str
    user: str
    time_format: str

    def records(self) -> list[HitRow]:
        """One object for each message that was found."""
        return self.hits

    def render(self, *, plain: bool) -> RenderableType:
        """Each with what was said around it; the words are marked."""
        if not self.hits:
            return Text("No messages.")
        lines: list[Text] = []
        for place, hit in enumerate(self.hits):
            if place and (hit.before or hit.after):
                lines.append(Text("--", QUIET))
            lines += [self._line(letter, plain=plain) for letter in hit.before]
            lines.append(self._line(hit, plain=plain, found=True))
            lines += [self._line(letter, plain=plain) for letter in hit.after]
        return Hanging(*lines)

    def _line(self, letter: LetterRow | HitRow, *, plain: bool, found: bool = False) -> Text:
        line = letter_line(letter, self.user, self.time_format)
        if found:
            line.highlight_words([safe(self.text)], FOUND, case_sensitive=False)
            return line
        return Text.assemble("  ", line, style="" if plain else QUIET)


class ConversationRow(msgspec.Struct, frozen=True):
    """One line of `inbox`."""

    name: str
    status: str
    unread: int
    key: int | None
    """With Alt, it opens the conversation."""
    last: str
    """Words of the last message."""
    written: float
    """Seconds since the epoch."""


class InboxList(Listing, frozen=True):
    """What `inbox` shows."""

    conversations: list[ConversationRow]
    time_format: str

    def rows(self) -> list[ConversationRow]:
        """Those with something new first."""
        return self.conversations

    def columns(self) -> tuple[str, ...]:
        """Heads."""
        return ("key", "name", "status", "new", "last", "words")

    def cells(self, row: ConversationRow, *, plain: bool) -> tuple[RenderableType, ...]:
        """One conversation."""
        words = safe(" ".join(row.last.split()))
        return (
            f"Alt-{row.key}" if row.key else "",
            Text(isolated(safe(row.name)), NAME if row.unread else ""),
            Text(marked(row.status, plain=plain), style_of(row.status)),
            str(row.unread or ""),
            clock(row.written, self.time_format),
            Text(isolated(words if len(words) <= FIRST_WORDS else f"{words[: FIRST_WORDS - 1]}…")),
        )

    def empty(self) -> str:
        """Nobody yet."""
        return "No messages yet."


def letter_line(letter: LetterRow | HitRow, user: str, time_format: str) -> Text:
    """Time, writer, words, the answers that a question offers, and the state of what was not delivered."""
    verb = "asks" if letter.choices is not None else "answers" if letter.answers else ""
    writer = f"{user} {verb or 'to'} {letter.name}" if letter.outgoing else f"{letter.name} {verb}".rstrip()
    offered = f"  ({offered_by(letter.choices)})" if letter.choices else ""
    state = f"  ({letter.state})" if letter.outgoing and letter.state not in _SETTLED else ""
    return Text.assemble(
        (clock(letter.written, time_format) + " ", QUIET),
        (isolated(safe(writer)), OWN if letter.outgoing else NAME),
        ": ",
        isolated(safe(letter.text, keep_newlines=True)),
        (offered + state, QUIET),
    )


def inbox(app: "UserConsole", arguments: argparse.Namespace) -> Outcome:
    """Who wrote, and what is new."""
    messenger = app.messenger
    found = app.call(messenger.mailbox.read(lambda connection: finding.inbox(connection, MAX_INBOX)))
    rows = []
    for row in found:
        name = row.letter.name
        app.talks.add(name)
        status = messenger.statuses.get(name_key(name), Status.OFFLINE).value
        last = row.letter
        rows.append(
            ConversationRow(name, status, row.unread, app.talks.number(name), last.text, last.written)
        )
    return InboxList(rows, app.settings.time_format)


def history(app: "UserConsole", arguments: argparse.Namespace) -> Outcome:
    """The last messages with somebody."""
    name = known(app, arguments.name)
    since, until = _moments(arguments)
    limit = arguments.limit or (MAX_SHOWN if arguments.since else app.settings.history_lines)
    found = history_with(app, name, limit, since, until)
    return Letters(
        [letter_row(letter) for letter in found], app.messenger.user or "", app.settings.time_format
    )


def history_with(
    app: "UserConsole", name: str, limit: int, since: float | None = None, until: float | None = None
) -> list[Letter]:
    """The last messages with somebody, who are looked at now."""
    span = Span(name_key(name), since, until)
    found = app.call(app.messenger.mailbox.read(lambda connection: finding.history(connection, span, limit)))
    app.looked_at(name)
    return found


def search(app: "UserConsole", arguments: argparse.Namespace) -> Outcome:
    """Messages that contain a text, with what was said around them."""
    mailbox = app.messenger.mailbox
    since, until = _moments(arguments)
    peer = name_key(known(app, arguments.with_name)) if arguments.with_name else None
    limit = arguments.limit or app.settings.history_lines
    while app.call(mailbox.read(finding.index_more)):
        pass
    span, text = Span(peer, since, until), arguments.text
    hits = app.call(
        mailbox.read(lambda connection: finding.search(connection, text, span, limit, arguments.context))
    )
    rows = [
        HitRow(
            **msgspec.structs.asdict(letter_row(hit.letter)),
            before=[letter_row(letter) for letter in hit.before],
            after=[letter_row(letter) for letter in hit.after],
        )
        for hit in hits
    ]
    return Found(rows, text, app.messenger.user or "", app.settings.time_format)


def export(app: "UserConsole", arguments: argparse.Namespace) -> Outcome:
    """Writes messages into a file that nobody else may read."""
    path = Path(arguments.file).expanduser()
    form = arguments.form or _form_of(path)
    since, until = _moments(arguments)
    peer = name_key(known(app, arguments.with_name)) if arguments.with_name else None
    span = Span(peer, since, until)
    written = 0

    def letters() -> Iterator[Letter]:
        nonlocal written
        last = 0
        while page := app.call(
            app.messenger.mailbox.read(
                lambda connection: finding.page(connection, span, last, EXPORT_PAGE)  # noqa: B023 - called at once
            )
        ):
            yield from page
            written, last = written + len(page), page[-1].number

    try:
        flags = os.O_WRONLY | os.O_CREAT | (os.O_TRUNC if arguments.force else os.O_EXCL)
        with os.fdopen(os.open(path, flags, PRIVATE), "w", encoding="utf-8", errors="replace") as file:
            os.fchmod(file.fileno(), PRIVATE)  # also where the file was there before
            file.writelines(exported(letters(), app.messenger.user or "", form))
    except FileExistsError:
        raise CommandError(
            f"{path} exists already; choose another name, or --force to write over it.", code="exists"
        ) from None
    except OSError as error:
        raise CommandError(f"{path} cannot be written: {error.strerror}.", code="not-written") from None
    return Said(f"{written:,} {'message is' if written == 1 else 'messages are'} in {path}.")


def forget(app: "UserConsole", arguments: argparse.Namespace) -> Outcome:
    """Removes what was said with somebody from this disk."""
    name = known(app, arguments.name)
    key = name_key(name)
    mailbox = app.messenger.mailbox
    count = app.call(mailbox.read(lambda connection: finding.count(connection, Span(key))))
    if not count:
        raise CommandError(f"There are no messages with {safe(name)}.", code="no-messages")
    if not arguments.yes:
        question = (
            f"Forget {count:,} {'message' if count == 1 else 'messages'} with {safe(name)} for good? [y/N] "
        )
        if not app.asks:
            raise CommandError(
                "There is no terminal to ask; to forget all the same: --yes.", code="no-terminal"
            )
        if app.ask(question).strip().lower() not in ("y", "yes"):
            raise CommandError("Nothing was forgotten.", code="cancelled")
    gone = app.call(mailbox.read(lambda connection: finding.forget(connection, key)))
    app.chat.forget(name)
    waits = f" {gone.waiting} not settled yet stay until they are." if gone.waiting else ""
    return Said(
        f"{gone.gone:,} {'message' if gone.gone == 1 else 'messages'} with {safe(name)} forgotten; their key "
        f"stays pinned.{waits}"
    )


def letter_row(letter: Letter) -> LetterRow:
    """As `--json` prints it."""
    return LetterRow(
        letter.name,
        letter.outgoing,
        letter.text,
        letter.written,
        letter.state,
        letter.choices,
        bool(letter.answers),
    )


def _moments(arguments: argparse.Namespace) -> tuple[float | None, float | None]:
    now = datetime.fromtimestamp(time()).astimezone()
    found: list[float | None] = []
    for option in ("since", "until"):
        text = getattr(arguments, option)
        try:
            found.append(parse_moment(text, now).timestamp() if text else None)
        except MomentUnknown as error:
            raise CommandError(f"--{option}: {error}", code="usage", exit_code=ExitCode.USAGE) from None
    return found[0], found[1]


def _form_of(path: Path) -> str:
    form = SUFFIXES.get(path.suffix.lower())
    if form is None:
        near = nearest(path.suffix, SUFFIXES)
        hint = f" Did you mean {path.with_suffix(near).name}?" if near else ""
        raise CommandError(
            f"{path.name}: the name should end in {', '.join(SUFFIXES)}, or say --as FORMAT.{hint}",
            code="usage",
            exit_code=ExitCode.USAGE,
        )
    return form


def _count(text: str) -> int:
    if not text.isdecimal() or not 0 < int(text) <= MAX_SHOWN:
        raise argparse.ArgumentTypeError(f"{text!r} is no number from 1 to {MAX_SHOWN}")
    return int(text)


def _context(text: str) -> int:
    if not text.isdecimal() or int(text) > MAX_CONTEXT:
        raise argparse.ArgumentTypeError(f"{text!r} is no number from 0 to {MAX_CONTEXT}")
    return int(text)


def _span_arguments(parser: Parser) -> None:
    parser.add_argument(
        "--since", metavar="WHEN", help="2026-11-24, yesterday, monday, 14:00, or 2h, 3d, 1w ago"
    )
    parser.add_argument("--until", metavar="WHEN", help="the same forms; what came before then")


def _with_argument(parser: Parser) -> None:
    parser.add_argument(
        "--with", dest="with_name", metavar="NAME", help="only messages with them", completer=complete_names
    )


def _history_arguments(parser: Parser) -> None:
    parser.add_argument("name", metavar="NAME", help="with whom", completer=complete_names)
    parser.add_argument("--limit", type=_count, metavar="N", help="how many messages, the last ones")
    _span_arguments(parser)


def _search_arguments(parser: Parser) -> None:
    _with_argument(parser)
    _span_arguments(parser)
    parser.add_argument("--limit", type=_count, metavar="N", help="how many messages, the last ones")
    parser.add_argument("--context", type=_context, default=1, metavar="N", help="messages around each (1)")
    parser.add_argument(
        "text", metavar="TEXT", nargs="+", help="what to look for, as it is; options before it"
    )


def _export_arguments(parser: Parser) -> None:
    from cmd2 import Cmd

    parser.add_argument("file", metavar="FILE", help="where to write it", completer=Cmd.path_complete)
    parser.add_argument("--as", dest="form", choices=FORMATS, help="by default what the name's end says")
    parser.add_argument("--force", action="store_true", help="write over a file that is there")
    _with_argument(parser)
    _span_arguments(parser)


def _forget_arguments(parser: Parser) -> None:
    name_argument(parser)
    parser.add_argument("--yes", action="store_true", help="do not ask")


COMMANDS: tuple[Command["UserConsole"], ...] = (
    Command("inbox", TOPIC, "List your conversations, what is new first", inbox),
    Command("history", TOPIC, "Show the last messages with somebody", history, _history_arguments),
    Command("search", TOPIC, "Find messages that contain a text", search, _search_arguments, ("text",)),
    Command("export", TOPIC, "Write messages into a file: text, JSON or Markdown", export, _export_arguments),
    Command("forget", TOPIC, "Remove what you and somebody wrote from this disk", forget, _forget_arguments),
)
