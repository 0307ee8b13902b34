"""The relay carries for introduced pairs alone, within their share, and never to who did not ask for it."""

from hashlib import blake2b

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.relay import (
    ASK_GAP,
    BINDING_LIFE,
    BURST,
    BYTES,
    COOKIE_LIFE,
    DATAGRAMS,
    DAY,
    HEADERS,
    IDLE,
    MAX_PAIRS,
    OVER_LIMIT,
    WAYS,
    Address,
    Relay,
)
from shell.line.relaying import Pass
from wire.names import name_key
from wire.relay import (
    CLAIM_BYTES,
    NO_COOKIE,
    PASS_BYTES,
    RELAY_OVERHEAD,
    Claim,
    RelayKind,
    encode_claim,
    encode_data,
)

ALICE, BOB, EVE = name_key("alice"), name_key("bob"), name_key("eve")
HERE, THERE, ELSEWHERE = ("192.0.2.1", 1), ("192.0.2.2", 2), ("203.0.113.6", 6)
SERVER = ("198.51.100.1", 6969)
FRESH = bytes(range(2 * PASS_BYTES))
FRESH_TOO = bytes(range(100, 100 + 2 * PASS_BYTES))


COUNTS: dict[str, int] = {}


def fresh(number: int) -> bytes:
    return blake2b(number.to_bytes(4), digest_size=2 * PASS_BYTES).digest()


def relay(*, rate: int = 1_000_000, total: int = 1_000_000) -> Relay:
    COUNTS.clear()
    return Relay(rate=rate, total=total, secret=b"secret", counts=COUNTS)


def bind(at: Relay, whole: bytes, address: Address, now: float = 0.0) -> Pass:
    """A shell claims its pass from an address until the relay knows it."""
    side = Pass(whole, SERVER)
    side.want(now)
    while (claim := side.due(now)) is not None:
        answer = at.received(claim, address, now)
        assert answer is not None
        assert len(answer[0]) == len(claim) == CLAIM_BYTES
        side.answered(answer[0], now)
    assert side.bound
    return side


