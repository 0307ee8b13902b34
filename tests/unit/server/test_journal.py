"""The audit journal: whatever is done to it afterwards, a look at the chain finds it."""

import hashlib
import sqlite3
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.access import Registration, Target
from server.actions import (
    AnyChange,
    Kick,
    LiftBan,
    ListBans,
    ListEntries,
    PlaceBan,
    SendNotice,
    SetRegistration,
    Undo,
    VerifyJournal,
)
from server.console_audit import Verified
from server.embedded import EmbeddedPhoneBook
from server.journal import FIRST, Entry, Link, link, read, verify
from server.operator import LocalOperator
from tests.unit.server.test_phonebook import settings
from wire.errors import ErrorCode, Refused

CHANGES: st.SearchStrategy[AnyChange] = st.one_of(
    st.builds(Kick, st.text(max_size=5), reason=st.text(max_size=5)),
    st.builds(PlaceBan, st.builds(Target, name=st.text(max_size=5)), st.none() | st.floats(0, 1e10)),
    st.builds(SetRegistration, st.none() | st.sampled_from(Registration)),
)


def chain(changes: list[AnyChange]) -> list[Link]:
    links: list[Link] = []
    for number, change in enumerate(changes, start=1):
        entry = Entry(number, float(number), "root", change, inverse=LiftBan(Target(name="x")))
        links.append(link(entry, links[-1].digest if links else FIRST))
    return links


@given(st.lists(CHANGES, max_size=6))
def test_a_chain_that_nobody_touched_holds_and_reads_back(changes: list[AnyChange]) -> None:
    links = chain(changes)
    verdict = verify(links, len(links))
    assert (verdict.entries, verdict.fault) == (len(links), "")
    assert verdict.head == (links[-1].digest if links else FIRST).hex()
    assert [read(kept).action for kept in links] == changes
    for kept in links:
        assert not verify(links, len(links), kept.digest).fault
    assert verify(links, len(links), bytes(31) + b"x").fault


@given(st.lists(CHANGES, min_size=1, max_size=6), st.data())
def test_whatever_is_changed_removed_or_moved_is_found(changes: list[AnyChange], data: st.DataObject) -> None:
    links = chain(changes)
    place = data.draw(st.integers(0, len(links) - 1))
    kept = links[place]
    replace = msgspec.structs.replace
    match data.draw(st.sampled_from(["content", "digest", "undoes", "remove", "swap", "forge"])):
        case "content":
            position = data.draw(st.integers(0, len(kept.content) - 1))
            changed = bytearray(kept.content)
            changed[position] ^= data.draw(st.integers(1, 255))
            links[place] = replace(kept, content=bytes(changed))
        case "digest":
            links[place] = replace(kept, digest=bytes(32))
        case "undoes":
            links[place] = replace(kept, undoes=7)
        case "remove":
            del links[place]
        case "swap":
            links.append(replace(kept, number=len(links) + 1))
        case "forge":  # an entry alone, with a digest that fits it but not what stands before and after
            content = msgspec.json.encode(Entry(kept.number, 0.0, "nobody", Kick("x")))
            links[place] = replace(kept, content=content, digest=hashlib.sha256(content).digest())
    assert verify(links, len(changes)).fault


