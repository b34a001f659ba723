"""The wire models of Create Call. Field names and units are the API's own.

The models accept more than the API does: a `datetime` where it wants an integer, any value where it wants an
object. `tuner_core.conform` turns a record into a body that the API takes and lists what it changed,
so a record is never lost for a long string or an odd tool result. What they do refuse is a misspelt field
name.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field

if TYPE_CHECKING:
    from tuner_core.recordings.target import UploadTarget

Role: TypeAlias = Literal["node_transition", "user", "agent", "agent_function", "agent_result"]
Timestamp: TypeAlias = int | float | datetime
"""A moment: `datetime` (naive means UTC), Unix seconds, or Unix milliseconds."""


class WireModel(BaseModel):
    """Base of the wire models: immutable, no unknown fields, no values in errors or representations."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True, populate_by_name=True)

    def __repr__(self) -> str:
        filled = ", ".join(name for name in sorted(self.model_fields_set))
        return f"<{type(self).__name__} with {filled or 'nothing set'}>"

    __str__ = __repr__


class Word(WireModel):
    """One word with its times in milliseconds from the start of the call; confidence 0 to 1."""

    word: str
    start_ms: float
    end_ms: float
    confidence: float | None = None


class Node(WireModel):
    """A step from one node, flow state or agent to another."""

    from_: str = Field(alias="from")
    to: str
    reason: str | None = None


class Tool(WireModel):
    """A tool call or its result; a `params` or `result` that is no object is wrapped in one when sent."""

    name: str | None = None
    request_id: str | None = None
    params: Any = None
    result: Any = None
    is_error: bool | None = None
    error: str | None = None
    start_ms: float | None = None


class Segment(WireModel):
    """One row of `transcript_with_tool_calls`; times are milliseconds from the start of the call.

    Use the constructors `user`, `agent`, `tool_call`, `tool_result` and `node_transition`. A spoken row needs
    `start_ms` with `end_ms` or `duration_ms`, or `words`; a missing end is derived when the record is sent.
    """

    role: Role
    text: str | None = None
    words: Sequence[Word] | None = None
    start_ms: float | None = None
    end_ms: float | None = None
    duration_ms: float | None = None
    node: Node | None = None
    tool: Tool | None = None
    metadata: Mapping[str, Any] | None = None

    def __repr__(self) -> str:
        return f"<Segment {self.role} {self.start_ms}-{self.end_ms} ms>"

    __str__ = __repr__

    @classmethod
    def user(
        cls,
        text: str,
        *,
        start_ms: float | None = None,
        end_ms: float | None = None,
        words: Sequence[Word] | None = None,
        metadata: Mapping[str, Any] | None = None,
    ) -> Segment:
        """What the user said.

        Args:
            text: as recognised.
            start_ms: first sound, milliseconds from the start of the call.
            end_ms: last sound.
            words: word timings, when the recogniser gives them.
            metadata: latencies in ms and further keys, such as `stt_node_ttfb`.
        """
        return cls(role="user", text=text, start_ms=start_ms, end_ms=end_ms, words=words, metadata=metadata)

    @classmethod
    def agent(
        cls,
        text: str,
        *,
        start_ms: float | None = None,
        end_ms: float | None = None,
        words: Sequence[Word] | None = None,
        metadata: Mapping[str, Any] | None = None,
    ) -> Segment:
        """What the agent said: after a barge-in, what was heard of it.

        Args:
            text: as spoken.
            start_ms: first audio, milliseconds from the start of the call.
            end_ms: last audio played.
            words: word timings, when the voice gives them.
            metadata: latencies in ms and further keys, such as `llm_node_ttft` or `interrupted`.
        """
        return cls(role="agent", text=text, start_ms=start_ms, end_ms=end_ms, words=words, metadata=metadata)

    @classmethod
    def tool_call(
        cls,
        name: str,
        *,
        request_id: str | None = None,
        params: Any = None,
        start_ms: float | None = None,
        end_ms: float | None = None,
        metadata: Mapping[str, Any] | None = None,
    ) -> Segment:
        """The agent called a tool.

        Args:
            name: the tool's name.
            request_id: joins the call to its result.
            params: the arguments.
            start_ms: when it was called, milliseconds from the start of the call.
            end_ms: when it returned, if it did.
            metadata: further keys.
        """
        tool = Tool(name=name, request_id=request_id, params=params, start_ms=start_ms)
        return cls(role="agent_function", tool=tool, start_ms=start_ms, end_ms=end_ms, metadata=metadata)

    @classmethod
    def tool_result(
        cls,
        name: str,
        *,
        request_id: str | None = None,
        result: Any = None,
        is_error: bool = False,
        error: str | None = None,
        start_ms: float | None = None,
        end_ms: float | None = None,
        metadata: Mapping[str, Any] | None = None,
    ) -> Segment:
        """A tool gave its result, or failed.

        Args:
            name: the tool's name.
            request_id: joins the result to its call.
            result: what it returned.
            is_error: True when it failed or was cancelled.
            error: what went wrong.
            start_ms: when the result arrived, milliseconds from the start of the call.
            end_ms: the same, unless the result took time to be handed over.
            metadata: further keys.
        """
        tool = Tool(name=name, request_id=request_id, result=result, is_error=is_error, error=error)
        return cls(role="agent_result", tool=tool, start_ms=start_ms, end_ms=end_ms, metadata=metadata)

    @classmethod
    def node_transition(
        cls,
        from_node: str,
        to_node: str,
        *,
        reason: str | None = None,
        start_ms: float | None = None,
        metadata: Mapping[str, Any] | None = None,
    ) -> Segment:
        """The conversation moved from one node, flow state or agent to another.

        Args:
            from_node: where it was.
            to_node: where it is now.
            reason: why, when known.
            start_ms: when, milliseconds from the start of the call.
            metadata: further keys.
        """
        node = Node.model_validate({"from": from_node, "to": to_node, "reason": reason})
        return cls(role="node_transition", node=node, start_ms=start_ms, metadata=metadata)


