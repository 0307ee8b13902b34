"""`parley`: options, start, and the way out."""

import argparse
import logging
import os
import sys
from collections.abc import Sequence
from logging.handlers import RotatingFileHandler
from pathlib import Path
from typing import TYPE_CHECKING, Any

import wire

if TYPE_CHECKING:
    from shell.settings import ShellSettings

LOG_BYTES, LOG_FILES = 1024 * 1024, 2  # of the log in the data folder
EXIT_USER, EXIT_INTERRUPTED = 1, 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the shell; the exit code."""
    options = _parser().parse_args(arguments)
    try:
        return _run(options)
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED


def _run(options: argparse.Namespace) -> int:
    # Imported when known to be needed: --version and --help answer at once.
    import msgspec

    from shell.errors import ShellError
    from shell.settings import load

    try:
        settings = load(options.settings)
        changes: dict[str, Any] = {
            key: value
            for key in ("server", "user", "port", "data")
            if (value := getattr(options, key)) is not None
        }
        settings = msgspec.structs.replace(settings, **changes)
        if options.program == "demo":
            _log_nowhere()
            from shell.demo import run_demo

            return run_demo(plain=options.plain)
        if options.transcript:
            return _play(settings, options)
        return _talk(settings, options)
    except ShellError as error:
        print(f"parley: {error}", file=sys.stderr)  # noqa: T201
        return EXIT_USER


def _talk(settings: "ShellSettings", options: argparse.Namespace) -> int:
    from shell.app import Shell
    from shell.kit.errors import ExitCode
    from shell.settings import data_folder

    app = Shell(settings, json=options.json, plain=options.plain)
    _log_to(data_folder(settings) / "parley.log")
    try:
        entered = [f"login {settings.user}"] if settings.user else []
        if options.password_file and entered:
            entered = [f"{entered[0]} --password-file '{options.password_file}'"]
        if options.command:
            return int(app.run_commands([*_quietly(entered), *options.command]))
        if not app.interactive:
            code = app.run_commands(entered)
            return int(code) if code is not ExitCode.DONE else int(app.run_pipe())
        app.intro = _INTRO.format(version=wire.VERSION, server=settings.server)
        app.start_with(entered)
        return app.interact()
    finally:
        app.close()


def _quietly(commands: list[str]) -> list[str]:
    """Commands that scripts did not ask for say nothing on stdout."""
    return [f"{command} > {os.devnull}" for command in commands]


def _play(settings: "ShellSettings", options: argparse.Namespace) -> int:
    from shell.app import Shell
    from shell.host import OneShell, Town
    from shell.kit.errors import CommandError
    from shell.kit.player import Cast, play
    from shell.kit.transcript import is_scene, parse

    _log_nowhere()
    failed = 0
    for path in options.transcript:
        try:
            scene = is_scene(parse(path.read_text(encoding="utf-8")))
            cast: Cast = Town(settings) if scene else OneShell(lambda output: Shell(settings, output=output))
            failure = play(path, cast)
        except (OSError, UnicodeDecodeError, CommandError) as error:
            print(f"parley: {path}: {error}", file=sys.stderr)  # noqa: T201
            failed += 1
            continue
        if failure is not None:
            print(failure, file=sys.stderr)  # noqa: T201
        print(f"{path}: {'failed' if failure else 'passed'}")  # noqa: T201
        failed += failure is not None
    return EXIT_USER if failed else 0


def _log_to(file: Path) -> None:
    handler: logging.Handler
    try:
        file.touch(mode=0o600)
        handler = RotatingFileHandler(file, maxBytes=LOG_BYTES, backupCount=LOG_FILES, encoding="utf-8")
    except OSError:
        handler = logging.NullHandler()
    handler.setFormatter(logging.Formatter("%(asctime)s level=%(levelname)s logger=%(name)s %(message)s"))
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)


def _log_nowhere() -> None:
    logging.basicConfig(handlers=[logging.NullHandler()], force=True)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="parley", description="A terminal messenger: messages go straight from shell to shell."
    )
    parser.add_argument("program", nargs="?", choices=("demo",), help="demo: see it all in one terminal")
    parser.add_argument("--version", action="version", version=f"parley {wire.VERSION}")
    parser.add_argument("--server", metavar="HOST[:PORT]", help="the phone book")
    parser.add_argument("--user", metavar="NAME", help="log in as NAME")
    parser.add_argument("--password-file", metavar="FILE", help="with --user: the password is its first line")
    parser.add_argument("--port", type=_port, metavar="UDP_PORT", help="UDP port (default 0: any free one)")
    parser.add_argument("--data", metavar="DIR", help="folder of keys and messages")
    parser.add_argument("--settings", type=Path, metavar="FILE", help="settings file (TOML)")
    parser.add_argument(
        "-c", dest="command", action="append", metavar="COMMAND", help="run it and leave; may be repeated"
    )
    parser.add_argument(
        "--transcript", nargs="+", type=Path, metavar="FILE", help="play transcripts or scenes"
    )
    parser.add_argument("--json", action="store_true", help="one JSON object a line")
    parser.add_argument("--plain", action="store_true", help="no colours, boxes or toolbar")
    return parser


def _port(text: str) -> int:
    if not text.isdecimal() or int(text) >= 2**16:
        raise argparse.ArgumentTypeError(f"{text!r} is no UDP port; write a number from 0 to 65535")
    return int(text)


_INTRO = """Parley {version}, phone book {server}.
`signup NAME` makes an account, `login NAME` logs in, `help` lists everything, `quit` leaves.
"""


if __name__ == "__main__":
    sys.exit(main())