def test_a_journal_on_disk_that_was_tampered_with_is_found(tmp_path: Path) -> None:
    with EmbeddedPhoneBook(settings(tmp_path)) as book:
        operator = LocalOperator(book)
        for text in ("one", "two", "three"):
            operator.ask(SendNotice(text))
        good = operator.ask(VerifyJournal())
        assert (good.entries, good.fault) == (3, "")
        path = book.server.folder / "accounts.db"

        def tampered(sql: str, fault: str) -> None:
            with sqlite3.connect(path) as connection:
                connection.execute(sql)
            verdict = operator.ask(VerifyJournal())
            assert fault in verdict.fault
            with sqlite3.connect(path) as connection:
                connection.execute("DELETE FROM journal")
                connection.executemany("INSERT INTO journal VALUES (?, ?, ?, ?)", rows)
            assert not operator.ask(VerifyJournal()).fault

        with sqlite3.connect(path) as connection:
            rows = connection.execute("SELECT * FROM journal").fetchall()
        tampered(
            "UPDATE journal SET content = replace(content, 'two', 'too') WHERE number = 2",
            "entry 2 is not as",
        )
        tampered("DELETE FROM journal WHERE number = 2", "entry 2 is missing")
        tampered("DELETE FROM journal WHERE number = 3", "the entries 3 to 3 are missing")
        tampered("DELETE FROM journal", "the entries 1 to 3 are missing")
        assert not operator.ask(VerifyJournal(bytes.fromhex(good.head))).fault
        assert "noted" in operator.ask(VerifyJournal(bytes(32))).fault
        # A removed end is still missed after later entries.
        with sqlite3.connect(path) as connection:
            connection.execute("DELETE FROM journal WHERE number = 3")
        operator.ask(SendNotice("four"))
        assert "entry 3 is missing" in operator.ask(VerifyJournal()).fault


def test_a_change_that_cannot_be_written_into_the_journal_is_not_made(tmp_path: Path) -> None:
    with EmbeddedPhoneBook(settings(tmp_path)) as book:
        operator = LocalOperator(book)
        with sqlite3.connect(book.server.folder / "accounts.db") as connection:
            connection.execute("ALTER TABLE journal RENAME TO elsewhere")
        with pytest.raises(Refused) as caught:
            operator.ask(PlaceBan(Target(name="bob")))
        assert caught.value.code == ErrorCode.STORAGE_FAILED
        assert operator.ask(ListBans()).bans == ()


def test_a_badly_encoded_word_is_refused_and_a_damaged_entry_is_named(tmp_path: Path) -> None:
    with EmbeddedPhoneBook(settings(tmp_path)) as book:
        operator = LocalOperator(book)
        for change in (PlaceBan(Target(name="bob"), reason="caf\udce9"), SendNotice("caf\udce9")):
            with pytest.raises(Refused, match="a word of that is none") as caught:
                operator.ask(change)
            assert caught.value.code == ErrorCode.INVALID_PARAMS
        assert operator.ask(ListBans()).bans == ()
        assert operator.ask(ListEntries(10)).entries == ()
        operator.ask(SendNotice("one"))
        with sqlite3.connect(book.server.folder / "accounts.db") as connection:
            connection.execute("UPDATE journal SET content = x'7b'")
        with pytest.raises(Refused, match="The journal is damaged"):
            operator.ask(ListEntries(10))
        with pytest.raises(Refused, match="The journal is damaged"):
            operator.ask(Undo(1))


def test_every_undo_can_be_undone_and_says_by_which_entry(tmp_path: Path) -> None:
    with EmbeddedPhoneBook(settings(tmp_path)) as book:
        operator = LocalOperator(book)
        target = Target(network="192.0.2.0/24")
        operator.ask(PlaceBan(target, 5e9, reason="first"))
        operator.ask(PlaceBan(target, None, reason="for good"))
        assert [ban.until for ban in operator.ask(ListBans()).bans] == [None]
        operator.ask(Undo(2))
        assert [(ban.until, ban.reason) for ban in operator.ask(ListBans()).bans] == [(5e9, "first")]
        operator.ask(Undo(3))
        assert [ban.reason for ban in operator.ask(ListBans()).bans] == ["for good"]
        operator.ask(Undo(4, dry_run=True))
        entries = operator.ask(ListEntries(10)).entries
        assert [(entry.undoes, entry.undone_by) for entry in entries] == [
            (None, None),
            (None, 3),
            (2, 4),
            (3, None),
        ]
        assert {entry.author for entry in entries} == {operator.author}


def test_the_verdict_counts_as_one_says_it() -> None:
    assert Verified(1, "ab", "").render(plain=True).startswith("1 entry, none changed")
    assert "1 entry before that holds" in Verified(1, "ab", "entry 2 is missing").render(plain=True)
    assert Verified(2, "ab", "").render(plain=True).startswith("2 entries, none changed")
