"""A phone book that runs for years: new settings, certificates, backups, figures, and a stop that is told."""

import asyncio
import contextlib
import io
import json
import resource
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from server.console import AdminConsole
from server.main import main
from server.remote_operator import RemoteOperator
from shell.datafolder import DataFolder
from shell.phonebook import PhoneBook
from tests.e2e.world import PASSWORD, PATIENCE, Server, Terminal, until
from wire.certificates import fingerprint, make_identity, show_fingerprint
from wire.errors import ErrorCode, Refused
from wire.messages import CloseReason, Closing, Introduce, Introduction, ListPeople, Message, Notice, People

ALICE = make_identity("alice")
CHEAP = "argon2_time = 1\nargon2_memory_kib = 8\n"


class Tended(Server):
    """A phone book with a settings file that a test writes."""

    def __init__(self, folder: Path, settings: str = "") -> None:
        self.file = folder / "settings.toml"
        self.write(settings)
        self.log_file = folder / "phone-book.log"
        super().__init__(folder / "server", "127.0.0.1:0", "--settings", str(self.file))

    def write(self, settings: str) -> None:
        self.file.write_text(
            f"[server]\n{CHEAP}log_file = '{self.file.parent / 'phone-book.log'}'\n{settings}\n"
        )

    def hang_up(self) -> None:
        """SIGHUP, until it has been dealt with."""
        before = self.log.count("event=reload")
        self.process.send_signal(signal.SIGHUP)
        until(lambda: self.log.count("event=reload") > before, "the settings to be read anew")

    @property
    def log(self) -> str:
        return self.log_file.read_text(encoding="utf-8")


@pytest.fixture
def tended(tmp_path: Path) -> Iterator[Tended]:
    with Tended(tmp_path) as running:
        yield running


class Done(NamedTuple):
    """How a program or some commands ended."""

    code: int
    output: str


def parley_server(*arguments: str) -> Done:
    """`parley-server` with a program that ends by itself."""
    output = io.StringIO()
    with contextlib.redirect_stdout(output), contextlib.redirect_stderr(output):
        code = main(arguments)
    return Done(code, output.getvalue())


def operate(server: Server, *commands: str) -> Done:
    """An attached console; the commands up to the first that fails."""
    output = io.StringIO()
    console = AdminConsole(RemoteOperator(server.folder), output=output)
    try:
        return Done(int(console.run_commands(commands)), output.getvalue())
    finally:
        console.close()


def shown_fingerprint(server: Server) -> str:
    host, port = server.address.split(":")
    return show_fingerprint(
        fingerprint(ssl.PEM_cert_to_DER_cert(ssl.get_server_certificate((host, int(port)))))
    )


async def people(book: PhoneBook) -> list[str]:
    return [person.name for person in (await book.request(ListPeople(), People)).people]


def test_sighup_changes_what_can_change_and_says_what_waits(tended: Tended, tmp_path: Path) -> None:
    async def talk() -> None:
        async with PhoneBook(tended.address, DataFolder(tmp_path / "alice")) as alice:
            await alice.signup("alice", PASSWORD, ALICE)
            tended.write('registration = "closed"\nlisten = "127.0.0.1:1"\nhash_threads = 7')
            tended.hang_up()
            async with PhoneBook(tended.address, DataFolder(tmp_path / "bob")) as bob:
                with pytest.raises(Refused, match="no sign-ups"):
                    await bob.signup("bob", PASSWORD, make_identity("bob"))
            assert await people(alice) == ["alice"], "sessions notice nothing"
            tended.write('registration = "closd"')
            tended.hang_up()
            assert "event=reload-failed" in tended.log
            assert "closd" in tended.log
            tended.write('registration = "open"\nhash_threads = 7')
            shown = operate(tended, "settings reload").output
            assert 'registration: "closed" is now "open"' in shown
            assert "hash_threads: stays 1 until a restart, then 7" in shown
            async with PhoneBook(tended.address, DataFolder(tmp_path / "bob")) as bob:
                await bob.signup("bob", PASSWORD, make_identity("bob"))
        wrong = operate(tended, "settings reload", "settings nonsense")
        assert "There is no such setting." in wrong.output
        tended.write("listen = 7")
        refused = operate(tended, "settings reload")
        assert (refused.code, refused.output.count("\n")) == (1, 1)
        assert "listen" in refused.output

    asyncio.run(talk())


