"""The store joined with its links: what the dialer's side, the pages and tests read."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from threading import Lock
from typing import Any

from tuner_core.local.lenient import document_of
from tuner_core.local.linking import Link, link_all, told_by
from tuner_core.local.rows import PostedCall, Simulation
from tuner_core.local.store import Store
from tuner_core.local.told import Told, told_of


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
            "fix": link.fix,
            "howto": link.howto,
            "call": asdict(link.call) if link.call else None,
            "candidate": asdict(link.candidate) if link.candidate else None,
        }


@dataclass(frozen=True, slots=True)
class CallOverview:
    """A posted call and the simulation it is linked to, None for production traffic."""

    call: PostedCall
    linked: LinkedSimulation | None
    candidate_of: LinkedSimulation | None = None
    """The simulation that was left over and most likely meant this call."""

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
class Links:
    """Every simulation with its link, the oldest first, and which call belongs to which."""

    simulations: tuple[LinkedSimulation, ...]
    by_sip_call_id: Mapping[str, LinkedSimulation]
    by_call: Mapping[int, LinkedSimulation]
    by_candidate: Mapping[int, LinkedSimulation]

    def of(self, call: PostedCall) -> CallOverview:
        """Join one call with its simulation."""
        return CallOverview(call, self.by_call.get(call.id), self.by_candidate.get(call.id))


class Views:
    """Reads a store; what is linked is worked out once for each state of it.

    Args:
        store: what is read.
    """

    def __init__(self, store: Store) -> None:
        self.store = store
        self._lock = Lock()
        self._revision = -1
        self._links = Links((), {}, {}, {})
        self._told: dict[int, Told] = {}

    def links(self) -> Links:
        """Give every simulation with its link."""
        with self._lock:
            revision = self.store.revision
            if revision != self._revision:
                self._links = _link(self.store, self.told)
                self._revision = revision
            return self._links

    def told(self, call: PostedCall) -> Told:
        """Give what the SDK that posted a call says of its missing Call-ID; nothing for a call that has one."""
        if call.sip_call_id:
            return Told()
        known = self._told.get(call.id)
        if known is None:
            # The first body of a call is the one that stays, so it is read once.
            stored = self.store.call(call.id)
            first = next((post for post in self.store.posts_of(call.call_id) if post.call == call.id), None)
            document = document_of(stored[1]) if stored is not None else None
            known = self._told[call.id] = told_of(first.repairs if first is not None else (), document)
        return known

    def calls(self) -> list[CallOverview]:
        """Give all calls, the oldest first."""
        links = self.links()
        return [links.of(call) for call in self.store.calls()]

    def call(self, number: int) -> tuple[CallOverview, bytes] | None:
        """Give one call and its body as posted, None when there is none of that number."""
        stored = self.store.call(number)
        return (self.links().of(stored[0]), stored[1]) if stored is not None else None


def _link(store: Store, told: Callable[[PostedCall], Told]) -> Links:
    simulations = store.simulations()
    if not simulations:
        return Links((), {}, {}, {})
    links = link_all(simulations, store.calls(), store.refusals())
    rows = tuple(
        LinkedSimulation(simulation, told_by(link, simulation, told))
        for simulation, link in zip(simulations, links, strict=True)
    )
    return Links(
        simulations=rows,
        by_sip_call_id={row.simulation.sip_call_id: row for row in rows},
        by_call={row.link.call.id: row for row in rows if row.link.call is not None},
        by_candidate={row.link.candidate.id: row for row in rows if row.link.candidate is not None},
    )
