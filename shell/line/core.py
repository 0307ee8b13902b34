"""The rules of the line: who may reach whom, what is sent when, what is shown once. Nothing here reads a
clock, a socket or a disk: events and the time come in, effects go out.

Two promises are kept here. A receipt is sent only by `incoming_kept`, which the face calls after the commit;
and a message leaves the outbox only by a receipt. What is on disk decides what is a duplicate.
"""

from collections.abc import Iterable

import msgspec

from shell.events import (
    KeyChanged,
    MessageArrived,
    MessageProgressed,
    NotTrusted,
    RequestArrived,
    Unreached,
)
from shell.line.effects import (
    DeclineHeld,
    Dial,
    Effect,
    HangUp,
    KeepContact,
    KeepIncoming,
    KeepOutgoing,
    KeepState,
    LineId,
    ReleaseHeld,
    SendFrames,
    Tell,
    Waits,
    WatchPresence,
)
from shell.line.errors import Blocked, KeyNotAccepted, OutboxFull, UnexpectedMove
from shell.line.model import Consent, Contact, Incoming, Kept, MessageId, Outgoing
from shell.line.outbox import MAX_WAITING
from shell.line.peer import OpenLine, Peer
from shell.line.people import People
from wire.certificates import Fingerprint, Pin, check_pin
from wire.frames import LineClose, Receipt, Text, Verdict
from wire.names import NameKey, name_key

MAX_REQUESTS = 100  # new people whose requests may wait; beyond, the oldest request is declined
MAX_RETRY = 60.0  # seconds between attempts to reach somebody who is online, at most
RECEIPT_PATIENCE = 10.0  # seconds without a receipt after which a line counts as dead
RACE = 5.0  # seconds within which two lines, one dialed by each side, count as dialed at once

VERDICT_OF: dict[Kept, Verdict] = {
    Kept.ALREADY_RECEIVED: Verdict.DELIVERED,
    Kept.ALREADY_HELD: Verdict.HELD,
    Kept.ALREADY_DECLINED: Verdict.REFUSED,
    Kept.NO_ROOM: Verdict.REFUSED,
}


