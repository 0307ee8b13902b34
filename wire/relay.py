"""The relay's datagrams: sealed datagrams of a line on their way through the phone book's UDP port.

An introduction gives each of the two a pass: an id, which travels in the clear, and a key, which does not.
A side binds its address to its pass in two steps: the relay answers a first claim with a cookie for that
address, and only a claim with this cookie, sealed with the key, binds. So nobody can make the relay send to
an address that did not ask for it. All claims and their answers have one size: nothing is amplified. Pure.
"""

import enum
import hmac
from hashlib import blake2b

import msgspec

RELAY_FIRST_BYTE = 0x09  # 4 to 15 are free on a socket shared with QUIC and STUN (RFC 9443 §3)
PASS_ID_BYTES = 8
PASS_KEY_BYTES = 16
PASS_BYTES = PASS_ID_BYTES + PASS_KEY_BYTES
COOKIE_BYTES = 16
_SEAL_BYTES = 16
_DATA_HEAD_BYTES = 2 + PASS_ID_BYTES
CLAIM_BYTES = _DATA_HEAD_BYTES + COOKIE_BYTES + _SEAL_BYTES
NO_COOKIE = bytes(COOKIE_BYTES)
RELAY_OVERHEAD = _DATA_HEAD_BYTES
"""Bytes that the relay's header adds to a datagram."""


class RelayKind(enum.IntEnum):
    """What a datagram to or from the relay is."""

    CLAIM = 1
    """To the relay: this pass is mine and I am here."""
    COOKIE = 2
    """From the relay: say it again with this cookie."""
    BOUND = 3
    """From the relay: what comes for this pass goes to this address."""
    DATA = 4
    """Both ways: a datagram for, or of, the other side."""


class Claim(msgspec.Struct, frozen=True):
    """A claim, or the relay's answer to one."""

    kind: RelayKind
    pass_id: bytes
    cookie: bytes


def encode_claim(claim: Claim, key: bytes) -> bytes:
    """The datagram, sealed with the key of the pass."""
    body = bytes((RELAY_FIRST_BYTE, claim.kind)) + claim.pass_id + claim.cookie
    return body + _seal(body, key)


def decode_claim(datagram: bytes, key: bytes) -> Claim | None:
    """The claim, where somebody who has the key made it."""
    kind = kind_of(datagram)
    if kind in (None, RelayKind.DATA) or len(datagram) != CLAIM_BYTES:
        return None
    body, seal = datagram[:-_SEAL_BYTES], datagram[-_SEAL_BYTES:]
    if kind is None or not hmac.compare_digest(seal, _seal(body, key)):
        return None
    return Claim(kind, pass_of(datagram), body[_DATA_HEAD_BYTES:])


def encode_data(pass_id: bytes, payload: bytes) -> bytes:
    """A datagram in its envelope."""
    return bytes((RELAY_FIRST_BYTE, RelayKind.DATA)) + pass_id + payload


def payload_of(datagram: bytes) -> bytes:
    """What is in the envelope of `DATA`."""
    return datagram[_DATA_HEAD_BYTES:]


def kind_of(datagram: bytes) -> RelayKind | None:
    """What a datagram is to the relay; None where it is none of its."""
    if len(datagram) < _DATA_HEAD_BYTES or datagram[0] != RELAY_FIRST_BYTE:
        return None
    try:
        return RelayKind(datagram[1])
    except ValueError:
        return None


def pass_of(datagram: bytes) -> bytes:
    """The id of the pass that a datagram names."""
    return datagram[2:_DATA_HEAD_BYTES]


def _seal(body: bytes, key: bytes) -> bytes:
    return blake2b(body, digest_size=_SEAL_BYTES, key=key).digest()
