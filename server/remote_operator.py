"""The operator of a phone book in another process, over the Unix socket in its data folder."""

import contextlib
import itertools
import queue
import socket
import threading
from collections.abc import Callable
from pathlib import Path
from typing import cast

import msgspec

import wire
from server.actions import Action, AnyAction, ReplyT, reply_type
from server.effects import Happened
from server.errors import NotAttached
from server.operator_wire import (
    MAX_ANSWER,
    MAX_CALL,
    Answer,
    Call,
    Denied,
    Follow,
    FromConsole,
    Greeting,
    News,
    Pulse,
    decode_to_console,
    encode,
)
from server.unix import CONSOLE_SOCKET, reachable
from wire.errors import BadFrame, ErrorCode, FrameTooLong, Refused
from wire.framing import LineSplitter
from wire.limits import KIB

GREETING_PATIENCE = 10.0  # seconds for the phone book to greet
ANSWER_PATIENCE = 60.0  # seconds for the phone book to carry an action out
_READ = 64 * KIB  # bytes of one read
MISSED = "missed"
"""What happened where news were left out, since this console did not read."""


class RemoteOperator:
    """An attached console's end. Thread-safe."""

    def __init__(self, folder: Path) -> None:
        """Attaches to the phone book on a data folder. Raises `NotAttached`."""
        self.folder = folder
        self._numbers = itertools.count(1)
        self._waiting: dict[int, queue.SimpleQueue[Answer]] = {}
        self._watchers: set[Callable[[Happened], None]] = set()
        self._writing = threading.Lock()
        self._splitter = LineSplitter(MAX_ANSWER)
        self._socket = _connected(folder / CONSOLE_SOCKET)
        greeting, rest = self._greeted()
        self.author, self.overview = greeting.author, greeting.overview
        self.running = True
        self._socket.settimeout(None)
        self._reader = threading.Thread(target=self._read, args=(rest,), name="attached", daemon=True)
        self._reader.start()

    def ask(self, action: Action[ReplyT]) -> ReplyT:
        """See `Operator`."""
        number = next(self._numbers)
        answers = self._waiting[number] = queue.SimpleQueue()
        try:
            if not self.running:
                raise _stopped()
            self._send(Call(number, cast(AnyAction, action)))
            answer = answers.get(timeout=ANSWER_PATIENCE)
        except queue.Empty:
            raise Refused(
                ErrorCode.BUSY, f"The phone book gave no answer within {ANSWER_PATIENCE:g} s."
            ) from None
        finally:
            del self._waiting[number]
        if answer.error is not None:
            raise Refused.from_object(answer.error)
        return msgspec.json.decode(answer.reply, type=reply_type(action))

    def subscribe(self, watcher: Callable[[Happened], None]) -> Callable[[], None]:
        """See `Operator`."""
        self._watchers.add(watcher)
        self._send(Follow(on=True))
        return lambda: self._watchers.discard(watcher)

    def close(self) -> None:
        """See `Operator`."""
        self.running = False
        self._watchers.clear()
        with contextlib.suppress(OSError):  # the phone book left first
            self._socket.shutdown(socket.SHUT_RDWR)
        self._reader.join()
        self._socket.close()

    def _send(self, line: FromConsole) -> None:
        encoded = encode(line)
        if len(encoded) > MAX_CALL:
            raise Refused(ErrorCode.INVALID_PARAMS, "That is too long for the phone book; write less.")
        try:
            with self._writing:
                self._socket.sendall(encoded)
        except OSError:
            raise _stopped() from None

    def _greeted(self) -> tuple[Greeting, list[bytes]]:
        """The first line, and those that came right after it."""
        lines: list[bytes] = []
        try:
            while not lines:
                data = self._socket.recv(_READ)
                lines = self._splitter.feed(data) if data else [b""]
            first = decode_to_console(lines[0])
        except (OSError, BadFrame, FrameTooLong) as error:
            self._socket.close()
            raise NotAttached(f"The phone book on {self.folder} does not greet: {error}") from None
        if isinstance(first, Greeting) and first.version == wire.VERSION:
            return first, lines[1:]
        self._socket.close()
        if isinstance(first, Denied):
            raise NotAttached(first.message)
        version = first.version if isinstance(first, Greeting) else "another"
        raise NotAttached(
            f"The running phone book is version {version}, this console {wire.VERSION}; restart the former."
        )

    def _read(self, lines: list[bytes]) -> None:
        """The reading thread, until the phone book or this console leaves."""
        try:
            while True:
                for line in lines:
                    self._heard(line)
                data = self._socket.recv(_READ)
                if not data:
                    break
                lines = self._splitter.feed(data)
        except (OSError, BadFrame, FrameTooLong):
            pass  # told below as the end of the connection
        self.running = False
        for number, answers in list(self._waiting.items()):
            answers.put(Answer(number, error=_stopped().to_object()))

    def _heard(self, line: bytes) -> None:
        match decode_to_console(line):
            case Answer(number) as answer:
                waiting = self._waiting.get(number)
                if waiting is not None:
                    waiting.put(answer)
            case News(happened, missed):
                for watcher in tuple(self._watchers):
                    if missed:
                        watcher(Happened(happened.when, MISSED, f"{missed} events"))
                    watcher(happened)
            case Pulse(overview):
                self.overview = overview
            case Greeting() | Denied():
                raise BadFrame("A second greeting.")


def _connected(path: Path) -> socket.socket:
    made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    made.settimeout(GREETING_PATIENCE)
    try:
        with reachable(path) as address:
            made.connect(address)
    except PermissionError:
        made.close()
        raise NotAttached(
            f"You may not operate the phone book on {path.parent}; only the user who runs it and root may."
        ) from None
    except OSError:
        made.close()
        raise NotAttached(
            f"No phone book runs on {path.parent}; start parley-server, or name its folder with --data."
        ) from None
    return made


def _stopped() -> Refused:
    return Refused(ErrorCode.SHUTTING_DOWN, "The phone book has stopped.")
