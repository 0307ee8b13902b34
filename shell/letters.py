"""What is asked of the mailbox and how it answers: every SQL statement of the shell. Runs on its thread."""

import sqlite3
from collections.abc import Iterable

import msgspec

from shell.finding import FORGOTTEN, choices_of
from shell.line.model import MAX_HELD, Consent, Contact, Incoming, Kept, MessageId, Outgoing, State
from wire.certificates import Fingerprint
from wire.messages import Endpoint
from wire.names import NameKey

RECEIVED, HELD, DECLINED = "received", "held", "declined"  # states of messages of others

_KEPT = {
    RECEIVED: Kept.ALREADY_RECEIVED,
    FORGOTTEN: Kept.ALREADY_RECEIVED,
    HELD: Kept.ALREADY_HELD,
    DECLINED: Kept.ALREADY_DECLINED,
}


_CONTACT = "key, name, consent, pinned, verified, presented, read, certificate, endpoints"


def keep_outgoing(connection: sqlite3.Connection, message: Outgoing) -> None:
    """A new message of one's own."""
    connection.execute(
        "INSERT INTO messages (peer, outgoing, id, text, written, state, choices, answers, kept, seen)"
        " VALUES (?, 1, ?, ?, ?, ?, ?, ?, ?, 1)",
        (
            message.peer,
            message.id,
            message.text,
            message.written,
            message.state.value,
            _choices_column(message.choices),
            message.answers,
            message.written,
        ),
    )


def keep_incoming(
    connection: sqlite3.Connection, message: Incoming, now: float, max_held: int = MAX_HELD
) -> Kept:
    """A message of somebody else, kept once however often it comes; `now` is in seconds since the epoch."""
    found = connection.execute(
        "SELECT state FROM messages WHERE peer = ? AND outgoing = 0 AND id = ?", (message.peer, message.id)
    ).fetchone()
    if found is not None:
        return _KEPT[found[0]]
    if message.held and held_count(connection, message.peer) >= max_held:
        return Kept.NO_ROOM
    connection.execute(
        "INSERT INTO messages (peer, outgoing, id, text, written, state, choices, answers, kept)"
        " VALUES (?, 0, ?, ?, ?, ?, ?, ?, ?)",
        (
            message.peer,
            message.id,
            message.text,
            message.written,
            HELD if message.held else RECEIVED,
            _choices_column(message.choices),
            message.answers,
            now,
        ),
    )
    return Kept.NEW


def keep_state(connection: sqlite3.Connection, message_id: MessageId, peer: NameKey, state: State) -> None:
    """Where one's own message is now."""
    connection.execute(
        "UPDATE messages SET state = ? WHERE peer = ? AND outgoing = 1 AND id = ?",
        (state.value, peer, message_id),
    )


def keep_contact(connection: sqlite3.Connection, contact: Contact) -> None:
    """What is known of somebody."""
    connection.execute(
        f"INSERT OR REPLACE INTO contacts ({_CONTACT}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            contact.key,
            contact.name,
            contact.consent.value,
            contact.pinned,
            contact.verified,
            contact.presented,
            contact.read,
            contact.certificate,
            msgspec.json.encode(contact.endpoints),
        ),
    )


def restore_contacts(connection: sqlite3.Connection, backup: Iterable[Contact]) -> None:
    """Contacts of a backup; what is known here of somebody's key is not touched."""
    known = {contact.key: contact for contact in contacts(connection)}
    for contact in backup:
        here = known.get(contact.key)
        if here is None or here.pinned is None:
            keep_contact(connection, contact)


def held_count(connection: sqlite3.Connection, peer: NameKey) -> int:
    """How many messages of somebody wait for consent."""
    query = "SELECT count(*) FROM messages WHERE peer = ? AND outgoing = 0 AND state = 'held'"
    return int(connection.execute(query, (peer,)).fetchone()[0])


def release_held(connection: sqlite3.Connection, peer: NameKey) -> list[Incoming]:
    """Held messages become received, oldest first."""
    rows = connection.execute(
        "SELECT id, text, written, choices, answers FROM messages"
        " WHERE peer = ? AND outgoing = 0 AND state = 'held' ORDER BY number",
        (peer,),
    ).fetchall()
    connection.execute(
        "UPDATE messages SET state = 'received' WHERE peer = ? AND outgoing = 0 AND state = 'held'", (peer,)
    )
    return [
        Incoming(MessageId(id_), peer, text, written, choices=choices_of(choices), answers=answers)
        for id_, text, written, choices, answers in rows
    ]


