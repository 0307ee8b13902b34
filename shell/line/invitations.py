"""Who may knock: callers whom the phone book announced, and pinned contacts, in one table by knock id. Pure.

A datagram of anybody else costs a look into this table and no more.
"""

from collections.abc import Iterable

import msgspec

from wire.certificates import Fingerprint
from wire.tickets import Ticket

MAX_ANNOUNCED = 1024  # announced callers who have not called yet; beyond, the oldest goes
MAX_STANDING = 4096  # knock ids of contacts, a few for each; beyond, those of the last are left out


class Admission(msgspec.Struct, frozen=True):
    """What lets one person call another: a ticket of the phone book, or that each has pinned the other."""

    id: bytes
    """What the caller knocks with: the ticket's id, or the pair's knock id of the period."""
    caller: str
    caller_fingerprint: Fingerprint
    callee: str
    callee_fingerprint: Fingerprint
    signed: bytes = b""
    """The ticket as the phone book signed it; empty between contacts."""

    @classmethod
    def by_ticket(cls, ticket: Ticket, signed: bytes) -> "Admission":
        """What a verified ticket admits."""
        return cls(
            ticket.id,
            ticket.caller,
            Fingerprint(ticket.caller_fingerprint),
            ticket.callee,
            Fingerprint(ticket.callee_fingerprint),
            signed,
        )


class Invitation(msgspec.Struct, frozen=True):
    """An admission that the callee knows of, until it expires."""

    admission: Admission
    nonce: bytes
    """What the caller signs, made for this line alone."""
    expires: float
    """Monotonic seconds."""


class Invitations:
    """The table. Announced callers and contacts cannot crowd each other out."""

    def __init__(self) -> None:
        self._announced: dict[bytes, Invitation] = {}
        self._standing: dict[bytes, Invitation] = {}

    def announce(self, admission: Admission, nonce: bytes, expires: float) -> None:
        """The phone book announced a caller; good for one line."""
        while len(self._announced) >= MAX_ANNOUNCED:
            del self._announced[next(iter(self._announced))]
        self._announced[admission.id] = Invitation(admission, nonce, expires)

    def stand(self, invitations: Iterable[Invitation]) -> None:
        """From now on these contacts may knock, and no others; a known knock id keeps its nonce."""
        standing: dict[bytes, Invitation] = {}
        for invitation in invitations:
            if len(standing) >= MAX_STANDING:
                break
            known = self._standing.get(invitation.admission.id)
            nonce = known.nonce if known else invitation.nonce
            standing[invitation.admission.id] = msgspec.structs.replace(invitation, nonce=nonce)
        self._standing = standing

    def find(self, knock_id: bytes, now: float) -> Invitation | None:
        """The invitation of whoever knocks with this id."""
        invitation = self._announced.get(knock_id) or self._standing.get(knock_id)
        return invitation if invitation is not None and invitation.expires >= now else None

    def redeem(self, knock_id: bytes, signed: bytes, fresh: bytes, now: float) -> Invitation | None:
        """The invitation for one line; the nonce of a contact's next one is `fresh`."""
        invitation = self.find(knock_id, now)
        if invitation is None or invitation.admission.signed != signed:
            return None
        if self._announced.pop(knock_id, None) is None:
            self._standing[knock_id] = msgspec.structs.replace(invitation, nonce=fresh)
        return invitation
