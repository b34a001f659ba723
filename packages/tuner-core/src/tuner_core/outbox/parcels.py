"""What goes into an outbox and what can be said about it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, TypeAlias

RowState: TypeAlias = Literal["pending", "delivered", "refused"]


@dataclass(frozen=True, slots=True)
class Destination:
    """Where a record goes and for which agent."""

    base_url: str
    workspace_id: int
    agent_id: str


@dataclass(frozen=True, slots=True)
class Parcel:
    """A pending record that this process holds the lease of."""

    row: int
    call_id: str
    to: Destination
    body: bytes = field(repr=False)
    repairs: tuple[str, ...]
    attempts: int


@dataclass(frozen=True, slots=True)
class Stored:
    """What became of a record that was handed over.

    Attributes:
        state: of its row now.
        parcel: the record to send, when the hand-over gave this process its lease.
        held_here: this process has the lease already, so it is on its way.
        row: the row's number.
        tuner_id: Tuner's id, when an earlier hand-over was delivered.
    """

    state: RowState
    row: int
    parcel: Parcel | None = None
    held_here: bool = False
    tuner_id: int | None = None


@dataclass(frozen=True, slots=True)
class OutboxStatus:
    """The account: `accepted` is the sum of the four that follow, at any time.

    Attributes:
        accepted: records ever handed over.
        delivered: Tuner has them.
        pending: to be sent; `sending` of them are leased at the moment.
        refused: kept with the API's words; `tuner outbox retry` sends them again.
        dropped: removed before they were delivered.
        sending: pending and leased.
        oldest_pending_at: Unix seconds at which the oldest pending record was stored.
    """

    accepted: int
    delivered: int
    pending: int
    refused: int
    dropped: int
    sending: int
    oldest_pending_at: float | None


@dataclass(frozen=True, slots=True)
class OutboxEntry:
    """One row without its body."""

    call_id: str
    state: RowState
    to: Destination
    stored_at: float
    settled_at: float | None
    attempts: int
    size: int
    detail: str
