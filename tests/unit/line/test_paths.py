"""The path under a line moves only to addresses that answer: two ends, a network of a few lines, no clock."""

from collections import deque
from collections.abc import Iterator
from itertools import count, pairwise

from hypothesis import given
from hypothesis import strategies as st

from shell.line.candidates import MAX_CANDIDATES, Address, Candidate, PathKind
from shell.line.paths import BETTER_RETRY, MAX_LOST_RETRY, PING_GAP, SETTLE, STALE, LinePath
from wire.paths import PATH_KEY_BYTES, PING_NONCE_BYTES

KEY = bytes(range(PATH_KEY_BYTES))
BOB, BOB_MOVED, ALICE, RELAY = ("192.0.2.2", 2), ("192.0.2.22", 2), ("192.0.2.1", 1), ("relay", 0)


def kind_of(address: Address) -> PathKind:
    return PathKind.RELAYED if address[1] == 0 else PathKind.PUNCHED


def nonces() -> Iterator[bytes]:
    return (number.to_bytes(PING_NONCE_BYTES) for number in count())


def path_to(address: Address, *candidates: Candidate, calling: bool = True) -> LinePath:
    source = nonces()
    path = LinePath(address, candidates, kind_of, lambda: next(source), calling=calling)
    path.key = KEY
    return path


def play(alice: LinePath, first: list[tuple[bytes, Address]], bob_at: set[Address], now: float) -> LinePath:
    """alice's datagrams reach bob where he is, his reach her; how it ends."""
    bob = path_to(ALICE, calling=False)
    under_way = deque(("bob", datagram, to) for datagram, to in first)
    for _ in range(100):
        if not under_way:
            break
        whom, datagram, to = under_way.popleft()
        if whom == "alice":
            under_way += [("bob", *sent) for sent in alice.probed(datagram, next(iter(bob_at)), now)]
        elif to in bob_at:
            under_way += [("alice", *sent) for sent in bob.probed(datagram, ALICE, now)]
    return bob


def test_a_peer_heard_from_elsewhere_is_followed_once_it_answers_there() -> None:
    alice = path_to(BOB)
    first = alice.heard_elsewhere(BOB_MOVED, 1.0)
    assert [to for _, to in first] == [BOB_MOVED]
    assert alice.address == BOB
    play(alice, first, {BOB_MOVED}, 1.1)
    assert alice.address == BOB_MOVED


def test_a_copied_datagram_from_a_stranger_moves_nothing() -> None:
    alice = path_to(BOB)
    pings = alice.heard_elsewhere(("203.0.113.66", 6), 1.0)
    for datagram, _ in pings:
        assert alice.probed(datagram, ("203.0.113.66", 6), 1.1) == []  # it can only send the ping back
    assert alice.address == BOB


def test_a_stranger_who_is_heard_all_the_time_gets_few_pings() -> None:
    alice = path_to(BOB)
    sent = [ping for step in range(1000) for ping in alice.heard_elsewhere(BOB_MOVED, 1 + step / 1000)]
    assert len(sent) <= 1 / PING_GAP + 1


def test_late_datagrams_from_the_address_that_was_left_do_not_count() -> None:
    alice = path_to(BOB)
    play(alice, alice.heard_elsewhere(BOB_MOVED, 1.0), {BOB_MOVED}, 1.0)
    assert alice.heard_elsewhere(BOB, 1.0 + SETTLE / 2) == []
    assert alice.heard_elsewhere(BOB, 1.0 + 2 * SETTLE) != []


def test_a_silent_path_looks_at_every_candidate_and_takes_what_answers() -> None:
    alice = path_to(BOB, Candidate(BOB_MOVED, PathKind.PUNCHED))
    alice.unanswered = 10.0
    assert alice.tick(10.0 + STALE - 0.1) == []
    assert alice.address == BOB
    pings = alice.tick(10.0 + STALE)
    assert {to for _, to in pings} == {BOB, BOB_MOVED}
    play(alice, pings, {BOB_MOVED}, 10.0 + STALE)
    assert alice.address == BOB_MOVED
    assert not alice.stale(100.0)


def test_a_path_that_answers_stays_though_others_answer_too() -> None:
    alice = path_to(BOB, Candidate(BOB_MOVED, PathKind.PUNCHED))
    play(alice, alice.look_around(1.0), {BOB, BOB_MOVED}, 1.1)
    assert alice.address == BOB


def test_pings_on_the_path_in_use_measure_its_round_trip() -> None:
    alice = path_to(BOB)
    for step in range(3):
        play(alice, alice.measure(float(step)), {BOB}, step + 0.25)
    assert list(alice.samples) == [0.25, 0.25, 0.25]
    play(alice, alice.heard_elsewhere(BOB_MOVED, 5.0), {BOB_MOVED}, 5.1)
    assert not alice.samples


def test_while_relayed_a_direct_way_is_tried_again_and_taken() -> None:
    alice = path_to(RELAY, Candidate(BOB, PathKind.PUNCHED))
    pings = alice.tick(0.0)
    assert {to for _, to in pings} == {RELAY, BOB}
    assert alice.tick(BETTER_RETRY / 2) == []
    assert alice.tick(BETTER_RETRY) != []
    play(alice, pings, {BOB}, 0.1)
    assert (alice.address, alice.kind) == (BOB, PathKind.PUNCHED)
    assert alice.tick(5 * BETTER_RETRY) == []


def test_the_phone_book_is_asked_soon_in_a_silence_and_then_ever_less_often() -> None:
    alice = path_to(BOB)
    alice.unanswered = 0.0
    asked = [second for second in range(120) if alice.lost(float(second))]
    gaps = [later - earlier for earlier, later in pairwise(asked)]
    assert asked[0] == STALE
    assert gaps == sorted(gaps)
    assert len(asked) < 8
    alice.unanswered = None
    assert not alice.lost(200.0)


def test_while_relayed_the_phone_book_is_asked_now_and_then() -> None:
    alice = path_to(RELAY)
    asked = [second for second in range(1, 200) if alice.lost(float(second))]
    assert asked == [1 + MAX_LOST_RETRY * number for number in (1, 2, 3)]


def test_a_line_that_is_not_open_probes_nothing() -> None:
    alice = path_to(BOB)
    alice.key = b""
    assert alice.heard_elsewhere(BOB_MOVED, 1.0) == []
    assert alice.look_around(1.0) == []


addresses = st.tuples(st.just("192.0.2.9"), st.integers(1, 60))


@given(
    st.lists(
        st.tuples(st.sampled_from(("heard", "probed", "tick", "add")), addresses, st.binary(max_size=60))
    )
)
def test_strangers_can_neither_move_a_path_nor_fill_it(steps: list[tuple[str, Address, bytes]]) -> None:
    path, now = path_to(BOB), 0.0
    for what, address, datagram in steps:
        now += 0.1
        match what:
            case "heard":
                path.heard_elsewhere(address, now)
            case "probed":
                path.probed(datagram, address, now)
            case "add":
                path.add(Candidate(address, PathKind.PUNCHED))
            case _:
                path.tick(now)
    assert path.address == BOB
    assert len(path.look_around(now + 1)) <= MAX_CANDIDATES + 1
