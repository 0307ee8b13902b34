"""Commands about one's own key: what it is, and how it gets to another machine."""

import argparse
import os
import secrets
from pathlib import Path
from typing import TYPE_CHECKING

from rich.text import Text

from shell.errors import BackupError
from shell.keybackup import (
    MAX_BACKUP,
    MIN_PASSPHRASE,
    NONCE_BYTES,
    SALT_BYTES,
    open_backup,
    seal,
)
from shell.kit.command import Command, Outcome, Parser, Said
from shell.kit.errors import CommandError
from shell.kit.hanging import Hanging
from wire.certificates import show_fingerprint
from wire.display import safe
from wire.names import name_key

if TYPE_CHECKING:
    from shell.console import UserConsole

TOPIC = "Consent and keys"
ENVIRONMENT = "PARLEY_PASSPHRASE"


class OwnKey(Outcome, frozen=True):
    """What `keys` shows."""

    name: str
    fingerprint: str
    file: str

    def render(self, *, plain: bool) -> Hanging:
        """The fingerprint, and how to keep the key."""
        return Hanging(
            Text(f"Your key, {safe(self.name)}: {self.fingerprint}"),
            Text(
                f"It rests in {self.file}; `keys export FILE` makes a backup, so that a new machine is still "
                "you."
            ),
        )


def keys(app: "UserConsole", arguments: argparse.Namespace) -> Outcome:
    """Shows the key, or takes it out or in."""
    if arguments.action is None:
        line, user = app.messenger.line, app.messenger.user or ""
        folder = app.folder.account(app.messenger.book.ticket_key, name_key(user))
        return OwnKey(user, show_fingerprint(line.fingerprint), str(folder.key_file))
    if arguments.file is None:
        raise CommandError(f"Say which file: `keys {arguments.action} FILE`.", code="usage")
    return (_export if arguments.action == "export" else _import)(app, arguments)


def _export(app: "UserConsole", arguments: argparse.Namespace) -> Outcome:
    file = Path(arguments.file).expanduser()
    if file.exists():
        raise CommandError(f"{file} is there already; choose another name.", code="file-exists")
    messenger = app.messenger
    from shell.moving import make_backup  # with the database, for which no prompt waits

    backup = make_backup(app.folder, messenger.book, messenger.line, messenger.user or "")
    passphrase = _passphrase(app, arguments, again=True)
    if len(passphrase) < MIN_PASSPHRASE:
        raise CommandError(f"A passphrase has at least {MIN_PASSPHRASE} characters.", code="weak-passphrase")
    text = seal(backup, passphrase, secrets.token_bytes(SALT_BYTES), secrets.token_bytes(NONCE_BYTES))
    try:
        with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as opened:
            opened.write(text)
    except OSError as error:
        raise CommandError(f"{file} cannot be written: {error.strerror}.", code="file") from None
    return Said(
        f"Your key and {len(backup.contacts)} contacts are in {file}. Whoever has it and the passphrase is "
        "you; `keys import` takes it in on another machine."
    )


def _import(app: "UserConsole", arguments: argparse.Namespace) -> Outcome:
    file = Path(arguments.file).expanduser()
    if app.messenger.user is not None:
        raise CommandError("`logout` first; the key in use is not changed under your feet.", code="logged-in")
    try:
        with file.open(encoding="ascii") as opened:
            text = opened.read(MAX_BACKUP)
    except OSError as error:
        raise CommandError(f"{file} cannot be read: {error.strerror}.", code="file") from None
    except UnicodeDecodeError:
        raise BackupError(f"{file} is no file of `keys export`.") from None
    backup = open_backup(text, _passphrase(app, arguments, again=False))
    from shell.moving import restore_backup

    kept = app.call(restore_backup(app.folder, backup, replace=arguments.replace))
    moved = f" The key that was here is kept as {kept}." if kept else ""
    return Said(
        f"The key of {safe(backup.name)} at {safe(backup.phone_book)} is on this machine, with "
        f"{len(backup.contacts)} contacts.{moved} Log in: login {safe(backup.name)}"
    )


def _passphrase(app: "UserConsole", arguments: argparse.Namespace, *, again: bool) -> str:
    if arguments.passphrase_file is None and not app.interactive and ENVIRONMENT in os.environ:
        return os.environ[ENVIRONMENT]
    passphrase = app.read_password("Passphrase: ", arguments.passphrase_file)
    twice = again and app.interactive and arguments.passphrase_file is None
    if twice and app.ask_secret("Again: ") != passphrase:
        raise CommandError("The two passphrases differ; nothing was done.", code="passphrases-differ")
    return passphrase


def _arguments(parser: Parser) -> None:
    from cmd2 import Cmd

    parser.add_argument("action", nargs="?", choices=("export", "import"), help="without it: show your key")
    parser.add_argument("file", metavar="FILE", nargs="?", help="the backup", completer=Cmd.path_complete)
    parser.add_argument(
        "--passphrase-file",
        metavar="FILE",
        help=f"read the passphrase from a file's first line (or from {ENVIRONMENT})",
        completer=Cmd.path_complete,
    )
    parser.add_argument(
        "--replace", action="store_true", help="on import: in the place of another key, which is kept"
    )


COMMANDS: tuple[Command["UserConsole"], ...] = (
    Command("keys", TOPIC, "Show your key, or back it up and take it to another machine", keys, _arguments),
)
