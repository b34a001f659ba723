"""The table of recordings to upload, in the same file as the records they belong to.

A row stands on its own feet: it names its call and has a copy of the record's body, because the record forgets its
body when it is delivered and its row some days later, and the body is what asks Tuner for another upload target.
`target` holds signed fields, so it is removed, like the body, as soon as the upload is settled.
"""

from __future__ import annotations

UPLOADS = (
    """
    CREATE TABLE uploads (
      id INTEGER PRIMARY KEY,
      base_url TEXT NOT NULL,
      workspace_id INTEGER NOT NULL,
      agent_id TEXT NOT NULL,
      call_id TEXT NOT NULL,
      state TEXT NOT NULL CHECK (state IN ('held', 'waiting', 'uploaded', 'failed')),
      path BLOB NOT NULL,
      delete_after INTEGER NOT NULL,
      body BLOB,
      target BLOB,
      target_at REAL,
      refusals INTEGER NOT NULL DEFAULT 0,
      stored_at REAL NOT NULL,
      settled_at REAL,
      attempts INTEGER NOT NULL DEFAULT 0,
      next_at REAL NOT NULL DEFAULT 0,
      lease_holder TEXT,
      lease_until REAL,
      detail TEXT NOT NULL DEFAULT '',
      UNIQUE (base_url, workspace_id, agent_id, call_id)
    )
    """,
    "CREATE INDEX uploads_due ON uploads (next_at) WHERE state = 'waiting'",
    # A record that goes undelivered takes the upload that was held for it along, whoever removes it and why.
    *(
        f"""
        CREATE TRIGGER {name} AFTER {change} BEGIN
          DELETE FROM uploads WHERE state = 'held' AND base_url = OLD.base_url
            AND workspace_id = OLD.workspace_id AND agent_id = OLD.agent_id AND call_id = OLD.call_id;
        END
        """
        for name, change in (
            ("upload_goes_with_its_record", "DELETE ON records WHEN OLD.state != 'delivered'"),
            ("upload_is_dropped_with_its_record", "UPDATE OF state ON records WHEN NEW.state = 'dropped'"),
        )
    ),
)
"""`held`: its call is not delivered yet. `waiting`: to be uploaded. `uploaded` and `failed`: settled."""
