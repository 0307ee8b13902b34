"""The right word for a wrong one. Pure; imports neither program."""

from collections.abc import Iterable

NEAR = 0.65  # how much alike, from 0 to 1, two words must be: two letters of three, with one in its place


def nearest(word: str, known: Iterable[str]) -> str:
    """Which of the known words was probably meant; empty where none is near, or it is one of them.

    Capitals do not count, nor do the dashes before an option, which are alike for all.
    """
    from difflib import get_close_matches  # what is right needs none

    meant = {_compared(right): right for right in known}
    near = get_close_matches(_compared(word), meant, n=1, cutoff=NEAR)
    return meant[near[0]] if near and meant[near[0]] != word else ""


def _compared(word: str) -> str:
    return word.lstrip("-").lower()
