"""Introductions: short-lived tickets that the phone book signs and the callee checks without asking.

A ticket says who may call whom, with which keys, until when. Time is an argument, by the phone book's clock.
"""

from typing import TYPE_CHECKING, Annotated, NewType

import msgspec
from msgspec import Meta

from wire.certificates import Fingerprint
from wire.errors import BadTicket
from wire.limits import MAX_TICKET

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

TicketId = NewType("TicketId", bytes)
TICKET_ID_BYTES = 16
_CONTEXT = b"parley ticket 1\0"  # no other signature of this key can be taken for a ticket


class Ticket(msgspec.Struct, frozen=True):
    """Who may call whom."""

    id: Annotated[bytes, Meta(min_length=TICKET_ID_BYTES, max_length=TICKET_ID_BYTES)]
    caller: str
    caller_fingerprint: bytes
    callee: str
    callee_fingerprint: bytes
    expires: float
    """Seconds since the epoch, by the phone book's clock."""


class _SignedTicket(msgspec.Struct, frozen=True, array_like=True):
    body: bytes
    signature: bytes


_encoder = msgspec.msgpack.Encoder()
_signed = msgspec.msgpack.Decoder(_SignedTicket)
_tickets = msgspec.msgpack.Decoder(Ticket)


def sign_ticket(ticket: Ticket, key: "Ed25519PrivateKey") -> bytes:
    """The ticket as it travels: msgpack of the body and its Ed25519 signature (RFC 8032)."""
    body = _encoder.encode(ticket)
    return _encoder.encode(_SignedTicket(body, key.sign(_CONTEXT + body)))


def open_ticket(signed: bytes, key: bytes, now: float) -> Ticket:
    """The ticket inside, if the phone book's `key` (32 bytes) signed it and it has not expired.

    `now` is in seconds since the epoch by the phone book's clock. Raises `BadTicket`.
    """
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    if len(signed) > MAX_TICKET:
        raise BadTicket(f"A ticket has {MAX_TICKET} bytes at most.")
    try:
        envelope = _signed.decode(signed)
        Ed25519PublicKey.from_public_bytes(key).verify(envelope.signature, _CONTEXT + envelope.body)
        ticket = _tickets.decode(envelope.body)
    except InvalidSignature:
        raise BadTicket("The ticket was not signed by this phone book.") from None
    except (msgspec.DecodeError, ValueError) as error:
        raise BadTicket(f"That is no ticket: {error}") from None
    if ticket.expires < now:
        raise BadTicket("The ticket has expired.")
    return ticket


def caller_of(ticket: Ticket) -> Fingerprint:
    """The fingerprint that the caller must prove."""
    return Fingerprint(ticket.caller_fingerprint)
