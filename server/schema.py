"""The schema of the accounts as `server.database` builds it, the tables of `server.ledger` included."""

STEPS = (
    """
CREATE TABLE accounts (
    id INTEGER PRIMARY KEY, key TEXT NOT NULL UNIQUE, skeleton TEXT NOT NULL UNIQUE, name TEXT NOT NULL,
    password_hash TEXT NOT NULL, created REAL NOT NULL, fingerprint BLOB NOT NULL,
    visibility TEXT NOT NULL, allowed TEXT NOT NULL, last_seen REAL NOT NULL, epoch INTEGER NOT NULL
)""",
    # AUTOINCREMENT: the id of a removed account is never given again. Nobody counts as idle by the upgrade.
    """
CREATE TABLE accounts_2 (
    id INTEGER PRIMARY KEY AUTOINCREMENT, key TEXT NOT NULL UNIQUE, skeleton TEXT NOT NULL UNIQUE,
    name TEXT NOT NULL, password_hash TEXT NOT NULL, created REAL NOT NULL, fingerprint BLOB NOT NULL,
    visibility TEXT NOT NULL, allowed TEXT NOT NULL, last_seen REAL NOT NULL, epoch INTEGER NOT NULL,
    active REAL NOT NULL
);
INSERT INTO accounts_2 SELECT id, key, skeleton, name, password_hash, created, fingerprint, visibility,
    allowed, last_seen, epoch, CAST(strftime('%s', 'now') AS REAL) FROM accounts;
DROP TABLE accounts;
ALTER TABLE accounts_2 RENAME TO accounts;
CREATE TABLE journal (
    number INTEGER PRIMARY KEY AUTOINCREMENT, undoes INTEGER, content BLOB NOT NULL, digest BLOB NOT NULL
);
CREATE TABLE bans (key TEXT PRIMARY KEY, ban BLOB NOT NULL);
CREATE TABLE invites (
    digest BLOB PRIMARY KEY, entry INTEGER NOT NULL, expires REAL NOT NULL, used_by TEXT,
    settled INTEGER NOT NULL
);
CREATE TABLE resets (
    digest BLOB PRIMARY KEY, entry INTEGER NOT NULL, account INTEGER NOT NULL, expires REAL NOT NULL
);
CREATE TABLE removed (entry INTEGER NOT NULL, account BLOB NOT NULL, until REAL NOT NULL);
CREATE TABLE policy (name TEXT PRIMARY KEY, value TEXT NOT NULL)""",
    "ALTER TABLE accounts ADD COLUMN blocked TEXT NOT NULL DEFAULT '{}'",
)
"""A step is never changed once it was released, only followed."""
