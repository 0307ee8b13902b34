"""A phone book with a town in it: a real server process, accounts made in bulk, its clients' scripts."""

import asyncio
import os
import sqlite3
import sys
import time
from collections.abc import Iterable
from pathlib import Path

import wire
from server.account import Account, AccountId
from server.accounts import SqliteAccounts
from server.datafolder import DataFolder
from server.passwords import Passwords
from server.settings import ServerSettings
from server.tokens import TokenMint
from tests.bench.generator import Script, Target
from tests.bench.processes import Process, free_port
from wire.certificates import make_identity
from wire.messages import Hello, ListPeople, Login, Message, Resume, SetVisibility, Visibility, Watch, Whois
from wire.names import NameKey
from wire.rpc import encode_request

PASSWORD = "correct horse battery"
LIFTED = """
[server]
announce = false
max_connections = 20000
connections_per_address = 20000
max_unauthenticated = 20000
unauthenticated_per_address = 20000
silence_seconds = 3600
login_seconds = 600
requests_per_second = 1000000000
"""
"""What keeps strangers from flooding a phone book would measure itself here."""
SHIPPED = """
[server]
announce = false
"""
"""All limits as they are where nobody sets any."""


def name(number: int) -> str:
    """The name of an account; the first is 1."""
    return f"u{number:07d}"


class Town:
    """A data folder with accounts `u0000001` and on, all with one password."""

    def __init__(self, folder: Path, accounts: int) -> None:
        """Makes it: one account as the phone book makes them, and copies of it."""
        self.folder = folder
        self.accounts = accounts
        self._certificate = make_identity("bench").certificate
        keys = DataFolder(folder)
        self._mint = TokenMint(keys.token_secret)
        keys.close()
        asyncio.run(self._make_first())
        with sqlite3.connect(folder / "accounts.db") as connection:
            columns = [row[1] for row in connection.execute("PRAGMA table_info(accounts)")]
            copied = [column for column in columns if column not in ("id", "key", "name", "skeleton")]
            connection.execute(
                "WITH RECURSIVE numbers(n) AS (SELECT 2 UNION ALL SELECT n + 1 FROM numbers WHERE n < ?)"
                f" INSERT INTO accounts (id, key, name, skeleton, {', '.join(copied)})"
                " SELECT n, printf('u%07d', n), printf('u%07d', n), printf('u%07d', n),"
                f" {', '.join(f'first.{column}' for column in copied)}"
                " FROM numbers, accounts AS first WHERE first.id = 1 AND n <= ?",
                (accounts, accounts),
            )

    async def _make_first(self) -> None:
        passwords = Passwords(ServerSettings())
        store = SqliteAccounts(self.folder / "accounts.db")
        self._created = time.time()
        password_hash = await passwords.hash(PASSWORD)
        account = Account(
            AccountId(0), NameKey(name(1)), name(1), password_hash, self._created, bytes(32), last_seen=1.0
        )
        await store.create(account)
        store.close()
        passwords.close()

    def resuming(self, numbers: Iterable[int]) -> list[Script]:
        """Clients that come back with the token of their session."""
        now = time.time()
        tokens = (
            self._mint.make(
                Account(AccountId(number), NameKey(name(number)), name(number), "", self._created, b""), now
            )
            for number in numbers
        )
        return [[*_greeting(), request(Resume(token)), b'"token"'] for token in tokens]

    def logging_in(self, numbers: Iterable[int]) -> list[Script]:
        """Clients that type their password."""
        return [
            [*_greeting(), request(Login(name(number), PASSWORD, self._certificate)), b'"token"']
            for number in numbers
        ]


def watching(scripts: Iterable[Script], watched: str) -> list[Script]:
    """The same clients, asking to be told of one account."""
    return [[*script, request(Watch((watched,))), b'"people"'] for script in scripts]


def _greeting() -> Script:
    return [request(Hello(wire.PROTOCOL_MAJOR, wire.PROTOCOL_MINOR, "bench")), b'"ticket_key"']


def request(message: Message) -> bytes:
    """One request as its line; the answers come in order, so that one id is enough."""
    return encode_request(1, message)


def whois(numbers: Iterable[int]) -> list[bytes]:
    """Look-ups of these accounts."""
    return [request(Whois(name(number))) for number in numbers]


def pages(numbers: Iterable[int]) -> list[bytes]:
    """Pages of `list` after these accounts."""
    return [request(ListPeople(after=name(number))) for number in numbers]


def changes() -> list[bytes]:
    """Two changes of one's own status, to be sent in turns."""
    return [request(SetVisibility(visibility)) for visibility in (Visibility.AWAY, Visibility.ONLINE)]


class Book(Process):
    """`parley-server` on a town, where nothing else is said with the limits lifted that keep floods out."""

    def __init__(self, town: Town, *, tls: bool = True, port: int = 0, limits: str = LIFTED) -> None:
        """Returns when it listens; `started_in` has the seconds that took."""
        self.port = port or free_port()
        self.tls = tls
        settings = town.folder / "bench.toml"
        settings.write_text(limits)
        module = "server.main" if tls else "tests.bench.plain"
        began = time.monotonic()
        super().__init__(
            [
                *(sys.executable, "-m", module, "--headless", "--settings", str(settings)),
                *("--data", str(town.folder), "--listen", f"127.0.0.1:{self.port}"),
            ],
            town.folder / "server.log",
            environment={**os.environ, "PYTHONUNBUFFERED": "1"},
        )
        self.listening(self.port)
        self.started_in = time.monotonic() - began

    def target(
        self, scripts: list[Script], requests: list[bytes] | None = None, done: bytes = b'"fingerprint"'
    ) -> Target:
        """For the generator."""
        return Target("parley", self.port, self.tls, scripts, requests or [], done)
