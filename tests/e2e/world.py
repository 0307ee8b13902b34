"""Real processes for tests: a phone book, shells, and a terminal to type in."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

import pexpect
import pyte

PASSWORD = "correct horse battery"
FRAME_BYTES = 65_536  # of output between two looks at the screen, more than one redraw takes
PATIENCE = 30.0  # seconds that any wait of a test may take


def environment(**extra: str) -> dict[str, str]:
    """What the programs see: nothing of the person who runs the tests."""
    kept = {
        name: os.environ[name]
        for name in ("PATH", "HOME", "LANG", "TMPDIR", "VIRTUAL_ENV")
        if name in os.environ
    }
    return {**kept, "LANG": "C.UTF-8", "PYTHONUNBUFFERED": "1", "TERM": "xterm-256color", **extra}


def until(happened: Callable[[], bool], what: str) -> None:
    """Waits for a condition that lives in another process."""
    deadline = time.monotonic() + PATIENCE
    while not happened():
        assert time.monotonic() < deadline, f"waited in vain for {what}"
        time.sleep(0.02)


class Server:
    """A phone book process; killed at the end if a test did not end it."""

    def __init__(
        self,
        folder: Path,
        listen: str = "127.0.0.1:0",
        *options: str,
        announce: bool = False,
        under: Sequence[str] = (),
    ) -> None:
        """`under` is a command that starts the phone book, such as one that sets limits."""
        self.folder = folder
        self.process = subprocess.Popen(
            [
                *under,
                sys.executable,
                "-m",
                "server.main",
                "--headless",
                *(() if announce else ("--no-announce",)),
                "--data",
                str(folder),
                "--listen",
                listen,
                *options,
            ],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=environment(),
        )
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        found = re.fullmatch(r"Listening on (\S+):(\d+)\n", line)
        assert found, f"{line!r} {self.process.stderr.read() if self.process.stderr else ''}"
        self.address = f"{found[1]}:{found[2]}"
        self.fingerprint = self.process.stdout.readline().removeprefix("Key fingerprint ").strip()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()

    def terminate(self) -> tuple[int, str]:
        """SIGTERM; the exit code and what it wrote on stderr."""
        self.process.send_signal(signal.SIGTERM)
        _, stderr = self.process.communicate(timeout=PATIENCE)
        return self.process.returncode, stderr

    def kill(self) -> None:
        """kill -9."""
        if self.process.poll() is None:
            self.process.kill()
        self.process.communicate()

    def restarted(self) -> "Server":
        """A new process on the same folder and port."""
        return Server(self.folder, self.address)


def parley(
    *arguments: str, stdin: str = "", password: str | None = PASSWORD, **extra: str
) -> subprocess.CompletedProcess[str]:
    """Runs `parley` to its end."""
    secrets: Mapping[str, str] = {"PARLEY_PASSWORD": password} if password is not None else {}
    return subprocess.run(
        [sys.executable, "-m", "shell.main", *arguments],
        input=stdin,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
        env=environment(**secrets, **extra),
    )


class Terminal:
    """A program in a pseudo terminal, with the screen that a person would see."""

    def __init__(self, module: str, *options: str, columns: int = 100, rows: int = 60) -> None:
        self.child: pexpect.spawn[str] = pexpect.spawn(
            sys.executable,
            ["-m", module, *options],
            env=environment(),
            encoding="utf-8",
            timeout=PATIENCE,
            dimensions=(rows, columns),
        )
        self._screen = pyte.Screen(columns, rows)
        # prompt-toolkit asks where the cursor is; a terminal answers.
        setattr(self._screen, "write_process_input", self.child.send)  # noqa: B010 - pyte asks for this
        self._stream = pyte.Stream(self._screen)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.child.close(force=True)

    @property
    def text(self) -> str:
        """The screen, a line each, without trailing blanks."""
        return "\n".join(line.rstrip() for line in self._screen.display).rstrip()

    def see(self, pattern: str) -> re.Match[str]:
        """Waits until the pattern is on the screen."""
        deadline = time.monotonic() + PATIENCE
        while (found := re.search(pattern, self.text, re.MULTILINE)) is None:
            assert time.monotonic() < deadline, f"{pattern!r} is not on the screen:\n{self.text}"
            self._read()
        return found

    def type(self, text: str) -> None:
        """Types without Enter."""
        self.child.send(text)

    def enter(self, text: str) -> None:
        """Types a line once a prompt waits for it."""
        self.child.send(text + "\r")

    def ended(self) -> int:
        """Waits for the program to end; its exit code."""
        deadline = time.monotonic() + PATIENCE
        while self.child.isalive():
            assert time.monotonic() < deadline, f"it still runs:\n{self.text}"
            self._read()
        return int(self.child.exitstatus or 0)

    def frames(self) -> Iterator[list[str]]:
        """What the screen shows after each piece of output that is there now."""
        while True:
            try:
                self._stream.feed(self.child.read_nonblocking(FRAME_BYTES, timeout=0))
            except (pexpect.TIMEOUT, pexpect.EOF):
                return
            yield self.text.splitlines()

    def _read(self) -> None:
        try:
            self._stream.feed(self.child.read_nonblocking(65536, timeout=0.05))
        except (pexpect.TIMEOUT, pexpect.EOF):
            time.sleep(0.01)


def shell(server: str, folder: Path, *options: str, columns: int = 100, rows: int = 60) -> Terminal:
    """A user's shell in a terminal."""
    begin = ("--server", server, "--data", str(folder))
    return Terminal("shell.main", *begin, *options, columns=columns, rows=rows)


def sign_up(terminal: Terminal, name: str) -> None:
    """From the first prompt to the user's own."""
    terminal.see("^parley> ?$")
    terminal.enter(f"signup {name}")
    terminal.see("^Password: ?$")
    terminal.enter(PASSWORD)
    terminal.see("^Again: ?$")
    terminal.enter(PASSWORD)
    terminal.see(f"You are logged in as {name}")
    terminal.see(f"^{name}> ?$")


def typist(server: Server, folder: Path, *options: str) -> "subprocess.Popen[str]":
    """A shell that reads its lines from a pipe, one after the other."""
    return subprocess.Popen(
        [sys.executable, "-m", "shell.main", "--server", server.address, "--data", str(folder), *options],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        text=True,
        env=environment(PARLEY_PASSWORD=PASSWORD),
    )


def befriend(server: Server, host: Terminal, folder: Path) -> None:
    """Somebody named as their folder signs up, says hello to Alice at a terminal, is accepted, and leaves."""
    name = folder.name
    guest = typist(server, folder)
    assert guest.stdin is not None
    guest.stdin.write(f"signup {name}\nmsg alice hello\n")
    guest.stdin.flush()
    host.see(f"{name} wants to talk to you")
    host.enter(f"accept {name}")
    host.see(f"{name} may write to you now")
    host.see(f"{name}: hello")
    guest.communicate("wait delivered\n", timeout=PATIENCE)
    host.see(f"{name} is (. )?offline")
