CREATE TABLE contacts (
    key TEXT PRIMARY KEY, name TEXT NOT NULL, consent TEXT NOT NULL,
    pinned BLOB, verified INTEGER NOT NULL, presented BLOB, read BLOB,
    certificate BLOB, endpoints TEXT NOT NULL
) WITHOUT ROWID;
CREATE TABLE messages (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    peer TEXT NOT NULL, outgoing INTEGER NOT NULL, id BLOB NOT NULL,
    text TEXT NOT NULL, written REAL NOT NULL, state TEXT NOT NULL, seen INTEGER NOT NULL DEFAULT 0,
    choices TEXT, answers BLOB NOT NULL DEFAULT x'',
    UNIQUE (peer, outgoing, id)
);
CREATE INDEX unsettled ON messages (peer, number) WHERE state IN ('queued', 'held');
CREATE INDEX read_there ON messages (peer, number) WHERE state = 'read';
CREATE INDEX unseen ON messages (peer) WHERE seen = 0 AND outgoing = 0;
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
CREATE TABLE transfers (
    id BLOB PRIMARY KEY, number INTEGER NOT NULL, peer TEXT NOT NULL, name TEXT NOT NULL,
    outgoing INTEGER NOT NULL, kind TEXT NOT NULL, title TEXT NOT NULL, size INTEGER,
    path TEXT NOT NULL, stamp TEXT NOT NULL, phase TEXT NOT NULL, reason TEXT
);
CREATE TABLE people (key TEXT PRIMARY KEY, name TEXT NOT NULL, status TEXT NOT NULL, seen REAL NOT NULL)
    WITHOUT ROWID;
INSERT INTO contacts VALUES ('bob', 'Bob', 'accepted', NULL, 0, NULL, NULL, NULL, '[]');
INSERT INTO messages (peer, outgoing, id, text, written, state, seen) VALUES
    ('bob', 1, x'01', 'an old word', 1700000000.5, 'delivered', 1),
    ('bob', 0, x'02', 'an old answer', 5.0, 'received', 1);
PRAGMA user_version=1;
