"""Whether the time of an answer tells what its words do not: who has an account, and who is there."""

import asyncio
import random
import socket
import ssl
import statistics
import tempfile
import time
from pathlib import Path

import wire
from server.embedded import EmbeddedPhoneBook
from server.settings import ServerSettings
from shell.datafolder import DataFolder
from shell.phonebook import PhoneBook
from tests.bench.book import request
from tests.bench.figures import Figure
from wire.certificates import make_identity
from wire.errors import Refused
from wire.messages import (
    Done,
    Hello,
    Introduce,
    Knock,
    Login,
    SetBlocked,
    SetVisibility,
    Visibility,
    Whois,
)

TITLE = "Refused logins, of an account and of none; hidden, blocking and offline people"
APART = 0.65  # to stay under: how often a guess by time alone would be right; 0.5 is as good as a coin
NEVER = 10**9  # of a throttle that would measure itself here
PASSWORD = "correct horse battery"
OFFLINE, HIDDEN, BLOCKING = "offline", "hidden", "blocking"
PAIRED: tuple[type[Whois] | type[Introduce] | type[Knock], ...] = (Whois, Introduce, Knock)
"""What is asked twice in one write: what the first sets going may hold the second one's answer back."""


def run(quick: bool) -> list[Figure]:
    """Tries all in random order over one connection."""
    with tempfile.TemporaryDirectory(prefix="parley-bench-") as folder:
        settings = ServerSettings(
            listen="127.0.0.1:0",
            data=str(Path(folder) / "server"),
            login_failures_per_account=NEVER,
            login_failures_per_address=NEVER,
            introductions_per_minute=NEVER,
        )
        with EmbeddedPhoneBook(settings) as book:
            known, unknown = asyncio.run(_logins(book, Path(folder), 40 if quick else 400))
            pairs = asyncio.run(_pairs(book, Path(folder), 200 if quick else 1_000))
    one = Figure("login, of an account, median", statistics.median(known) * 1000, "ms")
    other = Figure("login, of none, median", statistics.median(unknown) * 1000, "ms").compared(one)
    figures = [one, other, _apart("login, told apart by time", known, unknown)]
    for asked in PAIRED:
        word = asked.__name__.lower()
        offline = pairs[word, OFFLINE]
        figures.append(Figure(f"{word}, second of a pair, offline", statistics.median(offline) * 1e6, "µs"))
        figures += [
            _apart(f"{word}, {name} told from offline", pairs[word, name], offline)
            for name in (HIDDEN, BLOCKING)
        ]
    return figures


async def _logins(book: EmbeddedPhoneBook, folder: Path, count: int) -> tuple[list[float], list[float]]:
    identity = make_identity("bench")
    address = "{}:{}".format(*book.address)
    async with PhoneBook(address, DataFolder(folder / "alice")) as alice:
        await alice.signup("alice", PASSWORD, identity)
    times: dict[str, list[float]] = {"alice": [], "nobody": []}
    order = [*["alice"] * count, *["nobody"] * count]
    random.shuffle(order)
    async with PhoneBook(address, DataFolder(folder / "guesser")) as guesser:
        for name in order:
            began = time.perf_counter()
            try:
                await guesser.login(name, "a wrong password", identity)
            except Refused:
                times[name].append(time.perf_counter() - began)
    return times["alice"], times["nobody"]


async def _pairs(book: EmbeddedPhoneBook, folder: Path, count: int) -> dict[tuple[str, str], list[float]]:
    """For each request and each who is asked about: seconds from the first of two answers to the second."""
    identity = make_identity("bench")
    address = "{}:{}".format(*book.address)

    def client(name: str) -> PhoneBook:
        return PhoneBook(address, DataFolder(folder / name))

    async with client(OFFLINE) as offline, client(HIDDEN) as hidden, client(BLOCKING) as blocking:
        for one, name in ((offline, OFFLINE), (hidden, HIDDEN), (blocking, BLOCKING)):
            await one.signup(name, PASSWORD, identity)
        await offline.logout()
        await hidden.request(SetVisibility(Visibility.HIDDEN), Done)
        await blocking.request(SetBlocked(("alice",)), Done)
        certificate = identity.certificate
        return await asyncio.to_thread(_ask, book.address, Login("alice", PASSWORD, certificate), count)


def _ask(address: tuple[str, int], login: Login, count: int) -> dict[tuple[str, str], list[float]]:
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    names = (OFFLINE, HIDDEN, BLOCKING)
    order = [(asked, name) for asked in PAIRED for name in names] * count
    random.shuffle(order)
    times: dict[tuple[str, str], list[float]] = {}
    with context.wrap_socket(socket.create_connection(address)) as connection:
        connection.sendall(request(Hello(wire.PROTOCOL_MAJOR, wire.PROTOCOL_MINOR, "bench")) + request(login))
        lines = connection.makefile("rb")
        lines.readline()
        lines.readline()
        for asked, name in order:
            line = request(asked(name))
            connection.sendall(line + line)
            lines.readline()
            answered = time.perf_counter()
            lines.readline()
            word = asked.__name__.lower()
            times.setdefault((word, name), []).append(time.perf_counter() - answered)
    return times


def _apart(what: str, one: list[float], other: list[float]) -> Figure:
    return Figure(what, _told_apart(one, other), "of 1", goal=APART, at_least=False)


def _told_apart(one: list[float], other: list[float]) -> float:
    """The chance that the slower of a pair is guessed right (the area under the ROC curve, folded)."""
    larger = sum((a > b) + (a == b) / 2 for a in one for b in other) / (len(one) * len(other))
    return max(larger, 1 - larger)
