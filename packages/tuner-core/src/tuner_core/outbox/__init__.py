"""Records on disk until Tuner has them."""

from __future__ import annotations

from tuner_core.outbox.bounds import KEEP_SETTLED_S, Bounds
from tuner_core.outbox.parcels import Destination, OutboxEntry, OutboxStatus, Parcel, RowState, Stored
from tuner_core.outbox.store import LEASE_S, Outbox

__all__ = [
    "KEEP_SETTLED_S",
    "LEASE_S",
    "Bounds",
    "Destination",
    "Outbox",
    "OutboxEntry",
    "OutboxStatus",
    "Parcel",
    "RowState",
    "Stored",
]
