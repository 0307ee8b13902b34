"""Who waits to hear what becomes of a message, and for how long. Lives on the event loop's thread."""

import asyncio

import msgspec

from shell.line.model import MessageId, Outgoing, State
from wire.names import NameKey


class Settled(msgspec.Struct, frozen=True):
    """What became of a message within the patience of whoever asked."""

    state: State
    offline: bool = False
    """Whether the phone book says that the recipient is not there."""


class Written(msgspec.Struct, frozen=True):
    """A message that is on this disk, and the future of what becomes of it."""

    message: Outgoing
    settling: "asyncio.Future[Settled]"


class Waiting:
    """The futures of messages that are not settled."""

    def __init__(self) -> None:
        self._futures: dict[MessageId, tuple[NameKey, asyncio.Future[Settled]]] = {}

    def expect(self, message: Outgoing) -> Written:
        """Begins to wait for a message; cancelling the future ends that."""
        future: asyncio.Future[Settled] = asyncio.get_running_loop().create_future()
        self._futures[message.id] = message.peer, future
        future.add_done_callback(lambda _: self._futures.pop(message.id, None))
        return Written(message, future)

    def settle(self, message_id: MessageId, state: State) -> bool:
        """A message has a new state; whether somebody waited for it."""
        found = self._futures.get(message_id)
        if found is None or found[1].done():
            return False
        found[1].set_result(Settled(state))
        return True

    def give_up(self, key: NameKey, *, offline: bool) -> None:
        """It will take longer for all messages to somebody."""
        for peer, future in list(self._futures.values()):
            if peer == key and not future.done():
                future.set_result(Settled(State.QUEUED, offline))

    def stop(self) -> None:
        """Nobody will hear any more: what is not settled rests on this disk."""
        for _, future in list(self._futures.values()):
            if not future.done():
                future.set_result(Settled(State.QUEUED))
