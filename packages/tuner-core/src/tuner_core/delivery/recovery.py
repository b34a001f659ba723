"""The record of a call whose process died, made of its journal. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, cast

from tuner_core.delivery.journal import event_in, facts_in
from tuner_core.delivery.sink import CallFacts
from tuner_core.errors import InvalidRecord
from tuner_core.events import CallStarted, UsageReported
from tuner_core.outbox.parcels import OpenCall, Rebuilt
from tuner_core.records import CallRecord
from tuner_core.repair.record import conform
from tuner_core.timeline import CallTimeline

PROCESS_DIED = "the agent's process ended before it delivered the call"
NOT_DELIVERED = "the agent's process lives but told nothing more of the call"


def rebuilt(call: OpenCall) -> Rebuilt:
    """The body to store for an abandoned call; never raises.

    The record holds every turn that was finished. Unless the journal knows how the call ended, it is marked as
    cut short, and when the process died the call counts as failed, unless the agent had given its own verdict:
    `call_status` and `disconnection_reason` are `error`. How it came about stands in
    `general_meta_data_raw.tuner_sdk.recovered`.
    """
    try:
        record = record_of(call)
        # The allow-list was applied when the journal was written.
        conformed = conform(record, allowed_sip_headers=tuple(record.sip_headers or ()))
        return Rebuilt(conformed.body(), conformed.repairs)
    except Exception as error:  # whatever the journal holds, it must not be in the way of the others
        problem = str(error) if isinstance(error, InvalidRecord) else type(error).__name__
        journal = {"call_id": call.call_id, "facts": dict(call.facts), "events": list(call.events)}
        return Rebuilt(
            json.dumps(journal).encode(), problem=f"no record could be made of its journal: {problem}"
        )


def record_of(call: OpenCall) -> CallRecord:
    """The record of an abandoned call."""
    facts = facts_in(call.facts)
    timeline = CallTimeline(call_id=call.call_id, call_type=str(facts.pop("call_type", "phone_call")))
    events = [event for event in map(event_in, call.events) if event is not None]
    for event in events:
        timeline.apply(event)
    if all(isinstance(event, UsageReported) for event in events):
        timeline.apply(CallStarted(at=call.opened_at))
    known = {name: value for name, value in facts.items() if name in _ARGUMENTS}
    record = timeline.record(now=call.seen_at, **known)
    return _marked(record, call, ended=timeline.ended, unread=len(call.events) - len(events))


def _marked(record: CallRecord, call: OpenCall, *, ended: bool, unread: int) -> CallRecord:
    raw: dict[str, Any] = dict(record.general_meta_data_raw or {})
    told: Any = raw.get("tuner_sdk")
    notes = dict(cast("Mapping[str, Any]", told)) if isinstance(told, Mapping) else {}
    notes["recovered"] = NOT_DELIVERED if call.holder_lives else PROCESS_DIED
    if unread:
        notes["events_not_understood"] = unread
    changes: dict[str, Any] = {"general_meta_data_raw": {**raw, "tuner_sdk": notes}}
    if not ended and not call.holder_lives:
        changes |= {"call_status": "error", "disconnection_reason": "error"}
        if record.call_successful is None:
            changes["call_successful"] = False
    return record.model_copy(update=changes)


_ARGUMENTS = frozenset(CallFacts.__annotations__)
"""Facts that `CallTimeline.record` takes; others come from a later version."""
