"""Carries out what the directory decided: sends, closes, writes, and tells the operator. Runs on the phone
book's event loop.
"""

import contextlib
from collections import deque
from collections.abc import Callable, Coroutine
from typing import Any, assert_never

from server.account import AccountId, AccountStore
from server.connection import Connection
from server.directory import Directory
from server.effects import (
    Close,
    Effect,
    Ended,
    HandOverKnocks,
    Happened,
    KeepActive,
    KeepLastSeen,
    Push,
    SessionId,
)
from server.eventlog import log_event
from server.knocks import Knocks
from server.udp import UdpPort
from wire.errors import Refused
from wire.messages import Message
from wire.names import NameKey
from wire.rpc import encode_push

MAX_RECENT = 1_000  # of the last events, kept for `watch --last`


class Performer:
    """The connections of the sessions, and what happened in them."""

    def __init__(
        self,
        directory: Directory,
        accounts: AccountStore,
        knocks: Knocks,
        udp: UdpPort,
        counts: dict[str, int],
        *,
        spawn: Callable[[Coroutine[Any, Any, None]], object],
    ) -> None:
        """What happens is added up in `counts`."""
        self._directory = directory
        self._accounts = accounts
        self._knocks = knocks
        self._udp = udp
        self._counts = counts
        self._spawn = spawn
        self.bound: dict[SessionId, Connection] = {}
        """The connection of each session."""
        self.pushes = 0
        """Notifications sent."""
        self.recent: deque[Happened] = deque(maxlen=MAX_RECENT)
        self.watchers: set[Callable[[Happened], None]] = set()
        """Whoever is told what happens, at once."""

    def perform(self, effects: list[Effect]) -> None:
        """Carries effects out, in their order."""
        encoded: tuple[Message | None, bytes] = None, b""
        for effect in effects:
            match effect:
                case Push(session, message):
                    if message is not encoded[0]:  # many are told the same: a line is made once for all
                        encoded = message, encode_push(message)
                    if session in self.bound:
                        self.pushes += 1
                        self.bound[session].send(encoded[1])
                case Close(session, reason, text):
                    connection = self.bound.pop(session, None)
                    if connection is not None:
                        connection.close(reason, text)
                case Ended(session):
                    self.bound.pop(session, None)
                case KeepLastSeen(account_id, when):
                    self._spawn(self._keep_seen(account_id, {"last_seen": when, "active": when}))
                case KeepActive(account_id, when):
                    self._spawn(self._keep_seen(account_id, {"active": when}))
                case HandOverKnocks(session, key, created):
                    self._spawn(self._hand_over_knocks(session, key, created))
                case Happened():
                    self._happened(effect)
                case _:
                    assert_never(effect)

    def _happened(self, event: Happened) -> None:
        self._counts[event.what] = self._counts.get(event.what, 0) + 1
        self._udp.happened(event, self._directory)
        self.recent.append(event)
        log_event(event)
        for watcher in tuple(self.watchers):  # consoles come and go on other threads
            watcher(event)

    async def _keep_seen(self, account_id: AccountId, times: dict[str, Any]) -> None:
        with contextlib.suppress(Refused):  # a full disk was logged; when somebody was here is no promise
            await self._accounts.update(account_id, **times)

    async def _hand_over_knocks(self, session: SessionId, key: NameKey, created: float) -> None:
        with contextlib.suppress(Refused):  # a full disk was logged; a knock is a hint
            for knocked in await self._knocks.take(key, created):
                self.perform([Push(session, knocked)])
