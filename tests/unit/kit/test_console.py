"""The base console on string streams: verbatim words, one-line errors, JSON, recording and playing."""

import argparse
import io
import json
from pathlib import Path

import pytest
from cmd2 import rich_utils
from cmd2.exceptions import RedirectionError
from hypothesis import given
from hypothesis import strategies as st
from prompt_toolkit import PromptSession

from shell.kit.app import ConsoleApp
from shell.kit.command import Command, Outcome, Parser, Said
from shell.kit.errors import CommandError, ExitCode
from shell.kit.player import play
from wire.display import safe


class Echoed(Outcome, frozen=True):
    name: str
    text: str

    def render(self, *, plain: bool) -> str:
        return f"{self.name}: {self.text}"


def _say(app: ConsoleApp, arguments: argparse.Namespace) -> Outcome:
    return Echoed(arguments.name, arguments.text)


def _fail(app: ConsoleApp, arguments: argparse.Namespace) -> Outcome:
    if arguments.how == "foreseen":
        raise CommandError("That cannot be; do this instead.", code="cannot", exit_code=ExitCode.REFUSED)
    raise ZeroDivisionError("nobody foresaw it")


def _ask(app: ConsoleApp, arguments: argparse.Namespace) -> Outcome:
    return Said(f"{app.ask('Name: ')} and {len(app.ask_secret('Password: '))} secret characters")


def _say_arguments(parser: Parser) -> None:
    parser.add_argument("name")
    parser.add_argument("text", nargs="+")


def _fail_arguments(parser: Parser) -> None:
    parser.add_argument("how", choices=("foreseen", "unforeseen"))


def _shout(app: ConsoleApp, arguments: argparse.Namespace) -> Outcome:
    return Echoed(arguments.name, f"{arguments.times} {arguments.loud} {arguments.text}")


def _shout_arguments(parser: Parser) -> None:
    _say_arguments(parser)
    parser.add_argument("--loud", action="store_true")
    parser.add_argument("--times", type=int, default=1)


class Console(ConsoleApp):
    COMMANDS = (
        Command("shout", "Test", "Shout", _shout, _shout_arguments, ("name", "text?"), options_between=True),
        Command("say", "Test", "Say something", _say, _say_arguments, ("name", "text"), aliases=("s",)),
        Command("fail", "Test", "Fail", _fail, _fail_arguments),
        Command("question", "Test", "Ask", _ask),
    )


def console(*, as_json: bool = False) -> tuple[Console, io.StringIO]:
    output = io.StringIO()
    return Console(prompt="test> ", json=as_json, stdout=output, stderr=output), output


def run(line: str, *, as_json: bool = False) -> tuple[str, ExitCode]:
    app, output = console(as_json=as_json)
    app.run_line(line)
    return output.getvalue(), app.exit


TEXT = st.text(st.characters(categories=["L", "N", "P", "S"], include_characters=" "), min_size=1).map(
    str.strip
)


@given(TEXT.filter(bool).filter(lambda text: text not in ("-h", "--help")))
def test_a_verbatim_text_arrives_as_it_was_typed(text: str) -> None:
    said, code = run(f"say bob {text}", as_json=True)
    assert json.loads(said) == {"name": "bob", "text": text}
    assert code is ExitCode.DONE


@pytest.mark.parametrize(
    "line", ["say bob 'a\"; b > c | d # e", "/say bob 'a\"; b > c | d # e", "s bob 'a\"; b > c | d # e"]
)
def test_quotes_redirections_slashes_and_aliases(line: str) -> None:
    assert run(line) == ("bob: 'a\"; b > c | d # e\n", ExitCode.DONE)


