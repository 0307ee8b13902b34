import contextlib
import json
import shlex
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from tests.e2e.world import PASSWORD, PATIENCE, Server, environment, parley, until
from wire import VERSION


def one_line(text: str) -> str:
    assert text.count("\n") == 1, text
    assert "Traceback" not in text
    return text


def test_version_and_help_answer(tmp_path: Path) -> None:
    assert parley("--version").stdout == f"parley {VERSION}\n"
    assert "--transcript" in parley("--help").stdout


def test_one_shots_have_honest_exit_codes(server: Server, tmp_path: Path) -> None:
    def alice(*commands: str, **options: str) -> tuple[int, str, str]:
        words = [word for command in commands for word in ("-c", command)]
        ended = parley("--server", server.address, "--data", str(tmp_path / "alice"), *words, **options)
        return ended.returncode, ended.stdout, ended.stderr

    assert alice("signup alice")[0] == 0
    code, _, error = alice("login alice", password="wrong password")
    assert (code, one_line(error)) == (1, "The name or the password is not right.\n")
    code, _, error = alice("login alice", "frobnicate")
    assert code == 2
    assert "frobnicate" in one_line(error)
    code, _, error = alice("login alice", "visibility invisible")
    assert code == 2
    assert "invisible" in one_line(error)
    code, _, error = alice("list")
    assert code == 1
    assert "not logged in" in one_line(error)
    parley("--server", server.address, "--data", str(tmp_path / "bob"), "-c", "signup bob")
    code, output, _ = alice("login alice", "msg bob are you there?")
    assert code == 6
    assert "bob is offline" in output
    code, _, error = alice("login alice", "verify bob 12345 67890")
    assert code == 2
    assert "A safety number has 60 digits" in one_line(error)


def test_user_option_logs_in_quietly_and_a_pipe_is_a_message(server: Server, tmp_path: Path) -> None:
    common = ("--server", server.address, "--data", str(tmp_path / "alice"))
    parley(*common, "-c", "signup alice")
    parley("--server", server.address, "--data", str(tmp_path / "bob"), "-c", "signup bob")
    listed = parley(*common, "--user", "alice", "--json", "-c", "list")
    assert [json.loads(line) for line in listed.stdout.splitlines()] == [
        {"name": "alice", "status": "online", "as_of": None},
        {"name": "bob", "status": "offline", "as_of": None},
    ]
    piped = parley(*common, "--user", "alice", "--json", "-c", "msg bob -", stdin="one\ntwo\n")
    assert json.loads(piped.stdout)["state"] == "queued"
    told = parley(*common, "--user", "alice", "--json", "-c", "history bob")
    assert json.loads(told.stdout)["text"] == "one\ntwo"


def test_errors_in_json_are_objects_on_stderr(server: Server, tmp_path: Path) -> None:
    ended = parley("--server", server.address, "--data", str(tmp_path), "--json", "-c", "login nobody")
    assert ended.stdout == ""
    assert json.loads(one_line(ended.stderr))["error"] == "wrong-credentials"


@pytest.mark.parametrize("unbuffered", ["", "1"])
@pytest.mark.parametrize("command", ["status", "help"])
def test_output_that_cannot_be_written_is_said_in_one_line(
    server: Server, tmp_path: Path, command: str, unbuffered: str
) -> None:
    full = Path("/dev/full")
    if not full.exists():
        pytest.skip("this system has no /dev/full")
    options = ("--server", server.address, "--data", str(tmp_path / "alice"))
    assert parley(*options, "-c", "signup alice").returncode == 0
    with full.open("w") as output:
        ended = subprocess.run(
            [sys.executable, "-m", "shell.main", *options, "--user", "alice", "-c", command],
            stdout=output,
            stderr=subprocess.PIPE,
            text=True,
            env=environment(PARLEY_PASSWORD=PASSWORD, PYTHONUNBUFFERED=unbuffered),
            timeout=PATIENCE,
            check=False,
        )
    assert ended.returncode == 1
    assert "No space left on device" in one_line(ended.stderr)


