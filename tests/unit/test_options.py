"""What is wrong on the command line is said in one line, with what to do."""

import argparse
from collections.abc import Callable

import pytest

from server.main import make_parser as server_parser
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