def decline_held(connection: sqlite3.Connection, peer: NameKey) -> list[MessageId]:
    """The texts of held messages go; the ids stay, so that the same message cannot come back."""
    rows = connection.execute(
        "UPDATE messages SET state = 'declined', text = '', seen = 1"
        " WHERE peer = ? AND outgoing = 0 AND state = 'held' RETURNING id",
        (peer,),
    ).fetchall()
    return [MessageId(id_) for (id_,) in rows]


def contacts(connection: sqlite3.Connection) -> list[Contact]:
    """Everybody known."""
    rows = connection.execute(f"SELECT {_CONTACT} FROM contacts")
    return [
        Contact(
            NameKey(key),
            name,
            Consent(consent),
            Fingerprint(pinned) if pinned else None,
            bool(verified),
            Fingerprint(presented) if presented else None,
            MessageId(read) if read else None,
            certificate,
            _endpoints(endpoints),
        )
        for key, name, consent, pinned, verified, presented, read, certificate, endpoints in rows
    ]


def _endpoints(encoded: bytes) -> tuple[Endpoint, ...]:
    """None where one is not taken for an address any more: the next line shows where somebody is."""
    try:
        return msgspec.json.decode(encoded, type=tuple[Endpoint, ...])
    except msgspec.ValidationError:
        return ()


def unsettled(connection: sqlite3.Connection) -> list[Outgoing]:
    """Messages of one's own that the recipients have not settled, in the order they were written."""
    rows = connection.execute(
        "SELECT id, peer, text, written, state, choices, answers FROM messages"
        " WHERE outgoing = 1 AND state IN ('queued', 'held') ORDER BY number"
    )
    return [
        Outgoing(MessageId(id_), NameKey(peer), text, written, State(state), choices_of(choices), answers)
        for id_, peer, text, written, state, choices, answers in rows
    ]


def requests(connection: sqlite3.Connection) -> list[tuple[NameKey, int]]:
    """Who waits for consent, with how many messages, oldest first."""
    rows = connection.execute(
        "SELECT peer, count(*) FROM messages WHERE outgoing = 0 AND state = 'held'"
        " GROUP BY peer ORDER BY min(number)"
    )
    return [(NameKey(peer), count) for peer, count in rows]


def unread(connection: sqlite3.Connection) -> list[tuple[NameKey, int]]:
    """Who wrote since this user last looked, with how many messages."""
    rows = connection.execute(
        "SELECT peer, count(*) FROM messages"
        " WHERE outgoing = 0 AND seen = 0 AND state = 'received' GROUP BY peer"
    )
    return [(NameKey(peer), count) for peer, count in rows]


def open_question(connection: sqlite3.Connection, peer: NameKey) -> Incoming | None:
    """The last question of somebody that this user has not answered."""
    row = connection.execute(
        "SELECT id, text, written, choices FROM messages AS question"
        " WHERE peer = ? AND outgoing = 0 AND state = 'received' AND choices IS NOT NULL AND NOT EXISTS"
        " (SELECT 1 FROM messages WHERE peer = question.peer AND outgoing = 1 AND answers = question.id)"
        " ORDER BY number DESC LIMIT 1",
        (peer,),
    ).fetchone()
    if row is None:
        return None
    id_, text, written, choices = row
    return Incoming(MessageId(id_), peer, text, written, choices=choices_of(choices))


def mark_seen(connection: sqlite3.Connection, peer: NameKey) -> MessageId | None:
    """This user has looked at what somebody wrote; the last message that was new, None where none was."""
    rows = connection.execute(
        "UPDATE messages SET seen = 1 WHERE peer = ? AND outgoing = 0 AND seen = 0 AND state = 'received'"
        " RETURNING number, id",
        (peer,),
    ).fetchall()
    return MessageId(max(rows)[1]) if rows else None


def keep_read(connection: sqlite3.Connection, peer: NameKey, up_to: MessageId) -> list[MessageId]:
    """Somebody has read one's own messages up to this one; those that were delivered and are read now."""
    # From the last one that was read before, so that a long talk is not looked through again and again.
    rows = connection.execute(
        "UPDATE messages SET state = 'read' WHERE peer = :peer AND outgoing = 1 AND state = 'delivered'"
        " AND number > coalesce((SELECT max(number) FROM messages WHERE peer = :peer AND state = 'read'), 0)"
        " AND number <= (SELECT number FROM messages WHERE peer = :peer AND outgoing = 1 AND id = :up_to)"
        " RETURNING number, id",
        {"peer": peer, "up_to": up_to},
    ).fetchall()
    return [MessageId(id_) for _, id_ in sorted(rows)]


def _choices_column(choices: tuple[str, ...] | None) -> str | None:
    return None if choices is None else msgspec.json.encode(choices).decode()
