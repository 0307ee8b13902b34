"""STUN Binding: the test vectors of RFC 5769, round trips, and what strangers send."""

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wire.stun import TRANSACTION_BYTES, decode_answer, decode_request, encode_answer, encode_request

# RFC 5769 §2.2 and §2.3: responses with XOR-MAPPED-ADDRESS, after a SOFTWARE attribute that needs padding.
IPV4_RESPONSE = bytes.fromhex(
    "0101003c2112a442b7e7a701bc34d686fa87dfae8022000b7465737420766563746f7220002000080001a147e112a643"
    "000800142b91f599fd9e90c38c7489f92af9ba53f06be7d780280004c07d4c96"
)
IPV6_RESPONSE = bytes.fromhex(
    "010100482112a442b7e7a701bc34d686fa87dfae8022000b7465737420766563746f7220002000140002a1470113a9fa"
    "a5d3f179bc25f4b5bed2b9d900080014a382954e4be67bf11784c97c8292c275bfe3ed4180280004c8fb0b4c"
)
TRANSACTION = bytes.fromhex("b7e7a701bc34d686fa87dfae")
transactions = st.binary(min_size=TRANSACTION_BYTES, max_size=TRANSACTION_BYTES)


def test_the_answers_of_the_rfc_are_understood() -> None:
    assert decode_answer(IPV4_RESPONSE) == (TRANSACTION, "192.0.2.1", 32853)
    assert decode_answer(IPV6_RESPONSE) == (TRANSACTION, "2001:db8:1234:5678:11:2233:4455:6677", 32853)


@given(transactions, st.ip_addresses(), st.integers(1, 65535))
def test_an_answer_says_what_was_put_in(
    transaction: bytes, host: ipaddress.IPv4Address | ipaddress.IPv6Address, port: int
) -> None:
    assert decode_answer(encode_answer(transaction, str(host), port)) == (transaction, str(host), port)


@given(transactions)
def test_a_request_is_read_back_and_no_answer_is_longer(transaction: bytes) -> None:
    request = encode_request(transaction)
    assert decode_request(request) == transaction
    assert decode_answer(request) is None
    assert len(encode_answer(transaction, "2001:db8::1", 1)) <= len(request)


@pytest.mark.parametrize("kept", [0, 1, 19, 20, 43])
def test_a_request_that_an_answer_would_amplify_is_none(kept: int) -> None:
    assert decode_request(encode_request(bytes(TRANSACTION_BYTES))[:kept]) is None


@given(st.binary(max_size=100))
def test_anything_else_is_none_of_it(datagram: bytes) -> None:
    assert decode_request(datagram) is None
    assert decode_answer(datagram) is None


@given(st.integers(0, len(IPV4_RESPONSE) - 1), st.integers(0, 255))
def test_a_damaged_answer_never_raises(at: int, value: int) -> None:
    damaged = bytearray(IPV4_RESPONSE)
    damaged[at] = value
    decode_answer(bytes(damaged))
