"""What is wrong on the command line is said in one line, with what to do."""

import argparse
from collections.abc import Callable

import pytest

from server.main import make_parser as server_parser
from settings.spelling import nearest
from shell.main import make_parser as shell_parser


@pytest.mark.parametrize(
    ("make", "given", "said"),
    [
        (shell_parser, ["--prot"], "parley: unrecognized arguments: --prot. Did you mean --port?"),
        (shell_parser, ["--zzz"], "parley: unrecognized arguments: --zzz. See parley --help."),
        (shell_parser, ["--p", "1"], "parley: ambiguous option: --p could match --password-file, "),
        (shell_parser, ["dmeo"], "parley: argument program: invalid choice: 'dmeo'"),
        (shell_parser, ["--port", "x"], "parley: argument --port: 'x' is no UDP port; write a number"),
        (server_parser, ["--headles", "--setings"], "parley-server: unrecognized arguments: --setings. Did"),
    ],
)  # fmt: skip
def test_a_wrong_option_gets_one_line(
    make: Callable[[], argparse.ArgumentParser],
    given: list[str],
    said: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit) as ended:
        make().parse_args(given)
    error = capsys.readouterr().err
    assert ended.value.code == 2
    assert error.startswith(said)
    assert error.count("\n") == 1


@pytest.mark.parametrize(
    ("word", "known", "near"),
    [
        ("bbo", ("alice", "bob"), "bob"),
        ("LSIT", ("login", "list"), "list"),
        ("--prot", ("--password-file", "--port"), "--port"),
        ("--p", ("--port", "--plain"), ""),
        ("--port", ("--port",), ""),
        ("carol", ("alice", "bob"), ""),
        ("", (), ""),
    ],
)
def test_a_word_that_is_near_is_found_and_no_other(word: str, known: tuple[str, ...], near: str) -> None:
    assert nearest(word, known) == near
