"""The operator as a console sees it: one interface, and the one in the phone book's own process."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from server.actions import Action, Overview, ReplyT, Shutdown
from server.effects import Happened
from server.unix import user_name

if TYPE_CHECKING:
    from server.embedded import EmbeddedPhoneBook


class Operator(Protocol):
    """Thread-safe; called from a console's thread."""

    @property
    def author(self) -> str:
        """Who acts: the Unix user of the console."""
        ...

    @property
    def folder(self) -> Path:
        """The phone book's data folder."""
        ...

    @property
    def overview(self) -> Overview:
        """The latest known; never waits."""
        ...

    @property
    def running(self) -> bool:
        """Whether the phone book can still be asked."""
        ...

    def ask(self, action: Action[ReplyT]) -> ReplyT:
        """Carries out an action and waits for its answer. Raises `Refused`."""
        ...

    def subscribe(self, watcher: Callable[[Happened], None]) -> Callable[[], None]:
        """Calls back, on another thread, for everything that happens; returns how to end that."""
        ...

    def close(self) -> None:
        """Leaves; the phone book goes on."""
        ...


class LocalOperator:
    """Operates a phone book of this process."""

    def __init__(self, book: "EmbeddedPhoneBook") -> None:
        self._book = book
        self._server = book.server
        self.author = user_name(os.getuid())

    @property
    def folder(self) -> Path:
        """See `Operator`."""
        return self._server.folder

    @property
    def overview(self) -> Overview:
        """See `Operator`."""
        return self._server.overview

    @property
    def running(self) -> bool:
        """See `Operator`."""
        return self._book.running

    def ask(self, action: Action[ReplyT]) -> ReplyT:
        """See `Operator`."""
        answer = self._book.call(self._server.administration.carry_out(action, self.author))
        if isinstance(action, Shutdown) and not action.dry_run:
            self._book.stop()
        return answer

    def subscribe(self, watcher: Callable[[Happened], None]) -> Callable[[], None]:
        """See `Operator`."""
        self._server.performer.watchers.add(watcher)
        return lambda: self._server.performer.watchers.discard(watcher)

    def close(self) -> None:
        """See `Operator`."""
