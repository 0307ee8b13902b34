"""What is asked of the history: search over all of it, spans of time, the inbox; and forgetting.

Every statement runs on the mailbox's thread, inside a transaction. The index is SQLite's FTS5 with trigrams,
which finds any part of a word in any script. It is brought up to date when somebody searches: a message that
arrives costs nothing for it.
"""

import sqlite3

import msgspec

from wire.names import NameKey

FORGOTTEN = "forgotten"  # state of what others wrote and is gone: the id stays, so that it cannot come again
INDEX_STEP = 500  # messages that one transaction adds to the index
MIN_INDEXED = 3  # characters that the index can look for; fewer are looked for in every message
_SETTLED = "('delivered', 'read', 'refused')"

SCHEMA = """
CREATE INDEX talks ON messages (peer);
CREATE VIRTUAL TABLE found USING fts5(text, content='messages', content_rowid='number', tokenize='trigram');
CREATE TABLE indexed (up_to INTEGER NOT NULL);
INSERT INTO indexed VALUES (0);
CREATE TRIGGER message_deleted AFTER DELETE ON messages WHEN old.number <= (SELECT up_to FROM indexed) BEGIN
    INSERT INTO found (found, rowid, text) VALUES ('delete', old.number, old.text);
END;
CREATE TRIGGER message_changed AFTER UPDATE OF text ON messages
WHEN old.number <= (SELECT up_to FROM indexed) BEGIN
    INSERT INTO found (found, rowid, text) VALUES ('delete', old.number, old.text);
    INSERT INTO found (rowid, text) VALUES (new.number, new.text);
END;
"""


class Letter(msgspec.Struct, frozen=True):
    """One message as history shows it."""

    number: int
    name: str
    outgoing: bool
    text: str
    written: float
    """Seconds since the epoch."""
    state: str
    id: str
    """Hexadecimal."""
    choices: tuple[str, ...] | None = None
    """For a question: the answers that it offers."""
    answers: str = ""
    """The id of the question that it answers; empty for any other message."""


class Span(msgspec.Struct, frozen=True):
    """Which messages are meant."""

    peer: NameKey | None = None
    """With whom; None for everybody."""
    since: float | None = None
    """Seconds since the epoch."""
    until: float | None = None


class Hit(msgspec.Struct, frozen=True):
    """A message that was found, and what was said around it."""

    letter: Letter
    before: list[Letter]
    after: list[Letter]


class InboxRow(msgspec.Struct, frozen=True):
    """One conversation: what is new in it, and the last message."""

    letter: Letter
    unread: int


class Forgotten(msgspec.Struct, frozen=True):
    """How many messages are gone, and how many stay because they are not settled."""

    gone: int
    waiting: int


_COLUMNS = (
    "SELECT number, coalesce((SELECT name FROM contacts WHERE key = peer), peer), outgoing, text, written,"
    " state, id, choices, answers"
)
_LETTERS = f"{_COLUMNS} FROM messages"
_SHOWN = "(outgoing = 1 OR state = 'received')"


def choices_of(column: str | None) -> tuple[str, ...] | None:
    """The answers that a question offers; None for what is no question."""
    return None if column is None else msgspec.json.decode(column, type=tuple[str, ...])


def history(connection: sqlite3.Connection, span: Span, limit: int) -> list[Letter]:
    """The last messages of a span, oldest first; declined and held ones are not shown."""
    where, values = _conditions(span)
    rows = connection.execute(f"{_LETTERS} WHERE {where} ORDER BY number DESC LIMIT ?", (*values, limit))
    return [_letter(row) for row in rows.fetchall()[::-1]]


def page(connection: sqlite3.Connection, span: Span, after: int, limit: int) -> list[Letter]:
    """The next messages of a span after the one with that number."""
    where, values = _conditions(span)
    rows = connection.execute(
        f"{_LETTERS} WHERE number > ? AND {where} ORDER BY number LIMIT ?", (after, *values, limit)
    )
    return [_letter(row) for row in rows]


def index_more(connection: sqlite3.Connection) -> bool:
    """Adds messages to the index; whether there may be more to add."""
    (up_to,) = connection.execute("SELECT up_to FROM indexed").fetchone()
    last, count = connection.execute(
        "SELECT max(number), count(*) FROM"
        " (SELECT number FROM messages WHERE number > ? ORDER BY number LIMIT ?)",
        (up_to, INDEX_STEP),
    ).fetchone()
    if last is None:
        return False
    connection.execute(
        "INSERT INTO found (rowid, text) SELECT number, text FROM messages WHERE number > ? AND number <= ?",
        (up_to, last),
    )
    connection.execute("UPDATE indexed SET up_to = ?", (last,))
    return bool(count == INDEX_STEP)


