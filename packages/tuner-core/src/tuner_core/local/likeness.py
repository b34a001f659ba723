"""Guesses for simulations that no posted call names: the call or refused post that was most likely meant.

Thousands of both may be left over (every key wrong, every Call-ID lost), so none of this compares each with each.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import accumulate

from tuner_core.local.reasons import near_keys, near_miss
from tuner_core.local.rows import PostedCall, Refusal, Simulation

SLACK_S = 2.0
"""Timestamps in whole seconds and two machines' clocks: this far apart still counts as overlapping."""

_UNANSWERED = frozenset({"client_error", "upstream_error"})
_NEAREST = 16
"""Of many that overlap or nearly match, so many before and after in time are looked at."""

_STEPS = 64


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
    likely = _Likely(calls)
    scored: list[tuple[float, str, PostedCall]] = []
    for simulation in simulations:
        for call, has_key in likely.of(simulation):
            score = 10.0 if has_key and near_miss(simulation, call) else overlap(simulation, call)
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
    waiting = [
        row
        for row in simulations
        if row.sip_call_id not in pairs
        and row.sip_call_id not in explained
        and row.outcome not in _UNANSWERED
    ]
    waiting.sort(key=_end)
    ends = [_end(row) for row in waiting]
    for refusal in retried.values():
        for index in _outward(ends, refusal.received_at):
            row = waiting[index]
            if row.sip_call_id not in pairs and row.started_at <= refusal.received_at:
                pairs[row.sip_call_id] = refusal
                break
    return pairs


class _Likely:
    """Calls by time and by what their ids nearly are."""

    def __init__(self, calls: Iterable[PostedCall]) -> None:
        self._calls = sorted(calls, key=lambda call: (call.started_at, call.id))
        self._starts = [call.started_at for call in self._calls]
        self._last_end = list(accumulate((call.ended_at for call in self._calls), max))
        self._by_key: dict[tuple[str, str], list[int]] = {}
        for index, call in enumerate(self._calls):
            for key in near_keys(call):
                self._by_key.setdefault(key, []).append(index)

    def of(self, simulation: Simulation) -> Iterator[tuple[PostedCall, bool]]:
        """Give each call once that may be the simulation's, and whether its ids may nearly be the simulation's."""
        near: set[int] = set()
        for key in near_keys(simulation):
            same = self._by_key.get(key)
            if same is not None:
                at = bisect_left(same, bisect_left(self._starts, simulation.started_at))
                near.update(same[max(0, at - _NEAREST) : at + _NEAREST])
        for index in sorted(near.union(self._overlapping(simulation))):
            yield self._calls[index], index in near

    def _overlapping(self, simulation: Simulation) -> Iterator[int]:
        begun = simulation.started_at - SLACK_S
        end = math.inf if simulation.ended_at is None else simulation.ended_at + SLACK_S
        at = bisect_left(self._starts, simulation.started_at)
        after = range(at, min(len(self._calls), at + _NEAREST))
        yield from (index for index in after if self._starts[index] < end)
        taken = 0
        for index in range(at - 1, -1, -1):
            if taken == _NEAREST or self._last_end[index] <= begun:
                return
            if self._calls[index].ended_at > begun:
                taken += 1
                yield index


def _end(simulation: Simulation) -> float:
    return simulation.ended_at if simulation.ended_at is not None else simulation.started_at


def _outward(values: Sequence[float], at: float) -> Iterator[int]:
    """Indices of sorted values, the nearest to `at` first; of equal ones the first; `_STEPS` at most."""
    right = bisect_left(values, at)
    left = right - 1
    for _ in range(_STEPS):
        if left < 0 and right >= len(values):
            return
        if right >= len(values) or (left >= 0 and at - values[left] <= values[right] - at):
            yield left
            left -= 1
        else:
            yield right
            right += 1
