"""The load generator (`load.c`) and the echo it is checked against (`echo.c`), compiled on first use."""

import functools
import hashlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

import msgspec

from tests.bench.processes import LOAD_CORE

SOURCES = Path(__file__).parent
AT_ONCE = 128  # connections that are opened at a time, but for a storm
PER_ADDRESS = 4000  # connections from one loopback address, far from the range of ports
END_SCRIPT, END_PART = b"\x1e", b"\x1f"

Script = Sequence[bytes]
"""What to send and what to wait for, in turns."""


@dataclass(frozen=True)
class Target:
    """What the generator has to know of a server."""

    name: str
    port: int
    tls: bool
    scripts: Sequence[Script]
    """How each connection logs in."""
    requests: Sequence[bytes]
    done: bytes
    """What each answer has exactly once."""


class Report(msgspec.Struct, frozen=True):
    """What one command of the generator measured."""

    completed: int
    seconds: float
    p50_us: float
    p99_us: float
    max_us: float
    busy: float
    """Share of its core that the generator used."""

    @property
    def rate(self) -> float:
        """Completed per second."""
        return self.completed / self.seconds


class LoadFailed(Exception):
    """The generator could not go on; `str()` says why."""


class Generator:
    """Connections that are logged in and held; a context manager that closes them."""

    def __init__(self, target: Target, connections: int, per_address: int = PER_ADDRESS) -> None:
        """Opens them all, so many from one loopback address. Raises `LoadFailed`."""
        self._folder = tempfile.TemporaryDirectory(prefix="parley-bench-")
        self._process = subprocess.Popen(
            _command(target, connections, per_address, Path(self._folder.name)),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        os.sched_setaffinity(self._process.pid, {LOAD_CORE})
        try:
            self.opened = self.report()
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Ends it, and with it all its connections."""
        self._process.kill()
        self._process.communicate()
        self._folder.cleanup()

    def ask(self, active: int, in_flight: int, seconds: float) -> Report:
        """As many requests as come back: `active` connections with `in_flight` requests on their way each."""
        return self._obey(f"ask {active} {in_flight} {seconds}")

    def pace(self, active: int, rate: float, seconds: float) -> Report:
        """`rate` requests a second whatever comes back, timed from when each was due."""
        return self._obey(f"pace {active} {rate} {seconds}")

    def fan(self, times: int) -> Report:
        """Connection 0 asks; timed until all others were told."""
        return self._obey(f"fan {times}")

    def expect_storm(self) -> None:
        """From now on, lost connections are dialed again; `report` comes when all are back."""
        self._tell("storm")
        self._line()

    def report(self) -> Report:
        """Waits for the end of what was begun. Raises `LoadFailed`."""
        return _report(self._line())

    def _obey(self, command: str) -> Report:
        self._tell(command)
        return self.report()

    def _tell(self, command: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(command + "\n")
        self._process.stdin.flush()

    def _line(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline()


def cycle(target: Target, connections: int, seconds: float) -> Report:
    """Logs in and goes away, over and over, on so many connections at once. Raises `LoadFailed`."""
    with tempfile.TemporaryDirectory(prefix="parley-bench-") as folder:
        command = [*_command(target, connections, PER_ADDRESS, Path(folder)), "cycle", str(seconds)]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        os.sched_setaffinity(process.pid, {LOAD_CORE})
        return _report(process.communicate()[0])


@functools.cache
def program(name: str) -> Path:
    """`load` or `echo`, compiled. Raises `LoadFailed` where no compiler or no OpenSSL is."""
    source = SOURCES / f"{name}.c"
    digest = hashlib.sha256(source.read_bytes()).hexdigest()[:16]  # several versions may be in use at once
    built = Path(tempfile.gettempdir()) / f"parley-bench-{os.getuid()}" / f"{name}-{digest}"
    built.parent.mkdir(mode=0o700, exist_ok=True)
    if not built.exists():
        compiler = shutil.which("cc") or shutil.which("gcc")
        if compiler is None:
            raise LoadFailed("The benches need a C compiler and OpenSSL's headers: gcc and libssl-dev.")
        new = built.with_suffix(f".{os.getpid()}")
        command = [compiler, "-O2", "-Wall", "-Wextra", "-o", str(new), str(source), "-lssl", "-lcrypto"]
        ended = subprocess.run(command, capture_output=True, text=True, check=False)
        if ended.returncode:
            raise LoadFailed(f"{source.name} does not compile; is libssl-dev there? {ended.stderr[:300]}")
        new.replace(built)
    return built


def _command(target: Target, connections: int, per_address: int, folder: Path) -> list[str]:
    scripts, requests = folder / "scripts", folder / "requests"
    used = target.scripts[:connections]
    scripts.write_bytes(b"".join(END_PART.join([*script, b""]) + END_SCRIPT for script in used))
    requests.write_bytes(b"".join(request + END_SCRIPT for request in target.requests))
    return [
        str(program("load")),
        str(target.port),
        str(int(target.tls)),
        str(connections),
        str(AT_ONCE),
        str(per_address),
        str(scripts),
        str(requests),
        target.done.decode(),
    ]


def _report(line: str) -> Report:
    try:
        return msgspec.json.decode(line, type=Report)
    except msgspec.ValidationError:
        raise LoadFailed(line.strip()) from None
    except msgspec.DecodeError:
        raise LoadFailed(f"The load generator ended early: {line!r}") from None