def test_a_reload_switches_the_relay_on_and_off(tended: Tended, tmp_path: Path) -> None:
    async def talk() -> None:
        async with (
            PhoneBook(tended.address, DataFolder(tmp_path / "alice")) as alice,
            PhoneBook(tended.address, DataFolder(tmp_path / "bob")) as bob,
        ):
            await alice.signup("alice", PASSWORD, ALICE)
            await bob.signup("bob", PASSWORD, make_identity("bob"))
            for word in ("true", "false", "true"):
                tended.write(f"relay = {word}\nrelay_kib_per_second = 64")
                tended.hang_up()
                introduction = await alice.request(Introduce("bob"), Introduction)
                assert bool(introduction.relay) is (word == "true")

    asyncio.run(talk())


def test_a_reload_makes_room_for_more_connections_or_says_what_is_in_the_way(tended: Tended) -> None:
    files, pid = resource.RLIMIT_NOFILE, tended.process.pid
    resource.prlimit(pid, files, (600, 1_500))
    tended.write("max_connections = 1000")
    assert operate(tended, "settings reload").output == "max_connections: 10000 is now 1000\n"
    assert resource.prlimit(pid, files)[0] > 1_000
    tended.write("max_connections = 5000")
    assert operate(tended, "settings reload").output == (
        "max_connections: 1000 is now 5000; the limit of open files has room for 1,404 only\n"
    )
    until(lambda: "event=open-files-limit wanted=5000 room=1404" in tended.log, "the warning")


def test_a_reload_with_hashes_that_cannot_be_changes_nothing(tended: Tended, tmp_path: Path) -> None:
    before = operate(tended, "settings").output
    tended.write('registration = "closed"\nrelay = true\nargon2_parallelism = 2')
    refused = operate(tended, "settings reload")
    assert (refused.code, refused.output.count("\n")) == (1, 1)
    assert "argon2_memory_kib is 8: expected 16 or more, since argon2_parallelism is 2." in refused.output
    assert operate(tended, "settings").output == before
    tended.terminate()
    started = parley_server("--settings", str(tended.file), "--data", str(tended.folder), "--headless")
    assert (started.code, started.output.count("\n")) == (1, 1)
    assert "argon2_memory_kib is 8: expected 16 or more" in started.output


def test_too_little_memory_for_a_hash_is_said_at_the_start_and_by_a_reload(tended: Tended) -> None:
    said = "argon2_memory_kib is 4194304, and no hash can be made: memory allocation error.\n"
    limit = 1 << 31  # bytes; half of what the hash wants
    resource.prlimit(tended.process.pid, resource.RLIMIT_AS, (limit, limit))
    tended.file.write_text('[server]\nregistration = "closed"\nargon2_memory_kib = 4194304\n')
    assert operate(tended, "settings reload").output == said
    assert '"closed"' not in operate(tended, "settings registration").output
    tended.terminate()
    start = [
        "prlimit",
        f"--as={limit}",
        sys.executable,
        "-m",
        "server.main",
        "--listen",
        "127.0.0.1:0",
        "--headless",
    ]
    options = ["--settings", str(tended.file), "--data", str(tended.folder)]
    started = subprocess.run(
        [*start, *options], capture_output=True, text=True, timeout=PATIENCE, check=False
    )
    assert (started.returncode, started.stderr) == (1, f"parley-server: {said}")