class CallRecord(WireModel):
    """One finished call, as Create Call takes it.

    Attributes:
        call_id: your id of the call and the idempotency key: sending it again creates nothing new.
        call_type: `phone_call`, `web_call` or a word of your own.
        transcript_with_tool_calls: the rows in order of time; empty when nobody spoke.
        start_timestamp: when the call was answered.
        end_timestamp: when it ended.
        recording_url: publicly reachable URL of the recording; a placeholder is sent when there is none yet.
        sip_call_id: `Call-ID` header of the inbound INVITE, the value that links a simulated call. Never a
            carrier's own id (Twilio CallSid and the like): such a value is dropped and the reason listed.
        recipient: SIP URI dialled in an outbound simulation, exactly as Tuner gave it.
        sip_headers: INVITE headers worth matching, above all `X-Correlation-Id`.
        transcript: plain text; derived from the rows when omitted.
        duration_ms: derived from the two moments when omitted.
        call_status: `call_ended`, `error`.
        disconnection_reason: `user_hangup`, `agent_hangup`, `error`, `timeout`, `unknown`.
        caller_phone_number: E.164 when known.
        call_successful: your own verdict.
        user_sentiment: `positive`, `neutral`, `negative` or `unknown`.
        in_voicemail: True when voicemail answered.
        collected_dynamic_variables: free JSON object.
        call_cost: cents, 125 means $1.25.
        call_analysis: free JSON object, stored as it is.
        metadata: `ai_models`, `usage_token` and keys of your own.
        general_meta_data_raw: free JSON object.
        recording_multi_channel_url: as `recording_url`, one speaker a channel.
        agent_version: integer, 0 or more; `v12` is read as 12.
        recording_file_extension: extension without dot; asks for a presigned upload target.
        recording_s3_multi_channel: the upload keeps its channels apart.
        recording_s3_caller_channel: 0-based channel of the caller.
    """

    call_id: str
    call_type: str
    start_timestamp: Timestamp
    end_timestamp: Timestamp
    transcript_with_tool_calls: Sequence[Segment] = ()
    recording_url: str | None = None
    sip_call_id: str | None = None
    recipient: str | None = None
    sip_headers: Mapping[str, str] | None = None
    transcript: str | None = None
    duration_ms: float | None = None
    call_status: str | None = None
    disconnection_reason: str | None = None
    caller_phone_number: str | None = None
    call_successful: bool | None = None
    user_sentiment: str | None = None
    in_voicemail: bool | None = None
    collected_dynamic_variables: Mapping[str, Any] | None = None
    call_cost: float | None = None
    call_analysis: Mapping[str, Any] | None = None
    metadata: Mapping[str, Any] | None = None
    general_meta_data_raw: Mapping[str, Any] | None = None
    recording_multi_channel_url: str | None = None
    agent_version: int | str | None = None
    recording_file_extension: str | None = None
    recording_s3_multi_channel: bool | None = None
    recording_s3_caller_channel: int | None = None

    def __repr__(self) -> str:
        rows = len(self.transcript_with_tool_calls)
        return f"<CallRecord {self.call_id!r}, {rows} segments, sip_call_id={self.sip_call_id!r}>"

    __str__ = __repr__


@dataclass(frozen=True, slots=True)
class Receipt:
    """What the API answered to a record that it has.

    Attributes:
        call_id: your id of the call.
        id: Tuner's id of the call; None when the answer did not say (409).
        is_new: False when the API already had this `call_id`; nothing was stored twice.
        repairs: what `conform` changed so that the record was accepted, in words without content.
        request_id: the API's id of the request, when it gave one: quote it to support.
        upload: where the recording may be uploaded, when the record asked for that; holds credentials.
        upload_problem: why the upload target that the API gave is of no use.
    """

    call_id: str
    id: int | None
    is_new: bool
    repairs: tuple[str, ...] = ()
    request_id: str | None = None
    upload: UploadTarget | None = field(default=None, repr=False)
    upload_problem: str = field(default="", repr=False)
