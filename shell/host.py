"""The one place where both programs meet: a phone book and shells in one process.

`parley --host` serves others from here. Scenes and the demo run here; every shell is a real one, on real
sockets, with a data folder of its own that is gone afterwards.
"""

import io
import tempfile
from collections.abc import Callable
from ipaddress import ip_address
from pathlib import Path

import msgspec

from server.announcer import Announcer
from server.console import AdminConsole
from server.embedded import EmbeddedPhoneBook
from server.errors import FolderInUse, PortTaken, ServerError
from server.operator import LocalOperator
from server.settings import ServerSettings, listen_address, load
from shell.app import Shell
from shell.discovery import show_address
from shell.errors import HostedAlready, HostingFailed
from shell.kit.app import ConsoleApp
from shell.settings import ShellSettings

LOOPBACK = "127.0.0.1:0"
OPERATOR = "server"
CHEAP_HASH = {"argon2_time": 1, "argon2_memory_kib": 8_192}  # nothing here outlives the process


class HostedPhoneBook:
    """The phone book of `parley --host`: real, announced, and there as long as the shell is."""

    def __init__(self, settings: ServerSettings) -> None:
        """Starts it; where its port is taken and nobody asked for it, on any free one.

        Raises `HostingFailed`, and `HostedAlready` where another process serves the same folder.
        """
        try:
            self._book = _start(settings)
        except FolderInUse as error:
            raise HostedAlready(str(error)) from None
        except ServerError as error:
            raise HostingFailed(str(error)) from None
        self._announcer = Announcer(self._book) if settings.announce else None
        self._everywhere = not listen_address(settings.listen)[0]

    @property
    def address(self) -> str:
        """Where the shell in this process reaches it; the same on every network that this machine visits."""
        host, port = self._book.address
        return show_address("127.0.0.1" if self._everywhere else host, port)

    @property
    def invitation(self) -> str:
        """What to tell others."""
        address = show_address(*self._book.address)
        near = "machine" if ip_address(self._book.address[0]).is_loopback else "network"
        found = f"On this {near} others type: parley\nFrom elsewhere" if self._announcer else "Others type"
        return (
            f"You host a phone book, as long as this shell runs.\n{found}: parley --server {address}\n"
            f"The fingerprint of its key: {self._book.fingerprint}"
        )

    def stop(self) -> None:
        """Tells everybody and ends."""
        if self._announcer is not None:
            self._announcer.withdraw()
        self._book.stop()


def host_phone_book(
    file: Path | None, folder: Path, *, listen: str | None, announce: bool
) -> HostedPhoneBook:
    """Hosts by the `[server]` section of a settings file, with its data in `folder` unless that says where.

    Raises `HostingFailed`, `HostedAlready`.
    """
    try:
        settings = load(file)
        if not settings.data:
            settings = msgspec.structs.replace(settings, data=str(folder))
        if listen is not None:
            listen_address(listen)
            settings = msgspec.structs.replace(settings, listen=listen)
    except ServerError as error:
        raise HostingFailed(str(error)) from None
    return HostedPhoneBook(msgspec.structs.replace(settings, announce=settings.announce and announce))


def _start(settings: ServerSettings) -> EmbeddedPhoneBook:
    try:
        return EmbeddedPhoneBook(settings)
    except PortTaken:
        if settings.listen != ServerSettings().listen:
            raise
        any_port = settings.listen.rpartition(":")[0] + ":0"
        return EmbeddedPhoneBook(msgspec.structs.replace(settings, listen=any_port))


class Town:
    """A phone book on loopback and whoever comes to it: the `Cast` of a scene."""

    password: str | None = "a password of no worth"  # noqa: S105 - of accounts that go with the process

    def __init__(self, settings: ShellSettings | None = None) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="parley-")
        self._settings = settings or ShellSettings()
        self._apps: list[Shell | AdminConsole] = []
        try:
            self.book = EmbeddedPhoneBook(
                ServerSettings(listen=LOOPBACK, data=str(self.folder / OPERATOR), **CHEAP_HASH)  # type: ignore[arg-type]
            )
        except BaseException:
            self._folder.cleanup()
            raise

    @property
    def folder(self) -> Path:
        """Where everybody's data is while the town stands."""
        return Path(self._folder.name)

    def settings_of(self, name: str) -> ShellSettings:
        """Settings of somebody's shell: this phone book, a folder of their own."""
        host, port = self.book.address
        return msgspec.structs.replace(
            self._settings, server=f"{host}:{port}", data=str(self.folder / name), port=0
        )

    def app(self, name: str, output: io.StringIO) -> ConsoleApp:
        """Somebody's shell, or the operator's console for `server`."""
        app: Shell | AdminConsole
        if name == OPERATOR:
            app = AdminConsole(LocalOperator(self.book), output=output)
        else:
            app = Shell(self.settings_of(name), output=output)
        self._apps.append(app)
        return app

    def close(self) -> None:
        """Everybody leaves, the phone book stops, the folder goes."""
        try:
            for app in self._apps:
                app.close()
            self.book.stop()
        finally:
            self._folder.cleanup()


class OneShell:
    """The `Cast` of a transcript of one person, against the phone book of the settings."""

    password: str | None = None

    def __init__(self, make: Callable[[io.StringIO], Shell]) -> None:
        self._make = make
        self._app: Shell | None = None

    def app(self, name: str, output: io.StringIO) -> ConsoleApp:
        """The shell."""
        self._app = self._make(output)
        return self._app

    def close(self) -> None:
        """Leaves."""
        if self._app is not None:
            self._app.close()