def test_a_new_certificate_is_shown_without_a_restart(tended: Tended, tmp_path: Path) -> None:
    async def talk() -> None:
        async with PhoneBook(tended.address, DataFolder(tmp_path / "alice")) as alice:
            await alice.signup("alice", PASSWORD, ALICE)
            new = make_identity("new")
            (tended.folder / "server.pem").write_bytes(new.certificate_pem + new.key_pem)
            tended.hang_up()
            assert await asyncio.to_thread(shown_fingerprint, tended) == show_fingerprint(new.fingerprint)
            (tended.folder / "server.pem").write_text("no certificate")
            tended.hang_up()
            assert "event=reload-failed" in tended.log
            assert await asyncio.to_thread(shown_fingerprint, tended) == show_fingerprint(new.fingerprint)
            assert await people(alice) == ["alice"]

    asyncio.run(talk())


def test_sigterm_leaves_people_the_time_that_is_set(tmp_path: Path) -> None:
    async def talk(server: Tended) -> list[Message]:
        told: list[Message] = []
        noticed, lost = asyncio.Event(), asyncio.Event()

        def pushed(push: Message) -> None:
            told.append(push)
            noticed.set()

        book = PhoneBook(
            server.address, DataFolder(tmp_path / "alice"), on_push=pushed, on_lost=lambda reason: lost.set()
        )
        await book.connect()
        await book.signup("alice", PASSWORD, ALICE)
        server.process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(PATIENCE):
            await noticed.wait()
        assert await people(book) == ["alice"]
        async with PhoneBook(server.address, DataFolder(tmp_path / "bob")) as bob:
            with pytest.raises(Refused) as caught:
                await bob.signup("bob", PASSWORD, make_identity("bob"))
            assert (caught.value.code, caught.value.retry_after > 0) == (ErrorCode.SHUTTING_DOWN, True)
        server.process.send_signal(signal.SIGTERM)  # whoever is in a hurry says it twice
        async with asyncio.timeout(PATIENCE):
            await lost.wait()
        await book.close()
        return told

    with Tended(tmp_path, "drain_seconds = 600") as server:
        notice, closing = asyncio.run(talk(server))
        assert server.process.wait(PATIENCE) == 0
    assert isinstance(notice, Notice)
    assert "stops in 600 s" in notice.text
    assert isinstance(closing, Closing)
    assert closing.reason is CloseReason.SHUTDOWN


def test_sigterm_at_a_console_leaves_people_their_time_too(tmp_path: Path) -> None:
    file = tmp_path / "settings.toml"
    file.write_text("[server]\nannounce = false\ndrain_seconds = 600\n")
    options = ("--settings", str(file), "--data", str(tmp_path / "server"), "--listen", "127.0.0.1:0")
    with Terminal("server.main", *options) as console:
        address = console.see(r"^Listening on (127\.0\.0\.1:\d+)$")[1]
        console.see("^server> ?$")

        async def talk() -> None:
            told: asyncio.Queue[Message] = asyncio.Queue()
            async with PhoneBook(address, DataFolder(tmp_path / "alice"), on_push=told.put_nowait) as alice:
                await alice.signup("alice", PASSWORD, ALICE)
                console.child.kill(signal.SIGTERM)
                async with asyncio.timeout(PATIENCE):
                    notice = await told.get()
                assert isinstance(notice, Notice)
                assert "stops in 600 s" in notice.text
                console.enter("clients")
                await asyncio.to_thread(console.see, "^alice ")

        asyncio.run(talk())
        assert console.ended() == 0  # nobody is left


def test_drain_ends_when_nobody_is_left(tended: Tended, tmp_path: Path) -> None:
    async def talk() -> None:
        async with PhoneBook(tended.address, DataFolder(tmp_path / "alice")) as alice:
            await alice.signup("alice", PASSWORD, ALICE)
            would = await asyncio.to_thread(operate, tended, "drain --for 10m --dry-run")
            assert would.output == "This would hit alice.\n"
            done = await asyncio.to_thread(operate, tended, "drain --for 10m the disk is full")
            assert done.output == "Told 1 person; the phone book stops in 600 s, or when nobody is left.\n"

    asyncio.run(talk())
    assert tended.process.wait(PATIENCE) == 0


