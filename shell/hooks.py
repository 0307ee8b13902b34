"""Programs that run when something arrives: `on message run notify-send -- {name} {text}`.

What others wrote reaches a program as one whole argument, in the environment, and as JSON on its standard
input, never through a shell. One hook runs at a time, in the order of what arrived.
"""

import contextlib
import logging
import os
import queue
import re
import shutil
import signal
import subprocess
import tempfile
import threading
from collections.abc import Callable, Sequence
from itertools import count, pairwise
from pathlib import Path

import msgspec

from shell.errors import HookRefused
from shell.events import Event
from shell.filters import Filter, kind_of, name_of, text_of
from wire.display import safe

log = logging.getLogger(__name__)

MAX_HOOKS = 50
MAX_RUNS = 500  # runs that wait for earlier ones; beyond, new ones are dropped, which the log tells
PATIENCE = 60.0  # seconds that one run may take
CLOSE_PATIENCE = 5.0  # seconds at the end for runs that were begun
MAX_ARGUMENT = 16_000  # characters of a text in an argument; Linux takes 131,072 bytes, one may show as 8
MAX_COMPLAINT = 300  # characters of what a failed program wrote on its error stream
SECRETS = ("PARLEY_PASSWORD",)  # variables that no hook gets to see
_FIELD = re.compile(r"\{(name|text|event|id)\}")
_FROM_OTHERS = ("{text}", "{name}")
_INTERPRETERS = re.compile(r"(?:ba|da|z|fi|k|tc|c)?sh|python[\d.]*|perl|ruby|node|eval")
_CODE_FLAGS = ("-c", "-e", "--eval", "-lc", "-ic")


class Hook(msgspec.Struct, frozen=True):
    """A program and what it waits for."""

    number: int
    filter: Filter
    command: tuple[str, ...]


class Hooks:
    """All hooks of one shell. `heard` may be called on any thread and never waits."""

    def __init__(self, failed: Callable[[str], None]) -> None:
        """`failed` gets a sentence for each run that went wrong, on the thread of the hooks."""
        self._failed = failed
        self._hooks: dict[int, Hook] = {}
        self._numbers = count(1)
        self._runs: queue.Queue[tuple[Hook, Event] | None] = queue.Queue(MAX_RUNS)
        self._running: subprocess.Popen[bytes] | None = None
        self._thread: threading.Thread | None = None
        self._ended = threading.Event()

    def add(self, wanted: Filter, command: Sequence[str]) -> Hook:
        """From now on. Raises `HookRefused`."""
        if len(self._hooks) >= MAX_HOOKS:
            raise HookRefused(f"There are {MAX_HOOKS} hooks already; `off NUMBER` removes one.")
        check_command(command)
        hook = Hook(next(self._numbers), wanted, tuple(command))
        self._hooks = {**self._hooks, hook.number: hook}  # the other thread reads while this one changes
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, name="hooks", daemon=True)
            self._thread.start()
        return hook

    def remove(self, number: int) -> Hook:
        """No longer. Raises `HookRefused`."""
        hook = self._hooks.get(number)
        if hook is None:
            raise HookRefused(f"There is no hook {number}; `on` lists them.")
        self._hooks = {other: kept for other, kept in self._hooks.items() if other != number}
        return hook

    def all(self) -> list[Hook]:
        """In the order they were made."""
        return list(self._hooks.values())

    def heard(self, event: Event) -> None:
        """Something arrived."""
        for hook in self._hooks.values():
            if hook.filter.fits(event):
                try:
                    self._runs.put_nowait((hook, event))
                except queue.Full:
                    log.warning("event=hook_dropped number=%d", hook.number)

    def close(self) -> None:
        """Lets what has begun finish, up to a bound."""
        if self._thread is None:
            return
        self._hooks = {}
        with contextlib.suppress(queue.Full):
            self._runs.put(None, timeout=CLOSE_PATIENCE)
        self._thread.join(CLOSE_PATIENCE)
        self._ended.set()
        running = self._running
        if running is not None:
            _kill(running)

    def _work(self) -> None:
        while (run := self._runs.get()) is not None and not self._ended.is_set():
            hook, event = run
            try:
                complaint = self._run(hook, event)
            except Exception as error:  # the thread's edge: one bad run must not end the others
                log.exception("event=hook_fault")
                complaint = str(error)
            if complaint:
                log.warning("event=hook_failed number=%d", hook.number)
                self._failed(
                    f"Hook {hook.number} (on {hook.filter} run {hook.command[0]}) failed: {complaint}"
                )

    def _run(self, hook: Hook, event: Event) -> str:
        """What went wrong; empty for nothing."""
        with tempfile.TemporaryFile() as errors:
            try:
                program = subprocess.Popen(
                    filled(hook.command, event),
                    stdin=subprocess.PIPE,
                    stdout=subprocess.DEVNULL,
                    stderr=errors,
                    env=environment(os.environ, event),
                    start_new_session=True,
                )
            except OSError as error:
                return f"{(error.strerror or str(error)).lower()}."
            self._running = program
            try:
                program.communicate(msgspec.json.encode(event) + b"\n", PATIENCE)
            except subprocess.TimeoutExpired:
                _kill(program)
                return f"it took longer than {PATIENCE:g} s and was ended."
            finally:
                self._running = None
            if program.returncode == 0:
                return ""
            errors.seek(0)
            said = safe(" ".join(errors.read(MAX_COMPLAINT).decode(errors="replace").split()))
            return f"exit code {program.returncode}{f': {said}' if said else '.'}"


