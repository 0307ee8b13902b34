"""Hosts, routers and NATs made of network namespaces: nothing of this machine's own network is touched.

alice -- nat_a -- internet -- nat_b -- bob
                     |
                  server
"""

import os
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterable
from itertools import count
from pathlib import Path
from types import TracebackType
from typing import Self

import pytest

from tests.e2e.world import PASSWORD, PATIENCE, environment, until

SERVER = "198.51.100.2"
SERVER_6 = "2001:db8:100::2"
PRIVATE = "192.168.1.2"  # of both: behind two NATs the same address is two machines

NAT_KINDS = {
    # Names as in RFC 4787: mapping (EIM, EDM) and filtering (ADF, APDF).
    "restricted": "masquerade",  # EIM/APDF: what a home router does
    "symmetric": "masquerade fully-random",  # EDM/APDF
}
_numbers = count(1)


def need_namespaces() -> None:
    """Skips a test where namespaces with NATs cannot be made."""
    if os.geteuid() != 0:
        pytest.skip("network namespaces need root")
    missing = [program for program in ("ip", "nft") if shutil.which(program) is None]
    if missing:
        pytest.skip(f"this needs {' and '.join(missing)} (iproute2, nftables)")
    probe = f"parley-{os.getpid()}-probe"
    made = subprocess.run(["ip", "netns", "add", probe], capture_output=True, text=True, check=False)
    if made.returncode:
        pytest.skip(f"network namespaces are not allowed here: {made.stderr.strip()}")
    subprocess.run(["ip", "netns", "delete", probe], check=True, capture_output=True)


class Network:
    """Namespaces by name, gone at the end with everything that runs in them."""

    def __init__(self) -> None:
        need_namespaces()
        self._prefix = f"parley-{os.getpid()}-{next(_numbers)}-"
        self._spaces: list[str] = []
        self._programs: list[Program] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for program in self._programs:
            program.kill()
        for space in self._spaces:
            subprocess.run(["ip", "netns", "delete", self._prefix + space], check=False, capture_output=True)

    def spaces(self, *names: str) -> None:
        """New namespaces."""
        for name in names:
            _run(["ip", "netns", "add", self._prefix + name])
            self._spaces.append(name)
            self.ip(name, "link set lo up")

    def link(self, one: str, other: str, *addresses: tuple[str, str], mtu: int = 1500) -> None:
        """A cable; the interface of each side is named for the other side."""
        pair = [f"pl{os.getpid() % 10_000:04}{next(_numbers):05}"[:14] + side for side in "ab"]
        _run(["ip", "link", "add", pair[0], "type", "veth", "peer", "name", pair[1]])
        for name, interface, peer in ((one, pair[0], other), (other, pair[1], one)):
            _run(["ip", "link", "set", interface, "netns", self._prefix + name])
            self.ip(name, f"link set {interface} name {peer} mtu {mtu}", f"link set {peer} up")
        for first, second in addresses:
            for name, address, peer in ((one, first, other), (other, second, one)):
                self.ip(name, f"addr add {address} dev {peer} {'nodad' if ':' in address else ''}")

    def ip(self, space: str, *commands: str) -> None:
        """Commands of `ip` in a namespace."""
        _run(["ip", "-n", self._prefix + space, "-batch", "-"], "\n".join(commands) + "\n")

    def forward(self, space: str) -> None:
        """Makes a router of a namespace."""
        for key in ("net.ipv4.ip_forward", "net.ipv6.conf.all.forwarding"):
            self.run(space, "sysctl", "-qw", f"{key}=1")

    def nat(self, space: str, kind: str, inside: str, outside: str) -> None:
        """Makes a NAT of a router, which lets in only answers to what went out."""
        self.forward(space)
        rules = f"""
            table ip nat_{kind} {{
              chain out {{ type nat hook postrouting priority 100; oifname {outside} {NAT_KINDS[kind]}; }}
              chain own {{ type filter hook input priority 0; ct state established,related accept;
                           iifname {outside} drop; }}
              chain through {{ type filter hook forward priority 0; policy drop;
                               ct state established,related accept; iifname {inside} accept; }}
            }}"""
        _run(["ip", "netns", "exec", self._prefix + space, "nft", "-f", "-"], rules)

    def wall(self, space: str, network: str) -> None:
        """Lets a router carry nothing from a network to itself."""
        rule = f"ip saddr {network} ip daddr {network} drop"
        chain = f"chain through {{ type filter hook forward priority 0; {rule}; }}"
        _run(["ip", "netns", "exec", self._prefix + space, "nft", "-f", "-"], f"table ip wall {{ {chain}; }}")

    def block_udp(self, space: str) -> None:
        """Lets a router carry no UDP, as some firms and hotels do."""
        chain = "chain through { type filter hook forward priority 0; meta l4proto udp drop; };"
        _run(
            ["ip", "netns", "exec", self._prefix + space, "nft", "-f", "-"],
            f"table ip no_udp {{ {chain} }}\n",
        )

    def run(self, space: str, *command: str) -> str:
        """Runs a command in a namespace to its end; what it printed."""
        return _run(["ip", "netns", "exec", self._prefix + space, *command])

    def start(self, space: str, module: str, *arguments: str) -> "Program":
        """Starts one of our programs in a namespace."""
        program = Program(
            ["ip", "netns", "exec", self._prefix + space, sys.executable, "-m", module, *arguments]
        )
        self._programs.append(program)
        return program

    def phone_book(self, space: str, folder: Path, settings: str = "") -> "Program":
        """A phone book with these lines in its settings."""
        folder.mkdir()
        file = folder / "settings.toml"
        file.write_text(f"[server]\nargon2_memory_kib = 8192\nargon2_time = 1\n{settings}", encoding="utf-8")
        program = self.start(
            space, "server.main", "--headless", "--settings", str(file), "--data", str(folder / "data")
        )
        program.see(r"^Listening on ")
        return program

    def shell(self, space: str, server: str, folder: Path) -> "Program":
        """Somebody's shell, with an account of the folder's name."""
        program = self.start(space, "shell.main", "--server", server, "--data", str(folder))
        program.type(f"signup {folder.name}")
        program.see(f"You are logged in as {folder.name}")
        return program


