"""What the line knows of people, to be asked from any thread; only the core changes it. Pure."""

import itertools
from collections.abc import Iterable

from shell.line.effects import LineId
from shell.line.model import Consent, Contact, Outgoing, State
from shell.line.peer import Peer
from wire.names import NameKey, name_key


class People:
    """Everybody this shell has dealt with."""

    def __init__(
        self,
        contacts: Iterable[Contact],
        waiting: Iterable[Outgoing],
        held: Iterable[tuple[NameKey, int]],
    ) -> None:
        self._peers = {contact.key: Peer(contact, contact) for contact in contacts}
        for message in waiting:
            self._peer(message.peer).outbox.add(message)
        self._requests = itertools.count(1)
        for key, messages in held:
            peer = self._peer(key)
            peer.held, peer.requested = messages, next(self._requests)

    def contact(self, name: str) -> Contact | None:
        """What is known of somebody."""
        peer = self._peers.get(name_key(name))
        return peer.contact if peer else None

    def contacts(self) -> list[Contact]:
        """Everybody this shell has dealt with."""
        return [peer.contact for peer in self._everybody()]

    def accepted(self) -> list[Contact]:
        """Whose messages this user takes."""
        return [contact for contact in self.contacts() if contact.consent is Consent.ACCEPTED]

    def blocked(self) -> list[Contact]:
        """Of whom this user wants no word."""
        return [contact for contact in self.contacts() if contact.consent is Consent.BLOCKED]

    def requests(self) -> list[tuple[Contact, int]]:
        """New people with the number of their held messages, oldest request first."""
        asking = sorted((peer for peer in self._everybody() if peer.held), key=lambda peer: peer.requested)
        return [(peer.contact, peer.held) for peer in asking]

    def waiting(self, name: str) -> int:
        """How many messages to somebody are not settled."""
        peer = self._peers.get(name_key(name))
        return len(peer.outbox) if peer else 0

    def state_of(self, message: Outgoing) -> State:
        """Where a message of one's own is; one that left the outbox with no other word was delivered."""
        peer = self._peers.get(message.peer)
        return (peer and peer.outbox.state(message.id)) or State.DELIVERED

    def undelivered(self) -> int:
        """How many messages wait in all."""
        return sum(len(peer.outbox) for peer in self._everybody())

    def queued(self) -> int:
        """How many messages in all rest on this disk alone."""
        return sum(max(0, len(peer.outbox) - peer.outbox.held) for peer in self._everybody())

    def held_there(self, name: str | None = None) -> int:
        """How many messages to somebody, or in all, wait there until this user is accepted."""
        peer = self._peers.get(name_key(name)) if name else None
        return sum(peer.outbox.held for peer in ([peer] if name else self._everybody()) if peer)

    def line_of(self, name: str) -> LineId | None:
        """The open line to somebody."""
        peer = self._peers.get(name_key(name))
        return peer.line.id if peer and peer.line else None

    def offline(self, name: str) -> bool:
        """Whether the phone book says that somebody is not there."""
        peer = self._peers.get(name_key(name))
        return peer is not None and peer.online is False

    def watched(self) -> list[str]:
        """Whose presence matters: accepted people, and those for whom something waits."""
        return [
            peer.contact.name
            for peer in self._everybody()
            if peer.contact.consent is Consent.ACCEPTED
            or len(peer.outbox)
            or peer.owes_receipts
            or peer.files_wait
        ]

    def _everybody(self) -> list[Peer]:
        """A copy: the prompt's thread reads while this one goes on."""
        return list(self._peers.values())

    def _peer(self, key: NameKey, name: str | None = None) -> Peer:
        peer = self._peers.get(key)
        if peer is None:
            contact = Contact(key, name or key)
            peer = self._peers[key] = Peer(contact, contact)
        return peer