class LineCore(People):
    """All that one account's shell knows about its talks."""

    def __init__(
        self,
        own_fingerprint: Fingerprint,
        contacts: Iterable[Contact] = (),
        waiting: Iterable[Outgoing] = (),
        held: Iterable[tuple[NameKey, int]] = (),
    ) -> None:
        super().__init__(contacts, waiting, held)
        self._own = own_fingerprint
        self._lines: dict[LineId, NameKey] = {}

    # --- what the user does -----------------------------------------------------------------------------

    def write(self, name: str, message: Outgoing, now: float) -> list[Effect]:
        """Puts a message into the outbox; to write to somebody is to accept them.

        Raises `Blocked`, `KeyNotAccepted`, `OutboxFull`.
        """
        peer = self._peer(message.peer, name)
        if peer.contact.consent is Consent.BLOCKED:
            raise Blocked(f"{peer.contact.name} is blocked; `unblock {peer.contact.name}` first.")
        if peer.contact.presented is not None:
            shown = peer.contact.name
            raise KeyNotAccepted(f"{shown}'s key changed; see `verify {shown}`, then `accept-key {shown}`.")
        if peer.outbox.full:
            raise OutboxFull(f"{MAX_WAITING} messages wait for {peer.contact.name} already.")
        effects = self._accept(peer) if peer.contact.consent is Consent.UNDECIDED else []
        peer.outbox.add(message)
        return [KeepOutgoing(message), *effects, *self._advance(peer, now)]

    def not_written(self, message: Outgoing) -> None:
        """The disk refused a message: it is not sent and not queued."""
        self._peer(message.peer).outbox.drop(message.id)

    def accept(self, name: str, now: float) -> list[Effect]:
        """Consent: held messages are received, their writer is told."""
        peer = self._peer(name_key(name), name)
        return [*self._accept(peer), *self._advance(peer, now)]

    def decline(self, name: str) -> list[Effect]:
        """No consent: held messages go, their writer is told."""
        return [DeclineHeld(self._peer(name_key(name), name).contact.key, silent=False)]

    def block(self, name: str) -> list[Effect]:
        """No word from somebody any more; they are not told."""
        peer = self._peer(name_key(name), name)
        effects = self._change(peer, consent=Consent.BLOCKED)
        effects.append(DeclineHeld(peer.contact.key, silent=True))
        if peer.line is not None:
            effects += self._hang_up(peer, LineClose.DONE)
        return effects

    def unblock(self, name: str) -> list[Effect]:
        """Back to undecided: their next message is a request."""
        return self._change(self._peer(name_key(name), name), consent=Consent.UNDECIDED)

    def verify(self, name: str) -> list[Effect]:
        """The user compared the safety number and found it right."""
        return self._change(self._peer(name_key(name), name), verified=True)

    def accept_key(self, name: str, now: float) -> list[Effect]:
        """The user trusts the changed key."""
        peer = self._peer(name_key(name), name)
        presented = peer.contact.presented
        if presented is None:
            return []
        peer.failures, peer.retry_at = 0, 0.0
        return [
            *self._change(peer, pinned=presented, presented=None, verified=False),
            *self._advance(peer, now),
        ]

    # --- what the network does --------------------------------------------------------------------------

    def may_dial(self, name: str, key: Fingerprint) -> tuple[bool, list[Effect]]:
        """Whether the key that the phone book names for somebody is the pinned one, or the first seen."""
        peer = self._peer(name_key(name), name)
        changed = check_pin(peer.contact.pinned, key) is Pin.CHANGED
        return not changed, self._key_changed(peer, key) if changed else []

    def may_call(self, name: str) -> bool:
        """Whether somebody who was introduced may open a line.

        One whose key changed may, as far as the refusal, so that they learn why.
        """
        contact = self.contact(name)
        return contact is None or contact.consent is not Consent.BLOCKED

    def line_opened(
        self, line: LineId, name: str, key: Fingerprint, *, calling: bool, now: float
    ) -> list[Effect]:
        """A proven line to somebody is there."""
        peer = self._peer(name_key(name), name)
        if calling:
            peer.dialing = False
        if peer.contact.consent is Consent.BLOCKED:
            return [HangUp(line, LineClose.NOT_WELCOME)]
        pin = check_pin(peer.contact.pinned, key)
        if pin is Pin.CHANGED:
            return [*self._key_changed(peer, key), HangUp(line, LineClose.KEY_NOT_TRUSTED)]
        effects: list[Effect] = []
        if pin is Pin.FIRST_SEEN or peer.contact.presented is not None:
            # The pinned key is alive: whatever else was presented in its name is of no account.
            effects = self._change(peer, pinned=key, presented=None)
        newcomer = OpenLine(line, calling, now)
        if peer.line is not None:
            if self._keeps(peer.line, newcomer, key):
                return [*effects, HangUp(line, LineClose.REPLACED)]
            effects += self._hang_up(peer, LineClose.REPLACED)
        peer.line, peer.failures, peer.retry_at, peer.owes_receipts = newcomer, 0, 0.0, False
        self._lines[line] = peer.contact.key
        return [*effects, *self._send(peer, now)]

    def line_closed(self, line: LineId, code: LineClose | None, now: float) -> list[Effect]:
        """A line is gone; what was on its way waits for the next."""
        key = self._lines.pop(line, None)
        if key is None:
            return []
        peer = self._peers[key]
        if peer.line is None or peer.line.id != line:
            return []
        peer.line = None
        peer.outbox.lose()
        if code in (LineClose.KEY_NOT_TRUSTED, LineClose.NOT_WELCOME):
            return self._turned_away(peer, now)
        return self._advance(peer, now)

    def dial_failed(self, name: str, reason: str, now: float, *, offline: bool) -> list[Effect]:
        """No line came up. Somebody offline is waited for; somebody online is tried again, less and less."""
        peer = self._peer(name_key(name), name)
        peer.dialing = False
        if offline:
            peer.online = False
            return self._advance(peer, now)
        peer.failures += 1
        peer.retry_at = now + min(MAX_RETRY, 2.0**peer.failures)
        return [Tell(Unreached(peer.contact.name, reason))] if peer.failures == 1 else []

    def dial_refused(self, name: str, now: float) -> list[Effect]:
        """The other shell took the call and refused this user's key."""
        peer = self._peer(name_key(name), name)
        peer.dialing = False
        return self._turned_away(peer, now)

    def presence(self, name: str, *, online: bool, now: float) -> list[Effect]:
        """The phone book says whether somebody is there."""
        peer = self._peers.get(name_key(name))
        if peer is None:
            return []
        effects: list[Effect] = []
        if online and peer.online is not True:
            peer.failures, peer.retry_at = 0, 0.0
            if peer.online is False:
                # Whoever was away may be a new process, which knows nothing of the old line.
                effects = self._hang_up(peer, LineClose.REPLACED)
        peer.online = online
        return [*effects, *self._advance(peer, now)]

    def received(self, line: LineId, frame: Text | Receipt, now: float) -> list[Effect]:
        """A frame on an open line."""
        key = self._lines.get(line)
        if key is None:
            return []
        peer = self._peers[key]
        if isinstance(frame, Receipt):
            return self._receipt(peer, frame, now)
        held = peer.contact.consent is not Consent.ACCEPTED
        message = Incoming(
            MessageId(frame.id), key, frame.text, frame.written, held, frame.choices, frame.answers
        )
        return [KeepIncoming(message, line)]

    # --- what the disk says -----------------------------------------------------------------------------

    def incoming_kept(self, message: Incoming, kept: Kept, line: LineId) -> list[Effect]:
        """The message is on disk: only now its writer gets a receipt and the user sees it."""
        peer = self._peers[message.peer]
        effects: list[Effect] = []
        verdict = VERDICT_OF.get(kept) or (Verdict.HELD if message.held else Verdict.DELIVERED)
        if kept is Kept.NEW and message.held and peer.contact.consent is not Consent.UNDECIDED:
            effects.append(self._decided(peer))  # while the message was on its way to the disk
        elif kept is Kept.NEW and message.held:
            peer.held += 1
            effects.append(Tell(RequestArrived(peer.contact.name, peer.held)))
            effects += self._bound_requests()
        elif kept is Kept.NEW:
            effects.append(_arrived(peer, message))
        effects.append(SendFrames(line, (Receipt(message.id, verdict),)))
        return effects

    def held_released(self, key: NameKey, messages: Iterable[Incoming], now: float) -> list[Effect]:
        """Held messages are received: they are shown, and their writer gets the receipts."""
        peer = self._peers[key]
        peer.held = 0
        effects: list[Effect] = []
        receipts: list[Receipt] = []
        for message in messages:
            effects.append(_arrived(peer, message))
            receipts.append(Receipt(message.id, Verdict.DELIVERED))
        return [*effects, *self._settle(peer, receipts, now)]

    def held_declined(
        self, key: NameKey, ids: Iterable[MessageId], now: float, *, silent: bool
    ) -> list[Effect]:
        """Held messages are gone; unless silent, their writer gets the receipts."""
        peer = self._peers[key]
        peer.held = 0
        receipts = [] if silent else [Receipt(message_id, Verdict.REFUSED) for message_id in ids]
        return self._settle(peer, receipts, now)

    # --- time -------------------------------------------------------------------------------------------

    def tick(self, now: float) -> list[Effect]:
        """Time has passed: retries are due, lines that give no receipts are given up."""
        effects: list[Effect] = []
        for peer in self._peers.values():
            since = peer.outbox.oldest_in_flight
            if peer.line is not None and since is not None and now - since > RECEIPT_PATIENCE:
                effects += self._hang_up(peer, LineClose.DONE)
            effects += self._advance(peer, now)
        return effects

    # --- inside -----------------------------------------------------------------------------------------

    def _decided(self, peer: Peer) -> Effect:
        """What the user's consent means for held messages."""
        if peer.contact.consent is Consent.ACCEPTED:
            return ReleaseHeld(peer.contact.key)
        return DeclineHeld(peer.contact.key, silent=True)

    def _change(self, peer: Peer, **changes: object) -> list[Effect]:
        peer.contact = msgspec.structs.replace(peer.contact, **changes)
        return [KeepContact(peer.contact)]

    def _accept(self, peer: Peer) -> list[Effect]:
        effects = self._change(peer, consent=Consent.ACCEPTED)
        if peer.held:
            effects.append(ReleaseHeld(peer.contact.key))
        return [*effects, WatchPresence(peer.contact.name)]

    def _key_changed(self, peer: Peer, key: Fingerprint) -> list[Effect]:
        if peer.contact.presented == key:
            return []
        told = Tell(KeyChanged(peer.contact.name, peer.contact.pinned or b"", key))
        return [*self._change(peer, presented=key), told]

    def _keeps(self, current: OpenLine, newcomer: OpenLine, peer_key: Fingerprint) -> bool:
        """Of two lines dialed at once by both sides, both keep the one whose caller has the lesser key.

        Any other second line is there because its caller lost the first.
        """
        if current.calling == newcomer.calling or newcomer.opened - current.opened > RACE:
            return False
        return current.calling == (self._own < peer_key)

    def _advance(self, peer: Peer, now: float) -> list[Effect]:
        """Sends what waits where there is a line, dials where one is wanted and may come up."""
        if peer.line is not None:
            return self._send(peer, now)
        wanted = peer.outbox.undelivered or peer.owes_receipts
        refused = peer.contact.consent is Consent.BLOCKED or peer.contact.presented is not None
        if not wanted or refused or peer.dialing:
            return []
        if peer.online is False:
            return [Waits(peer.contact.key)]
        if now < peer.retry_at:
            return []
        peer.dialing = True
        return [Dial(peer.contact.key, peer.contact.name)]

    def _send(self, peer: Peer, now: float) -> list[Effect]:
        if peer.line is None:
            return []
        texts = tuple(peer.outbox.to_send(now))
        return [SendFrames(peer.line.id, texts)] if texts else []

    def _receipt(self, peer: Peer, receipt: Receipt, now: float) -> list[Effect]:
        try:
            message = peer.outbox.receive(MessageId(receipt.id), receipt.verdict)
        except UnexpectedMove:
            return self._hang_up(peer, LineClose.BAD_FRAME)
        effects = self._send(peer, now)
        if message is None:
            return effects
        progress = MessageProgressed(peer.contact.name, message.id.hex(), message.state.value)
        return [KeepState(message.id, message.peer, message.state), Tell(progress), *effects]

    def _settle(self, peer: Peer, receipts: list[Receipt], now: float) -> list[Effect]:
        """Tells the writer of held messages what became of them, now or when a line comes up."""
        if not receipts:
            return []
        if peer.line is not None:
            return [SendFrames(peer.line.id, tuple(receipts))]
        # Without a line the receipts need not be kept: the writer sends held messages again on the next
        # one and gets its answer from the mailbox.
        peer.owes_receipts = True
        return self._advance(peer, now)

    def _turned_away(self, peer: Peer, now: float) -> list[Effect]:
        peer.failures += 1
        peer.retry_at = now + MAX_RETRY
        return [Tell(NotTrusted(peer.contact.name))] if peer.failures == 1 else []

    def _hang_up(self, peer: Peer, code: LineClose) -> list[Effect]:
        if peer.line is None:
            return []
        line = peer.line.id
        self._lines.pop(line, None)
        peer.line = None
        peer.outbox.lose()
        return [HangUp(line, code)]

    def _bound_requests(self) -> list[Effect]:
        waiting = [peer for peer in self._peers.values() if peer.held]
        if len(waiting) <= MAX_REQUESTS:
            return []
        return [DeclineHeld(waiting[0].contact.key, silent=False)]


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