class Program:
    """A process that is typed to through a pipe, with all that it printed."""

    def __init__(self, command: list[str]) -> None:
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            bufsize=1,
            env=environment(PARLEY_PASSWORD=PASSWORD),
        )
        self.text = ""
        self._read_until = 0
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def type(self, line: str) -> None:
        """One line on its standard input."""
        assert self._process.stdin is not None
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()

    def see(self, pattern: str) -> re.Match[str]:
        """Waits for output that was not seen before."""
        found: list[re.Match[str]] = []

        def there() -> bool:
            match = re.compile(pattern, re.MULTILINE).search(self.text, self._read_until)
            if match is not None:
                found.append(match)
            elif self._process.poll() is not None and not self._reader.is_alive():
                raise AssertionError(f"it ended without {pattern!r}:\n{self.text}")
            return match is not None

        try:
            until(there, pattern)
        except AssertionError as error:
            raise AssertionError(f"{error}; what came was:\n{self.text[self._read_until :]}") from None
        self._read_until = found[0].end()
        return found[0]

    def do(self, line: str, pattern: str) -> re.Match[str]:
        """Types a line and waits for its answer."""
        self.type(line)
        return self.see(pattern)

    def until(self, line: str, pattern: str) -> re.Match[str]:
        """Types a line again and again, until its answer is this."""
        found: list[re.Match[str]] = []

        def said() -> bool:
            begin = len(self.text)
            self.type(line)
            until(lambda: len(self.text) > begin, line)
            match = re.compile(pattern, re.MULTILINE).search(self.text, begin)
            found.extend([match] if match else [])
            return match is not None

        until(said, f"{pattern!r} as the answer to {line!r}")
        return found[0]

    def kill(self) -> None:
        """kill -9."""
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait(PATIENCE)
        self._reader.join(PATIENCE)
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()

    def _read(self) -> None:
        assert self._process.stdout is not None
        try:
            for line in self._process.stdout:
                self.text += line
        except ValueError:
            pass  # closed


def two_homes(network: Network, kinds: Iterable[str], *, mtu: int = 1500) -> None:
    """alice and bob behind a NAT each, and a server that both reach."""
    network.spaces("alice", "nat_a", "internet", "nat_b", "bob", "server")
    network.forward("internet")
    network.link("internet", "server", ("198.51.100.1/24", f"{SERVER}/24"))
    network.ip("server", "route add default via 198.51.100.1")
    for host, router, outside, gateway, kind in zip(
        ("alice", "bob"),
        ("nat_a", "nat_b"),
        ("203.0.113.2", "203.0.113.6"),
        ("203.0.113.1", "203.0.113.5"),
        kinds,
        strict=True,
    ):
        network.link("internet", router, (f"{gateway}/30", f"{outside}/30"), mtu=mtu)
        network.link(router, host, ("192.168.1.1/24", f"{PRIVATE}/24"))
        network.ip(host, "route add default via 192.168.1.1")
        network.ip(router, f"route add default via {gateway}")
        network.nat(router, kind, inside=host, outside="internet")


def _run(command: list[str], stdin: str = "") -> str:
    ended = subprocess.run(
        command, input=stdin, capture_output=True, text=True, timeout=PATIENCE, check=False
    )
    assert ended.returncode == 0, f"{' '.join(command)}: {ended.stderr}\n{stdin}"
    return ended.stdout
