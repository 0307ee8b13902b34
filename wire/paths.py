"""Path probes: how two shells with a line find out by which address they reach each other.

A line keeps its QUIC connection while the address under it changes. What proves a new address is a ping
that is answered from the other side with a code that only the two can make: the key travels inside the
line, in `Accept`. Pure.
"""

import enum
import hmac
from hashlib import blake2b

import msgspec

PATH_FIRST_BYTE = 0x0A  # 4 to 15 are free on a socket shared with QUIC and STUN (RFC 9443 §3)
PATH_KEY_BYTES = 32
LINE_ID_BYTES = 8  # the beginning of the key: names the line in the clear
PING_NONCE_BYTES = 12
_CODE_BYTES = 16
_HEAD_BYTES = 2 + LINE_ID_BYTES + PING_NONCE_BYTES
PATH_PROBE_BYTES = _HEAD_BYTES + _CODE_BYTES


class PathProbeKind(enum.IntEnum):
    """What a path probe is for."""

    PING = 1
    """Can you hear me by this address?"""
    PONG = 2
    """Yes; with the nonce of the ping."""


class PathProbe(msgspec.Struct, frozen=True):
    """A ping or its pong. Both have one size, so that an answer amplifies nothing."""

    kind: PathProbeKind
    from_caller: bool
    """Which side of the line sends it: nobody's own probe can be sent back to them."""
    nonce: bytes


def line_id(key: bytes) -> bytes:
    """What names a line in its path probes."""
    return key[:LINE_ID_BYTES]


def encode_path_probe(probe: PathProbe, key: bytes) -> bytes:
    """The datagram."""
    head = bytes((PATH_FIRST_BYTE, probe.kind << 1 | probe.from_caller)) + line_id(key) + probe.nonce
    return head + _code(head, key)


def line_of_path_probe(datagram: bytes) -> bytes | None:
    """The id of the line for which a path probe is meant; None where it is none."""
    if len(datagram) != PATH_PROBE_BYTES or datagram[0] != PATH_FIRST_BYTE:
        return None
    return datagram[2 : 2 + LINE_ID_BYTES]


def decode_path_probe(datagram: bytes, key: bytes) -> PathProbe | None:
    """The probe, where somebody who has the key made it."""
    head, code = datagram[:_HEAD_BYTES], datagram[_HEAD_BYTES:]
    if line_of_path_probe(datagram) is None or not hmac.compare_digest(code, _code(head, key)):
        return None
    try:
        kind = PathProbeKind(head[1] >> 1)
    except ValueError:
        return None
    return PathProbe(kind, bool(head[1] & 1), head[2 + LINE_ID_BYTES :])


def _code(head: bytes, key: bytes) -> bytes:
    return blake2b(head, digest_size=_CODE_BYTES, key=key[LINE_ID_BYTES:]).digest()
