"""Safety numbers: the same for both, another for any other pair, and a QR code that holds the digits."""

import segno
from hypothesis import given, settings
from hypothesis import strategies as st

from shell.line.safety import QUIET_ZONE, qr_code, safety_number

fingerprints = st.binary(min_size=32, max_size=32)


@given(fingerprints, fingerprints, fingerprints)
@settings(max_examples=20, deadline=None)
def test_both_see_one_number_and_nobody_else_does(alice: bytes, bob: bytes, eve: bytes) -> None:
    number = safety_number(alice, bob)
    assert number == safety_number(bob, alice)
    assert [len(group) for group in number] == [5] * 12
    assert "".join(number).isdecimal()
    if eve not in (alice, bob):
        assert safety_number(alice, eve) != number


def test_the_qr_code_is_that_of_the_digits_module_by_module() -> None:
    number = safety_number(b"a" * 32, b"b" * 32)
    drawn: list[list[int]] = []
    for line in qr_code(number):
        drawn.append([int(half in "\u2580\u2588") for half in line])
        drawn.append([int(half in "\u2584\u2588") for half in line])
    code = segno.make_qr("".join(number), error="m")
    expected = [[int(module) for module in row] for row in code.matrix_iter(border=QUIET_ZONE)]
    assert drawn[: len(expected)] == expected
    assert not any(any(row) for row in drawn[len(expected) :])
    assert len(drawn[0]) <= 40, "it fits beside the words of the narrowest terminal"
