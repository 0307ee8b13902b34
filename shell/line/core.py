"""The rules of the line: who may reach whom, what is sent when, what is shown once. Nothing here reads a
clock, a socket or a disk: events and the time come in, effects go out.

Two promises are kept here. A receipt is sent only by `incoming_kept`, which the face calls after the commit;
and a message leaves the outbox only by a receipt. What is on disk decides what is a duplicate.
"""

from collections.abc import Iterable

from shell.events import MessageArrived, MessagesRead, RequestArrived
from shell.line.consent import Consents
from shell.line.effects import (
    Effect,
    HangUp,
    KeepIncoming,
    KeepOutgoing,
    KeepRead,
    KeepSeen,
    LineId,
    SendFrames,
    Tell,
)
from shell.line.errors import Blocked, KeyNotAccepted, OutboxFull
from shell.line.model import Consent, Contact, Incoming, Kept, MessageId, Outgoing, Rules
from shell.line.outbox import MAX_WAITING
from shell.line.peer import OpenLine, Peer
from wire.certificates import Fingerprint, Pin, check_pin
from wire.frames import LineClose, Read, Receipt, Text, Verdict
from wire.messages import Endpoint
from wire.names import NameKey, name_key

VERDICT_OF: dict[Kept, Verdict] = {
    Kept.ALREADY_RECEIVED: Verdict.DELIVERED,
    Kept.ALREADY_HELD: Verdict.HELD,
    Kept.ALREADY_DECLINED: Verdict.REFUSED,
    # It is not on disk here; its writer keeps it, and sends it again on the line that follows the consent.
    Kept.NO_ROOM: Verdict.HELD,
}