def test_what_the_console_itself_refuses_is_one_line_of_its_own_words(tmp_path: Path) -> None:
    options = ("--server", "127.0.0.1:1", "--data", str(tmp_path))
    ended = parley(*options, "--json", "-c", 'login "x')
    assert json.loads(one_line(ended.stderr))["error"] == "unclosed-quotation"
    ended = parley(*options, "-c", "help hlep")
    assert (ended.returncode, ended.stderr) == (2, "'hlep' is no command here. Did you mean 'help'?\n")


def test_a_reader_that_stops_reading_is_no_error(server: Server, tmp_path: Path) -> None:
    options = ("--server", server.address, "--data", str(tmp_path / "alice"))
    assert parley(*options, "-c", "signup alice").returncode == 0
    parley("--server", server.address, "--data", str(tmp_path / "bob"), "-c", "signup bob")
    for _ in range(2):  # more than a pipe holds
        assert parley(*options, "--user", "alice", "-c", "msg bob -", stdin="word " * 12_000).returncode == 6
    for form in ([], ["--json"]):
        for command, read in ("history bob", 1), ("status", 0):
            with subprocess.Popen(
                [sys.executable, "-m", "shell.main", *options, *form, "--user", "alice", "-c", command],
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env=environment(PARLEY_PASSWORD=PASSWORD, PYTHONUNBUFFERED=""),
            ) as writing:
                assert writing.stdout is not None
                assert writing.stderr is not None
                assert len(writing.stdout.read(read)) == read
                writing.stdout.close()
                assert (writing.stderr.read(), writing.wait(PATIENCE)) == (b"", 0), (form, command)


