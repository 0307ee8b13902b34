"""However many files come and go, what is kept of them is bounded, in memory and on disk."""

import sqlite3
from collections.abc import Iterator

import pytest

from shell import ledger
from shell.line import transfer as rules
from shell.line.transfer import KeepTransfer, Phase, Transfer, TransferEffect, TransferId, Transfers
from wire.frames import Offer, Stop, StopReason, TransferKind
from wire.names import NameKey

BOB = NameKey("bob")
REMEMBERED = 10


def offers(core: Transfers, count: int) -> Iterator[list[TransferEffect]]:
    """What follows from offers that are taken back at once."""
    for number in range(1, count):
        id_ = number.to_bytes(16)
        yield core.received(BOB, "bob", Offer(id_, TransferKind.FILE, "a", 1), consented=True)
        yield core.received(BOB, "bob", Stop(id_, StopReason.CANCELLED), consented=True)


def test_what_is_over_is_forgotten_while_the_shell_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ledger, "MAX_REMEMBERED", REMEMBERED)
    monkeypatch.setattr(rules, "MAX_REMEMBERED", REMEMBERED)
    connection = sqlite3.connect(":memory:")
    connection.executescript(ledger.SCHEMA)
    core = Transfers(max_bytes=1)
    still = Transfer(TransferId(bytes(16)), core.next_number(), BOB, "bob", True, TransferKind.FILE, "b", 1)
    for effects in (core.offer(still), *offers(core, 10 * REMEMBERED)):
        kept = [effect.transfer for effect in effects if isinstance(effect, KeepTransfer)]
        ledger.keep_transfers(connection, kept)
        (rows,) = connection.execute("SELECT count(*) FROM transfers").fetchone()
        assert rows <= REMEMBERED + 2
        assert len(list(core)) <= REMEMBERED + 2
    known = ledger.transfers(connection)
    assert known[0] == still
    assert Transfers(known, max_bytes=1).next_number() == core.next_number()
    assert {transfer.phase for transfer in known[1:]} == {Phase.STOPPED}
