"""The audit journal: what operators did, each entry chained to the one before it by SHA-256. Pure.

An entry's digest covers its content and the digest before it, so that an entry that is changed, removed or
put in between breaks the chain from there on. Cutting off the end shows in the highest number that was ever
given; whoever can write to the disk as the phone book could forge a whole new chain, which a digest noted
elsewhere (`audit verify --digest HEX`, or the server's log) still reveals.
"""

import hashlib
from collections.abc import Iterable

import msgspec

from server.actions import AnyChange, AnyDeed, Verdict

MAX_NAMED = 1_000  # of those whom a change hit that its entry names
FIRST = bytes(hashlib.sha256().digest_size)
"""What stands before the first entry."""


class Entry(msgspec.Struct, frozen=True, omit_defaults=True):
    """One thing that an operator did."""

    number: int
    when: float
    """Seconds since the epoch."""
    author: str
    """The Unix user of the console."""
    action: AnyDeed
    hit: tuple[str, ...] = ()
    """Names or networks that it hit, `MAX_NAMED` at most."""
    hits: int = 0
    """How many in all."""
    inverse: AnyChange | None = None
    """What would take it back; None where nothing can."""
    undoes: int | None = None
    """The entry that it took back."""


class Link(msgspec.Struct, frozen=True):
    """An entry as it is kept: the bytes that were digested, and the digest."""

    number: int
    undoes: int | None
    content: bytes
    digest: bytes


def link(entry: Entry, before: bytes) -> Link:
    """The entry as it is kept after another, whose digest is given."""
    content = msgspec.json.encode(entry)
    return Link(entry.number, entry.undoes, content, _digest(before, content))


def read(kept: Link) -> Entry:
    """The entry in a link. Raises ValueError where it is none."""
    return msgspec.json.decode(kept.content, type=Entry)


def verify(links: Iterable[Link], highest: int, noted: bytes | None = None) -> Verdict:
    """Whether the chain holds up to the highest number ever given, and has a digest that was noted."""
    before, expected, seen = FIRST, 1, noted is None
    for kept in links:
        if kept.number != expected:
            return Verdict(expected - 1, before.hex(), f"entry {expected} is missing")
        if _digest(before, kept.content) != kept.digest:
            return Verdict(expected - 1, before.hex(), f"entry {expected} is not as it was written")
        try:
            entry = read(kept)
        except (msgspec.DecodeError, ValueError):
            return Verdict(expected - 1, before.hex(), f"entry {expected} cannot be read")
        if (entry.number, entry.undoes) != (kept.number, kept.undoes):
            return Verdict(expected - 1, before.hex(), f"entry {expected} is filed as another")
        before, expected = kept.digest, expected + 1
        seen = seen or before == noted
    if highest >= expected:
        return Verdict(expected - 1, before.hex(), f"the entries {expected} to {highest} are missing")
    if not seen:
        return Verdict(expected - 1, before.hex(), "the digest that was noted is not in it")
    return Verdict(expected - 1, before.hex())


def _digest(before: bytes, content: bytes) -> bytes:
    return hashlib.sha256(before + content).digest()