def sized(side: Pass, cost: int) -> bytes:
    """A datagram that costs so many bytes of the share of whoever sends it."""
    return encode_data(side.id, bytes(cost // WAYS - HEADERS - RELAY_OVERHEAD))


def pair(at: Relay) -> tuple[Pass, Pass]:
    one, other = at.introduce(ALICE, BOB, FRESH, 0.0)
    return bind(at, one, HERE), bind(at, other, THERE)


def test_two_who_were_introduced_reach_each_other() -> None:
    at = relay()
    alice, bob = pair(at)
    assert at.received(encode_data(alice.id, b"sealed"), HERE, 1.0) == (encode_data(bob.id, b"sealed"), THERE)
    assert at.received(encode_data(bob.id, b"back"), THERE, 1.0) == (encode_data(alice.id, b"back"), HERE)
    assert (at.pairs, COUNTS[DATAGRAMS], COUNTS[BYTES]) == (1, 2, 10)


def test_nothing_goes_to_an_address_that_did_not_answer_with_its_cookie() -> None:
    at = relay()
    one, other = at.introduce(ALICE, BOB, FRESH, 0.0)
    alice = bind(at, one, HERE)
    # Eve claims bob's pass with the address of a victim: the cookie goes there and not to her.
    claim = encode_claim(Claim(RelayKind.CLAIM, other[:8], NO_COOKIE), other[8:])
    assert at.received(claim, ELSEWHERE, 0.0) is not None
    assert at.received(claim, ELSEWHERE, 0.0) is not None
    assert at.received(encode_data(alice.id, b"sealed"), HERE, 0.0) is None


def test_a_cookie_of_another_address_or_of_long_ago_binds_nothing() -> None:
    at = relay()
    one, other = at.introduce(ALICE, BOB, FRESH, 0.0)
    alice, bob = bind(at, one, HERE), bind(at, other, THERE)
    bob.want(100.0)
    stolen = bob.due(100.0)  # with the cookie for THERE
    assert stolen is not None
    at.received(stolen, ELSEWHERE, 0.0)
    assert at.received(encode_data(alice.id, b"x"), HERE, 0.0) == (encode_data(bob.id, b"x"), THERE)
    late = at.received(stolen, THERE, 3 * COOKIE_LIFE)
    assert late is not None
    assert late[0][1] == RelayKind.COOKIE


def test_without_the_key_of_a_pass_nothing_is_answered() -> None:
    at = relay()
    one, _ = at.introduce(ALICE, BOB, FRESH, 0.0)
    assert at.received(encode_claim(Claim(RelayKind.CLAIM, one[:8], NO_COOKIE), bytes(16)), HERE, 0.0) is None


def test_only_the_bound_address_sends() -> None:
    at = relay()
    alice, _ = pair(at)
    assert at.received(encode_data(alice.id, b"forged"), ELSEWHERE, 1.0) is None


def test_a_shell_that_moved_claims_again_and_is_followed() -> None:
    at = relay()
    alice, bob = pair(at)
    moved = bind(at, alice.id + FRESH[8:24], ELSEWHERE, 5.0)
    assert moved.id == alice.id
    assert at.received(encode_data(bob.id, b"x"), THERE, 6.0) == (encode_data(alice.id, b"x"), ELSEWHERE)


def test_a_shell_whose_nat_took_another_port_is_asked_and_bound_again_in_a_round_trip() -> None:
    at = relay()
    alice, bob = pair(at)
    sealed = bytes(100)
    ask = at.received(encode_data(alice.id, sealed), ELSEWHERE, 1.0)
    assert ask is not None
    assert ask[1] == ELSEWHERE
    alice.answered(ask[0], 1.1)
    claim = alice.due(1.1)
    assert claim is not None
    answer = at.received(claim, ELSEWHERE, 1.1)
    assert answer is not None
    alice.answered(answer[0], 1.2)
    assert alice.wake() is None
    assert at.received(encode_data(alice.id, sealed), ELSEWHERE, 1.2) == (encode_data(bob.id, sealed), THERE)
    assert at.received(encode_data(bob.id, sealed), THERE, 1.2) == (encode_data(alice.id, sealed), ELSEWHERE)


def test_a_shell_whose_claim_is_old_is_asked_for_another_with_the_same_cookie() -> None:
    at = relay()
    alice, _ = pair(at)
    now = BINDING_LIFE - 1.0  # the cookie of the first period holds in the next one too
    bind(at, alice.id + FRESH[8:24], HERE, now)
    now += BINDING_LIFE
    ask = at.received(encode_data(alice.id, bytes(100)), HERE, now)
    assert ask is not None
    alice.answered(ask[0], now)
    alice.answered(ask[0], now)
    assert alice.due(now) is not None
    assert alice.due(now) is None  # however often it is asked


def test_a_question_amplifies_nothing_and_is_rare() -> None:
    at = relay()
    alice, _ = pair(at)
    assert at.received(encode_data(alice.id, b""), ELSEWHERE, 1.0) is None
    datagram = encode_data(alice.id, bytes(CLAIM_BYTES))
    answers = [at.received(datagram, ELSEWHERE, 1.0 + step / 1000) for step in range(1000)]
    asked = [answer for answer in answers if answer is not None]
    assert len(asked) == round(1 / ASK_GAP)
    assert all(len(answer[0]) <= len(datagram) for answer in asked)


def test_a_user_has_so_many_bytes_a_second_and_no_more() -> None:
    at = relay(rate=BURST)
    alice, bob = pair(at)
    datagram = sized(alice, 1024)
    carried = sum(at.received(datagram, HERE, step / 1000) is not None for step in range(10_000))
    assert BURST // 1024 * 10 <= carried <= BURST // 1024 * 11
    assert COUNTS[OVER_LIMIT] == 10_000 - carried
    assert at.received(sized(bob, 1024), THERE, 10.0) is not None  # bob's own share


@pytest.mark.parametrize("payload", [b"", b"x", bytes(1200)])
def test_what_crosses_the_network_is_charged_to_and_from_the_relay_with_its_headers(payload: bytes) -> None:
    at = relay(rate=BURST)
    alice, _ = pair(at)
    datagram = encode_data(alice.id, payload)
    sent = [at.received(datagram, HERE, 0.0) for _ in range(10_000)]
    carried = [answer for answer in sent if answer is not None]
    crossed = sum(len(datagram) + len(answer[0]) + 2 * HEADERS for answer in carried)
    assert BURST - 2 * (HEADERS + len(datagram)) < crossed <= BURST


def test_a_user_has_so_many_bytes_a_day_with_whomever() -> None:
    at = relay(total=10_000)
    alice, _ = pair(at)
    datagram = sized(alice, 1000)
    assert sum(at.received(datagram, HERE, 1.0 + step) is not None for step in range(20)) == 10
    one, other = at.introduce(ALICE, EVE, FRESH_TOO, 30.0)
    again = bind(at, one, HERE, 30.0)
    bind(at, other, ELSEWHERE, 30.0)
    assert at.received(sized(again, 1000), HERE, 31.0) is None
    bind(at, one, HERE, DAY)
    bind(at, other, ELSEWHERE, DAY)
    assert at.received(sized(again, 1000), HERE, 1.0 + DAY) is not None


def test_who_is_introduced_again_keeps_the_pass_and_who_was_ended_does_not() -> None:
    at = relay()
    passes = at.introduce(ALICE, BOB, FRESH, 0.0)
    assert at.introduce(BOB, ALICE, FRESH_TOO, 1.0) == passes[::-1]
    alice = bind(at, passes[0], HERE)
    bind(at, passes[1], THERE)
    at.forget(BOB)
    assert at.received(encode_data(alice.id, b"x"), HERE, 2.0) is None
    assert at.pairs == 0


def test_silent_pairs_are_forgotten() -> None:
    at = relay()
    at.introduce(ALICE, BOB, FRESH, 0.0)
    at.introduce(ALICE, EVE, FRESH_TOO, IDLE + 1)
    assert at.pairs == 1


def test_who_falls_silent_is_sent_nothing_more_however_much_the_other_sends() -> None:
    at = relay()
    one, other = at.introduce(ALICE, BOB, FRESH, 0.0)
    alice, bob = bind(at, one, HERE), bind(at, other, THERE)
    sent = encode_data(alice.id, b"x")
    for now in (20.0, 40.0):
        bind(at, one, HERE, now)
        assert at.received(sent, HERE, now) == (encode_data(bob.id, b"x"), THERE)
    for step in range(1, 20):
        now = 20 * step + BINDING_LIFE
        bind(at, one, HERE, now)
        assert at.received(sent, HERE, now) is None
    at.introduce(ALICE, EVE, FRESH_TOO, now)
    assert at.pairs == 1  # alice and eve: claims of one side alone keep no pass


def test_who_sends_but_claims_no_more_is_carried_no_more() -> None:
    at = relay()
    one, other = at.introduce(ALICE, BOB, FRESH, 0.0)
    alice, _ = bind(at, one, HERE), bind(at, other, THERE)
    bind(at, other, THERE, BINDING_LIFE - 1)
    assert at.received(encode_data(alice.id, b"x"), HERE, BINDING_LIFE - 1) is not None
    assert at.received(encode_data(alice.id, b"x"), HERE, BINDING_LIFE) is None


def test_nothing_is_carried_to_whom_one_blocked_and_the_others_are_not_touched() -> None:
    at = relay()
    one, _ = pair(at)[0], at.introduce(ALICE, EVE, FRESH_TOO, 0.0)
    at.part(BOB, {ALICE})
    assert at.received(encode_data(one.id, b"x"), HERE, 1.0) is None
    assert at.pairs == 1
    at.part(ALICE, {BOB})
    assert at.pairs == 1


def test_beyond_the_limit_the_pair_that_was_silent_longest_goes() -> None:
    at = relay()
    passes = [
        at.introduce(ALICE, name_key(f"bob{number}"), fresh(number), min(number, 3.0))
        for number in range(MAX_PAIRS)
    ]
    bind(at, passes[0][0], HERE, 4.0)
    bind(at, passes[0][1], THERE, 4.0)  # both are there: only now it is used
    at.introduce(ALICE, EVE, FRESH, 5.0)
    assert at.pairs == MAX_PAIRS
    assert at.introduce(ALICE, name_key("bob0"), FRESH_TOO, 6.0) == passes[0]
    assert at.introduce(ALICE, name_key("bob2"), FRESH_TOO, 6.0) == passes[2]
    assert at.introduce(ALICE, name_key("bob1"), FRESH_TOO, 6.0) != passes[1]


addresses = st.sampled_from((HERE, THERE, ELSEWHERE))


@given(st.lists(st.tuples(st.binary(max_size=80), addresses), max_size=30))
def test_strangers_get_no_answer_at_all(datagrams: list[tuple[bytes, Address]]) -> None:
    at = relay()
    at.introduce(ALICE, BOB, FRESH, 0.0)
    for datagram, address in datagrams:
        for head in (b"", b"\x09", b"\x09\x01" + FRESH[:8], b"\x09\x04" + FRESH[:8]):
            assert at.received(head + datagram, address, 1.0) is None


def test_other_figures_hold_from_now_on_and_what_was_used_stays_used() -> None:
    at = relay(rate=100 * BURST, total=1000)
    alice, bob = pair(at)
    sent = sized(alice, 600)
    assert at.received(sent, HERE, 1.0) is not None
    assert at.received(sent, HERE, 1.0) is None
    at.change(100 * BURST, 1200)
    assert at.received(sent, HERE, 1.0) == (sized(bob, 600), THERE)
    assert at.received(sent, HERE, 1.0) is None
