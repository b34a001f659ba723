"""Guesses for simulations that no posted call names: the call or refused post that was most likely meant."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from tuner_core.local.reasons import near_miss
from tuner_core.local.rows import PostedCall, Refusal, Simulation

SLACK_S = 2.0
"""Timestamps in whole seconds and two machines' clocks: this far apart still counts as overlapping."""

_UNANSWERED = frozenset({"client_error", "upstream_error"})


def overlap(simulation: Simulation, call: PostedCall) -> float:
    """Time that both share, as a part of the time that either covers: 0 apart, 1 the same."""
    begun, end = simulation.started_at, simulation.ended_at
    if end is None:
        end = max(call.ended_at, begun)
    shared = min(end, call.ended_at) - max(begun, call.started_at) + SLACK_S
    whole = max(end, call.ended_at) - min(begun, call.started_at) + SLACK_S
    return max(0.0, shared / whole)


def pair_calls(simulations: Iterable[Simulation], calls: Sequence[PostedCall]) -> dict[str, PostedCall]:
    """Pair left-over simulations with left-over calls, the most alike first, each call used once.

    Returns:
        The call for a simulation's `sip_call_id`; simulations with nothing like them are left out.
    """
    scored: list[tuple[float, str, PostedCall]] = []
    for simulation in simulations:
        for call in calls:
            score = 10.0 if near_miss(simulation, call) else overlap(simulation, call)
            if score > 0:
                if simulation.outcome in _UNANSWERED:
                    score /= 10
                if simulation.agent and simulation.agent == call.agent:
                    score += 0.1
                scored.append((score, simulation.sip_call_id, call))
    scored.sort(key=lambda item: (-item[0], item[2].id))
    pairs: dict[str, PostedCall] = {}
    used: set[int] = set()
    for _, sip_call_id, call in scored:
        if sip_call_id not in pairs and call.id not in used:
            pairs[sip_call_id] = call
            used.add(call.id)
    return pairs


def pair_refusals(
    simulations: Sequence[Simulation], refusals: Sequence[Refusal], explained: Mapping[str, PostedCall]
) -> dict[str, Refusal]:
    """Pair left-over simulations with refused posts: those that name one, then the nameless by time.

    Args:
        simulations: the ones left over.
        refusals: refused posts of calls that are still missing.
        explained: simulations that have a likely call already; only a post that names one of them is given.

    Returns:
        The refused post for a simulation's `sip_call_id`.
    """
    names = {row.sip_call_id for row in simulations}
    pairs = {refusal.sip_call_id: refusal for refusal in refusals if refusal.sip_call_id in names}
    retried: dict[str, Refusal] = {}
    for number, refusal in enumerate(refusals):
        if refusal.sip_call_id not in names:
            retried[refusal.call_id or str(number)] = refusal
    for refusal in retried.values():
        waiting = [
            row
            for row in simulations
            if row.sip_call_id not in pairs
            and row.sip_call_id not in explained
            and row.outcome not in _UNANSWERED
            and row.started_at <= refusal.received_at
        ]
        if waiting:
            nearest = min(
                waiting, key=lambda row: abs(refusal.received_at - (row.ended_at or row.started_at))
            )
            pairs[nearest.sip_call_id] = refusal
    return pairs
