"""What an operator copies from the documents works."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from server.console import COMMANDS
from server.settings import ServerSettings

DOCS = Path(__file__).parents[2] / "docs"
UNIT = DOCS / "deploy" / "parley-server.service"
OPERATIONS = (DOCS / "operations.md").read_text(encoding="utf-8")
MOST_EXPOSED = 2.0  # of systemd's 10


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed")
def test_the_unit_leaves_the_phone_book_next_to_nothing(tmp_path: Path) -> None:
    security = subprocess.run(
        ["systemd-analyze", "security", "--offline=true", "--no-pager", str(UNIT)],
        capture_output=True,
        text=True,
        check=False,
    )
    found = re.search(r"Overall exposure level for \S+: (\d+\.\d+)", security.stdout)
    if found is None:
        pytest.skip(f"this systemd-analyze judges no file: {security.stderr[:200]}")
    assert float(found[1]) < MOST_EXPOSED
    assert f"rates it {found[1]}" in " ".join(OPERATIONS.split())
    there = tmp_path / UNIT.name  # programs that are not installed here are no fault of the unit
    there.write_text(UNIT.read_text().replace("/usr/local/bin/parley-server", "/bin/true"))
    verified = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", str(there)], capture_output=True, text=True, check=False
    )
    assert there.name not in verified.stderr, verified.stderr


def test_the_operators_page_names_settings_and_commands_that_there_are() -> None:
    words = set(re.findall(r"`([a-z_0-9]+)`", OPERATIONS))
    settings = {word for word in words if "_" in word and not word.startswith("parley_")}
    assert settings - set(ServerSettings.__struct_fields__) <= {"left_out"}
    for limit in (
        *("max_connections", "connections_per_address", "max_unauthenticated", "unauthenticated_per_address"),
        *("handshake_seconds", "login_seconds", "line_seconds", "send_buffer_kib", "signups_per_hour"),
        *("login_failures_per_account", "login_failures_per_address", "requests_per_second"),
        "introductions_per_minute",
    ):
        assert limit in settings
    commands = {command.name for command in COMMANDS}
    for name in ("backup", "export", "import", "drain", "settings", "shutdown"):
        assert name in commands
        assert f"`{name}" in OPERATIONS


def test_every_file_that_the_page_points_to_is_there() -> None:
    links = re.findall(r"\]\(([^)]+)\)", OPERATIONS)
    assert links
    for link in links:
        assert (DOCS / link).exists(), link
