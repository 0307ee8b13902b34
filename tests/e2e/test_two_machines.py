"""Two hosts on one network, made of network namespaces: the phone book on one, a friend on the other."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.world import PASSWORD, PATIENCE, environment

HOSTS = {"one": "10.77.0.1", "two": "10.77.0.2"}
CABLE = (("link", "set", "lo", "up"), ("link", "set", "cable", "up"))


def ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True, capture_output=True, timeout=PATIENCE)


@pytest.fixture
def network() -> Iterator[dict[str, str]]:
    """Names of two namespaces that a cable connects."""
    if os.geteuid() != 0 or shutil.which("ip") is None:
        pytest.skip("network namespaces need root and iproute2")
    spaces = {host: f"parley-{os.getpid()}-{host}" for host in HOSTS}
    try:
        for space in spaces.values():
            ip("netns", "add", space)
    except subprocess.CalledProcessError as error:
        pytest.skip(f"network namespaces are not allowed here: {error.stderr.decode().strip()}")
    try:
        first, second = spaces.values()
        ip("-n", first, "link", "add", "cable", "type", "veth", "peer", "name", "cable", "netns", second)
        for host, space in spaces.items():
            ip("-n", space, "address", "add", f"{HOSTS[host]}/24", "dev", "cable")
            for words in CABLE:
                ip("-n", space, *words)
        yield spaces
    finally:
        for space in spaces.values():
            ip("netns", "delete", space)


def start(space: str, module: str, *arguments: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        ["ip", "netns", "exec", space, sys.executable, "-m", module, *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env=environment(PARLEY_PASSWORD=PASSWORD),
    )


def test_friends_on_two_machines_talk_directly(network: dict[str, str], tmp_path: Path) -> None:
    server = start(network["one"], "server.main", "--headless", "--data", str(tmp_path / "server"))
    assert server.stdout is not None
    try:
        # The address that it prints is the one to type on the other machine.
        assert server.stdout.readline() == f"Listening on {HOSTS['one']}:6969\n"
        shells = {
            name: start(space, "shell.main", "--server", HOSTS["one"], "--data", str(tmp_path / name))
            for name, space in network.items()
        }
        lines = {
            "one": "signup alice\nwait status bob online --timeout 30\nmsg bob over the cable\n"
            "wait message\nwhy bob\nmsg bob bye\nquit\n",
            "two": "signup bob\nwait request --timeout 30\naccept alice\nwait message\n"
            "msg alice and back\nwait message --timeout 30\nquit\n",
        }
        # Whoever is waited for by name must exist first.
        for name in ("two", "one"):
            shell = shells[name]
            assert shell.stdin is not None
            shell.stdin.write(lines[name])
            shell.stdin.flush()
            if name == "two":
                assert shell.stdout is not None
                assert "You are logged in as bob" in shell.stdout.readline()
        said = {name: shell.communicate(timeout=PATIENCE * 2)[0] for name, shell in shells.items()}
        assert "alice: over the cable" in said["two"]
        assert "bob: and back" in said["one"]
        assert f"straight to {HOSTS['two']}:" in said["one"]
    finally:
        server.kill()
        server.communicate()
