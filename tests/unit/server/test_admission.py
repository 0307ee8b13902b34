"""Who may connect: bounds hold, counts are right, and one address cannot keep the others out."""

import msgspec
import pytest
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    MultipleResults,
    RuleBasedStateMachine,
    consumes,
    invariant,
    multiple,
    rule,
)

from server.admission import LONG_ENOUGH, Admission, Admit, Deny, Displace, Verdict, Waiting, Why
from server.settings import ServerSettings
from server.throttles import Prefix

Place = tuple[Prefix, bool]  # where it comes from, and whether it logged in
SETTINGS = msgspec.structs.replace(
    ServerSettings(),
    max_connections=12,
    connections_per_address=6,
    max_unauthenticated=5,
    unauthenticated_per_address=4,
)
A, B, C = Prefix("192.0.2.1"), Prefix("192.0.2.2"), Prefix("192.0.2.3")


def enter(admission: Admission, prefix: Prefix, *, proven: bool = False) -> Verdict:
    verdict = admission.ask(prefix)
    if isinstance(verdict, Displace):
        admission.leave(verdict.prefix, proven=False)
    if not isinstance(verdict, Deny):
        admission.enter(prefix)
        if proven:
            admission.prove(prefix)
    return verdict


@pytest.mark.parametrize(("proven", "why"), [(True, Why.ADDRESS), (False, Why.UNPROVEN)])
def test_one_address_has_so_many_and_no_more(proven: bool, why: Why) -> None:
    admission = Admission(SETTINGS, 1_000)
    verdicts = [enter(admission, A, proven=proven) for _ in range(7)]
    assert verdicts[-1] == Deny(why)
    assert verdicts.count(Admit()) == (6 if proven else 4)
    assert enter(admission, B) == Admit()


def test_who_opens_the_most_without_login_makes_room_for_a_newcomer() -> None:
    admission = Admission(SETTINGS, 1_000)
    for prefix in (A, A, A, A, B):
        assert enter(admission, prefix) == Admit()
    assert enter(admission, C) == Displace(A)
    assert admission.unproven == 5


def test_a_crowd_of_equals_is_left_to_finish_but_not_for_ever() -> None:
    admission = Admission(SETTINGS, 1_000)
    for number in range(5):
        assert enter(admission, Prefix(f"192.0.2.{number}")) == Admit()
    newcomer, first = Prefix("192.0.2.9"), Prefix("192.0.2.0")
    assert admission.ask(newcomer, Waiting(first, LONG_ENOUGH - 1)) == Deny(Why.UNPROVEN)
    assert admission.ask(newcomer, Waiting(first, LONG_ENOUGH)) == Displace(first)
    # Whoever has one already does not push others out with a second.
    assert admission.ask(Prefix("192.0.2.1"), Waiting(first, LONG_ENOUGH)) == Deny(Why.UNPROVEN)


def test_sessions_are_never_displaced() -> None:
    admission = Admission(msgspec.structs.replace(SETTINGS, max_connections=3), 1_000)
    for prefix in (A, B, C):
        enter(admission, prefix, proven=True)
    assert enter(admission, Prefix("192.0.2.9")) == Deny(Why.FULL)


def test_open_files_are_a_limit_as_well() -> None:
    admission = Admission(SETTINGS, 2)
    assert enter(admission, A, proven=True) == Admit()
    assert enter(admission, A, proven=True) == Admit()
    assert enter(admission, B) == Deny(Why.FULL)


class AdmissionMachine(RuleBasedStateMachine):
    there: Bundle[Place] = Bundle("there")

    def __init__(self) -> None:
        super().__init__()
        self.admission = Admission(SETTINGS, 1_000)
        self.inside: list[Place] = []

    @rule(target=there, prefix=st.sampled_from([A, B, C]))
    def come(self, prefix: Prefix) -> Place | MultipleResults[Place]:
        verdict = self.admission.ask(prefix)
        if isinstance(verdict, Deny):
            return multiple()
        if isinstance(verdict, Displace):
            assert verdict.prefix != prefix
            self.inside.remove((verdict.prefix, False))
            self.admission.leave(verdict.prefix, proven=False)
        self.admission.enter(prefix)
        self.inside.append((prefix, False))
        return prefix, False

    @rule(target=there, who=consumes(there))
    def log_in(self, who: Place) -> Place | MultipleResults[Place]:
        if who not in self.inside or who[1]:
            return multiple()
        self.inside.remove(who)
        self.inside.append((who[0], True))
        self.admission.prove(who[0])
        return who[0], True

    @rule(who=consumes(there))
    def go(self, who: Place) -> None:
        if who in self.inside:
            self.inside.remove(who)
            self.admission.leave(who[0], proven=who[1])

    @invariant()
    def bounds_hold_and_counts_are_right(self) -> None:
        assert self.admission.total == len(self.inside) <= 12
        assert self.admission.unproven == sum(not proven for _, proven in self.inside) <= 5
        for prefix in (A, B, C):
            assert sum(one == prefix for one, _ in self.inside) <= 6
            assert self.inside.count((prefix, False)) <= 4


TestAdmission = AdmissionMachine.TestCase
