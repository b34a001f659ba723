"""Tables of an outbox file, and how an older file becomes one of today.

`records` holds what was handed over; `calls` and `events` hold the journal of calls that still run; `uploads` the
recordings to upload. Triggers keep `totals` in step with `records` inside the same transaction, so the account is
exact at every moment and costs one look, however many rows there are. What leaves `records` for good stays counted
there.
"""

from __future__ import annotations

import sqlite3

from tuner_core.outbox.upload_schema import UPLOADS

APPLICATION_ID = 0x54554E52
"""Marks a SQLite file as an outbox (`PRAGMA application_id`)."""

SCHEMA_VERSION = 2
"""Of the files written here (`PRAGMA user_version`)."""

_KEY = """
      base_url TEXT NOT NULL,
      workspace_id INTEGER NOT NULL,
      agent_id TEXT NOT NULL,
      call_id TEXT NOT NULL"""

_RECORDS = f"""
    CREATE TABLE records (
      id INTEGER PRIMARY KEY,{_KEY},
      state TEXT NOT NULL CHECK (state IN ('pending', 'delivered', 'refused', 'dropped')),
      repairs TEXT NOT NULL,
      stored_at REAL NOT NULL,
      settled_at REAL,
      attempts INTEGER NOT NULL DEFAULT 0,
      next_at REAL NOT NULL DEFAULT 0,
      lease_holder TEXT,
      lease_until REAL,
      tuner_id INTEGER,
      is_new INTEGER,
      detail TEXT NOT NULL DEFAULT '',
      cut_short INTEGER NOT NULL DEFAULT 0,
      body BLOB, -- last: what stands behind a long value is slow to reach
      UNIQUE (base_url, workspace_id, agent_id, call_id)
    )
    """

_CREATE = (
    _RECORDS,
    "CREATE INDEX records_free ON records (base_url, workspace_id, next_at, id)"
    " WHERE state = 'pending' AND lease_holder IS NULL",
    "CREATE INDEX records_leased ON records (lease_holder, lease_until)"
    " WHERE state = 'pending' AND lease_holder IS NOT NULL",
    "CREATE INDEX records_by_state ON records (state, id)",
    f"""
    CREATE TABLE calls (
      id INTEGER PRIMARY KEY,{_KEY},
      holder TEXT NOT NULL,
      opened_at REAL NOT NULL,
      seen_at REAL NOT NULL,
      facts TEXT NOT NULL DEFAULT '{{}}',
      bytes INTEGER NOT NULL DEFAULT 0,
      UNIQUE (base_url, workspace_id, agent_id, call_id)
    )
    """,
    "CREATE TABLE events (id INTEGER PRIMARY KEY, call INTEGER NOT NULL, event TEXT NOT NULL)",
    "CREATE INDEX events_of_call ON events (call, id)",
    """
    CREATE TRIGGER call_closed AFTER DELETE ON calls BEGIN
      DELETE FROM events WHERE call = OLD.id;
    END
    """,
    "CREATE TABLE totals (state TEXT PRIMARY KEY, count INTEGER NOT NULL, bytes INTEGER NOT NULL)",
    "INSERT INTO totals VALUES ('accepted', 0, 0), ('pending', 0, 0), ('delivered', 0, 0),"
    " ('refused', 0, 0), ('dropped', 0, 0)",
    """
    CREATE TRIGGER record_accepted AFTER INSERT ON records BEGIN
      UPDATE totals SET count = count + 1 WHERE state = 'accepted';
      UPDATE totals SET count = count + 1, bytes = bytes + COALESCE(LENGTH(NEW.body), 0)
        WHERE state = NEW.state;
    END
    """,
    """
    CREATE TRIGGER record_changed AFTER UPDATE OF state, body ON records BEGIN
      UPDATE totals SET count = count - 1, bytes = bytes - COALESCE(LENGTH(OLD.body), 0)
        WHERE state = OLD.state;
      UPDATE totals SET count = count + 1, bytes = bytes + COALESCE(LENGTH(NEW.body), 0)
        WHERE state = NEW.state;
    END
    """,
    *UPLOADS,
)
_STAMP = (f"PRAGMA application_id = {APPLICATION_ID}", f"PRAGMA user_version = {SCHEMA_VERSION}")


def create(db: sqlite3.Connection) -> None:
    """Make the tables of an empty file; inside a transaction."""
    for statement in (*_CREATE, *_STAMP):
        db.execute(statement)


def migrate(db: sqlite3.Connection, version: int) -> None:
    """Bring a file of an earlier version up to today's; inside a transaction.

    Args:
        db: the open file.
        version: the file's `user_version`, below `SCHEMA_VERSION`.
    """
    if version == 1:
        _from_1(db)
    for statement in _STAMP:
        db.execute(statement)


def _from_1(db: sqlite3.Connection) -> None:
    """Version 1 knew no open calls, could not keep a dropped record's row, and counted `removed` rows apart."""
    db.execute("ALTER TABLE records RENAME TO records_1")
    db.execute("DROP INDEX records_due")
    for statement in _CREATE:
        db.execute(statement)
    kept = (
        "id, base_url, workspace_id, agent_id, call_id, state, body, repairs, stored_at, settled_at, attempts,"
        " next_at, lease_holder, lease_until, tuner_id, is_new, detail"
    )
    db.execute(f"INSERT INTO records ({kept}) SELECT {kept} FROM records_1")
    db.execute("DROP TABLE records_1")
    for state, count in db.execute("SELECT state, count FROM removed").fetchall():
        db.execute("UPDATE totals SET count = count + ? WHERE state IN (?, 'accepted')", (count, state))
    db.execute("DROP TABLE removed")
