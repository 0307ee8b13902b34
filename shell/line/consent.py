"""What the user decides about people and their keys: consent, pins, requests. Pure."""

import msgspec

from shell.events import KeyChanged
from shell.line.delivery import Delivery
from shell.line.effects import DeclineHeld, Effect, KeepContact, ReleaseHeld, Tell, WatchPresence
from shell.line.errors import KeyNotAccepted
from shell.line.model import Consent, Contact
from shell.line.peer import Peer
from wire.certificates import Fingerprint, Pin, check_pin
from wire.frames import LineClose
from wire.messages import Endpoint
from wire.names import name_key


class Consents(Delivery):
    """Who may reach this user, with which key."""

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

    def accept_key(self, name: str, key: Fingerprint, now: float) -> list[Effect]:
        """The user trusts the changed key that they saw. Raises `KeyNotAccepted` where it is another."""
        peer = self._peer(name_key(name), name)
        presented = peer.contact.presented
        if presented is None or presented != key:
            shown = peer.contact.name
            raise KeyNotAccepted(f"{shown}'s key is another than the one you saw; `verify {shown}` shows it.")
        peer.failures, peer.retry_at = 0, 0.0
        return [
            *self._change(peer, pinned=presented, presented=None, verified=False, certificate=None),
            # A line that is open leads to whoever holds the key of before.
            *self._hang_up(peer, LineClose.KEY_NOT_TRUSTED),
            *self._advance(peer, now),
        ]

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

    # --- what the disk says -----------------------------------------------------------------------------

    def contact_kept(self, contact: Contact) -> None:
        """The disk has it."""
        self._peers[contact.key].kept = contact

    def contact_not_kept(self, contact: Contact) -> list[Effect]:
        """The disk refused it: what was decided does not hold, as it would not after a restart.

        A line whose key it was to remember ends: without a pin nobody would notice another key.
        """
        peer = self._peers[contact.key]
        unpinned = contact.pinned != peer.kept.pinned
        peer.contact = peer.kept
        return self._hang_up(peer, LineClose.DONE) if unpinned else []

    # --- inside -----------------------------------------------------------------------------------------

    def _decided(self, peer: Peer) -> Effect:
        """What the user's consent means for held messages."""
        if peer.contact.consent is Consent.ACCEPTED:
            return ReleaseHeld(peer.contact.key)
        return DeclineHeld(peer.contact.key, silent=True)

    def _change(self, peer: Peer, **changes: object) -> list[Effect]:
        peer.contact = msgspec.structs.replace(peer.contact, **changes)
        return [KeepContact(peer.contact)]

    def _proven(
        self, peer: Peer, key: Fingerprint, certificate: bytes | None, endpoints: tuple[Endpoint, ...]
    ) -> list[Effect]:
        """Keeps what a line has shown: it is what a contact is reached by while the phone book is away."""
        known = peer.contact
        # The pinned key is alive: whatever else was presented in its name is of no account.
        shown = msgspec.structs.replace(
            known,
            pinned=key,
            presented=None,
            certificate=certificate or known.certificate,
            endpoints=endpoints or known.endpoints,
        )
        peer.contact = shown
        return [KeepContact(shown)] if shown != known else []

    def _accept(self, peer: Peer) -> list[Effect]:
        effects = self._change(peer, consent=Consent.ACCEPTED)
        if peer.held or peer.overflowed:
            effects.append(ReleaseHeld(peer.contact.key))
        return [*effects, WatchPresence(peer.contact.name)]

    def _key_changed(self, peer: Peer, key: Fingerprint) -> list[Effect]:
        if peer.contact.presented == key:
            return []
        told = Tell(KeyChanged(peer.contact.name, peer.contact.pinned or b"", key))
        return [*self._change(peer, presented=key), told]

    def _bound_requests(self, most: int) -> list[Effect]:
        waiting = [peer for peer in self._peers.values() if peer.held]
        if len(waiting) <= most:
            return []
        oldest = min(waiting, key=lambda peer: peer.requested)
        oldest.held, oldest.pushed_out = 0, True  # at once, so that the next one too many meets another
        return [DeclineHeld(oldest.contact.key, silent=False)]
