"""`parley`: options, start, and the way out."""

import argparse
import contextlib
import gc
import logging
import os
import shlex
import sys
from collections.abc import Iterator, Sequence
from logging.handlers import RotatingFileHandler
from pathlib import Path
from typing import TYPE_CHECKING, Any

import wire
from settings.options import OptionsParser
from settings.streams import open_closed_streams

if TYPE_CHECKING:
    from collections.abc import Callable

    from shell.app import Shell
    from shell.host import HostedPhoneBook
    from shell.settings import ShellSettings

LOG_BYTES, LOG_FILES = 1024 * 1024, 2  # of the log in the data folder
EXIT_USER, EXIT_USAGE, EXIT_INTERRUPTED = 1, 2, 130
LOCAL = f"127.0.0.1:{wire.DEFAULT_PORT}"  # the phone book where none was chosen
_ENTERS = ("login", "signup", "join")
"""Commands with which a script logs in by itself."""
_NEED_NOBODY = (*_ENTERS, "discover", "group", "help")
"""Commands for which nobody has to be logged in."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the shell; the exit code."""
    open_closed_streams()
    options = make_parser().parse_args(arguments)
    code = 0
    try:
        code = _run(options)
        sys.stdout.flush()
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED
    except BrokenPipeError:  # whoever read the output has read enough
        _write_no_more()
    except OSError as error:
        # Every file of ours is opened where its error is known: what is left is the output itself.
        print(f"parley: The output cannot be written: {error.strerror}.", file=sys.stderr)  # noqa: T201
        _write_no_more()
        return EXIT_USER
    return code


def _write_no_more() -> None:
    """What was not written is not tried again at the end of the process."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


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
        if options.program == "pipe":
            if not options.name:
                print("parley: say with whom: `parley pipe NAME`", file=sys.stderr)  # noqa: T201
                return EXIT_USAGE
            options.command = [f"pipe {shlex.quote(options.name)}"]
        if options.transcript:
            return _play(settings, options)
        return _talk(settings, options)
    except ShellError as error:
        print(f"parley: {error}", file=sys.stderr)  # noqa: T201
        return EXIT_USER


@contextlib.contextmanager
def _no_garbage() -> Iterator[None]:
    """While a program comes up nothing is garbage, and looking for it is a tenth of the way to the prompt."""
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()  # what is there now stays to the end: no later pass looks at it again
        gc.enable()


def _talk(settings: "ShellSettings", options: argparse.Namespace) -> int:
    with _no_garbage():
        from shell.app import Shell
        from shell.kit.errors import ExitCode
        from shell.settings import data_folder

        app = Shell(settings, json=options.json, plain=options.plain, host=_host(settings, options))
    app.password_file = options.password_file
    _log_to(data_folder(settings) / "parley.log")
    try:
        entered = _entering(app, options)
        if app.interactive and not options.command:
            app.intro = _INTRO.format(version=wire.VERSION) + _announced(app, entered)
            app.start_with([*entered, *settings.start])
            return app.interact()
        app.quiet = bool(options.command)  # what a script did not ask for says nothing on stdout
        code = app.run_commands(entered)
        if code is not ExitCode.DONE:
            return int(code)
        for line in settings.start:  # one that fails is told, and is no reason not to go on
            app.run_line(line)
        app.quiet = False
        return int(app.run_commands(options.command) if options.command else app.run_pipe())
    finally:
        app.close()


def _entering(app: "Shell", options: argparse.Namespace) -> list[str]:
    """Where to go: as settings and options say, else as last time, else as the person chooses now."""
    from shell.datafolder import Joined
    from shell.errors import HostedAlready
    from shell.kit.app import PASSWORD_VARIABLE

    settings = app.settings
    joined = None if settings.server else app.folder.joined()
    user = settings.user or (joined.user if joined is not None else "")
    hosting = options.host or (joined is not None and joined.host)
    asking = app.interactive and not options.command
    if not settings.server:
        app.use(joined.server if joined is not None else LOCAL)
        if asking and not user:
            return ["join --host" if hosting else "join"]
    if hosting:
        try:
            hosted = app.host()
        except HostedAlready:
            if options.host:
                raise
        else:
            app.use(hosted.address)
            app.folder.join(Joined(hosted.address, user, host=True))
            print(hosted.invitation, file=sys.stderr)  # noqa: T201
    if not user or _logs_in_itself(options.command or []):
        return []
    if not settings.user and not (
        app.interactive or options.password_file or PASSWORD_VARIABLE in os.environ
    ):
        return []  # nobody asked for the one who joined last, and there is no way to
    if not options.password_file or not app.interactive:
        return [f"login {user}"]
    mark = '"' if "'" in options.password_file else "'"  # the console knows no other quoting
    return [f"login {user} --password-file {mark}{options.password_file}{mark}"]


def _announced(app: "Shell", entered: list[str]) -> str:
    """Whose password is about to be asked for, and where."""
    from wire.display import safe

    words = entered[0].split() if entered else []
    return f"Logging in as {safe(words[1])} at {app.settings.server}.\n" if words[:1] == ["login"] else ""


def _logs_in_itself(commands: list[str]) -> bool:
    """Whether a script begins with a login of its own, or needs none."""
    words = [command.split()[0] if command.split() else "" for command in commands]
    return bool(words) and (words[0] in _ENTERS or all(word in _NEED_NOBODY for word in words))


def _host(settings: "ShellSettings", options: argparse.Namespace) -> "Callable[[], HostedPhoneBook]":
    def host() -> "HostedPhoneBook":
        from shell.host import host_phone_book
        from shell.settings import data_folder

        return host_phone_book(
            options.settings,
            data_folder(settings) / "phone-book",
            listen=options.listen,
            announce=not options.no_announce,
        )

    return host


def _play(settings: "ShellSettings", options: argparse.Namespace) -> int:
    import msgspec

    from shell.app import Shell
    from shell.datafolder import DataFolder
    from shell.host import OneShell, Town
    from shell.kit.errors import CommandError
    from shell.kit.player import Cast, play
    from shell.kit.transcript import is_scene, parse
    from shell.settings import data_folder

    _log_nowhere()
    if not settings.server:
        joined = DataFolder(data_folder(settings)).joined()
        settings = msgspec.structs.replace(settings, server=joined.server if joined is not None else LOCAL)
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


class PrivateLog(RotatingFileHandler):
    """Names of people stand in it: each new file is its owner's alone."""

    def _open(self) -> Any:
        os.close(os.open(self.baseFilename, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600))
        return super()._open()