@pytest.mark.parametrize(
    ("line", "message", "code"),
    [
        ("say", "say: NAME is missing. Usage: say [-h] name text [text ...]", ExitCode.USAGE),
        ("say bob", "say: TEXT is missing. Usage: say [-h] name text [text ...]", ExitCode.USAGE),
        ("fail foreseen", "That cannot be; do this instead.", ExitCode.REFUSED),
        ("sayy bob x", "'sayy' is no command here. Did you mean 'say'?", ExitCode.USAGE),
        ("help sayy", "'sayy' is no command here. Did you mean 'say'?", ExitCode.USAGE),
        ("fail", "fail: how is missing. Usage: fail [-h] {foreseen,unforeseen}", ExitCode.USAGE),
        ("/", "'/' is no command here. Type `help` for the list.", ExitCode.USAGE),
        (
            "question",
            "There is no terminal to ask for name; use PARLEY_PASSWORD or --password-file.",
            ExitCode.USER,
        ),
    ],
)
def test_each_error_is_one_line(line: str, message: str, code: ExitCode) -> None:
    assert run(line) == (message + "\n", code)


def test_a_terminal_that_answers_late_is_no_news() -> None:
    app, _ = console()
    assert PromptSession[str]().app.renderer.cpr_not_supported_callback is not None  # as it comes
    assert app.main_session.app.renderer.cpr_not_supported_callback is None


def test_a_program_behind_a_pipe_that_ends_at_once_is_told_in_own_words() -> None:
    app, output = console()
    error = RedirectionError("Pipe process exited with code 127 before command could run")
    app.perror(error)  # as cmd2 does, where the program ends within the time that it waits for that
    assert output.getvalue() == "The program behind | has ended at once; nothing was run.\n"
    assert app.exit is ExitCode.USER


def test_an_error_has_no_colours_in_its_words(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rich_utils, "ALLOW_STYLE", rich_utils.AllowStyle.ALWAYS)
    app, output = console(as_json=True)
    app.run_line("say")
    assert json.loads(output.getvalue())["message"] == (
        "say: NAME is missing. Usage: say [-h] name text [text ...]"
    )


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ('shout bob it\'s "late" --loud', 'bob: 1 False it\'s "late" --loud'),
        ("shout --loud bob --times 3 it's late", "bob: 3 True it's late"),
        ("shout bob --times=3 late", "bob: 3 False late"),
        ("shout bob -- --loud is no option here", "bob: 1 False --loud is no option here"),
        ("shout --loud bob", "bob: 1 True None"),
        ("shout --loud", "NAME is missing"),
        ("shout bob --quiet late", "shout: unrecognized arguments: --quiet"),
        ("shout bob --times many late", "invalid int value: 'many'"),
        ("shout bob --times", "expected one argument"),
    ],
)
def test_options_stand_before_a_verbatim_text(line: str, said: str) -> None:
    assert said in run(line)[0]


def test_what_nobody_foresaw_is_one_line_and_the_console_goes_on() -> None:
    app, output = console()
    app.run_line("fail unforeseen")
    app.run_line("say bob still here")
    first, second = output.getvalue().splitlines()
    assert "ZeroDivisionError" in first
    assert second == "bob: still here"


def test_errors_in_json_are_objects() -> None:
    said, _ = run("fail foreseen", as_json=True)
    assert json.loads(said) == {"error": "cannot", "message": "That cannot be; do this instead."}
    for line in ("set theme nosuch", "run_script nosuch", "help '", "help > /nosuch/file"):
        said, code = run(line, as_json=True)
        assert json.loads(said)["message"], line
        assert code is ExitCode.USER, line


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("help > /dev/full", "The output cannot be written: No space left on device."),
        ("help > /nosuch/file", "The output cannot go to /nosuch/file: No such file or directory."),
        ("help >", "Say where the output is to go: `> FILE` or `>> FILE`."),
    ],
)
def test_an_output_that_cannot_be_redirected_is_one_line(line: str, message: str) -> None:
    assert run(line) == (message + "\n", ExitCode.USER)