def test_a_backup_under_load_restores_to_a_phone_book_that_knows_everybody(
    tended: Tended, tmp_path: Path
) -> None:
    confirmed: list[str] = []
    backup, restored = tmp_path / "backup.tar", tmp_path / "restored"

    async def load(stop: asyncio.Event) -> None:
        async with PhoneBook(tended.address, DataFolder(tmp_path / "load")) as book:
            for number in range(10_000):
                name = f"user{number}"
                await book.signup(name, PASSWORD, ALICE)
                await book.passwd(PASSWORD, f"{PASSWORD} of {name}")
                confirmed.append(name)
                await book.logout()
                if stop.is_set():
                    return

    async def talk() -> list[str]:
        stop = asyncio.Event()
        loading = asyncio.create_task(load(stop))
        while len(confirmed) < 10:
            await asyncio.sleep(0.01)
            assert not loading.done()
        before = list(confirmed)
        done = await asyncio.to_thread(operate, tended, f"backup {backup}", f"backup {backup}")
        stop.set()
        await loading
        assert f"{backup} has everything" in done.output
        assert "never overwrites" in done.output
        return before

    async def look(address: str, names: list[str]) -> None:
        async with PhoneBook(address, DataFolder(tmp_path / "look")) as book:
            for name in names:
                await book.login(name, f"{PASSWORD} of {name}", ALICE)
                await book.logout()

    before = asyncio.run(talk())
    made = parley_server("restore", str(backup), "--data", str(restored))
    assert made.code == 0, made.output
    assert parley_server("restore", str(backup), "--data", str(restored)).code == 1
    with Server(restored, "127.0.0.1:0", "--settings", str(tended.file)) as again:
        assert again.fingerprint == tended.fingerprint
        asyncio.run(look(again.address, before))


def test_accounts_move_to_another_phone_book(tended: Tended, tmp_path: Path) -> None:
    async def sign_up(address: str) -> None:
        for name in ("alice", "bob"):
            async with PhoneBook(address, DataFolder(tmp_path / name)) as book:
                await book.signup(name, f"{PASSWORD} of {name}", ALICE)

    asyncio.run(sign_up(tended.address))
    one, two = tmp_path / "one.toml", tmp_path / "two.toml"
    assert "2 accounts" in operate(tended, f"export {one}").output
    taken = operate(tended, f"import {one}")
    assert taken.code == 1
    assert "2 of these accounts exist already" in taken.output
    (tmp_path / "other").mkdir()
    with Tended(tmp_path / "other") as other:
        moved = operate(other, f"import {one} --dry-run", f"import {one}", f"export {two}", "accounts")
        assert moved.code == 0, moved.output
        assert "This would hit alice, bob.\nTook 2 accounts.\n" in moved.output
        assert one.read_bytes() == two.read_bytes()

        async def log_in() -> None:
            async with PhoneBook(other.address, DataFolder(tmp_path / "bob2")) as book:
                await book.login("bob", f"{PASSWORD} of bob", ALICE)
                assert await people(book) == ["alice", "bob"]

        asyncio.run(log_in())