def check_command(command: Sequence[str]) -> None:
    """Raises `HookRefused` for a program that is not there, and where words of others could do harm."""
    if not command:
        raise HookRefused("Say which program: `on message run PROGRAM [ARGUMENT ...]`.")
    if any(field in command[0] for field in _FROM_OTHERS):
        raise HookRefused("Which program runs is yours to say; {name} and {text} stand after it.")
    if shutil.which(command[0]) is None:
        raise HookRefused(f"There is no program {command[0]!r} here.")
    interpreter = any(_INTERPRETERS.fullmatch(Path(word).name) for word in command)
    for place, (before, argument) in enumerate(pairwise(command), start=1):
        if interpreter and before in _CODE_FLAGS and any(field in argument for field in _FROM_OTHERS):
            raise HookRefused(
                "There words of others would run as commands; write $PARLEY_TEXT or $PARLEY_NAME instead."
            )
        if argument.startswith("{text}") and "--" not in command[1:place]:
            raise HookRefused(
                "A text that begins with - would be taken for an option there; write -- before {text}, or "
                "let the program read $PARLEY_TEXT."
            )


def filled(command: Sequence[str], event: Event) -> list[str]:
    """The arguments with the fields of an event in their places, each still one argument."""
    values = _values(event)
    return [_FIELD.sub(lambda found: values[found[1]], argument) for argument in command]


def environment(own: "os._Environ[str] | dict[str, str]", event: Event) -> dict[str, str]:
    """What a program sees: everything but secrets, and the event."""
    kept = {name: value for name, value in own.items() if name not in SECRETS}
    return {**kept, **{f"PARLEY_{field.upper()}": value for field, value in _values(event).items()}}


def _values(event: Event) -> dict[str, str]:
    """Without controls: a program may well write them to a terminal."""
    return {
        "event": kind_of(event),
        "name": safe(name_of(event)),
        "text": safe(text_of(event)[:MAX_ARGUMENT], keep_newlines=True),
        "id": str(getattr(event, "id", "")),
    }


def _kill(program: "subprocess.Popen[bytes]") -> None:
    """The program and what it started."""
    try:
        os.killpg(program.pid, signal.SIGKILL)
    except ProcessLookupError:
        return
    program.wait()
