"""Two sides of transfers, with lost lines and restarts at any moment: they always come to agree."""

import contextlib
from collections import deque
from collections.abc import Callable

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from shell.line.errors import NoSuchTransfer, UnexpectedMove
from shell.line.transfer import (
    OVER,
    TRANSITIONS,
    BeginSending,
    BeginTaking,
    KeepTransfer,
    Phase,
    Say,
    Step,
    Transfer,
    TransferEffect,
    TransferId,
    Transfers,
)
from wire.frames import Credit, End, Offer, Stop, StopReason, Take, Taken, TransferFrame, TransferKind
from wire.names import NameKey

LIMIT = 1_000
ALICE, BOB = NameKey("alice"), NameKey("bob")


class Side:
    """One shell: its core, its disk, and what it has of each file."""

    def __init__(self, peer: NameKey) -> None:
        self.peer = peer
        self.core = Transfers(max_bytes=LIMIT)
        self.disk: dict[bytes, Transfer] = {}
        self.outbox: deque[TransferFrame] = deque()
        self.finished: list[bytes] = []
        self.full = False

    def carry_out(self, effects: list[TransferEffect]) -> bool:
        """Whether the disk took what must be kept; else nothing of it happens."""
        keeps = [effect for effect in effects if isinstance(effect, KeepTransfer)]
        if keeps and self.full:
            self.core.not_kept(keeps)
            return False
        for effect in effects:
            match effect:
                case KeepTransfer(transfer, _):
                    self.disk[transfer.id] = transfer
                case Say(peer, frame):
                    assert peer == self.peer
                    self.outbox.append(frame)
                case BeginTaking(transfer):
                    self.outbox.append(Take(transfer.id, 0))
                case BeginSending(transfer, _):
                    self.outbox.append(End(transfer.id, transfer.size or 0, bytes(32)))
                case _:
                    pass
        return True

    def restart(self) -> None:
        self.core = Transfers(self.disk.values(), max_bytes=LIMIT)
        self.outbox.clear()


class TransferMachine(RuleBasedStateMachine):
    """Alice offers, Bob decides; the line drops, disks fill up and both restart as they like."""

    def __init__(self) -> None:
        super().__init__()
        self.alice, self.bob = Side(BOB), Side(ALICE)
        self.made = 0
        self.line = False

    @rule(size=st.integers(0, LIMIT + 200))
    def offer(self, size: int) -> None:
        self.made += 1
        made = Transfer(
            TransferId(self.made.to_bytes(16)),
            self.alice.core.next_number(),
            BOB,
            "bob",
            True,
            TransferKind.FILE,
            f"file {self.made}",
            size,
        )
        self.say(self.alice, self.alice.core.offer(made))

    @rule(number=st.integers(1, 5))
    def take(self, number: int) -> None:
        self.decide(self.bob, lambda: self.bob.core.take(number))

    @rule(number=st.integers(1, 5), by_alice=st.booleans())
    def stop(self, number: int, by_alice: bool) -> None:
        side = self.alice if by_alice else self.bob
        self.decide(side, lambda: side.core.stop(number))

    @precondition(lambda self: self.line)
    @rule(from_alice=st.booleans())
    def pass_one(self, from_alice: bool) -> None:
        sender, other = (self.alice, self.bob) if from_alice else (self.bob, self.alice)
        if sender.outbox:
            self.arrive(other, sender.outbox.popleft())

    @precondition(lambda self: not self.line)
    @rule()
    def connect(self) -> None:
        self.line = True
        for side in (self.alice, self.bob):
            side.carry_out(side.core.line_opened(side.peer))

    @rule()
    def lose_the_line(self) -> None:
        self.line = False
        self.alice.outbox.clear()
        self.bob.outbox.clear()

    @rule(alice=st.booleans())
    def restart(self, alice: bool) -> None:
        self.lose_the_line()
        (self.alice if alice else self.bob).restart()

    @rule(alice=st.booleans(), full=st.booleans())
    def fill(self, alice: bool, full: bool) -> None:
        (self.alice if alice else self.bob).full = full

    @invariant()
    def what_is_known_is_on_disk(self) -> None:
        for side in (self.alice, self.bob):
            assert {transfer.id: transfer for transfer in side.core} == side.disk

    @invariant()
    def nothing_is_had_that_was_not_finished(self) -> None:
        for transfer in self.alice.core:
            if transfer.phase is Phase.DONE:
                assert transfer.id in self.bob.finished
        assert len(set(self.bob.finished)) == len(self.bob.finished)

    def teardown(self) -> None:
        """With a line that stays, both sides agree on everything that one of them holds to be over."""
        self.alice.full = self.bob.full = False
        self.lose_the_line()
        self.connect()
        while self.alice.outbox or self.bob.outbox:
            self.pass_one(True)
            self.pass_one(False)
        theirs = {transfer.id: transfer for transfer in self.bob.core}
        for transfer in self.alice.core:
            other = theirs.get(transfer.id)
            if other is None:
                assert transfer.over
            elif other.phase is Phase.MOVING:
                assert transfer.phase is Phase.MOVING
            elif other.over:
                assert transfer.over
                # Who cancels while the last word of the other side is lost with the line cannot know better.
                cancelled = transfer.reason is StopReason.CANCELLED
                assert (transfer.phase is Phase.DONE) == (other.phase is Phase.DONE) or cancelled

    def decide(self, side: Side, action: Callable[[], list[TransferEffect]]) -> None:
        with contextlib.suppress(NoSuchTransfer):
            self.say(side, action())

    def say(self, side: Side, effects: list[TransferEffect]) -> None:
        side.carry_out(effects)
        if not self.line:
            side.outbox.clear()

    def arrive(self, side: Side, frame: TransferFrame) -> None:
        name = side.peer
        effects = side.core.received(side.peer, name, frame, consented=True)
        side.carry_out(effects)
        known = side.core.get(frame.id)
        arrived = isinstance(frame, End) and known is not None and known.phase is Phase.MOVING
        if arrived and side.carry_out(side.core.finish(frame.id, "/saved")):
            side.finished.append(frame.id)


