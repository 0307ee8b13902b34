"""Which key the person could have compared."""

from shell.shown import ShownKeys
from wire.certificates import Fingerprint
from wire.names import NameKey

PINNED, FIRST, SECOND = (Fingerprint(letter * 32) for letter in (b"p", b"1", b"2"))
BOB = NameKey("bob")


def test_a_warning_takes_no_place_of_another_new_key() -> None:
    shown = ShownKeys()
    assert shown.of(BOB) is None
    shown.looked_at(BOB, PINNED)
    shown.warned_of(BOB, PINNED, FIRST)
    assert shown.of(BOB) == FIRST
    shown.warned_of(BOB, PINNED, SECOND)
    assert shown.of(BOB) == FIRST
    shown.looked_at(BOB, SECOND)
    assert shown.of(BOB) == SECOND


def test_a_warning_shows_a_key_where_none_was_shown() -> None:
    shown = ShownKeys()
    shown.warned_of(BOB, PINNED, FIRST)
    shown.warned_of(BOB, PINNED, SECOND)
    assert shown.of(BOB) == FIRST
