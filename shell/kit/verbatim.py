"""Free text at the prompt: what follows a verbatim command's first words is taken exactly as it was typed.

`msg bob I'm here; a > b | c` is a message, not an unclosed quote, a redirection and a pipe.
"""

from collections.abc import Mapping
from typing import Any

from cmd2.parsing import Statement, StatementParser

HELP_FLAGS = ("-h", "--help")


class VerbatimWords(list[str]):
    """The words of a verbatim command, with the names of its arguments."""

    def __init__(self, names: tuple[str, ...], arguments: str) -> None:
        self.text = arguments
        """All of them, as they were typed."""
        self.names = names
        optional = names[-1].endswith("?")
        plain_names = [name.rstrip("?") for name in names]
        words = arguments.split(None, len(names) - 1)
        super().__init__(words)
        self.named: dict[str, str | None] = dict.fromkeys(plain_names)
        self.named.update(zip(plain_names, words, strict=False))
        needed = len(names) - optional
        self.missing = plain_names[len(words)].upper() if len(words) < needed else ""
        """The first argument that is not there."""


class VerbatimParser(StatementParser):
    """cmd2's parser, which leaves the text of some commands alone."""

    def __init__(self, verbatim: Mapping[str, tuple[str, ...]], **options: Any) -> None:
        super().__init__(**options)
        self._verbatim = verbatim

    def parse(self, line: str) -> Statement:
        """The statement in a line."""
        begun = self.parse_command_only(line)
        if begun.command not in self._verbatim or line.lstrip().startswith("#"):
            return super().parse(line)
        return Statement(begun.args, raw=line, command=begun.command)

    def get_command_arg_list(
        self, command_name: str, to_parse: Statement | str, preserve_quotes: bool
    ) -> tuple[Statement, list[str]]:
        """The arguments of a command; those of a verbatim one by its own count of words."""
        names = self._verbatim.get(command_name)
        if names is None or (isinstance(to_parse, Statement) and str(to_parse) in HELP_FLAGS):
            return super().get_command_arg_list(command_name, to_parse, preserve_quotes)
        if not isinstance(to_parse, Statement):
            to_parse = self.parse(f"{command_name} {to_parse}")
        return to_parse, VerbatimWords(names, str(to_parse).strip())