TransferMachine.TestCase.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
test_both_sides_agree_in_the_end = TransferMachine.TestCase


def test_nothing_but_the_truth_leads_out_of_what_is_over() -> None:
    assert [move for move in TRANSITIONS if move[0] in OVER] == [(Phase.STOPPED, Step.FINISH)]
    assert {step for _, step in TRANSITIONS} == set(Step)


def test_who_cancels_too_late_is_told_that_it_had_arrived() -> None:
    machine = TransferMachine()
    machine.connect()
    machine.offer(size=0)
    machine.pass_one(from_alice=True)
    machine.take(number=1)
    machine.pass_one(from_alice=False)
    machine.pass_one(from_alice=True)
    machine.stop(number=1, by_alice=True)
    machine.pass_one(from_alice=False)
    assert [transfer.phase for transfer in machine.alice.core] == [Phase.DONE]


def test_a_question_about_something_unknown_is_answered() -> None:
    core = Transfers(max_bytes=LIMIT)
    (answer,) = core.received(BOB, "bob", Credit(bytes(16), 0), consented=True)
    assert isinstance(answer, Say)
    assert getattr(answer.frame, "reason", None) is StopReason.CANCELLED


def test_what_cannot_be_is_refused() -> None:
    core = Transfers(max_bytes=LIMIT)
    offer = Offer(bytes(16), TransferKind.FILE, "a", 10)
    for impossible in (
        Offer(bytes(16), TransferKind.FILE, "of no size", None),  # would pass every bound
        Offer(bytes(16), TransferKind.PIPE, "of a size", 10),
    ):
        with pytest.raises(UnexpectedMove):
            core.received(BOB, "bob", impossible, consented=True)
    core.received(BOB, "bob", offer, consented=True)
    core.take(1)
    for wrong in (End(bytes(16), 9, bytes(32)), Take(bytes(16), 0), Taken(bytes(16))):
        with pytest.raises(UnexpectedMove):
            core.received(BOB, "bob", wrong, consented=True)
    with pytest.raises(UnexpectedMove):
        core.received(NameKey("carol"), "carol", Stop(bytes(16), StopReason.CANCELLED), consented=True)
    ours = Transfer(TransferId(b"o" * 16), 2, BOB, "bob", True, TransferKind.FILE, "b", 10)
    core.offer(ours)
    with pytest.raises(UnexpectedMove):
        core.received(BOB, "bob", Take(ours.id, 11), consented=True)
