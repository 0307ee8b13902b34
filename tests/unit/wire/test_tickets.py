import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from wire.errors import BadTicket
from wire.tickets import Ticket, open_ticket, sign_ticket

KEY = Ed25519PrivateKey.generate()
PUBLIC = KEY.public_key().public_bytes_raw()
TICKET = Ticket(bytes(16), "alice", b"a" * 32, "bob", b"b" * 32, expires=1000.0)
SIGNED = sign_ticket(TICKET, KEY)


def test_a_signed_ticket_opens_until_it_expires() -> None:
    assert open_ticket(SIGNED, PUBLIC, now=1000.0) == TICKET
    with pytest.raises(BadTicket, match="expired"):
        open_ticket(SIGNED, PUBLIC, now=1000.1)


def test_a_ticket_of_another_phone_book_does_not_open() -> None:
    other = sign_ticket(TICKET, Ed25519PrivateKey.generate())
    with pytest.raises(BadTicket, match="not signed"):
        open_ticket(other, PUBLIC, now=0.0)


@given(st.integers(0, len(SIGNED) - 1), st.integers(1, 255))
def test_a_ticket_with_any_byte_changed_does_not_open(position: int, difference: int) -> None:
    forged = bytearray(SIGNED)
    forged[position] ^= difference
    with pytest.raises(BadTicket):
        open_ticket(bytes(forged), PUBLIC, now=0.0)


@given(st.binary(max_size=200))
def test_any_bytes_are_no_ticket(raw: bytes) -> None:
    with pytest.raises(BadTicket):
        open_ticket(raw, PUBLIC, now=0.0)
