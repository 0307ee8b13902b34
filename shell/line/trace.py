"""Datagrams in words, from what stands in the clear (RFC 8999, RFC 9000 §17): no key, no text. Pure."""

from shell.line.quic import destination_id, is_quic
from wire.frames import decode_probe

_LONG_HEADER = 0x80
_LONG_TYPES = ("Initial", "0-RTT", "Handshake", "Retry")
_TYPE_SHIFT, _TYPE_MASK = 4, 0x03
_SHOWN = 4  # bytes of an id that tell one from another


def describe(datagram: bytes) -> str:
    """What a datagram is, to which connection or ticket it belongs, and its size."""
    size = f"{len(datagram)} bytes"
    probe = decode_probe(datagram)
    if probe is not None:
        return f"{probe.kind.name.lower()} with ticket {probe.ticket_id[:_SHOWN].hex()}, {size}"
    if not is_quic(datagram):
        return f"neither QUIC nor a probe, {size}"
    kind = "1-RTT"
    if datagram[0] & _LONG_HEADER:
        kind = _LONG_TYPES[datagram[0] >> _TYPE_SHIFT & _TYPE_MASK]
    return f"QUIC {kind} to {destination_id(datagram)[:_SHOWN].hex()}, {size}"
