"""The log: one line an event, in both forms; floods are cut short; nothing waits for it."""

import json
import logging
import os
import re
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from server.eventlog import OFFENCES
from server.logs import BURST, Flood, JsonFormatter, Log, TextFormatter
from server.settings import ServerSettings
from tests.e2e.world import until

ROOT = Path(__file__).parents[3]
FILTER = ROOT / "docs" / "fail2ban" / "filter.d-parley.conf"
EVIL = (
    "x' address=192.0.2.66 level=WARNING logger=server.phonebook event=login-failed address=192.0.2.66 \n\r"
)


def record(template: str, *values: object, level: int = logging.WARNING) -> logging.LogRecord:
    return logging.LogRecord("server.phonebook", level, __file__, 1, template, values, None)


def failed(name: str, what: str = "login-failed", address: str = "198.51.100.7") -> logging.LogRecord:
    return record("event=%s address=%s name=%r detail=%r", what, address, name, "")


@pytest.fixture
def log(tmp_path: Path) -> Iterator[Log]:
    made = Log(tmp_path / "server.log")
    made.use(ServerSettings())
    yield made
    made.close()


def test_json_has_what_the_template_names() -> None:
    line = JsonFormatter().format(failed(EVIL))
    assert "\n" not in line
    found = json.loads(line)
    assert (found["event"], found["address"], found["name"]) == ("login-failed", "198.51.100.7", EVIL)
    assert found["time"].endswith("+00:00")


@pytest.mark.parametrize("formatter", [TextFormatter(), JsonFormatter()])
def test_a_traceback_stays_on_its_line(formatter: logging.Formatter) -> None:
    made = record("event=fault")
    made.exc_info = (RuntimeError, RuntimeError("two\nlines"), None)
    line = formatter.format(made)
    assert "\n" not in line
    assert "RuntimeError" in line


def fail2ban_regex() -> re.Pattern[str]:
    """The filter's expression as fail2ban reads it: `<ADDR>` is an IP address."""
    (line,) = re.findall(r"^failregex = (.*)$", FILTER.read_text(encoding="utf-8"), re.MULTILINE)
    return re.compile(line.replace("<ADDR>", r"(?P<ip>[0-9a-fA-F.:]+)"))


@pytest.mark.parametrize("what", sorted(OFFENCES - {"connection-displaced", "too-slow"}))
@pytest.mark.parametrize("address", ["198.51.100.7", "2001:db8::7"])
def test_fail2ban_finds_the_address_and_no_name_can_pose_as_one(what: str, address: str) -> None:
    line = TextFormatter().format(failed(EVIL, what, address))
    found = fail2ban_regex().search(line)
    assert found is not None
    assert found["ip"] == address
    harmless = TextFormatter().format(record("event=%s address=%s name=%r", "logout", "-", EVIL))
    assert fail2ban_regex().search(harmless) is None


def test_a_flood_is_cut_short_and_what_was_left_out_is_said() -> None:
    now = 1.0
    flood = Flood(lambda: now)
    passed = [flood.filter(failed("bob")) for _ in range(10 * BURST)]
    assert sum(passed) == BURST
    assert flood.filter(failed("bob", "signup", "192.0.2.1")), "other events are not touched"
    assert flood.filter(record("event=fault", level=logging.ERROR))
    now = 2.0
    later = failed("bob")
    assert flood.filter(later)
    assert later.getMessage().endswith(f"left_out={9 * BURST}")


def test_a_clock_that_is_set_back_silences_nothing(log: Log, tmp_path: Path) -> None:
    for at in (3_600.0, 0.0):
        made = failed(f"at{at:.0f}")
        made.created = at
        log.handle(made)
    until(lambda: "at0" in (tmp_path / "server.log").read_text(), "the line of an hour before")


def test_a_log_file_can_be_moved_away(log: Log, tmp_path: Path) -> None:
    file, moved = tmp_path / "server.log", tmp_path / "server.log.1"
    log.handle(failed("before"))
    until(lambda: "before" in file.read_text(), "the first line")
    file.rename(moved)
    log.handle(failed("after"))
    until(lambda: file.exists() and "after" in file.read_text(), "the line in the new file")
    assert "after" not in moved.read_text()
    assert (file.stat().st_mode & 0o777, moved.stat().st_mode & 0o777) == (0o600, 0o600)


def test_whoever_logs_does_not_wait_for_a_pipe_that_nobody_reads(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    reading, writing = os.pipe()
    found: list[bytes] = []

    def read() -> None:
        while data := os.read(reading, 65536):
            found.append(data)

    reader = threading.Thread(target=read)
    with os.fdopen(writing, "w") as stuck:
        monkeypatch.setattr(sys, "stderr", stuck)
        log = Log(None, size=500)
        log.use(msgspec.structs.replace(ServerSettings(), log_format="json"))
        for number in range(1_000):
            log.handle(record(f"event=number{number} text=%r", "x" * 1_000))
        reader.start()  # only now does anybody read
        log.close()
    reader.join()
    os.close(reading)
    lines = [json.loads(line) for line in b"".join(found).splitlines()]
    told = [line["count"] for line in lines if line["event"] == "log-dropped"]
    assert len(lines) - len(told) + sum(told) == 1_000
    assert sum(told) >= 400
