"""What goes into an outbox and what can be said about it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

RowState: TypeAlias = Literal["pending", "delivered", "refused", "dropped"]


@dataclass(frozen=True, slots=True)
class Destination:
    """Where a record goes and for which agent."""

    base_url: str
    workspace_id: int
    agent_id: str


@dataclass(frozen=True, slots=True)
class Parcel:
    """A pending record that this process holds the lease of."""

    to: Destination
    call_id: str
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
        tuner_id: Tuner's id, when an earlier hand-over was delivered.
        dropped: records that had to go to make room.
    """

    state: RowState
    parcel: Parcel | None = None
    held_here: bool = False
    tuner_id: int | None = None
    dropped: int = 0


@dataclass(frozen=True, slots=True)
class OutboxStatus:
    """The account: `accepted`, counted on its own, is the sum of the four that follow at any time.

    Attributes:
        accepted: records ever handed over.
        delivered: Tuner has them.
        pending: to be sent; `sending` of them are leased at the moment.
        refused: kept with the API's words; `tuner outbox retry` sends them again.
        dropped: removed before they were delivered.
        sending: pending and leased.
        oldest_pending_at: Unix seconds at which the oldest pending record was stored.
        open_calls: calls with a journal and no record yet; they are not accepted until they have one.
    """

    accepted: int
    delivered: int
    pending: int
    refused: int
    dropped: int
    sending: int
    oldest_pending_at: float | None
    open_calls: int = 0


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


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """What became known of a running call, ready for its journal.

    Attributes:
        to: where its record will go.
        call_id: its idempotency key.
        events: one JSON text each, in their order.
        facts: JSON values that replace what the journal has under their names.
    """

    to: Destination
    call_id: str
    events: tuple[str, ...] = field(default=(), repr=False)
    facts: Mapping[str, Any] = field(default_factory=dict[str, Any], repr=False)


@dataclass(frozen=True, slots=True)
class OpenCall:
    """A call that has a journal and no record yet.

    Attributes:
        to: where its record will go.
        call_id: its idempotency key.
        opened_at: Unix seconds of the first checkpoint.
        seen_at: Unix seconds of the last.
        abandoned: nobody will tell more of it, so its record will be made of the journal.
        holder_lives: the process that told of it lives.
        events: one JSON text each, in their order; empty in a listing.
        facts: by name; empty in a listing.
    """

    to: Destination
    call_id: str
    opened_at: float
    seen_at: float
    abandoned: bool
    holder_lives: bool
    events: tuple[str, ...] = field(default=(), repr=False)
    facts: Mapping[str, Any] = field(default_factory=dict[str, Any], repr=False)


@dataclass(frozen=True, slots=True)
class Rebuilt:
    """The record of a call that was cut short, made of its journal.

    Attributes:
        body: JSON, ready to send; or the journal itself when `problem` says why no record could be made of it.
        repairs: what `conform` changed.
        problem: empty, or the reason in words without content.
    """

    body: bytes = field(repr=False)
    repairs: tuple[str, ...] = ()
    problem: str = ""


@dataclass(frozen=True, slots=True)
class KeptRecord:
    """A record with its body, as it lies in the outbox."""

    to: Destination
    call_id: str
    state: RowState
    body: bytes = field(repr=False)
    repairs: tuple[str, ...]
    cut_short: bool


@dataclass(frozen=True, slots=True)
class Backlog:
    """How many records are pending for one workspace at one address."""

    base_url: str
    workspace_id: int
    pending: int
