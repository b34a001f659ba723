"""Neutral events in, a record out: the one machine that every plugin feeds.

Pure: no clock, no loop, no I/O. Events may come late, twice, in any order and with odd values; neither
`apply` nor `record` raises for them. A record can be taken at any time, so what is known so far can be
stored.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from typing import Any, Literal, Protocol, cast

from pydantic import ValidationError

from tuner_core.events import (
    AgentTurn,
    CallEnded,
    CallEvent,
    CallStarted,
    DigitPressed,
    NodeChanged,
    ToolCalled,
    ToolReturned,
    UsageReported,
    UserTurn,
)
from tuner_core.identity.model import SipIdentity
from tuner_core.records import CallRecord
from tuner_core.transcript import Bounds, RowEvent, moment, plain_transcript, segments_of, span

RESERVED_METADATA = ("ai_models", "usage_token")
"""Keys of `metadata` that the timeline fills; a key of yours by such a name is kept as `user_<key>`."""


class Journal(Protocol):
    """Keeps what happens in a call while it runs, such as a `Delivery`."""

    def checkpoint(self, call_id: str, events: Sequence[CallEvent] = ()) -> None:
        """Take what happened since the last time; return at once and never raise."""
        ...


class CallTimeline:
    """Collects the events of one call and makes its record.

    ```python
    call = CallTimeline(call_id="c-81", journal=delivery)     # a process that is killed still yields the record
    delivery.checkpoint("c-81", identity=identity)            # what is known besides the events
    call.apply(CallStarted(at=time.time()))
    ...
    await delivery.deliver(call.record(identity=identity))
    ```

    Args:
        call_id: your id of the call, the idempotency key at Tuner.
        call_type: `phone_call`, `web_call` or a word of your own.
        journal: told every event as it is taken in, so that the record survives this process: a `Delivery`.

    Attributes:
        call_id: as given.
        call_type: as given; may be changed until the record is taken, when SIP shows itself late.
    """

    def __init__(
        self, *, call_id: str, call_type: str = "phone_call", journal: Journal | None = None
    ) -> None:
        self.call_id = call_id
        self._journal = journal
        self.call_type = call_type
        self._rows: dict[tuple[Any, ...], RowEvent] = {}
        self._started: float | None = None
        self._ended: CallEnded | None = None
        self._usage = UsageReported()

    @property
    def ended(self) -> bool:
        """True once a `CallEnded` arrived."""
        return self._ended is not None

    @property
    def started_at(self) -> float | None:
        """Unix seconds of the answer, None before `CallStarted`."""
        return self._started

    @property
    def usage(self) -> UsageReported:
        """Totals of the call so far."""
        return self._usage

    def apply(self, event: CallEvent) -> None:
        """Take in one event; what is not an event of a call is ignored.

        A turn or tool event with the id of an earlier one replaces it in its place. The first `CallStarted`
        and the first `CallEnded` give the moments; a later `CallEnded` may still give a reason where the
        first had none.
        """
        match event:
            case CallStarted():
                if self._started is None:
                    self._started = moment(event.at)
            case CallEnded():
                self._end(event)
            case UsageReported():
                self._merge_usage(event)
            case UserTurn() | AgentTurn():
                self._put(event, event.id)
            case ToolCalled() | ToolReturned():
                self._put(event, event.request_id)
            case NodeChanged() | DigitPressed():
                self._put(event, "")
            case _:  # pyright: ignore[reportUnnecessaryComparison] - callers without a type checker
                return
        if self._journal is not None:
            self._journal.checkpoint(self.call_id, (event,))

    def record(
        self,
        *,
        call_type: str | None = None,
        identity: SipIdentity | None = None,
        now: float | None = None,
        recording_url: str | None = None,
        recipient: str | None = None,
        caller_phone_number: str | None = None,
        agent_version: int | str | None = None,
        call_cost: float | None = None,
        call_successful: bool | None = None,
        user_sentiment: Literal["positive", "neutral", "negative", "unknown"] | None = None,
        in_voicemail: bool | None = None,
        collected_dynamic_variables: Mapping[str, Any] | None = None,
        call_analysis: Mapping[str, Any] | None = None,
        sip_headers: Mapping[str, str] | None = None,
        metadata: Mapping[str, Any] | None = None,
        general_meta_data_raw: Mapping[str, Any] | None = None,
    ) -> CallRecord:
        """The record of the call as far as it is known.

        Without `CallEnded` the call ends at its last known moment and the record is marked as cut short.

        Args:
            call_type: the timeline's own when omitted.
            identity: what the provider showed; gives `sip_call_id` and `X-Correlation-Id`.
            now: Unix seconds, the end of a call that has not ended; the last event's time when omitted.
            recording_url: as in `CallRecord`, like all that follow.
            recipient: SIP URI dialled, verbatim.
            caller_phone_number: E.164.
            agent_version: version of the agent.
            call_cost: cents.
            call_successful: your verdict; False is assumed when the agent failed.
            user_sentiment: of the caller.
            in_voicemail: voicemail answered.
            collected_dynamic_variables: free JSON.
            call_analysis: free JSON.
            sip_headers: more INVITE headers to post beside the correlation id.
            metadata: keys of your own.
            general_meta_data_raw: free JSON.
        """
        bounds = self._bounds(now)
        segments = segments_of(list(self._rows.values()), bounds)
        ended = self._ended
        failed = ended is not None and ended.status == "error"
        headers = {**_members(sip_headers), **(identity.sip_headers if identity else {})}
        known: dict[str, Any] = {
            "call_id": self.call_id,
            "call_type": call_type or self.call_type,
            "start_timestamp": round(bounds.first, 3),
            "end_timestamp": round(bounds.last, 3),
            "duration_ms": bounds.ms(bounds.last),
            "transcript_with_tool_calls": segments,
            "transcript": plain_transcript(segments) or None,
            "call_status": ended.status if ended else "call_ended",
            "disconnection_reason": ended.reason if ended else "unknown",
            "call_successful": False if failed and call_successful is None else call_successful,
            "sip_call_id": identity.sip_call_id if identity else None,
            "sip_headers": headers or None,
            "recording_url": recording_url,
            "recipient": recipient,
            "caller_phone_number": caller_phone_number,
            "agent_version": agent_version,
            "call_cost": call_cost,
            "user_sentiment": user_sentiment,
            "in_voicemail": in_voicemail,
            "collected_dynamic_variables": collected_dynamic_variables,
            "call_analysis": call_analysis,
            "metadata": self._metadata(metadata) or None,
            "general_meta_data_raw": self._raw_metadata(general_meta_data_raw, identity) or None,
        }
        given = {name: value for name, value in known.items() if value is not None}
        try:
            return CallRecord(**given)
        except ValidationError:
            # A host handed over a value of another type; conform repairs it when the record is sent.
            return CallRecord.model_construct(**given)

    def _put(self, event: RowEvent, key: str) -> None:
        # Without an id of its own an event replaces nothing.
        self._rows[(type(event), key) if key else (type(event), "", len(self._rows))] = event

    def _end(self, event: CallEnded) -> None:
        first = self._ended
        if first is None:
            self._ended = event
        elif first.reason == "unknown" and event.reason != "unknown":
            self._ended = replace(event, at=first.at)

    def _merge_usage(self, report: UsageReported) -> None:
        given = {item.name: getattr(report, item.name) for item in fields(report)}
        known = {name: value for name, value in given.items() if value is not None and name != "extra"}
        self._usage = replace(self._usage, **known, extra={**self._usage.extra, **report.extra})

    def _bounds(self, now: float | None) -> Bounds:
        ended = moment(self._ended.at) if self._ended else moment(now)
        first = self._started
        if first is not None and ended is not None:
            return Bounds(first, max(first, ended))
        spans = [known for known in map(span, self._rows.values()) if known is not None]
        if first is None:
            first = min((start for start, _ in spans), default=ended if ended is not None else 0.0)
        if ended is None:
            ended = max((end for _, end in spans), default=first)
        return Bounds(first, max(first, ended))

    def _metadata(self, own: Mapping[str, Any] | None) -> dict[str, Any]:
        usage = self._usage
        models = {"asr_model": usage.asr_model, "llm_model": usage.llm_model, "tts_model": usage.tts_model}
        tokens = {
            "stt_duration_seconds": usage.stt_audio_s,
            "llm_token": usage.llm_tokens,
            "tts_characters_count": usage.tts_characters,
        }
        metadata: dict[str, Any] = {}
        for key, value in _members(own).items():
            metadata[f"user_{key}" if key in RESERVED_METADATA else key] = value
        for key, group in (("ai_models", models), ("usage_token", tokens)):
            filled = {name: value for name, value in group.items() if value is not None}
            if filled:
                metadata[key] = filled
        if usage.extra:
            metadata.setdefault("usage_detail", dict(usage.extra))
        return metadata

    def _raw_metadata(self, own: Mapping[str, Any] | None, identity: SipIdentity | None) -> dict[str, Any]:
        notes: dict[str, Any] = {}
        if self._ended is None:
            notes["cut_short"] = True
        elif self._ended.detail:
            notes["end_detail"] = self._ended.detail
        if identity is not None:
            notes["sip_identity"] = {
                "provider": identity.provider,
                "provider_call_id": identity.provider_call_id,
                "found_at": dict(identity.found_at),
                "warnings": list(identity.warnings),
            }
        return {**_members(own), **({"tuner_sdk": notes} if notes else {})}


def _members(given: Any) -> dict[str, Any]:
    """The members of what should be a mapping; what is none is kept as its `value`."""
    if given is None:
        return {}
    return dict(cast("Mapping[str, Any]", given)) if isinstance(given, Mapping) else {"value": given}
