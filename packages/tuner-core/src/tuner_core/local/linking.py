"""Which posted call belongs to which simulation, and why one belongs to none.

A pure function of the rows: no state, so last month's calls can be linked again. A call links by the SIP
Call-ID, else by X-Correlation-Id, else by the recipient that was dialled. For a simulation left over, the
call most likely meant is found by a near miss in its ids or by overlap in time, and the reason says what to
change in the agent.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal, TypeVar

from tuner_core.local.likeness import overlap, pair_calls, pair_refusals
from tuner_core.local.reasons import Remedy, remedy_for, shown, warning_for, why_unlinked
from tuner_core.local.rows import PostedCall, Refusal, Simulation
from tuner_core.local.told import Told

LinkedBy = Literal["sip_call_id", "correlation_id", "recipient"]

Row = TypeVar("Row", Simulation, PostedCall)


@dataclass(frozen=True, slots=True)
class Link:
    """What became of one simulation.

    Attributes:
        linked: whether a posted call was found that belongs to it.
        by: the value that joined them.
        call: the linked call.
        reason: one sentence in plain words, linked or not.
        warning: something to mend although it is linked, "" when there is nothing.
        candidate: when not linked, the posted call that was most likely meant.
        fix: what to set up at the provider that the call came through, "" where that is not known.
        howto: the page of the documentation on that provider, by name.
    """

    linked: bool
    reason: str
    by: LinkedBy | None = None
    call: PostedCall | None = None
    warning: str = ""
    candidate: PostedCall | None = None
    fix: str = ""
    howto: str = ""


_RULES: tuple[tuple[LinkedBy, str, Callable[[Simulation | PostedCall], str | None]], ...] = (
    ("sip_call_id", "Call-ID", lambda row: row.sip_call_id),
    ("correlation_id", "X-Correlation-Id", lambda row: row.correlation_id),
    ("recipient", "recipient", lambda row: row.recipient),
)


def link_all(
    simulations: Sequence[Simulation], calls: Sequence[PostedCall], refusals: Sequence[Refusal] = ()
) -> list[Link]:
    """Join simulations and posted calls; one `Link` for each simulation, in their order.

    Args:
        simulations: what the dialer registered; `sip_call_id` is unique among them.
        calls: what Create Call accepted.
        refusals: what Create Call refused, to explain a call that is missing.
    """
    found: dict[str, tuple[LinkedBy, PostedCall]] = {}
    taken: set[int] = set()
    for by, _, key in _RULES:
        waiting = [simulation for simulation in simulations if simulation.sip_call_id not in found]
        _join(by, key, waiting, [call for call in calls if call.id not in taken], found)
        taken.update(call.id for _, call in found.values())
    spare = [call for call in calls if call.id not in taken]
    lonely = [simulation for simulation in simulations if simulation.sip_call_id not in found]
    candidates = pair_calls(lonely, spare)
    accepted = {call.call_id for call in calls}
    missing = [row for row in refusals if row.call_id not in accepted and row.sip_call_id not in found]
    refused = pair_refusals(lonely, missing, candidates)
    twins = _by_value(spare, lambda row: row.sip_call_id)
    arrivals = sorted(call.received_at for call in spare)
    return [
        _linked(simulation, *found[simulation.sip_call_id], twins.get(simulation.sip_call_id, []))
        if simulation.sip_call_id in found
        else _unlinked(simulation, candidates.get(simulation.sip_call_id), arrivals, refused)
        for simulation in simulations
    ]


def told_by(link: Link, simulation: Simulation, told: Callable[[PostedCall], Told]) -> Link:
    """The link with the reason that the agent's SDK gives, where the call came without any value that could link.

    Args:
        link: what became of the simulation.
        simulation: the one it is about.
        told: what the SDK says of a call.
    """
    call = link.candidate
    if call is None or call.sip_call_id or call.correlation_id or simulation.recipient:
        return link
    said = told(call)
    if not said.why:
        return link
    reason = f"not linked: the agent's call {shown(call.call_id)} came without sip_call_id: {said.why}"
    return replace(
        link, reason=reason, fix=said.remedy.fix or link.fix, howto=said.remedy.howto or link.howto
    )


def _join(
    by: LinkedBy,
    key: Callable[[Simulation | PostedCall], str | None],
    simulations: Iterable[Simulation],
    calls: Iterable[PostedCall],
    found: dict[str, tuple[LinkedBy, PostedCall]],
) -> None:
    """Add to `found` the pairs whose `key` is the same; of several possible, the ones closest in time."""
    calls_by_value = _by_value(calls, key)
    for value, rows in _by_value(simulations, key).items():
        pairs = [(row, call) for row in rows for call in calls_by_value.get(value, ())]
        pairs.sort(key=lambda pair: (-overlap(*pair), pair[1].id))
        used: set[int] = set()
        for row, call in pairs:
            if row.sip_call_id not in found and call.id not in used:
                found[row.sip_call_id] = (by, call)
                used.add(call.id)


def _by_value(rows: Iterable[Row], key: Callable[[Row], str | None]) -> dict[str, list[Row]]:
    values: dict[str, list[Row]] = {}
    for row in rows:
        if value := key(row):
            values.setdefault(value, []).append(row)
    return values


def _linked(simulation: Simulation, by: LinkedBy, call: PostedCall, twins: Sequence[PostedCall]) -> Link:
    words = next(words for rule, words, _ in _RULES if rule == by)
    warning = warning_for(simulation, by, call, twins)
    remedy = remedy_for(call.sip_call_id) if warning else Remedy()
    return Link(True, f"linked by {words}", by, call, warning, fix=remedy.fix, howto=remedy.howto)


def _unlinked(
    simulation: Simulation,
    candidate: PostedCall | None,
    arrivals: Sequence[float],
    refused: Mapping[str, Refusal],
) -> Link:
    later = len(arrivals) - bisect_left(arrivals, simulation.started_at)
    reason = why_unlinked(simulation, candidate, unnamed=later, refusal=refused.get(simulation.sip_call_id))
    remedy = remedy_for(candidate.sip_call_id, candidate.call_id) if candidate is not None else Remedy()
    return Link(False, f"not linked: {reason}", candidate=candidate, fix=remedy.fix, howto=remedy.howto)
