"""The one place where both programs meet: a phone book and several shells in one process.

Scenes and the demo run here; every shell is a real one, on real sockets, with a data folder of its own that
is gone afterwards.
"""

import io
import tempfile
from collections.abc import Callable
from pathlib import Path

import msgspec

from server.console import AdminConsole
from server.embedded import EmbeddedPhoneBook
from server.operator import Operator
from server.settings import ServerSettings
from shell.app import Shell
from shell.kit.app import ConsoleApp
from shell.settings import ShellSettings

LOOPBACK = "127.0.0.1:0"
OPERATOR = "server"
CHEAP_HASH = {"argon2_time": 1, "argon2_memory_kib": 8_192}  # nothing here outlives the process


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
            app = AdminConsole(Operator(self.book), output=output)
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
