"""What a trace shows of datagrams and frames: what they are, and nothing of what they say."""

from hypothesis import given
from hypothesis import strategies as st

from shell.line.trace import describe, describe_frame
from wire.frames import Bye, LineClose, Probe, ProbeKind, Receipt, Text, Verdict
from wire.paths import PATH_KEY_BYTES, PING_NONCE_BYTES, PathProbe, PathProbeKind, encode_path_probe
from wire.relay import NO_COOKIE, Claim, RelayKind, encode_claim, encode_data
from wire.stun import TRANSACTION_BYTES, encode_answer, encode_request

ID = b"\xab\xcd\xef\x01".ljust(16, b"\0")
KEY = b"\x11" * PATH_KEY_BYTES


def test_every_kind_of_datagram_is_named() -> None:
    transaction = bytes(TRANSACTION_BYTES)
    knock = Probe(ProbeKind.KNOCK, ID, bytes(16)).encode()
    ping = encode_path_probe(PathProbe(PathProbeKind.PING, True, bytes(PING_NONCE_BYTES)), KEY)
    claim = encode_claim(Claim(RelayKind.CLAIM, ID[:8], NO_COOKIE), bytes(16))
    assert describe(knock) == "knock with ticket abcdef01, 34 bytes"
    assert describe(ping) == "path ping of line 11111111, 38 bytes"
    assert describe(claim) == "relay claim with pass abcdef01, 42 bytes"
    assert describe(encode_request(transaction)) == "STUN request, 44 bytes"
    assert describe(encode_answer(transaction, "192.0.2.1", 7)).startswith("STUN answer: you are 192.0.2.1:7")
    assert describe(b"\xc0\0\0\0\1\x08" + ID[:8] + bytes(1186)) == "QUIC Initial to abcdef01, 1200 bytes"
    assert describe(b"\x40" + ID[:8] + bytes(20)) == "QUIC 1-RTT to abcdef01, 29 bytes"
    relayed = encode_data(ID[:8], knock)
    assert describe(relayed) == "relayed with pass abcdef01: knock with ticket abcdef01, 44 bytes"
    assert describe(b"") == "neither QUIC nor a probe, 0 bytes"


def test_an_envelope_in_another_is_not_looked_into() -> None:
    nested = b""
    for _ in range(6_000):
        nested = encode_data(ID[:8], nested)
    assert describe(nested).startswith("relayed with pass abcdef01: relayed with pass abcdef01: another, 60")


def test_frames_are_named_without_their_words() -> None:
    assert describe_frame(Text(ID, 1.0, "the secret"), 40) == "frame text abcdef01, 40 bytes"
    assert describe_frame(Text(ID, 1.0, "ok?", choices=("yes",)), 40) == "frame question abcdef01, 40 bytes"
    assert describe_frame(Receipt(ID, Verdict.HELD), 30) == "frame receipt of abcdef01: held, 30 bytes"
    assert describe_frame(Bye(LineClose.REPLACED), 9) == "frame bye: replaced, 9 bytes"
    assert describe_frame(Bye(77), 9) == "frame bye: 77, 9 bytes"


@given(st.binary(max_size=100))
def test_any_datagram_can_be_shown(datagram: bytes) -> None:
    assert describe(datagram).isprintable()


def test_a_relayed_datagram_inside_another_and_another_ends() -> None:
    nested = b""
    for _ in range(100):
        nested = encode_data(ID[:8], nested)
    assert describe(nested).endswith(f"{len(nested)} bytes")
