"""What a bench gives: figures, what each is held against in the same run, and what is to be reached."""

import statistics
from collections.abc import Iterable
from typing import Protocol

import msgspec


class Figure(msgspec.Struct, frozen=True, omit_defaults=True):
    """One measured number."""

    what: str
    value: float
    unit: str
    against: str = ""
    """What `ratio` divides by: another figure of the same run."""
    ratio: float | None = None
    goal: float | None = None
    """What the ratio, or the value where there is no ratio, has to reach."""
    at_least: bool = False
    """Whether the goal is a lower bound; else an upper one."""
    note: str = ""

    @property
    def reached(self) -> bool | None:
        """Whether the goal is reached; None where there is none."""
        if self.goal is None:
            return None
        measured = self.value if self.ratio is None else self.ratio
        return measured >= self.goal if self.at_least else measured <= self.goal

    def compared(
        self, other: "Figure", *, at_least: float | None = None, at_most: float | None = None
    ) -> "Figure":
        """The same figure with its ratio to another one, and what the ratio has to reach."""
        return msgspec.structs.replace(
            self,
            against=other.what,
            ratio=self.value / other.value,
            goal=at_most if at_least is None else at_least,
            at_least=at_least is not None,
        )


class Bench(Protocol):
    """What each module of `tests.bench` that measures something offers."""

    TITLE: str

    def run(self, quick: bool) -> list[Figure]:
        """Measures. Quick runs are for trying out: shorter, smaller, less exact."""
        ...


def median(values: Iterable[float]) -> float:
    """The middle one of several runs."""
    return statistics.median(values)
