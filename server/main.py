"""`parley-server`: options, start, and the way out."""

import argparse
import contextlib
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import wire
from settings.options import OptionsParser
from settings.streams import open_closed_streams

if TYPE_CHECKING:
    from server.announcer import Announcer
    from server.embedded import EmbeddedPhoneBook
    from server.settings import ServerSettings

EXIT_USER, EXIT_USAGE, EXIT_NETWORK = 1, 2, 3


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the phone book; the exit code."""
    open_closed_streams()
    options = make_parser().parse_args(arguments)
    # The rest is imported when it is known to be needed: --version and --help answer at once.
    import msgspec

    from server.errors import PortTaken, ServerError
    from server.logs import start_log
    from server.settings import load

    if options.file is not None and options.program != "restore":
        print(f"parley-server: {options.program or ''} takes no {options.file}.", file=sys.stderr)  # noqa: T201
        return EXIT_USAGE
    if options.program != "console" and (options.command or options.transcript):
        print("parley-server: -c and --transcript are for `parley-server console`.", file=sys.stderr)  # noqa: T201
        return EXIT_USAGE

    def read() -> "ServerSettings":
        changes = {key: getattr(options, key) for key in ("listen", "data") if getattr(options, key)}
        if options.no_announce:
            changes["announce"] = False
        return msgspec.structs.replace(load(options.settings), **changes)

    try:
        settings = read()
        match options.program:
            case "console":
                return _attach(settings, options)
            case "check":
                return _check(settings, json=options.json)
            case "restore":
                return _restore(settings, options.file)
        start_log(settings, _log_file(settings, headless=options.headless))
        from server.embedded import EmbeddedPhoneBook

        book = EmbeddedPhoneBook(settings, read)
    except ServerError as error:
        print(f"parley-server: {error}", file=sys.stderr)  # noqa: T201
        return EXIT_NETWORK if isinstance(error, PortTaken) else EXIT_USER
    host, port = book.address
    shown = f"[{host}]" if ":" in host else host
    print(f"Listening on {shown}:{port}\nKey fingerprint {book.fingerprint}", flush=True)  # noqa: T201
    with _announcer(book) if settings.announce else contextlib.nullcontext():
        if options.headless:
            return _serve(book)
        from server.console import run_console

        return run_console(book, lambda: _serve(book), json=options.json, plain=options.plain)


def _announcer(book: "EmbeddedPhoneBook") -> "Announcer":
    from server.announcer import Announcer

    return Announcer(book)


def _serve(book: "EmbeddedPhoneBook") -> int:
    """Waits for SIGTERM, Ctrl-C or an operator's `shutdown`, then tells everybody and stops.

    SIGTERM leaves people the settings' `drain_seconds`, a second one none. SIGHUP reads the settings anew.
    """

    def end(*_: object) -> None:
        if not book.drain():
            book.end_asked.set()

    signal.signal(signal.SIGTERM, end)
    signal.signal(signal.SIGINT, lambda *_: book.end_asked.set())
    signal.signal(signal.SIGHUP, lambda *_: book.reload())
    while not book.end_asked.wait(1.0):  # a wait without end would hold the signal back
        pass
    book.stop()
    return 0


def _check(settings: "ServerSettings", *, json: bool) -> int:
    """Says what would keep a phone book from starting; 1 where something would."""
    import msgspec

    from server.check import check

    found = check(settings)
    for finding in found:
        if json:
            print(msgspec.json.encode(finding).decode())  # noqa: T201
            continue
        verdict = "ok  " if finding.good else "FAIL" if finding.grave else "warn"
        print(f"{verdict}  {finding.what}: {finding.message}")  # noqa: T201
    return 0 if all(finding.good or not finding.grave for finding in found) else EXIT_USER


def _restore(settings: "ServerSettings", file: Path | None) -> int:
    """Makes a data folder of a backup. Raises `BackupFailed`."""
    from server.backup import restore
    from server.settings import data_folder

    if file is None:
        print("parley-server: name the backup: parley-server restore FILE --data DIR", file=sys.stderr)  # noqa: T201
        return EXIT_USAGE
    restore(file, data_folder(settings))
    print(f"{data_folder(settings)} is as it was in {file}.")  # noqa: T201
    return 0


def _log_file(settings: "ServerSettings", *, headless: bool) -> Path | None:
    """Standard error (None) for a service, a file in the data folder beside a console, or what is set."""
    from server.settings import data_folder

    if settings.log_file:
        return Path(settings.log_file).expanduser()
    return None if headless else data_folder(settings) / "server.log"


def _attach(settings: "ServerSettings", options: argparse.Namespace) -> int:
    """The console of the phone book that runs on a data folder."""
    import logging

    logging.basicConfig(handlers=[logging.NullHandler()], force=True)  # its errors are shown, not kept
    from server.console import play_attached, run_attached
    from server.errors import NotAttached
    from server.remote_operator import RemoteOperator
    from server.settings import data_folder

    folder = data_folder(settings)
    try:
        if options.transcript:
            return play_attached(lambda: RemoteOperator(folder), options.transcript)
        operator = RemoteOperator(folder)
    except NotAttached as error:
        print(f"parley-server: {error}", file=sys.stderr)  # noqa: T201
        return EXIT_NETWORK
    return run_attached(operator, options.command or (), json=options.json, plain=options.plain)


def make_parser() -> argparse.ArgumentParser:
    """The options of the program; its man page and its completions are made from them too."""
    parser = OptionsParser(
        prog="parley-server", description="The phone book of Parley, with its admin console."
    )
    parser.add_argument(
        "program",
        nargs="?",
        choices=("console", "check", "restore"),
        help="console: operate the phone book that runs already; check: say what would keep one from "
        "starting; restore: make a data folder of a backup",
    )
    parser.add_argument("file", nargs="?", type=Path, metavar="FILE", help="restore: the backup")
    parser.add_argument("--version", action="version", version=f"parley-server {wire.VERSION}")
    parser.add_argument("--settings", type=Path, metavar="FILE", help="settings file (TOML)")
    parser.add_argument("--data", metavar="DIR", help="folder of accounts and keys")
    parser.add_argument(
        "--listen",
        metavar="HOST:PORT",
        help=f"where to listen (0.0.0.0:{wire.DEFAULT_PORT}); port 0 picks one",
    )
    parser.add_argument(
        "--no-announce", action="store_true", help="do not announce it on the local network (DNS-SD)"
    )
    parser.add_argument("--headless", action="store_true", help="no console; for a service")
    parser.add_argument(
        "-c", dest="command", action="append", metavar="COMMAND", help="console: run it and leave; repeatable"
    )
    parser.add_argument(
        "--transcript", nargs="+", type=Path, metavar="FILE", help="console: play transcripts"
    )
    parser.add_argument("--json", action="store_true", help="one JSON object a line")
    parser.add_argument("--plain", action="store_true", help="no colours, boxes or toolbar")
    return parser


if __name__ == "__main__":
    sys.exit(main())
