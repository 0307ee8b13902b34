"""How contacts knock on each other without a ticket: both derive the same ids from the two pinned keys.

A pair's secret is the static Diffie-Hellman value of its identity keys (NIST SP 800-56A §6.3, C(0e, 2s))
through HKDF (RFC 5869), so nobody else can make such a knock or recognise one. Its ids change every period,
so that one that was seen on the network is of no use for long; and each is for one direction, so that a
knock cannot be thrown back. Who calls is then proven as on any line, by a signature over a fresh nonce.
"""

import hmac
from collections.abc import Iterable

from shell.line.invitations import Admission
from shell.line.model import Consent, Contact
from wire.certificates import Fingerprint, Identity
from wire.tickets import TICKET_ID_BYTES

PERIOD = 3600.0  # seconds for which a knock id holds
SPREAD = 1  # periods before and after the present one that are answered: two clocks may differ by an hour
_CONTEXT = b"parley knock 1\0"
_KEY_BYTES = 32


def period_of(now: float) -> int:
    """The number of the period; `now` is in seconds since the epoch, by the phone book's clock."""
    return int(now // PERIOD)


class Knocks:
    """The knock ids of one user and their contacts. A pair's key is derived once, in about 0.2 ms."""

    def __init__(self, identity: Identity) -> None:
        self._identity = identity
        self._own = identity.fingerprint
        self._pair_keys: dict[Fingerprint, bytes] = {}

    def toward(self, contact: Contact, period: int) -> Admission | None:
        """What this user calls a contact with; None where they cannot be called without a ticket."""
        key = self._pair_key(contact)
        if key is None or contact.pinned is None:
            return None
        knock_id = _knock_id(key, self._own, period)
        return Admission(knock_id, "", self._own, contact.name, contact.pinned)

    def expected(self, contacts: Iterable[Contact], period: int) -> list[Admission]:
        """What contacts may call this user with around this period."""
        found: list[Admission] = []
        for contact in contacts:
            key = self._pair_key(contact)
            if key is None or contact.pinned is None:
                continue
            for number in range(period - SPREAD, period + SPREAD + 1):
                knock_id = _knock_id(key, contact.pinned, number)
                found.append(Admission(knock_id, contact.name, contact.pinned, "", self._own))
        return found

    def _pair_key(self, contact: Contact) -> bytes | None:
        if contact.consent is not Consent.ACCEPTED or contact.presented is not None:
            return None
        if contact.pinned is None or contact.certificate is None:
            return None
        key = self._pair_keys.get(contact.pinned)
        if key is None:
            key = self._pair_keys[contact.pinned] = _derive(self._identity, self._own, contact)
        return key


def _derive(identity: Identity, own: Fingerprint, contact: Contact) -> bytes:
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.hazmat.primitives.kdf.hkdf import HKDF

    first, second = sorted((own, contact.pinned or b""))
    secret = identity.exchange(contact.certificate or b"")
    return HKDF(SHA256(), _KEY_BYTES, salt=None, info=_CONTEXT + first + second).derive(secret)


def _knock_id(key: bytes, caller: Fingerprint, period: int) -> bytes:
    return hmac.digest(key, _CONTEXT + caller + period.to_bytes(8), "sha256")[:TICKET_ID_BYTES]
