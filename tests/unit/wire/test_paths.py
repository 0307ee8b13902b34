"""Path probes: only who has the key makes one."""

from hypothesis import given
from hypothesis import strategies as st

from wire.paths import (
    PATH_KEY_BYTES,
    PATH_PROBE_BYTES,
    PING_NONCE_BYTES,
    PathProbe,
    PathProbeKind,
    decode_path_probe,
    encode_path_probe,
    line_id,
    line_of_path_probe,
)

keys = st.binary(min_size=PATH_KEY_BYTES, max_size=PATH_KEY_BYTES)
probes = st.builds(
    PathProbe,
    st.sampled_from(PathProbeKind),
    st.booleans(),
    st.binary(min_size=PING_NONCE_BYTES, max_size=PING_NONCE_BYTES),
)


@given(keys, probes)
def test_a_probe_names_its_line_and_is_read_back_with_its_key(key: bytes, probe: PathProbe) -> None:
    datagram = encode_path_probe(probe, key)
    assert len(datagram) == PATH_PROBE_BYTES
    assert line_of_path_probe(datagram) == line_id(key)
    assert decode_path_probe(datagram, key) == probe


@given(keys, keys, probes)
def test_another_key_reads_nothing(key: bytes, other: bytes, probe: PathProbe) -> None:
    if key[8:] != other[8:]:
        assert decode_path_probe(encode_path_probe(probe, key), other) is None


@given(keys, probes, st.integers(0, PATH_PROBE_BYTES - 1), st.integers(1, 255))
def test_a_changed_bit_makes_it_none(key: bytes, probe: PathProbe, at: int, change: int) -> None:
    damaged = bytearray(encode_path_probe(probe, key))
    damaged[at] ^= change
    assert decode_path_probe(bytes(damaged), key) is None


@given(keys, st.binary(max_size=60))
def test_anything_else_is_none(key: bytes, datagram: bytes) -> None:
    assert decode_path_probe(datagram, key) is None
