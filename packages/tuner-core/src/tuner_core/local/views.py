"""The JSON that the dialer's side and the pages read: rows joined with their links."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Any

from tuner_core.local.linking import Link, link_all
from tuner_core.local.rows import PostedCall, Refusal, Simulation
from tuner_core.local.store import Store


@dataclass(frozen=True, slots=True)
class LinkedSimulation:
    """A simulation and what became of it."""

    simulation: Simulation
    link: Link

    def to_json(self) -> dict[str, Any]:
        """Give the row of `GET /local/simulations`."""
        link = self.link
        return {
            **asdict(self.simulation),
            "linked": link.linked,
            "by": link.by,
            "reason": link.reason,
            "warning": link.warning,
            "call": asdict(link.call) if link.call else None,
            "candidate": asdict(link.candidate) if link.candidate else None,
        }


@dataclass(frozen=True, slots=True)
class CallOverview:
    """A posted call and the simulation it is linked to, None for production traffic."""

    call: PostedCall
    linked: LinkedSimulation | None

    def to_json(self) -> dict[str, Any]:
        """Give the row of `GET /local/calls`."""
        linked = self.linked
        return {
            **asdict(self.call),
            "linked": linked is not None,
            "by": linked.link.by if linked else None,
            "simulation": asdict(linked.simulation) if linked else None,
        }


@dataclass(frozen=True, slots=True)
class Overview:
    """Everything the store holds, joined; calls, simulations and refusals the oldest first."""

    simulations: tuple[LinkedSimulation, ...]
    calls: tuple[CallOverview, ...]
    refusals: tuple[Refusal, ...]


def overview(store: Store) -> Overview:
    """Read the store and link what it holds."""
    simulations, calls, refusals = store.simulations(), store.calls(), store.refusals()
    links = link_all(simulations, calls, refusals)
    rows = tuple(LinkedSimulation(*pair) for pair in zip(simulations, links, strict=True))
    by_call = {row.link.call.id: row for row in rows if row.link.call is not None}
    return Overview(rows, tuple(CallOverview(call, by_call.get(call.id)) for call in calls), tuple(refusals))


def record_of(body: bytes) -> dict[str, Any]:
    """Decode a stored body; it was validated when it came."""
    return json.loads(body)
