"""`parley-server check`: what would keep the phone book from starting or serving; it touches nothing."""

import fcntl
import os
import resource
import sqlite3
import ssl
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
from cryptography import x509

from server.acceptor import FAREWELLS, OTHER_FILES
from server.errors import PortTaken, ServerError
from server.listener import listening_pair, tls_context
from server.schema import STEPS
from server.settings import ServerSettings, data_folder, listen_address, metrics_address

SOON = timedelta(days=30)  # before a certificate ends, in which it is a warning
FOLDER_MODE, FILE_MODE = 0o700, 0o600


class Finding(msgspec.Struct, frozen=True):
    """One thing that was looked at."""

    what: str
    good: bool
    message: str
    grave: bool = True
    """Whether what is not good keeps the phone book from starting or serving now."""


def check(settings: ServerSettings) -> list[Finding]:
    """Everything, in the order in which a start needs it; the settings were read already."""
    folder = data_folder(settings)
    running = _runs(folder)
    return [
        *_folder(folder, running=running),
        *_database(folder),
        *_certificate(settings, folder),
        *_addresses(settings, running=running),
        *_open_files(settings),
        *_log(settings),
    ]


def _runs(folder: Path) -> bool:
    try:
        lock = os.open(folder / "lock", os.O_RDWR)
    except OSError:
        return False
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return True
    finally:
        os.close(lock)
    return False


def _folder(folder: Path, *, running: bool) -> Iterator[Finding]:
    if not folder.exists():
        parent = next(parent for parent in folder.absolute().parents if parent.exists())
        good = parent.is_dir() and os.access(parent, os.W_OK | os.X_OK)
        yield Finding("data folder", good, f"{folder} {'will be made' if good else 'cannot be made'}")
        return
    if not folder.is_dir():
        yield Finding("data folder", False, f"{folder} is no folder")
        return
    if not os.access(folder, os.R_OK | os.W_OK | os.X_OK):
        yield Finding("data folder", False, f"{folder} cannot be written by this user")
        return
    state = "in use by a running phone book" if running else "free"
    yield Finding("data folder", True, f"{folder} is {state}")
    for path, mode in [(folder, FOLDER_MODE), *((file, FILE_MODE) for file in sorted(folder.iterdir()))]:
        try:
            found = path.stat()
        except FileNotFoundError:  # what a running phone book has removed meanwhile, or a link to nothing
            continue
        if found.st_mode & 0o777 & ~mode:
            message = f"{path} is open to others (mode {found.st_mode & 0o777:o}); chmod {mode:o} it"
            yield Finding("permissions", False, message)
        if found.st_uid != os.geteuid():
            yield Finding("permissions", False, f"{path} belongs to another user (uid {found.st_uid})")


def _database(folder: Path) -> Iterator[Finding]:
    file = folder / "accounts.db"
    if not file.exists():
        yield Finding("accounts", True, "none yet")
        return
    try:
        connection = sqlite3.connect(f"{file.absolute().as_uri()}?mode=ro", uri=True)
        try:
            (verdict,) = connection.execute("PRAGMA quick_check").fetchone()
            (version,) = connection.execute("SELECT max(version) FROM versions").fetchone()
            (count,) = connection.execute("SELECT count(*) FROM accounts").fetchone()
        finally:
            connection.close()
    except sqlite3.Error as error:
        yield Finding("accounts", False, f"{file} cannot be read: {error}")
        return
    if verdict != "ok":
        yield Finding("accounts", False, f"{file} is damaged: {verdict}; restore a backup")
    elif version > len(STEPS):
        yield Finding("accounts", False, f"{file} was written by a newer Parley; update this one")
    else:
        upgrade = (
            "" if version == len(STEPS) else f"; the next start brings version {version} to {len(STEPS)}"
        )
        yield Finding("accounts", True, f"{count:,} accounts{upgrade}")


def _certificate(settings: ServerSettings, folder: Path) -> Iterator[Finding]:
    named = settings.tls_certificate
    file = Path(named).expanduser() if named else folder / "server.pem"
    if not named and not file.exists():
        yield Finding("certificate", True, "a self-signed one will be made")
        return
    try:
        tls_context(file, Path(settings.tls_key).expanduser() if settings.tls_key else None)
        ends = x509.load_pem_x509_certificates(file.read_bytes())[0].not_valid_after_utc
    except (ServerError, OSError, ValueError, ssl.SSLError) as error:
        yield Finding("certificate", False, str(error))
        return
    left = ends - datetime.now(UTC)
    when = f"{file} ends {ends:%Y-%m-%d}"
    if left < timedelta():
        yield Finding("certificate", False, f"{when}, which is over")
    elif left < SOON:
        message = f"{when}, in {left.days} days; renew it, then `settings reload`"
        yield Finding("certificate", False, message, grave=False)
    else:
        yield Finding("certificate", True, when)


def _addresses(settings: ServerSettings, *, running: bool) -> Iterator[Finding]:
    try:
        host, port = listen_address(settings.listen)
        if running:
            yield Finding("address", True, f"{settings.listen} (not tried, since a phone book runs)")
        else:
            for bound in listening_pair(host, port):
                bound.close()
            yield Finding("address", True, f"{settings.listen} is free, TCP and UDP")
    except (PortTaken, ServerError) as error:
        yield Finding("address", False, str(error))
    if settings.metrics_listen:
        try:
            metrics_address(settings.metrics_listen)
            yield Finding("metrics", True, settings.metrics_listen)
        except ServerError as error:
            yield Finding("metrics", False, str(error))


def _open_files(settings: ServerSettings) -> Iterator[Finding]:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = settings.max_connections + FAREWELLS + OTHER_FILES
    if hard != resource.RLIM_INFINITY and hard < needed:
        room = max(1, hard - FAREWELLS - OTHER_FILES)
        message = f"the limit of {hard:,} has room for {room:,} connections of {settings.max_connections:,}"
        yield Finding("open files", False, f"{message}; raise it (LimitNOFILE, ulimit -n)")
    else:
        yield Finding("open files", True, f"enough for {settings.max_connections:,} connections")


def _log(settings: ServerSettings) -> Iterator[Finding]:
    if not settings.log_file:
        return
    file = Path(settings.log_file).expanduser()
    place = file if file.exists() else file.parent
    good = os.access(place, os.W_OK)
    yield Finding("log", good, f"{file} {'can' if good else 'cannot'} be written")
