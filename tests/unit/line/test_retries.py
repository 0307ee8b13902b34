"""QUIC Retry: no connection for a caller who is not where its datagrams say; those who are get through."""

from hypothesis import given
from hypothesis import strategies as st

from shell.line.quic import Connected, Quic, QuicEvent, is_first
from shell.line.retries import RETRY_KEY_BYTES, TOKEN_LIFE, Retries
from wire.certificates import make_identity

HERE, ELSEWHERE = ("192.0.2.1", 4000), ("192.0.2.1", 4001)
IDENTITY = make_identity("bob")


def retries() -> Retries:
    numbers = iter(range(1, 100))
    return Retries(b"k" * RETRY_KEY_BYTES, lambda size: next(numbers).to_bytes(size))


def told_to_try_again(at: Retries) -> tuple[Quic, list[bytes]]:
    """A caller after a Retry, and what it sends then."""
    caller = Quic.dial(IDENTITY.fingerprint, 0.0)
    first = caller.transmit(0.0)[0]
    assert at.accept(first, HERE, 0.0) is None
    answer = at.offer(first, HERE, 0.0)
    assert len(answer) < len(first) / 3
    caller.receive(answer, 0.1)
    return caller, caller.transmit(0.1)


def test_a_caller_who_tries_again_gets_its_line() -> None:
    at = retries()
    caller, to_callee = told_to_try_again(at)
    assert is_first(to_callee[0])
    original = at.accept(to_callee[0], HERE, 0.1)
    assert original is not None
    callee = Quic.answer(IDENTITY, to_callee[0], original)
    found: list[QuicEvent] = []
    for _ in range(10):
        for datagram in to_callee:
            callee.receive(datagram, 0.2)
        for datagram in callee.transmit(0.2):
            caller.receive(datagram, 0.2)
        to_callee = caller.transmit(0.2)
        found += caller.events() + callee.events()
    assert sum(isinstance(event, Connected) for event in found) == 2


def test_a_token_holds_for_one_address_and_not_for_long() -> None:
    at = retries()
    _, (second, *_) = told_to_try_again(at)
    assert at.accept(second, ELSEWHERE, 0.1) is None
    assert at.accept(second, HERE, TOKEN_LIFE + 1.1) is None
    assert Retries(b"x" * RETRY_KEY_BYTES, bytes).accept(second, HERE, 0.1) is None


@given(st.binary(max_size=60), st.integers(0, 1199), st.integers(1, 255))
def test_whatever_else_comes_is_no_token(datagram: bytes, at: int, change: int) -> None:
    initial = b"\xc0\0\0\0\1\x08" + bytes(8) + datagram.ljust(1186, b"\0")
    assert retries().accept(initial, HERE, 0.0) is None
    damaged = bytearray(Quic.dial(IDENTITY.fingerprint, 0.0).transmit(0.0)[0])
    damaged[at] ^= change
    if is_first(bytes(damaged)):
        assert retries().accept(bytes(damaged), HERE, 0.0) is None