class LineCore(Consents):
    """All that one account's shell knows about its talks."""

    def __init__(
        self,
        own_fingerprint: Fingerprint,
        contacts: Iterable[Contact] = (),
        waiting: Iterable[Outgoing] = (),
        held: Iterable[tuple[NameKey, int]] = (),
        rules: Rules = Rules(),  # noqa: B008 - frozen
    ) -> None:
        super().__init__(own_fingerprint, contacts, waiting, held)
        self._rules = rules

    # --- what the user does -----------------------------------------------------------------------------

    def write(self, name: str, message: Outgoing, now: float) -> list[Effect]:
        """Puts a message into the outbox; to write to somebody is to accept them.

        Raises `Blocked`, `KeyNotAccepted`, `OutboxFull`.
        """
        peer = self._peer(message.peer, name)
        self._check(peer)
        if peer.outbox.full:
            raise OutboxFull(f"{MAX_WAITING} messages wait for {peer.contact.name} already.")
        effects = self._accept(peer) if peer.contact.consent is Consent.UNDECIDED else []
        peer.outbox.add(message)
        return [KeepOutgoing(message), *effects, *self._advance(peer, now)]

    def looked_at(self, name: str) -> list[Effect]:
        """The user has seen what somebody wrote."""
        peer = self._peers.get(name_key(name))
        return [KeepSeen(peer.contact.key)] if peer is not None else []

    def reach(self, name: str) -> list[Effect]:
        """To offer somebody a file is to accept them. Raises `Blocked`, `KeyNotAccepted`."""
        peer = self._peer(name_key(name), name)
        self._check(peer)
        return self._accept(peer) if peer.contact.consent is Consent.UNDECIDED else []

    def want_line(self, key: NameKey, now: float, *, wanted: bool) -> list[Effect]:
        """Whether files wait for a line to somebody."""
        peer = self._peer(key)
        peer.files_wait = wanted
        return self._advance(peer, now)

    # --- what the network does --------------------------------------------------------------------------

    def line_opened(
        self,
        line: LineId,
        name: str,
        key: Fingerprint,
        *,
        calling: bool,
        now: float,
        certificate: bytes | None = None,
        endpoints: tuple[Endpoint, ...] = (),
    ) -> list[Effect]:
        """A proven line to somebody is there, by this certificate; they can be reached at these endpoints."""
        peer = self._peer(name_key(name), name)
        if calling:
            peer.dialing = False
        if peer.contact.consent is Consent.BLOCKED:
            return [HangUp(line, LineClose.DONE)]  # as if this user had left: they learn nothing
        pin = check_pin(peer.contact.pinned, key)
        if pin is Pin.CHANGED:
            return [*self._key_changed(peer, key), HangUp(line, LineClose.KEY_NOT_TRUSTED)]
        effects = self._proven(peer, key, certificate, endpoints)
        newcomer = OpenLine(line, calling, now)
        if peer.line is not None:
            if self._keeps(peer.line, newcomer, key):
                return [*effects, HangUp(line, LineClose.REPLACED)]
            effects += self._hang_up(peer, LineClose.REPLACED)
        peer.line, peer.failures, peer.owes_receipts, peer.overflowed = newcomer, 0, False, False
        self._lines[line] = peer.contact.key
        return [*effects, *self._say_read(peer, line), *self._send(peer, now)]

    def received(self, line: LineId, frame: Text | Receipt | Read, now: float) -> list[Effect]:
        """A frame on an open line."""
        key = self._lines.get(line)
        if key is None:
            return []
        peer = self._peers[key]
        current = peer.on(line)
        if current is not None:
            current.heard = now
        if isinstance(frame, Receipt):
            return self._receipt(peer, frame, now)
        if isinstance(frame, Read):
            return [KeepRead(key, MessageId(frame.id))]
        if current is not None and current.deaf_since is not None:
            return []
        if peer.overflowed and peer.contact.consent is Consent.ACCEPTED:
            return []  # what had no room before comes first, on the line that follows the consent
        # Behind one that is still being held it is held too, or it would be shown before it.
        held = peer.contact.consent is not Consent.ACCEPTED or peer.holding > 0
        peer.holding += held
        message = Incoming(
            MessageId(frame.id), key, frame.text, frame.written, held, frame.choices, frame.answers
        )
        return [KeepIncoming(message, line, self._rules.max_held)]

    # --- what the disk says -----------------------------------------------------------------------------

    def incoming_not_kept(self, message: Incoming, line: LineId, now: float) -> None:
        """The disk refused a message: nothing that follows on this line is taken, so that the order holds."""
        peer = self._peers[message.peer]
        peer.holding -= message.held
        current = peer.on(line)
        if current is not None and current.deaf_since is None:
            current.deaf_since = now

    def incoming_kept(self, message: Incoming, kept: Kept, line: LineId) -> list[Effect]:
        """The message is on disk: only now its writer gets a receipt and the user sees it."""
        peer = self._peers[message.peer]
        peer.holding -= message.held
        peer.overflowed |= kept is Kept.NO_ROOM
        effects: list[Effect] = []
        verdict = VERDICT_OF.get(kept) or (Verdict.HELD if message.held else Verdict.DELIVERED)
        if kept is Kept.NEW and message.held and peer.contact.consent is not Consent.UNDECIDED:
            effects.append(self._decided(peer))  # while the message was on its way to the disk
        elif kept is Kept.NEW and message.held:
            if not peer.held:
                peer.requested = next(self._requests)
            peer.held += 1
            effects.append(Tell(RequestArrived(peer.contact.name, peer.held)))
            effects += self._bound_requests(self._rules.max_requests)
        elif kept is Kept.NEW:
            effects.append(_arrived(peer, message))
        effects.append(SendFrames(line, (Receipt(message.id, verdict),)))
        if kept is Kept.ALREADY_RECEIVED:
            # Its first receipt was lost, so what was said of reading it meant nothing to its writer yet.
            effects += self._say_read(peer, line)
        return effects

    def read(self, key: NameKey, ids: Iterable[MessageId]) -> list[Effect]:
        """The mailbox has noted which of one's own messages somebody has read."""
        read = tuple(id_.hex() for id_ in ids)
        return [Tell(MessagesRead(self._peers[key].contact.name, read))] if read else []

    def seen(self, key: NameKey, last: MessageId | None) -> list[Effect]:
        """The mailbox has noted what this user has looked at; its writer is told where that is wanted."""
        peer = self._peers[key]
        if last is None or not self._rules.tells_read:
            return []
        effects = self._change(peer, read=last)
        return [*effects, *self._say_read(peer, peer.line.id)] if peer.line is not None else effects

    def held_released(self, key: NameKey, messages: Iterable[Incoming], now: float) -> list[Effect]:
        """Held messages are received: they are shown, and their writer gets the receipts."""
        peer = self._peers[key]
        peer.held = 0
        effects: list[Effect] = []
        receipts: list[Receipt] = []
        for message in messages:
            effects.append(_arrived(peer, message))
            receipts.append(Receipt(message.id, Verdict.DELIVERED))
        effects += self._settle(peer, receipts, now)
        if peer.overflowed:
            peer.overflowed, peer.owes_receipts = False, True
            effects += [*self._hang_up(peer, LineClose.REPLACED), *self._advance(peer, now)]
        return effects

    def held_declined(
        self, key: NameKey, ids: Iterable[MessageId], now: float, *, silent: bool
    ) -> list[Effect]:
        """Held messages are gone; unless silent, their writer gets the receipts."""
        peer = self._peers[key]
        peer.held = 0
        receipts = [] if silent else [Receipt(message_id, Verdict.REFUSED) for message_id in ids]
        effects = self._settle(peer, receipts, now)
        peer.overflowed = False
        if peer.pushed_out:
            # Who asks again needs another introduction, and the phone book gives so many of them a minute.
            peer.pushed_out = False
            effects += self._hang_up(peer, LineClose.TOO_MANY)
        return effects

    def _check(self, peer: Peer) -> None:
        shown = peer.contact.name
        if peer.contact.consent is Consent.BLOCKED:
            raise Blocked(f"{shown} is blocked; `unblock {shown}` first.")
        if peer.contact.presented is not None:
            raise KeyNotAccepted(f"{shown}'s key changed; see `verify {shown}`, then `accept-key {shown}`.")

    def _say_read(self, peer: Peer, line: LineId) -> list[Effect]:
        last = peer.contact.read
        wanted = self._rules.tells_read and peer.contact.consent is Consent.ACCEPTED
        return [SendFrames(line, (Read(last),))] if last is not None and wanted else []


def _arrived(peer: Peer, message: Incoming) -> Effect:
    return Tell(
        MessageArrived(
            peer.contact.name,
            message.text,
            message.written,
            message.id.hex(),
            message.choices,
            message.answers.hex(),
        )
    )
