"""One table of commands drives parsing, help, completion, permission and `--json` of a console."""

import argparse
import re
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Generic, NoReturn, TypeVar

import cmd2
import msgspec
from cmd2.string_utils import strip_style
from rich.console import Group, RenderableType
from rich.text import Text

from settings.spelling import nearest
from shell.kit.errors import CommandError, ExitCode
from shell.kit.tables import table
from shell.kit.verbatim import HELP_FLAGS, VerbatimWords

_OPTION = re.compile(r"(?P<option>--[a-z][a-z-]*)(?P<inline>=\S+)?(?=\s|$)")
_VALUE = re.compile(r"(?:\"(?P<quoted>[^\"]*)\"|(?P<bare>\S+))(?=\s|$)")
_BAD_CHOICE = re.compile(r"invalid choice: '(?P<wrong>[^']*)' \(choose from (?P<choices>[^)]*)\)")
_MISSING = re.compile(r"the following arguments are required: (?P<names>.*)")
_NUMBER = re.compile(r"[0-9]{1,10}")
_BAD_OPTION = re.compile(r"unrecognized arguments:.*?(?P<wrong>--[a-z-]+)")

MAX_QUANTITY = 999_999_999  # of what a person asks for by number

T = TypeVar("T")
AppT = TypeVar("AppT", bound="cmd2.Cmd")


class Outcome(msgspec.Struct, frozen=True):
    """What a command found or did. Its fields are what `--json` prints."""

    def render(self, *, plain: bool) -> RenderableType | None:
        """How a person sees it; None for nothing."""
        raise NotImplementedError

    def records(self) -> Iterable[msgspec.Struct]:
        """What `--json` prints, one object a line."""
        return (self,)

    @property
    def exit_code(self) -> ExitCode:
        """What scripts see."""
        return ExitCode.DONE


class Listing(Outcome, frozen=True):
    """Rows of one kind: a table for people, one object a row for programs."""

    def rows(self) -> Sequence[msgspec.Struct]:
        """What is listed."""
        raise NotImplementedError

    def columns(self) -> Sequence[str]:
        """The heads."""
        raise NotImplementedError

    def cells(self, row: Any, *, plain: bool) -> Sequence[RenderableType]:
        """One row, a cell for each head."""
        raise NotImplementedError

    def empty(self) -> str:
        """What to say where there is nothing."""
        raise NotImplementedError

    def footer(self) -> str:
        """What to say below the table; empty for nothing."""
        return ""

    def records(self) -> Iterable[msgspec.Struct]:
        """One object for each row."""
        return self.rows()

    def render(self, *, plain: bool) -> RenderableType:
        """The table, and what is said below it."""
        rows = self.rows()
        if not rows:
            return Text(self.empty())
        made = table(self.columns(), [self.cells(row, plain=plain) for row in rows], plain=plain)
        return Group(made, Text(self.footer())) if self.footer() else made


class Said(Outcome, frozen=True):
    """A sentence is all there is to say."""

    message: str

    def render(self, *, plain: bool) -> RenderableType:
        """The sentence."""
        return Text(self.message)


def no_arguments(parser: "Parser") -> None:
    """For commands that take none."""


class Command(msgspec.Struct, Generic[AppT], frozen=True):
    """One command of a console."""

    name: str
    topic: str
    """The heading under which help lists it."""
    summary: str
    run: Callable[[AppT, argparse.Namespace], Outcome | None]
    arguments: Callable[["Parser"], None] = no_arguments
    verbatim: tuple[str, ...] = ()
    """Names of the arguments of a command whose last one is taken as it was typed, quotes and all; a last
    name that ends in `?` may be left out."""
    options_between: bool = False
    """Whether options may stand between verbatim arguments, too, and an unknown one is an error. Not for
    messages, whose text may begin as an option does. `--` ends the options."""
    details: str = ""
    """What help says after the arguments."""
    aliases: tuple[str, ...] = ()


def checked(convert: Callable[[str], T]) -> Callable[[str], T]:
    """The `type` of an argument: what `convert` says in a ValueError is what the person reads."""

    def type_(text: str) -> T:
        try:
            return convert(text)
        except ValueError as error:
            raise argparse.ArgumentTypeError(str(error)) from None

    return type_


def quantity(text: str) -> int:
    """How many, or which; 1 at least. Raises ValueError with a sentence."""
    if _NUMBER.fullmatch(text) is None or not 1 <= int(text) <= MAX_QUANTITY:
        raise ValueError(f"{text!r} is no number from 1 to {MAX_QUANTITY:,}")
    return int(text)


