import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.account import Account, AccountId
from server.tokens import TOKEN_LIFE, TokenMint
from wire.names import NameKey

MINT = TokenMint(b"s" * 32)
ALICE = Account(AccountId(7), NameKey("alice"), "Alice", "", 1.5, bytes(32), epoch=3)


def test_a_token_says_whose_session_it_was_until_it_expires() -> None:
    token = MINT.make(ALICE, now=100.0)
    claim = MINT.check(token, now=100.0 + TOKEN_LIFE)
    assert claim is not None
    assert claim.fits(ALICE)
    assert MINT.check(token, now=100.1 + TOKEN_LIFE) is None


@pytest.mark.parametrize("change", [{"id": 8}, {"epoch": 4}, {"created": 1.6}, {"key": "bob", "name": "Bob"}])
def test_a_token_fits_no_other_session_and_no_other_account(change: dict[str, object]) -> None:
    claim = MINT.check(MINT.make(ALICE, now=0.0), now=0.0)
    assert claim is not None
    assert not claim.fits(msgspec.structs.replace(ALICE, **change))


def test_a_token_of_another_secret_does_not_hold() -> None:
    assert TokenMint(b"t" * 32).check(MINT.make(ALICE, now=0.0), now=0.0) is None


@given(st.text(max_size=200))
def test_any_text_is_no_token(text: str) -> None:
    assert MINT.check(text, now=0.0) is None