def search(connection: sqlite3.Connection, text: str, span: Span, limit: int, context: int) -> list[Hit]:
    """The last messages that contain the text, in any case, oldest first, each with `context` messages around
    it. The index has to be up to date (`index_more`).
    """
    where, values = _conditions(span)
    text = text.replace("\0", "")  # no message has it, and it would end the query
    if len(text) >= MIN_INDEXED:
        contains = "number IN (SELECT rowid FROM found WHERE found MATCH ?)"
        wanted = '"' + text.replace('"', '""') + '"'
    else:
        contains = "text LIKE ? ESCAPE '\\'"
        wanted = "%" + text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_") + "%"
    rows = connection.execute(
        f"{_LETTERS} WHERE {contains} AND {where} ORDER BY number DESC LIMIT ?", (wanted, *values, limit)
    )
    return [_hit(connection, _letter(row), context) for row in rows.fetchall()[::-1]]


def inbox(connection: sqlite3.Connection, limit: int) -> list[InboxRow]:
    """The conversations, those with something new first, then by the last message."""
    rows = connection.execute(
        f"{_COLUMNS}, (SELECT count(*) FROM messages AS new INDEXED BY unseen WHERE new.peer = messages.peer"
        " AND new.outgoing = 0 AND new.seen = 0 AND new.state = 'received') AS unread FROM messages"
        " WHERE number IN (SELECT (SELECT number FROM messages AS last WHERE last.peer = everybody.peer"
        f" AND {_SHOWN} ORDER BY number DESC LIMIT 1) FROM (SELECT DISTINCT peer FROM messages) AS everybody)"
        " ORDER BY unread > 0 DESC, number DESC LIMIT ?",
        (limit,),
    )
    return [InboxRow(_letter(row[:-1]), row[-1]) for row in rows]


def count(connection: sqlite3.Connection, span: Span) -> int:
    """How many messages there are."""
    where, values = _conditions(span)
    return int(connection.execute(f"SELECT count(*) FROM messages WHERE {where}", values).fetchone()[0])


def forget(connection: sqlite3.Connection, peer: NameKey) -> Forgotten:
    """Removes every settled message with somebody, and empties the index, which is made anew."""
    connection.execute("UPDATE indexed SET up_to = 0")
    connection.execute("INSERT INTO found (found) VALUES ('delete-all')")
    gone = _remove(connection, "peer = ?", (peer,))
    (waiting,) = connection.execute(
        "SELECT count(*) FROM messages WHERE peer = ? AND outgoing = 1", (peer,)
    ).fetchone()
    return Forgotten(gone, waiting)


def expire(connection: sqlite3.Connection, before: float) -> int:
    """Removes settled and read messages that came to this disk before then (seconds since the epoch).

    How many. When they were written is by the writer's clock, which may say anything.
    """
    return _remove(connection, "kept < ? AND seen = 1", (before,))


def _remove(connection: sqlite3.Connection, which: str, values: tuple[object, ...]) -> int:
    gone = connection.execute(
        f"DELETE FROM messages WHERE outgoing = 1 AND state IN {_SETTLED} AND {which}", values
    ).rowcount
    # Of what others wrote the id stays: their shell may send it again if it never heard that it arrived.
    return (
        gone
        + connection.execute(
            "UPDATE messages SET text = '', choices = NULL, answers = x'', written = 0, kept = 0, seen = 1,"
            f" state = '{FORGOTTEN}' WHERE outgoing = 0 AND state = 'received' AND {which}",
            values,
        ).rowcount
    )


def _hit(connection: sqlite3.Connection, letter: Letter, context: int) -> Hit:
    def around(side: str, order: str) -> list[Letter]:
        rows = connection.execute(
            f"{_LETTERS} WHERE peer = (SELECT peer FROM messages WHERE number = ?) AND number {side} ?"
            f" AND {_SHOWN} ORDER BY number {order} LIMIT ?",
            (letter.number, letter.number, context),
        )
        return [_letter(row) for row in rows]

    return Hit(letter, around("<", "DESC")[::-1], around(">", "ASC"))


def _conditions(span: Span) -> tuple[str, tuple[object, ...]]:
    parts = [_SHOWN]
    values: list[object] = []
    for condition, value in (
        ("peer = ?", span.peer),
        ("written >= ?", span.since),
        ("written < ?", span.until),
    ):
        if value is not None:
            parts.append(condition)
            values.append(value)
    return " AND ".join(parts), tuple(values)


def _letter(row: tuple[int, str, int, str, float, str, bytes, str | None, bytes]) -> Letter:
    number, name, outgoing, text, written, state, id_, choices, answers = row
    return Letter(
        number, name, bool(outgoing), text, written, state, id_.hex(), choices_of(choices), answers.hex()
    )