def pattern_argument(parser: "Parser", completer: Callable[..., cmd2.Completions]) -> None:
    """Which names, of all that there are."""
    parser.add_argument(
        "pattern",
        metavar="PATTERN",
        nargs="?",
        default="",
        help="a beginning of names, or a pattern with * and ?",
        completer=completer,
    )


class Parser(cmd2.Cmd2ArgumentParser):
    """Says what is wrong in one line instead of a page of usage."""

    left_alone_after = ""
    """A word; what follows it is somebody else's command line, and becomes the argument `after`."""
    options_between = False
    """See `Command`."""

    def parse_args(self, args: Any = None, namespace: Any = None) -> argparse.Namespace:  # type: ignore[override]
        """As argparse, except that words taken verbatim are not looked at, but for options before them."""
        if isinstance(args, VerbatimWords):
            return self._parse_verbatim(args)
        after: list[str] = []
        if self.left_alone_after and self.left_alone_after in args:
            place = args.index(self.left_alone_after)
            args, after = args[:place], args[place + 1 :]
        parsed = super().parse_args(args, namespace)
        assert isinstance(parsed, argparse.Namespace)  # noqa: S101 - argparse is untyped here
        if self.left_alone_after:
            parsed.after = after
        return parsed

    def _parse_verbatim(self, words: VerbatimWords) -> argparse.Namespace:
        parsed = argparse.Namespace()
        if self._option_string_actions.keys() - set(HELP_FLAGS):
            options, rest = self._leading_options(words.text)
            before: list[str] = []
            while self.options_between and rest and len(before) < len(words.names) - 1:
                word, *after = rest.split(None, 1)
                before.append(word)
                more, rest = self._leading_options("".join(after))
                options += more
            words = VerbatimWords(words.names, " ".join([*before, rest]))
            parsed = super().parse_args([*options, "--", *["-"] * len(words.names)])
        if words.missing:
            self.error(f"{words.missing} is missing")
        vars(parsed).update(words.named)
        return parsed

    def _leading_options(self, text: str) -> tuple[list[str], str]:
        """The options before verbatim words, and the rest; `--` ends them."""
        options: list[str] = []
        while found := _OPTION.match(text):
            action = self._option_string_actions.get(found["option"])
            if action is None and not self.options_between:
                break
            options.append(found[0])
            text = text[found.end() :].lstrip()
            takes_value = action is not None and action.nargs != 0 and not found["inline"]
            if takes_value and (value := _VALUE.match(text)):
                options.append(value["quoted"] if value["quoted"] is not None else value["bare"])
                text = text[value.end() :].lstrip()
        return options, text.removeprefix("-- ") if options or text.startswith("-- ") else text

    def error(self, message: str) -> NoReturn:
        """Raises `CommandError` with the nearest right spelling where there is one."""
        usage = " ".join(strip_style(self.format_usage()).split()).removeprefix("Usage: ")
        wrong = message.splitlines()[0].rstrip(".")
        if found := _MISSING.match(wrong):
            *others, last = found["names"].split(", ")
            wrong = f"{', '.join(others)} and {last} are missing" if others else f"{last} is missing"
        raise CommandError(
            f"{self.prog}: {wrong}.{self._nearest(message)} Usage: {usage}",
            code="usage",
            exit_code=ExitCode.USAGE,
        )

    def _nearest(self, message: str) -> str:
        near = ""
        if found := _BAD_CHOICE.search(message):
            choices = [choice.strip(" '") for choice in found["choices"].split(",")]
            near = nearest(found["wrong"], choices)
        elif found := _BAD_OPTION.search(message):
            near = nearest(found["wrong"], self._option_string_actions)
        return f" Did you mean {near!r}?" if near else ""


def install(app: type[cmd2.Cmd], commands: Iterable[Command[Any]]) -> None:
    """Gives a console class its `do_` methods."""
    for command in commands:
        setattr(app, f"do_{command.name}", _method(command))


def verbatim_names(commands: Iterable[Command[Any]]) -> dict[str, tuple[str, ...]]:
    """The commands that take their last argument as it was typed."""
    return {command.name: command.verbatim for command in commands if command.verbatim}


def _method(command: Command[Any]) -> Callable[..., Any]:
    def build() -> Parser:
        parser = Parser(description=command.summary, epilog=command.details or None)
        command.arguments(parser)
        parser.options_between = command.options_between
        return parser

    def run(app: Any, arguments: argparse.Namespace) -> None:
        outcome = command.run(app, arguments)
        if outcome is not None:
            app.show(outcome)

    run.__name__ = run.__qualname__ = f"do_{command.name}"  # cmd2 finds a command's parser by these
    run.__doc__ = command.summary
    wrapped: Callable[..., Any] = cmd2.with_category(command.topic)(cmd2.with_argparser(build)(run))
    return wrapped