def test_check_says_what_is_wrong(tended: Tended, tmp_path: Path) -> None:
    options = ("--settings", str(tended.file), "--data", str(tended.folder))
    fine = parley_server("check", *options)
    assert fine.code == 0, fine.output
    assert "in use by a running phone book" in fine.output
    tended.terminate()
    assert "is free" in parley_server("check", *options, "--listen", tended.address).output
    found = parley_server("--json", "check", *options, "--listen", tended.address).output.splitlines()
    assert all(json.loads(line)["good"] for line in found), found
    (tended.folder / "secrets.bin").chmod(0o644)
    (tended.folder / "accounts.db").write_bytes(b"x" * 5000)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        wrong = parley_server("check", *options, "--listen", f"127.0.0.1:{taken.getsockname()[1]}")
    assert wrong.code == 1
    failed = [line for line in wrong.output.splitlines() if line.startswith("FAIL")]
    for words in ("chmod 600", "accounts.db cannot be read", "Something else listens"):
        assert any(words in line for line in failed), wrong.output
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        half = parley_server("check", "--data", str(tmp_path / "new"), "--listen", f"127.0.0.1:{port}")
    assert (half.code, f"cannot use UDP port {port}" in half.output) == (1, True), half.output
    for place, words in ((tended.file, "is no folder"), (tended.file / "below", "cannot be made")):
        file = parley_server("check", "--data", str(place), "--listen", "127.0.0.1:0")
        assert (file.code, f"FAIL  data folder: {place} {words}" in file.output) == (1, True), file.output
    (tended.folder / "gone").symlink_to("nowhere")
    assert "Traceback" not in parley_server("check", *options).output
    nowhere = parley_server("check", "--data", str(tmp_path / "new"), "--listen", "127.0.0.1:0")
    assert nowhere.code == 0, nowhere.output
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize(("days", "verdict", "code"), [(20, "warn", 0), (-1, "FAIL", 1), (60, "ok  ", 0)])
def test_a_certificate_that_ends_soon_keeps_no_phone_book_from_starting(
    tmp_path: Path, days: int, verdict: str, code: int
) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    name, now = x509.Name([]), datetime.now(UTC)
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=90))
        .not_valid_after(now + timedelta(days=days, hours=1))
        .sign(key, hashes.SHA256())
    )
    plain = serialization.NoEncryption()
    pem = serialization.Encoding.PEM
    private = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, plain)
    (tmp_path / "both.pem").write_bytes(made.public_bytes(pem) + private)
    (tmp_path / "settings.toml").write_text(f'[server]\ntls_certificate = "{tmp_path / "both.pem"}"\n')
    options = ("--data", str(tmp_path / "new"), "--listen", "127.0.0.1:0")
    found = parley_server("check", "--settings", str(tmp_path / "settings.toml"), *options)
    assert (found.code, f"{verdict}  certificate: " in found.output) == (code, True), found.output


def test_figures_are_served_on_loopback_where_they_are_asked_for(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]

    def figures() -> dict[str, float]:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=PATIENCE) as answer:
            lines = answer.read().decode().splitlines()
        return {line.rsplit(" ", 1)[0]: float(line.rsplit(" ", 1)[1]) for line in lines if line[0] != "#"}

    async def talk(server: Server) -> None:
        async with PhoneBook(server.address, DataFolder(tmp_path / "alice")) as alice:
            await alice.signup("alice", PASSWORD, ALICE)
            assert (await asyncio.to_thread(figures))["parley_sessions"] == 1
        async with PhoneBook(server.address, DataFolder(tmp_path / "bob")) as bob:
            with pytest.raises(Refused):
                await bob.login("alice", "a wrong password", ALICE)

    with Tended(tmp_path, f'metrics_listen = "127.0.0.1:{port}"') as server:
        asyncio.run(talk(server))
        found = figures()
        assert found['parley_logins_total{result="failed"}'] == 1
        assert found["parley_hash_seconds_count"] == 2
        assert found['parley_hash_seconds_bucket{le="+Inf"}'] == 2
        for name in (
            "parley_requests_total",
            "parley_lookups_total",
            "parley_pushes_total",
            "parley_relay_bytes_total",
            'parley_queue_depth{queue="hashes"}',
            "parley_loop_lag_seconds",
        ):
            assert name in found, sorted(found)
        assert server.terminate()[0] == 0
    refused = parley_server(
        "--headless", "--settings", str(_reachable(tmp_path)), "--data", str(tmp_path / "x")
    )
    assert refused.code == 1
    assert "for this machine only" in refused.output


def _reachable(folder: Path) -> Path:
    file = folder / "reachable.toml"
    file.write_text('[server]\nlisten = "127.0.0.1:0"\nmetrics_listen = "0.0.0.0:0"\n')
    return file


def test_a_log_in_json_has_one_object_a_line(tmp_path: Path) -> None:
    with Tended(tmp_path, 'log_format = "json"') as server:
        moved = shutil.move(server.log_file, tmp_path / "moved.log")
        operate(server, "settings reload")
        until(server.log_file.exists, "the log to be made anew")
        server.terminate()
        lines = (tmp_path / "moved.log").read_text() + server.log
        assert {json.loads(line)["event"] for line in lines.splitlines()} >= {"listening", "reloaded"}
        assert str(moved).endswith("moved.log")