def test_any_letter_can_be_written_in_a_locale_without_it(server: Server, tmp_path: Path) -> None:
    small = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    alice = ("--server", server.address, "--data", str(tmp_path / "alice"))
    bob = ("--server", server.address, "--data", str(tmp_path / "bob"))
    assert parley(*alice, "-c", "signup alice", password="correct hörse").returncode == 0
    assert parley(*bob, "-c", "signup bób").returncode == 0

    def writes(*words: str, stdin: bytes = b"") -> tuple[int, str]:
        ended = subprocess.run(
            [sys.executable, "-m", "shell.main", *alice, "--user", "alice", *words],
            input=stdin,
            capture_output=True,
            env=environment(PARLEY_PASSWORD="correct hörse", **small),
            timeout=PATIENCE,
            check=False,
        )
        return ended.returncode, one_line(ended.stderr.decode("ascii")) if ended.stderr else ""

    assert writes("-c", "msg bób hé") == (6, "")
    assert writes("-c", "msg bób -", stdin="漢字\n".encode()) == (6, "")
    assert writes(stdin="msg bób naïve\n".encode()) == (6, "")
    code, said = writes("-c", "msg bób -", stdin=b"caf\xe9")
    assert (code, "UTF-8" in said) == (2, True)
    code, said = writes("-c", "export é.txt")
    assert (code, "LC_ALL" in said) == (1, True)
    told = parley(*alice, "--user", "alice", "--json", "-c", "history bób", password="correct hörse")
    assert [json.loads(line)["text"] for line in told.stdout.splitlines()] == ["hé", "漢字", "naïve"]


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_a_closed_stream_is_nowhere(server: Server, tmp_path: Path, closed: str) -> None:
    options = ("--server", server.address, "--data", str(tmp_path / "alice"))
    command = shlex.join([sys.executable, "-m", "shell.main", *options, "-c", "signup alice", "-c", "status"])
    ended = subprocess.run(
        ["sh", "-c", f"{command} {closed}"],
        capture_output=True,
        text=True,
        env=environment(PARLEY_PASSWORD=PASSWORD),
        timeout=PATIENCE,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    assert "Traceback" not in ended.stderr
    assert ("alice" in ended.stdout) is (">&-" not in closed.replace("2>&-", ""))


def test_commands_come_from_a_pipe(server: Server, tmp_path: Path) -> None:
    script = "signup alice\nvisibility away\nnonsense\nvisibility\nquit\nlist\n"
    ended = parley("--server", server.address, "--data", str(tmp_path), stdin=script)
    assert ended.returncode == 2
    assert "Your visibility is away." in ended.stdout
    assert one_line(ended.stderr).startswith("'nonsense' is no command here.")


def test_a_script_does_not_wait_on_when_its_session_has_ended(server: Server, tmp_path: Path) -> None:
    options = ("--server", server.address, "--data", str(tmp_path / "alice"))
    parley(*options, "-c", "signup alice")
    nobody = parley(*options, "-c", "wait message --timeout 20")
    assert (nobody.returncode, nobody.stderr.partition(",")[0]) == (3, "You are not logged in")
    waiting = subprocess.Popen(
        [sys.executable, "-m", "shell.main", *options, "--user", "alice"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment(PARLEY_PASSWORD=PASSWORD),
    )
    assert waiting.stdin is not None
    assert waiting.stdout is not None
    waiting.stdin.write("wait message --timeout 25\nstatus\nlist\nwait end --timeout 1\n")
    waiting.stdin.flush()
    assert "You are logged in as alice" in waiting.stdout.readline()
    parley("--server", server.address, "--data", str(tmp_path / "other"), "-c", "login alice")
    said, wrong = waiting.communicate(timeout=PATIENCE)
    ended = "Your session was taken over: Somebody logged in as alice from 127.0.0.1."
    assert (said.splitlines()[-1], waiting.returncode) == (ended, 3), (said, wrong)
    vain = "You are not logged in, so nothing more comes; `wait end` says why a session ended."
    assert wrong.splitlines() == [vain, ended]


def test_a_message_that_is_on_disk_is_queued_though_its_session_ends(server: Server, tmp_path: Path) -> None:
    """Whoever read that it failed would write it again."""
    settings = tmp_path / "settings.toml"
    settings.write_text("[shell]\nmessage_patience = 60.0\n")
    for name in ("alice", "bob"):
        parley("--server", server.address, "--data", str(tmp_path / name), "-c", f"signup {name}")

    def start(name: str) -> "subprocess.Popen[str]":
        options = ("--server", server.address, "--data", str(tmp_path / name), "--user", name)
        return subprocess.Popen(
            [sys.executable, "-m", "shell.main", *options, "--settings", str(settings)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env=environment(PARLEY_PASSWORD=PASSWORD),
        )

    def written() -> bool:
        (mailbox,) = tmp_path.glob("alice/*/alice/mailbox.db")
        with contextlib.closing(sqlite3.connect(mailbox)) as connection:
            return bool(connection.execute("SELECT count(*) FROM messages").fetchone()[0])

    with start("bob") as deaf, start("alice") as writing:
        assert deaf.stdin is not None
        assert deaf.stdout is not None
        assert writing.stdin is not None
        deaf.stdin.write("net loss 100%\n")
        deaf.stdin.flush()
        while "loss 100%" not in deaf.stdout.readline():
            pass
        writing.stdin.write("msg bob hello\n")
        writing.stdin.flush()
        until(written, "the message on disk")
        parley("--server", server.address, "--data", str(tmp_path / "other"), "-c", "login alice")
        said, _ = writing.communicate(timeout=PATIENCE)
        deaf.communicate(timeout=PATIENCE)
    queued = "Queued for bob; it goes out as soon as bob can be reached."
    assert (said.splitlines()[-1], writing.returncode) == (queued, 6)


def test_a_message_that_waits_for_a_changed_key_says_so(server: Server, tmp_path: Path) -> None:
    def options(name: str, folder: str) -> tuple[str, ...]:
        return "--server", server.address, "--data", str(tmp_path / folder), "--user", name

    def alice(folder: str) -> "subprocess.Popen[str]":
        return subprocess.Popen(
            [sys.executable, "-m", "shell.main", *options("alice", folder)],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            text=True,
            env=environment(PARLEY_PASSWORD=PASSWORD),
        )

    for name in ("alice", "bob"):
        parley("--server", server.address, "--data", str(tmp_path / name), "-c", f"signup {name}")
    parley(*options("alice", "alice"), "-c", "accept bob")
    there = ("-c", "wait status alice online --timeout 20", "-c", "msg alice hello")
    with alice("alice") as at_home:
        assert parley(*options("bob", "bob"), *there).returncode == 0
        at_home.communicate()
    with alice("elsewhere") as on_the_road:
        sent = parley(*options("bob", "bob"), *there)
        on_the_road.communicate()
    assert (sent.returncode, "Queued, but the key of alice has changed" in sent.stderr) == (4, True), sent


def test_an_interrupt_ends_a_script_on_standard_input(server: Server, tmp_path: Path) -> None:
    script = subprocess.Popen(
        [sys.executable, "-m", "shell.main", "--server", server.address, "--data", str(tmp_path), "--json"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=environment(PARLEY_PASSWORD=PASSWORD),
    )
    assert script.stdin is not None
    assert script.stdout is not None
    script.stdin.write("signup alice\nwait message --timeout 1h\nvisibility away\nquit\n")
    script.stdin.flush()
    assert "alice" in script.stdout.readline()
    # The wait has begun when nothing is read any more; an interrupt before that ends the script as well.
    script.send_signal(signal.SIGINT)
    output, _ = script.communicate(timeout=PATIENCE)
    assert script.returncode == 130
    assert "away" not in output


def test_no_phone_book_is_said_in_one_line(tmp_path: Path) -> None:
    ended = parley("--server", "127.0.0.1:1", "--data", str(tmp_path), "-c", "login alice")
    assert ended.returncode == 3
    assert "127.0.0.1:1" in one_line(ended.stderr)


def test_a_password_is_never_guessed(server: Server, tmp_path: Path) -> None:
    ended = parley("--server", server.address, "--data", str(tmp_path), "-c", "login alice", password=None)
    assert ended.returncode == 1
    assert "PARLEY_PASSWORD" in one_line(ended.stderr)
    file = tmp_path / "password"
    file.write_text(PASSWORD + "\n")
    ended = parley(
        "--server", server.address, "--data", str(tmp_path / "a"), "-c",
        f"signup alice --password-file {file}", password=None,
    )  # fmt: skip
    assert ended.returncode == 0
    named = ("--server", server.address, "--data", str(tmp_path / "b"), "--password-file", str(file))
    ended = parley(*named, "-c", "signup bob", "-c", "login bob", password=None)
    assert ended.stderr == "You are logged in as bob; `logout` first.\n"
    assert parley(*named, "--user", "bob", "-c", "status", password=None).returncode == 0


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (None, "cannot be read: No such file or directory."),
        (b"", "has no password in its first line."),
        (b"\nsecond", "has no password in its first line."),
        (b"x" * 100_000, "has no password in its first line."),
        (b"\xff\xfe", "is no UTF-8 text."),
    ],
)
def test_a_password_file_without_a_password_is_said_in_one_line(
    server: Server, tmp_path: Path, content: bytes | None, reason: str
) -> None:
    file = tmp_path / "it's mine"
    if content is not None:
        file.write_bytes(content)
    options = ("--data", str(tmp_path / "alice"), "--password-file", str(file), "--user", "alice")
    ended = parley("--server", server.address, *options, "-c", "status", password=None)
    assert ended.stderr == f"The password file {file} {reason}\n"


def test_a_changed_phone_book_key_is_refused_loudly(server: Server, tmp_path: Path) -> None:
    data = tmp_path / "alice"
    assert parley("--server", server.address, "--data", str(data), "-c", "signup alice").returncode == 0
    server.terminate()
    with Server(tmp_path / "impostor", server.address) as impostor:
        ended = parley("--server", server.address, "--data", str(data), "-c", "login alice")
        assert ended.returncode == 4
        assert impostor.fingerprint in one_line(ended.stderr)
        assert server.fingerprint in ended.stderr
        assert "known-phone-books.toml" in ended.stderr


@pytest.mark.parametrize(
    ("content", "word"),
    [("[shell]\nsever = 'x'\n", "server"), ("[shell]\nport = 'x'\n", "port"), ("[[[", "TOML")],
)
def test_a_wrong_settings_file_is_said_in_one_line(tmp_path: Path, content: str, word: str) -> None:
    file = tmp_path / "settings.toml"
    file.write_text(content)
    ended = parley("--settings", str(file), "-c", "list")
    assert ended.returncode == 1
    assert word in one_line(ended.stderr)


def test_a_data_folder_that_cannot_be_is_said_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    ended = parley("--data", str(tmp_path / "file" / "data"), "-c", "list")
    assert ended.returncode == 1
    assert str(tmp_path / "file") in one_line(ended.stderr)


def test_a_taken_udp_port_is_said_in_one_line(server: Server, tmp_path: Path) -> None:
    import socket

    with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as taken:
        taken.bind(("::", 0))
        port = str(taken.getsockname()[1])
        ended = parley(
            "--server", server.address, "--data", str(tmp_path), "--port", port, "-c", "signup alice"
        )
    assert ended.returncode == 1
    assert port in one_line(ended.stderr)


def test_keys_and_messages_are_for_their_owner_only(server: Server, tmp_path: Path) -> None:
    data = tmp_path / "alice"
    parley("--server", server.address, "--data", str(data), "-c", "signup alice")
    files = [path for path in data.rglob("*") if path.is_file()]
    assert {path.name for path in files} >= {"identity.pem", "mailbox.db", "known-phone-books.toml"}
    for path in files:
        assert path.stat().st_mode & 0o077 == 0, path


def test_transcripts_pass_or_show_the_first_difference(server: Server, tmp_path: Path) -> None:
    passing, failing = tmp_path / "passing", tmp_path / "failing"
    passing.write_text(
        "A comment.\n\nparley> signup alice\nYou are logged in as alice at /.*/.\nFirst time here; /.*/\n"
        "alice> visibility\nYour visibility is online.\n"
    )
    failing.write_text("carol> signup carol\n/(?s:.*)/\ncarol> visibility\nYour visibility is hidden.\n")
    common = ("--server", server.address, "--data", str(tmp_path / "data"))
    ended = parley(*common, "--transcript", str(passing), str(failing))
    assert ended.returncode == 1
    assert f"{passing}: passed" in ended.stdout
    assert f"{failing}: failed" in ended.stdout
    assert f"{failing}:3: visibility" in ended.stderr
    assert "- Your visibility is hidden." in ended.stderr
    assert "+ Your visibility is online." in ended.stderr
    recorded = tmp_path / "recorded"
    spoken = f"transcript record {recorded}\nvisibility\nwhois nobody\ntranscript stop\n"
    parley(*common, "--user", "alice", stdin=spoken)
    assert recorded.read_text().startswith("parley> login alice\n")
    ended = parley(*common, "--transcript", str(recorded))
    assert (ended.returncode, ended.stdout) == (0, f"{recorded}: passed\n"), ended.stderr
    ended = parley(*common, "--transcript", str(tmp_path / "nowhere"))
    assert ended.returncode == 1
    assert "nowhere" in one_line(ended.stderr)


def test_the_demo_plays_without_a_terminal_and_leaves_nothing(tmp_path: Path) -> None:
    ended = parley("demo", password=None, TMPDIR=str(tmp_path), HOME=str(tmp_path / "home"))
    assert ended.returncode == 0, ended.stderr
    assert "alice: Read this when you are back." in ended.stdout
    assert list(tmp_path.iterdir()) == []
