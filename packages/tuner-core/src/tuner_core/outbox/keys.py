"""How rows are found: by where a call's record goes and the call's id.

Not by row numbers: they mean another row when a file was set aside and begun anew.
"""

from __future__ import annotations

import sqlite3
from typing import TypeAlias

from tuner_core.outbox.parcels import Destination

Key: TypeAlias = tuple[str, int, str, str]

KEY = "base_url = ? AND workspace_id = ? AND agent_id = ? AND call_id = ?"
"""The condition that a `key_of` fills; every table with it has a unique index on these columns."""


def key_of(to: Destination, call_id: str) -> Key:
    """The values for `KEY`."""
    return to.base_url, to.workspace_id, to.agent_id, call_id


def destination_in(row: sqlite3.Row) -> Destination:
    """The destination that a row names."""
    return Destination(row["base_url"], row["workspace_id"], row["agent_id"])
