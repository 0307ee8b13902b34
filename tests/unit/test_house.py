"""The rules of the house: imports run one way, cores are pure, files stay small."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MAX_LINES = 420  # a file that grows past this holds two things
PACKAGES = ("wire", "settings", "server", "shell")
MODULES = sorted(path.relative_to(ROOT) for package in PACKAGES for path in (ROOT / package).rglob("*.py"))
COMPOSERS = {"shell/host.py"}
"""The one file of the shell that may start a phone book."""
LAZY_COMPOSERS = {"shell/main.py", "shell/demo.py"}
"""They import the composer when it is asked for."""
PURE = {
    "server/account.py",
    "server/session.py",
    "server/directory.py",
    "server/introductions.py",
    "server/tokens.py",
    "server/throttles.py",
    "server/admission.py",
    "server/effects.py",
    "shell/line/core.py",
    "shell/line/invitations.py",
    "shell/line/knocks.py",
    "shell/line/consent.py",
    "shell/line/delivery.py",
    "shell/line/outbox.py",
    "shell/line/peer.py",
    "shell/line/people.py",
    "shell/line/candidates.py",
    "shell/line/effects.py",
    "shell/ladder.py",
    "shell/line/impairment.py",
    "shell/line/paths.py",
    "shell/line/retries.py",
    "shell/line/trace.py",
    "server/relay.py",
    "shell/line/model.py",
    "shell/line/channel.py",
    "shell/line/safety.py",
    "shell/conversation.py",
    "shell/exports.py",
    "shell/notice.py",
    "shell/talks.py",
    "shell/kit/direction.py",
    "shell/kit/tail.py",
    "shell/kit/transcript.py",
    "wire/framing.py",
    "wire/messages.py",
    "wire/rpc.py",
    "wire/frames.py",
    "wire/paths.py",
    "wire/relay.py",
    "wire/stun.py",
    "wire/tickets.py",
}
IMPURE_MODULES = {"asyncio", "socket", "sqlite3", "ssl", "threading", "time", "random", "secrets", "os"}


def imported(path: Path) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(ast.parse((ROOT / path).read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module)
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def packages(path: Path) -> set[str]:
    return {module.split(".")[0] for module in imported(path)}


@pytest.mark.parametrize("path", MODULES, ids=str)
def test_imports_run_one_way(path: Path) -> None:
    name, used = path.as_posix(), packages(path)
    if name.startswith(("wire/", "settings/")):
        assert not used & ({"wire", "settings", "server", "shell"} - {name.split("/")[0]})
    elif name.startswith("shell/kit/"):
        ours = {module for module in imported(path) if module.split(".")[0] in ("shell", "server")}
        assert all(module.startswith("shell.kit") for module in ours), ours
    elif name.startswith("server/console"):
        ours = {module for module in imported(path) if module.split(".")[0] == "shell"}
        assert all(module.startswith("shell.kit") for module in ours), ours
    elif name.startswith("server/"):
        assert "shell" not in used
    elif name not in COMPOSERS:
        assert "server" not in used


@pytest.mark.parametrize("path", MODULES, ids=str)
def test_only_the_demo_and_the_options_reach_the_composer(path: Path) -> None:
    if "shell.host" in imported(path):
        assert path.as_posix() in LAZY_COMPOSERS


@pytest.mark.parametrize("name", sorted(PURE))
def test_cores_have_no_clock_no_socket_and_no_disk(name: str) -> None:
    assert not packages(Path(name)) & IMPURE_MODULES


@pytest.mark.parametrize("path", MODULES, ids=str)
def test_no_file_holds_two_things(path: Path) -> None:
    assert len((ROOT / path).read_text(encoding="utf-8").splitlines()) <= MAX_LINES


def test_starting_the_shell_does_not_load_the_network() -> None:
    import subprocess
    import sys

    heavy = ("qh3", "uvloop", "cryptography", "argon2", "confusable_homoglyphs", "server")
    script = f"import sys, shell.app; print([name for name in {heavy!r} if name in sys.modules])"
    ended = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=ROOT
    )
    assert ended.stdout.strip() == "[]"
