"""The messages to one person that are not settled yet, in the order they were written. Pure."""

from collections import deque
from collections.abc import Iterable

import msgspec

from shell.line.errors import CannotSend, UnexpectedMove
from shell.line.model import FINAL, MOVE_OF, TRANSITIONS, MessageId, Move, Outgoing, State
from wire.errors import BadFrame
from wire.frames import Text, Verdict, decode_frame, encode_frame
from wire.framing import LENGTH_BYTES
from wire.limits import MAX_LINE_FRAME

MAX_WAITING = 10_000  # messages that may wait for one person
MAX_REFUSED = 1_000  # messages that were refused and are still known as such
MAX_IN_FLIGHT = 64  # messages on their way at once; each may have 64 KiB


class Outbox:
    """States of unsettled messages; settled ones leave."""

    def __init__(self, waiting: Iterable[Outgoing] = ()) -> None:
        self._messages = {message.id: message for message in waiting}
        self._in_flight: dict[MessageId, float] = {}
        self._on_this_line: set[MessageId] = set()
        self._refused: deque[MessageId] = deque(maxlen=MAX_REFUSED)

    def __len__(self) -> int:
        return len(self._messages)

    @property
    def full(self) -> bool:
        """Whether no further message may wait."""
        return len(self._messages) >= MAX_WAITING

    @property
    def undelivered(self) -> bool:
        """Whether a message waits that the recipient does not have yet."""
        return any(message.state is not State.HELD for message in self._messages.values())

    @property
    def held(self) -> int:
        """How many messages wait at the recipient, for their consent."""
        return sum(message.state is State.HELD for message in tuple(self._messages.values()))

    @property
    def oldest_in_flight(self) -> float | None:
        """When the message that has been on its way longest was sent, monotonic seconds."""
        return next(iter(self._in_flight.values()), None)

    def state(self, message_id: MessageId) -> State | None:
        """The state of a message; None once it is settled, unless it was refused not long ago."""
        message = self._messages.get(message_id)
        if message is None:
            return State.REFUSED if message_id in self._refused else None
        return message.state

    def add(self, message: Outgoing) -> None:
        """Takes a message that was just written."""
        self._messages[message.id] = message

    def drop(self, message_id: MessageId) -> None:
        """Forgets a message that could not be written to disk."""
        self._messages.pop(message_id, None)
        self._in_flight.pop(message_id, None)
        self._on_this_line.discard(message_id)

    def to_send(self, now: float) -> list[Text]:
        """The next messages for an open line, as many as may be on their way; they are `SENT` now."""
        room = MAX_IN_FLIGHT - len(self._in_flight)
        texts: list[Text] = []
        for message in self._messages.values():
            if len(texts) >= room:
                break
            if message.id not in self._on_this_line:
                self._on_this_line.add(message.id)
                self._in_flight[message.id] = now
                texts.append(_text(message))
        for text in texts:
            self._move(MessageId(text.id), Move.SEND)
        return texts

    def lose(self) -> list[MessageId]:
        """The line is gone: what it brought no answer for is sent again on the next, and so is what is held.

        The messages that count as queued again.
        """
        lost = [id_ for id_ in self._in_flight if self._move(id_, Move.LOSE) is State.QUEUED]
        self._in_flight.clear()
        self._on_this_line.clear()
        return lost

    def receive(self, message_id: MessageId, verdict: Verdict) -> Outgoing | None:
        """The message with its new state, None where the receipt changes nothing.

        Raises `UnexpectedMove` for a move that the table lacks.
        """
        if message_id not in self._messages:
            return None
        before = self._messages[message_id].state
        self._in_flight.pop(message_id, None)
        after = self._move(message_id, MOVE_OF[verdict])
        message = self._messages[message_id]
        if after in FINAL:
            del self._messages[message_id]
            self._on_this_line.discard(message_id)
        if after is State.REFUSED:
            self._refused.append(message_id)
        return message if after is not before else None

    def _move(self, message_id: MessageId, move: Move) -> State:
        message = self._messages[message_id]
        try:
            after = TRANSITIONS[message.state, move]
        except KeyError:
            raise UnexpectedMove(f"A message that is {message.state.value} cannot {move.value}.") from None
        self._messages[message_id] = msgspec.structs.replace(message, state=after)
        return after


def check_sendable(message: Outgoing) -> None:
    """Raises `CannotSend` for what no other shell takes: it would end every line, and stop all behind it."""
    encoded = encode_frame(_text(message))
    if len(encoded) > MAX_LINE_FRAME:
        raise CannotSend(f"That message takes {len(encoded):,} bytes; {MAX_LINE_FRAME:,} can be sent.")
    try:
        decode_frame(encoded[LENGTH_BYTES:])
    except BadFrame as error:
        raise CannotSend(f"That message cannot be sent: {error}.") from None


def _text(message: Outgoing) -> Text:
    return Text(message.id, message.written, message.text, message.choices, message.answers)
