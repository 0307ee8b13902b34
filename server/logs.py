"""The log: one event, one line, as `key=value` or as JSON, written by a thread of its own.

Whoever logs never waits for a disk or a pipe: lines queue up to a bound, and beyond it they are counted and
dropped. What strangers can cause is limited by kind of event; how much was left out is said.

A log call's template is its structure: `log.info("event=kick name=%r", name)` is one line of text, or an
object with the members `event` and `name`.
"""

import logging
import os
import queue
import re
import sys
import threading
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime
from io import TextIOWrapper
from logging.handlers import WatchedFileHandler
from pathlib import Path
from time import monotonic
from typing import Any

import msgspec

from server.errors import SettingsError
from server.settings import ServerSettings
from server.throttles import Buckets
from wire.display import escaped

QUEUED = 10_000  # lines that may wait to be written
BURST, RATE = 200, 20.0  # lines of one kind of event at once, and a second after that
FLUSH_PATIENCE = 2.0  # seconds at the end for lines to be written
_MEMBER = re.compile(r"(\w+)=(%[srdgf]|%\.\d+f|\S+)")

TEXT = "%(asctime)s level=%(levelname)s logger=%(name)s %(message)s"


class TextFormatter(logging.Formatter):
    """`key=value`, a traceback included."""

    def __init__(self) -> None:
        super().__init__(TEXT)

    def format(self, record: logging.LogRecord) -> str:
        """One line."""
        return super().format(record).replace("\n", "\\n").replace("\r", "\\r")

    def formatException(self, ei: Any) -> str:  # noqa: N802 - logging names it so
        """The traceback as one value."""
        return f"traceback={super().formatException(ei)!r}"


class JsonFormatter(logging.Formatter):
    """One JSON object a line."""

    def format(self, record: logging.LogRecord) -> str:
        """The members of the template, and when, how bad and where."""
        when = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        line: dict[str, Any] = {"time": when, "level": record.levelname.lower(), "logger": record.name}
        line |= members(record)
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return escaped(msgspec.json.encode(line, enc_hook=str).decode())


def members(record: logging.LogRecord) -> dict[str, Any]:
    """The names in a record's template with their values; `message` where it has none."""
    values = list(record.args) if isinstance(record.args, tuple) else []
    found: dict[str, Any] = {}
    for name, value in _MEMBER.findall(str(record.msg)):
        found[name] = (values.pop(0) if values else None) if value.startswith("%") else value
    return found or {"message": record.getMessage()}


class Flood(logging.Filter):
    """Lets so many lines of one kind through; errors always."""

    def __init__(self, clock: Callable[[], float] = monotonic) -> None:
        """A clock that is set back, as a record's time may be, would silence what came before it."""
        super().__init__()
        self._clock = clock
        self._buckets = Buckets(RATE, BURST)
        self._left_out: Counter[str] = Counter()

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether a record is written; the first one after some that were not says how many."""
        if record.levelno >= logging.ERROR:
            return True
        event = str(members(record).get("event", record.msg))
        if self._buckets.take(event, self._clock()) > 0:
            self._left_out[event] += 1
            return False
        left_out = self._left_out.pop(event, 0)
        if left_out:
            record.msg = f"{record.msg} left_out=%d"
            record.args = (*(record.args if isinstance(record.args, tuple) else ()), left_out)
        return True


class _PrivateFile(WatchedFileHandler):
    """A file for its owner alone, also the one that follows a file that was moved away."""

    def _open(self) -> TextIOWrapper:
        opened = os.open(self.baseFilename, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        return TextIOWrapper(os.fdopen(opened, "ab"), encoding=self.encoding, errors=self.errors)


class Log(logging.Handler):
    """Hands records to a thread that writes them."""

    def __init__(self, file: Path | None, size: int = QUEUED) -> None:
        """To a file, which may be moved away at any time, or to standard error. Raises `SettingsError`."""
        super().__init__()
        self._target: logging.Handler = logging.StreamHandler(sys.stderr)
        if file is not None:
            try:
                file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
                file.touch(mode=0o600)
                self._target = _PrivateFile(file, encoding="utf-8")
            except OSError as error:
                raise SettingsError(f"The log file {file} cannot be written: {error.strerror}.") from None
        self._queue: queue.Queue[logging.LogRecord | None] = queue.Queue(size)
        self._dropped = 0
        self._thread = threading.Thread(target=self._write, name="log", daemon=True)
        self._thread.start()
        self.addFilter(Flood())

    def use(self, settings: ServerSettings) -> None:
        """How lines look and what gets in."""
        self._target.setFormatter(JsonFormatter() if settings.log_format == "json" else TextFormatter())
        logging.getLogger().setLevel(settings.log_level.upper())

    def emit(self, record: logging.LogRecord) -> None:
        """Queues a record; never waits."""
        try:
            self._queue.put_nowait(record)
        except queue.Full:
            self._dropped += 1

    def close(self) -> None:
        """Writes what waits, as far as that goes."""
        try:
            self._queue.put(None, timeout=FLUSH_PATIENCE)
        except queue.Full:
            return
        self._thread.join(FLUSH_PATIENCE)
        super().close()

    def _write(self) -> None:
        while (record := self._queue.get()) is not None:
            dropped, self._dropped = self._dropped, 0
            if dropped:
                self._target.handle(_dropped(dropped))
            self._target.handle(record)


def start_log(settings: ServerSettings, file: Path | None) -> Log:
    """The log of this process from now on. Raises `SettingsError`."""
    logging.raiseExceptions = False  # a full disk under the log is no reason to write about it
    log = Log(file)
    log.use(settings)
    logging.basicConfig(handlers=[log], force=True, level=settings.log_level.upper())
    return log


def use_settings(settings: ServerSettings) -> None:
    """Other settings for the log of this process, where it has one."""
    for handler in logging.getLogger().handlers:
        if isinstance(handler, Log):
            handler.use(settings)


def _dropped(count: int) -> logging.LogRecord:
    message = "event=log-dropped count=%d"
    return logging.LogRecord(__name__, logging.WARNING, __file__, 0, message, (count,), None)
