from hypothesis import given
from hypothesis import strategies as st

from server.tokens import TOKEN_LIFE, TokenMint

MINT = TokenMint(b"s" * 32)


def test_a_token_says_whose_session_it_was_until_it_expires() -> None:
    token = MINT.make(7, 3, now=100.0)
    claim = MINT.check(token, now=100.0 + TOKEN_LIFE)
    assert claim is not None
    assert (claim.account_id, claim.epoch) == (7, 3)
    assert MINT.check(token, now=100.1 + TOKEN_LIFE) is None


def test_a_token_of_another_secret_does_not_hold() -> None:
    assert TokenMint(b"t" * 32).check(MINT.make(7, 3, now=0.0), now=0.0) is None


@given(st.text(max_size=200))
def test_any_text_is_no_token(text: str) -> None:
    assert MINT.check(text, now=0.0) is None