@pytest.mark.parametrize(
    ("as_json", "said"),
    [(False, "bob: ?? ?\n"), (True, '{"name":"bob","text":"\\u6f22\\u5b57 \\ud83d\\udc4d"}\n')],
)
def test_a_terminal_without_the_letters_gets_what_it_has(as_json: bool, said: str) -> None:
    written = io.BytesIO()
    output = io.TextIOWrapper(written, encoding="ascii", newline="\n")
    Console(prompt="test> ", json=as_json, stdout=output, stderr=output).run_line("say bob 漢字 👍")
    output.flush()
    assert written.getvalue().decode() == said


@pytest.mark.parametrize("word", ["a\x9b2J", "a\x7fb", "a\u202eb", "a\u2028b", "a\U000e0001b"])
def test_json_has_nothing_that_acts_on_a_terminal(word: str) -> None:
    app, output = console(as_json=True)
    app.run_line(f"say bob {word}")
    app.report(CommandError(f"There is no {word}.", code="unknown"))
    for line in output.getvalue().rstrip("\n").split("\n"):
        assert word in "".join(json.loads(line).values())
        assert safe(line) == line


@pytest.mark.parametrize("as_json", [False, True])
def test_a_line_in_another_encoding_is_refused_in_a_line(tmp_path: Path, as_json: bool) -> None:
    read = io.TextIOWrapper(io.BytesIO(b"say bob caf\xe9\nsay bob 2\n"), encoding="utf-8")
    output = io.StringIO()
    history = tmp_path / "history"
    app = Console(
        prompt="test> ", json=as_json, stdin=read, stdout=output, stderr=output, history_file=history
    )
    assert app.run_commands(["say bob 1"]) is ExitCode.DONE
    assert app.run_commands(["say bob caf\udce9"]) is ExitCode.USAGE
    assert app.run_pipe() is ExitCode.USAGE
    lines = output.getvalue().splitlines()
    assert ["UTF-8" in line for line in lines] == [False, True, True, False]
    app._persist_history()  # as cmd2 does at the end of the process
    assert history.stat().st_size


def test_commands_stop_at_the_first_that_fails() -> None:
    app, output = console()
    assert app.run_commands(["say bob 1", "fail foreseen", "say bob 2"]) is ExitCode.REFUSED
    assert "bob: 2" not in output.getvalue()


class One:
    password: str | None = "hidden words"

    def app(self, name: str, output: io.StringIO) -> ConsoleApp:
        return Console(prompt="test> ", stdout=output, stderr=output)

    def close(self) -> None:
        pass


def test_what_was_recorded_plays_again(tmp_path: Path) -> None:
    app, output = console()
    app.answers = lambda question, secret: "hidden words" if secret else "al/ice"
    file = tmp_path / "transcript"
    for line in (
        f"transcript record {file}", "say bob 1/2 of /.*/", "fail foreseen", "question", "transcript stop",
    ):  # fmt: skip
        app.run_line(line)
    assert "hidden words" not in file.read_text()
    recorded = file.read_text()
    assert recorded.startswith("test> say bob 1/2")
    app.run_line(f"transcript record {file}")
    assert "exists already" in output.getvalue()
    file.write_text(recorded.replace("test> transcript stop\n", ""))
    failure = play(file, One())
    assert failure is None, str(failure)


def test_a_transcript_that_differs_says_where(tmp_path: Path) -> None:
    file = tmp_path / "transcript"
    file.write_text("test> say bob 1\nbob: 1\ntest> say bob 2\nbob: 3\n")
    failure = play(file, One())
    assert failure is not None
    assert failure.where == f"{file}:3"
    assert failure.report == "- bob: 3\n+ bob: 2"


def test_a_macro_puts_its_arguments_into_a_command() -> None:
    app, output = console()
    app.run_line("macro create greet say {1} good {2}")
    app.run_line("greet bob morning")
    assert output.getvalue().splitlines()[-1] == "bob: good morning"
