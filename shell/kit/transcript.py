r"""Transcripts, as cmd2 2.x and 3.x wrote them: a line that begins with a prompt is typed, the lines up to
the next prompt must come back. Pure.

Text between slashes is a regular expression, `\/` is a slash; lines before the first prompt are comments.
Trailing white space, and blank lines at the end of an output, do not count.
"""

import difflib
import re

import msgspec

PROMPT = re.compile(r"^(?P<name>\w[\w.\-]*)>(?: (?P<typed>.*))?$")
START_PROMPT = "parley"  # of a shell before anybody is logged in


class Step(msgspec.Struct, frozen=True):
    """One typed line and what must come back."""

    line_number: int
    """In the file, from 1."""
    name: str
    """Who types, as the prompt says."""
    typed: str
    expected: tuple[str, ...]


class Failure(msgspec.Struct, frozen=True):
    """The first difference of a transcript."""

    where: str
    """File and line."""
    typed: str
    report: str

    def __str__(self) -> str:
        return f"{self.where}: {self.typed}\n{self.report}"


def parse(text: str) -> list[Step]:
    """The steps of a transcript."""
    steps: list[Step] = []
    for number, line in enumerate(text.splitlines(), start=1):
        found = PROMPT.match(line)
        if found is not None:
            steps.append(Step(number, found["name"], found["typed"] or "", ()))
        elif steps:
            last = steps[-1]
            steps[-1] = Step(last.line_number, last.name, last.typed, (*last.expected, line))
    return steps


def is_scene(steps: list[Step]) -> bool:
    """Whether prompts say who types; otherwise there is one shell, whose prompt begins as `parley> `."""
    return bool(steps) and steps[0].name != START_PROMPT


def difference(expected: tuple[str, ...], actual: str) -> str | None:
    """None where the output is as expected, else a report, a line each: `-` expected, `+` came, or both."""
    wanted, came = _trimmed(list(expected)), _trimmed(actual.splitlines())
    try:
        if re.fullmatch(pattern("\n".join(wanted)), "\n".join(came)):
            return None
        as_came = [
            came[index] if index < len(came) and re.fullmatch(pattern(line), came[index]) else line
            for index, line in enumerate(wanted)
        ]
    except (re.error, OverflowError, RecursionError) as error:
        return f"- what stands between slashes is no regular expression: {error}"
    return "\n".join(line for line in difflib.ndiff(as_came, came) if not line.startswith("?"))


def pattern(expected: str) -> str:
    """The regular expression that expected text stands for."""
    parts: list[str] = []
    position = 0
    for found in re.finditer(r"\\/|/((?:\\/|[^/\n])*)/", expected):
        parts.append(re.escape(expected[position : found.start()]))
        inside = found.group(1)
        parts.append("/" if inside is None else f"(?:{inside.replace(chr(92) + '/', '/')})")
        position = found.end()
    return "".join([*parts, re.escape(expected[position:])])


def escape(output: str) -> str:
    """Output as a transcript writes it, so that it matches itself."""
    return output.replace("/", "\\/")


def _trimmed(lines: list[str]) -> list[str]:
    trimmed = [line.rstrip() for line in lines]
    while trimmed and not trimmed[-1]:
        trimmed.pop()
    return trimmed
