"""Datagrams and frames in words: no key, no text of a message. Pure.

Of datagrams this is what stands in the clear (RFC 8999, RFC 9000 §17, RFC 8489); frames are seen where this
shell has sealed or opened them.
"""

from shell.line.quic import destination_id, is_quic
from wire.frames import Accept, Bye, Frame, LineClose, Proof, Read, Receipt, Text, decode_probe
from wire.paths import line_of_path_probe
from wire.relay import RelayKind, kind_of, pass_of, payload_of
from wire.stun import decode_answer, is_stun

_LONG_HEADER = 0x80
_LONG_TYPES = ("Initial", "0-RTT", "Handshake", "Retry")
_TYPE_SHIFT, _TYPE_MASK = 4, 0x03
_PATH_KINDS = {1: "ping", 2: "pong"}
_SHOWN = 4  # bytes of an id that tell one from another


def describe(datagram: bytes) -> str:
    """What a datagram is, to what it belongs, and its size."""
    return f"{_datagram(datagram)}, {len(datagram)} bytes"


def describe_frame(frame: Frame, size: int) -> str:
    """What a frame is and what it says, but for texts, keys and proofs; `size` is in bytes."""
    return f"frame {_frame(frame)}, {size} bytes"


def _datagram(datagram: bytes, *, relayed_already: bool = False) -> str:
    probe = decode_probe(datagram)
    if probe is not None:
        return f"{probe.kind.name.lower()} with ticket {_short(probe.ticket_id)}"
    line = line_of_path_probe(datagram)
    if line is not None:
        return f"path {_PATH_KINDS.get(datagram[1] >> 1, 'probe')} of line {_short(line)}"
    relayed = kind_of(datagram)
    if relayed is RelayKind.DATA:
        inner = "another" if relayed_already else _datagram(payload_of(datagram), relayed_already=True)
        return f"relayed with pass {_short(pass_of(datagram))}: {inner}"
    if relayed is not None:
        return f"relay {relayed.name.lower()} with pass {_short(pass_of(datagram))}"
    if is_stun(datagram):
        answer = decode_answer(datagram)
        return f"STUN answer: you are {answer[1]}:{answer[2]}" if answer else "STUN request"
    if not is_quic(datagram):
        return "neither QUIC nor a probe"
    kind = "1-RTT"
    if datagram[0] & _LONG_HEADER:
        kind = _LONG_TYPES[datagram[0] >> _TYPE_SHIFT & _TYPE_MASK]
    return f"QUIC {kind} to {_short(destination_id(datagram))}"


def _frame(frame: Frame) -> str:
    match frame:
        case Text():
            what = "question" if frame.choices is not None else "answer" if frame.answers else "text"
            return f"{what} {_short(frame.id)}"
        case Receipt(id, verdict):
            return f"receipt of {_short(id)}: {verdict.value}"
        case Read(id):
            return f"read as far as {_short(id)}"
        case Proof(id):
            return f"proof for knock {_short(id)}"
        case Accept():
            return "accept"
        case Bye(code):
            return f"bye: {_reason(code)}"
        case _:
            return type(frame).__name__.lower()


def _reason(code: int) -> str:
    try:
        return LineClose(code).name.lower().replace("_", " ")
    except ValueError:
        return str(code)


def _short(identity: bytes) -> str:
    return identity[:_SHOWN].hex()
