"""STUN Binding (RFC 8489): a request, and the answer that says from where it came.

One method and one attribute are all that is needed to learn an outside address, so this is a codec of its
own: libraries bring a whole ICE agent with mDNS and DNS along. Any STUN server can answer. No socket, no
clock.
"""

import ipaddress
import struct

MAGIC_COOKIE = 0x2112A442
TRANSACTION_BYTES = 12
MAX_FIRST_BYTE = 3
"""STUN has the first bytes 0 to 3 of a shared socket for itself (RFC 9443 §3)."""

_HEADER = struct.Struct("!HHI12s")
_ATTRIBUTE = struct.Struct("!HH")
_COOKIE = MAGIC_COOKIE.to_bytes(4)
_BINDING_REQUEST, _BINDING_SUCCESS = 0x0001, 0x0101
_XOR_MAPPED_ADDRESS = 0x0020
_SOFTWARE = 0x8022
_IPV4, _IPV6 = 1, 2
_ANSWER_BYTES = _HEADER.size + _ATTRIBUTE.size + 4 + 16  # the longest answer: an IPv6 address
_PADDING = b"parley".ljust(_ANSWER_BYTES - _HEADER.size - _ATTRIBUTE.size, b"\0")


def is_stun(datagram: bytes) -> bool:
    """Whether a datagram is for STUN, by its first byte and the magic cookie."""
    return len(datagram) >= _HEADER.size and datagram[0] <= MAX_FIRST_BYTE and datagram[4:8] == _COOKIE


def encode_request(transaction: bytes) -> bytes:
    """A Binding request; padded (SOFTWARE, §14.14) to the size of the longest answer."""
    attribute = _ATTRIBUTE.pack(_SOFTWARE, len(_PADDING)) + _PADDING
    return _HEADER.pack(_BINDING_REQUEST, len(attribute), MAGIC_COOKIE, transaction) + attribute


def decode_request(datagram: bytes) -> bytes | None:
    """The transaction of a Binding request, None for anything else.

    A request shorter than the longest answer is none: answering it would amplify.
    """
    if len(datagram) < _ANSWER_BYTES or not is_stun(datagram):
        return None
    kind, length, _, transaction = _HEADER.unpack_from(datagram)
    if kind != _BINDING_REQUEST or length != len(datagram) - _HEADER.size:
        return None
    return bytes(transaction)


def encode_answer(transaction: bytes, host: str, port: int) -> bytes:
    """The success response with XOR-MAPPED-ADDRESS (§14.2)."""
    address = ipaddress.ip_address(host)
    family = _IPV4 if address.version == 4 else _IPV6
    mapped = _xor(transaction, address.packed)
    value = struct.pack("!BBH", 0, family, port ^ MAGIC_COOKIE >> 16) + mapped
    attribute = _ATTRIBUTE.pack(_XOR_MAPPED_ADDRESS, len(value)) + value
    return _HEADER.pack(_BINDING_SUCCESS, len(attribute), MAGIC_COOKIE, transaction) + attribute


def decode_answer(datagram: bytes) -> tuple[bytes, str, int] | None:
    """Transaction, IP address and port of a success response; None for anything else."""
    if not is_stun(datagram):
        return None
    kind, length, _, transaction = _HEADER.unpack_from(datagram)
    if kind != _BINDING_SUCCESS or length != len(datagram) - _HEADER.size:
        return None
    at = _HEADER.size
    while at + _ATTRIBUTE.size <= len(datagram):
        kind, length = _ATTRIBUTE.unpack_from(datagram, at)
        at += _ATTRIBUTE.size
        value = datagram[at : at + length]
        if kind == _XOR_MAPPED_ADDRESS and len(value) == length:
            return _mapped(transaction, value)
        at += length + -length % 4  # attributes are padded to 32 bits (§14)
    return None


def _mapped(transaction: bytes, value: bytes) -> tuple[bytes, str, int] | None:
    if len(value) not in (8, 20) or value[1] != (_IPV4 if len(value) == 8 else _IPV6):
        return None
    port = int.from_bytes(value[2:4]) ^ MAGIC_COOKIE >> 16
    host = ipaddress.ip_address(_xor(transaction, value[4:]))
    return (transaction, str(host), port) if port else None


def _xor(transaction: bytes, packed: bytes) -> bytes:
    return bytes(one ^ other for one, other in zip(packed, _COOKIE + transaction, strict=False))
