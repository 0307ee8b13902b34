"""What is sent when, and on which line: outboxes, lines, receipts, retries. Pure.

A message leaves the outbox only by a receipt; what was on a line that is lost is sent again on the next.
"""

from collections.abc import Iterable

from shell.events import MessageProgressed, NotTrusted, Unreached
from shell.line.effects import Dial, Effect, HangUp, KeepState, LineId, SendFrames, Tell, Waits
from shell.line.errors import UnexpectedMove
from shell.line.model import Consent, Contact, MessageId, Outgoing, State
from shell.line.peer import OpenLine, Peer
from shell.line.people import People
from wire.certificates import Fingerprint
from wire.frames import LineClose, Receipt
from wire.names import NameKey, name_key

MAX_WAKING = 60.0  # seconds in which everybody comes back after the phone book was away
MAX_RETRY = 60.0  # seconds between attempts to reach somebody who is online, at most
MAX_DOUBLINGS = 6  # of the time between two attempts, until it is `MAX_RETRY`
RECEIPT_PATIENCE = 10.0  # seconds without a receipt after which a line counts as dead
RACE = 5.0  # seconds within which two lines, one dialed by each side, count as dialed at once

_COMPLAINTS = (LineClose.BAD_FRAME, LineClose.BAD_PROOF, LineClose.TOO_MANY)


class Delivery(People):
    """The lines to people, and what waits for them."""

    def __init__(
        self,
        own_fingerprint: Fingerprint,
        contacts: Iterable[Contact],
        waiting: Iterable[Outgoing],
        held: Iterable[tuple[NameKey, int]],
    ) -> None:
        super().__init__(contacts, waiting, held)
        self._own = own_fingerprint
        self._lines: dict[LineId, NameKey] = {}
        self._waking_until = 0.0

    def not_written(self, message: Outgoing) -> None:
        """The disk refused a message: it is not sent and not queued."""
        self._peer(message.peer).outbox.drop(message.id)

    def line_closed(self, line: LineId, code: LineClose | None, now: float) -> list[Effect]:
        """A line is gone; what was on its way waits for the next."""
        key = self._lines.pop(line, None)
        if key is None:
            return []
        peer = self._peers[key]
        over = peer.on(line)
        if over is None:
            return []
        peer.line = None
        lost = self._lost(peer)
        if code is LineClose.KEY_NOT_TRUSTED:
            return [*lost, *self._turned_away(peer, now)]
        in_vain = peer.outbox.undelivered and not over.useful and now - over.opened <= RECEIPT_PATIENCE
        if in_vain or code in _COMPLAINTS:
            # Once may be chance. Whoever ends every line, for whatever reason, is called less and less.
            peer.useless += 1
            peer.retry_at = now + _pause(peer.useless, spared=2.0)  # so the first time at once
        return [*lost, *self._advance(peer, now)]

    def dial_failed(self, name: str, reason: str, now: float, *, offline: bool) -> list[Effect]:
        """No line came up. Somebody offline is waited for; somebody online is tried again, less and less."""
        peer = self._peer(name_key(name), name)
        peer.dialing = False
        if peer.line is not None:
            return []  # their own call came through meanwhile
        if offline:
            peer.online = False
            return self._advance(peer, now)
        peer.failures += 1
        peer.retry_at = now + _pause(peer.failures)
        return [Tell(Unreached(peer.contact.name, reason))] if peer.failures == 1 else []

    def presence(self, name: str, *, online: bool, now: float) -> list[Effect]:
        """The phone book says whether somebody is there."""
        peer = self._peers.get(name_key(name))
        if peer is None:
            return []
        effects: list[Effect] = []
        if online and peer.online is not True:
            peer.failures, peer.useless, peer.retry_at = 0, 0, 0.0
            if peer.online is False and now >= self._waking_until:
                # Whoever was away may be a new process, which knows nothing of the old line.
                effects = self._hang_up(peer, LineClose.REPLACED)
        peer.online = online
        return [*effects, *self._advance(peer, now)]

    def book_lost(self, now: float) -> list[Effect]:
        """The phone book is away: nobody's presence is known, and contacts may be reached without it."""
        effects: list[Effect] = []
        for peer in self._peers.values():
            # A failure is news only where somebody has just written.
            peer.online, peer.failures, peer.retry_at = None, max(1, peer.failures), 0.0
            effects += self._advance(peer, now)
        return effects

    def book_back(self, now: float) -> list[Effect]:
        """The phone book is back, and soon everybody will be: talks that went on are not disturbed."""
        self._waking_until = now + MAX_WAKING
        effects: list[Effect] = []
        for peer in self._peers.values():
            peer.failures, peer.retry_at = 0, 0.0
            effects += self._advance(peer, now)
        return effects

    def tick(self, now: float) -> list[Effect]:
        """Time has passed: retries are due, lines that give no receipts are given up."""
        effects: list[Effect] = []
        for peer in self._peers.values():
            deaf_since = peer.line.deaf_since if peer.line is not None else None
            if deaf_since is not None and now - deaf_since > RECEIPT_PATIENCE:
                effects += self._hang_up(peer, LineClose.DONE)  # on the next line all of it comes again
            since = peer.outbox.oldest_in_flight
            # Whatever arrives shows that the line lives: long messages on a slow one take their time.
            if (
                peer.line is not None
                and since is not None
                and (now - max(since, peer.line.heard) > RECEIPT_PATIENCE)
            ):
                effects += self._hang_up(peer, LineClose.DONE)
            effects += self._advance(peer, now)
        return effects

    # --- inside -----------------------------------------------------------------------------------------

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
        wanted = peer.outbox.undelivered or peer.owes_receipts or peer.files_wait
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
        if not texts:
            return []
        sent = [MessageId(text.id) for text in texts]
        sent = [id_ for id_ in sent if peer.outbox.state(id_) is State.SENT]  # no news of what is held
        return [SendFrames(peer.line.id, texts), *_progress(peer, sent, State.SENT)]

    def _receipt(self, peer: Peer, receipt: Receipt, now: float) -> list[Effect]:
        try:
            message = peer.outbox.receive(MessageId(receipt.id), receipt.verdict)
        except UnexpectedMove:
            return self._hang_up(peer, LineClose.BAD_FRAME)
        effects = self._send(peer, now)
        if message is None:
            return effects
        peer.useless, peer.retry_at = 0, 0.0
        if peer.line is not None:
            peer.line.useful = True
        progress = _progress(peer, [message.id], message.state)
        return [KeepState(message.id, message.peer, message.state), *progress, *effects]

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
        return [HangUp(line, code), *self._lost(peer)]

    def _lost(self, peer: Peer) -> list[Effect]:
        return _progress(peer, peer.outbox.lose(), State.QUEUED)


def _pause(tries: int, spared: float = 0.0) -> float:
    """Seconds until somebody is called again after so many tries: twice as long each time."""
    return min(MAX_RETRY, 2.0 ** min(tries, MAX_DOUBLINGS) - spared)


def _progress(peer: Peer, ids: Iterable[MessageId], state: State) -> list[Effect]:
    return [Tell(MessageProgressed(peer.contact.name, id_.hex(), state.value)) for id_ in ids]
