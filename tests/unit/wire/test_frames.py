import pytest
from hypothesis import given
from hypothesis import strategies as st

from wire.errors import BadFrame
from wire.frames import (
    PROBE_BYTES,
    Probe,
    ProbeKind,
    Receipt,
    Text,
    Verdict,
    decode_frame,
    decode_probe,
    encode_frame,
)
from wire.framing import LENGTH_BYTES
from wire.limits import MAX_LINE_FRAME, MAX_TEXT


@given(st.binary(min_size=16, max_size=16), st.floats(0, 1e10), st.text(max_size=500))
def test_a_message_arrives_as_it_was_sent(message_id: bytes, written: float, text: str) -> None:
    sent = Text(message_id, written, text)
    assert decode_frame(encode_frame(sent)[LENGTH_BYTES:]) == sent


@pytest.mark.parametrize("written", [float("nan"), float("inf"), -1.0, 1e300, 3e11])
def test_a_message_of_no_calendar_is_bad(written: float) -> None:
    with pytest.raises(BadFrame):
        decode_frame(encode_frame(Text(bytes(16), written, "hello"))[LENGTH_BYTES:])


def test_the_longest_message_fits_a_frame() -> None:
    assert len(encode_frame(Text(bytes(16), 1e10, "x" * MAX_TEXT))) <= MAX_LINE_FRAME


@given(st.binary(max_size=200))
def test_any_bytes_are_a_frame_or_a_bad_frame(raw: bytes) -> None:
    try:
        decode_frame(raw)
    except BadFrame as error:
        assert str(error)


def test_a_frame_of_an_unknown_type_or_with_a_short_id_is_bad() -> None:
    for raw in (b"\x81\xa1t\xa7unknown", encode_frame(Receipt(b"short", Verdict.HELD))[LENGTH_BYTES:]):
        with pytest.raises(BadFrame):
            decode_frame(raw)


@given(st.sampled_from(ProbeKind), st.binary(min_size=16, max_size=16), st.binary(min_size=16, max_size=16))
def test_a_probe_arrives_as_it_was_sent_and_is_not_quic(kind: ProbeKind, ticket: bytes, nonce: bytes) -> None:
    datagram = Probe(kind, ticket, nonce).encode()
    assert len(datagram) == PROBE_BYTES
    assert not datagram[0] & 0x40
    assert decode_probe(datagram) == Probe(kind, ticket, nonce)


@given(st.binary(max_size=60))
def test_any_datagram_is_a_probe_or_none(raw: bytes) -> None:
    probe = decode_probe(raw)
    assert probe is None or probe.encode() == raw