def _log_to(file: Path) -> None:
    handler: logging.Handler
    try:
        handler = PrivateLog(file, maxBytes=LOG_BYTES, backupCount=LOG_FILES, encoding="utf-8")
    except OSError:
        handler = logging.NullHandler()
    handler.setFormatter(logging.Formatter("%(asctime)s level=%(levelname)s logger=%(name)s %(message)s"))
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)


def _log_nowhere() -> None:
    logging.basicConfig(handlers=[logging.NullHandler()], force=True)


def make_parser() -> argparse.ArgumentParser:
    """The options of the program; its man page and its completions are made from them too."""
    parser = OptionsParser(
        prog="parley", description="A terminal messenger: messages go straight from shell to shell."
    )
    parser.add_argument(
        "program",
        nargs="?",
        choices=("demo", "pipe"),
        help="demo: see it all in one terminal; pipe: standard input to NAME, and what NAME pipes to output",
    )
    parser.add_argument("name", metavar="NAME", nargs="?", help="with pipe: whom")
    parser.add_argument("--version", action="version", version=f"parley {wire.VERSION}")
    parser.add_argument("--server", metavar="HOST[:PORT]", help="the phone book")
    parser.add_argument(
        "--host", action="store_true", help="host a phone book in this shell, for others to join"
    )
    parser.add_argument(
        "--listen", metavar="HOST:PORT", help=f"with --host: where (0.0.0.0:{wire.DEFAULT_PORT})"
    )
    parser.add_argument(
        "--no-announce", action="store_true", help="with --host: do not announce it on the local network"
    )
    parser.add_argument("--user", metavar="NAME", help="log in as NAME")
    parser.add_argument("--password-file", metavar="FILE", help="the password is its first line")
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


_INTRO = """Parley {version}. `help` lists everything, `quit` leaves, `join` chooses another phone book.
"""


if __name__ == "__main__":
    sys.exit(main())
