"""Plays transcripts against real consoles and compares what comes back."""

import io
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from cmd2 import rich_utils, string_utils

from shell.kit.app import ConsoleApp
from shell.kit.errors import CommandError
from shell.kit.transcript import Failure, Step, difference, is_scene, parse

_STYLE_OF = {True: rich_utils.AllowStyle.ALWAYS, False: rich_utils.AllowStyle.NEVER}


class Cast(Protocol):
    """The consoles of a transcript."""

    password: str | None
    """What answers a question for a password that the transcript leaves open."""

    def app(self, name: str, output: io.StringIO) -> ConsoleApp:
        """A console for somebody; both its streams are `output`."""
        ...

    def close(self) -> None:
        """Ends all of them."""
        ...


class _Stage:
    """One console and what it writes."""

    def __init__(self, cast: Cast, name: str) -> None:
        self.output = io.StringIO()
        self.app = cast.app(name, self.output)

    def take(self) -> str:
        written = self.output.getvalue()
        self.output.seek(0)
        self.output.truncate()
        return written


def play(
    path: Path, cast: Cast, shown: Callable[[str], None] = lambda text: None, *, styled: bool = False
) -> Failure | None:
    """The first difference of a transcript, None where there is none.

    `shown` gets each typed line and each output as it comes, with colours where `styled`. Raises
    `CommandError` for a file that cannot be read or has no prompt.
    """
    try:
        steps = parse(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise CommandError(f"The transcript {path} cannot be read: {error}.") from None
    if not steps:
        raise CommandError(f"{path} is no transcript: no line begins with a prompt such as `parley> `.")
    scene = is_scene(steps)
    stages: dict[str, _Stage] = {}
    style, rich_utils.ALLOW_STYLE = rich_utils.ALLOW_STYLE, _STYLE_OF[styled]
    try:
        for step in steps:
            name = step.name if scene else ""
            stage = stages.get(name) or stages.setdefault(name, _Stage(cast, name))
            failure = _play_step(path, step, stage, shown, None if scene else step.name, cast.password)
            if failure is not None:
                return failure
    finally:
        rich_utils.ALLOW_STYLE = style
        cast.close()
    return None


def _play_step(
    path: Path,
    step: Step,
    stage: _Stage,
    shown: Callable[[str], None],
    prompt_name: str | None,
    password: str | None,
) -> Failure | None:
    where = f"{path}:{step.line_number}"
    prompt = stage.app.visible_prompt.rstrip()
    if prompt_name is not None and prompt != f"{prompt_name}>":
        return Failure(where, step.typed, f"- {step.name}>\n+ {prompt}")
    shown(f"{step.name}> {step.typed}\n")
    expected = deque(step.expected)
    heard: list[str] = []

    def answer(question: str, secret: bool) -> str | None:
        """The next expected line answers, where it begins with the question."""
        heard.append(stage.take())
        asked = bool(expected) and expected[0].startswith(question.rstrip())
        typed = expected.popleft()[len(question.rstrip()) :].strip() if asked else None
        return password if secret and not typed else typed

    before = len(expected)
    stage.app.answers = answer
    stage.app.run_line(step.typed)
    output = "".join([*heard, stage.take()])
    shown(output)
    answered = before - len(expected)
    report = difference(step.expected[answered:], string_utils.strip_style(output))
    return Failure(where, step.typed, report) if report is not None else None
