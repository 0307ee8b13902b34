"""One-time codes: each is told apart, and found again however it was read out."""

import re

from hypothesis import given
from hypothesis import strategies as st

from server.codes import CODE_BYTES, code_digest, write_code

RANDOM = st.binary(min_size=CODE_BYTES, max_size=CODE_BYTES)


@given(RANDOM, RANDOM)
def test_two_codes_are_the_same_only_for_the_same_bytes(one: bytes, other: bytes) -> None:
    assert (code_digest(write_code(one)) == code_digest(write_code(other))) is (one == other)


@given(RANDOM)
def test_a_code_is_found_however_it_is_typed(random: bytes) -> None:
    code = write_code(random)
    assert re.fullmatch(r"([0-9A-HJKMNP-TV-Z]{4}-){3}[0-9A-HJKMNP-TV-Z]{4}", code)
    for typed in (
        code.lower(),
        code.replace("-", ""),
        f"  {code} ",
        code.replace("0", "O").replace("1", "l"),
    ):
        assert code_digest(typed) == code_digest(code)
