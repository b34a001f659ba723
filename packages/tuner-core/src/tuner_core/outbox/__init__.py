"""Records on disk until Tuner has them."""

from __future__ import annotations

from tuner_core.outbox.parcels import Destination, OutboxEntry, OutboxStatus, Parcel, RowState, Stored
from tuner_core.outbox.store import KEEP_DELIVERED_S, LEASE_S, Outbox

__all__ = [
    "KEEP_DELIVERED_S",
    "LEASE_S",
    "Destination",
    "Outbox",
    "OutboxEntry",
    "OutboxStatus",
    "Parcel",
    "RowState",
    "Stored",
]
