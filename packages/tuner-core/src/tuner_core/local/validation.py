"""The strict request model of Create Call, and the 422 body that names the field.

Written from the contract alone and independent of `tuner_core.records`, so that it can refuse what a client
of ours sends wrongly. Nothing is converted that the API would not convert: a number in quotes is refused, a
fraction of a millisecond in a segment time is rounded up.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, ClassVar, Literal, NoReturn

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic_core import PydanticCustomError

MILLISECONDS_FROM = 10**11
"""Timestamps from here on are milliseconds; below, seconds. As seconds it would be the year 5138."""

_BEYOND_MILLISECONDS = 10**14


def _integral(value: object) -> object:
    """JSON has one kind of number: 3.0 is the integer 3."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _rounded_up(value: object) -> object:
    return math.ceil(value) if isinstance(value, float) and math.isfinite(value) else value


Integer = Annotated[int, BeforeValidator(_integral)]
Natural = Annotated[int, BeforeValidator(_integral), Field(ge=0)]
SegmentMs = Annotated[int, BeforeValidator(_rounded_up)]
Text100 = Annotated[str, StringConstraints(max_length=100)]
JsonObject = dict[str, Any]


class _Strict(BaseModel):
    """JSON types as they are, unknown keys kept; no value shows in a representation."""

    model_config = ConfigDict(strict=True, extra="allow", allow_inf_nan=False, hide_input_in_errors=True)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} with {', '.join(sorted(self.model_fields_set)) or 'nothing set'}>"

    __str__ = __repr__


class PostedWord(_Strict):
    """One word of a segment, milliseconds from the start of the call."""

    word: str
    start_ms: SegmentMs
    end_ms: SegmentMs
    confidence: float | None = None


class PostedNode(_Strict):
    """A node transition."""

    from_: str = Field(alias="from")
    to: str
    reason: str | None = None


class PostedTool(_Strict):
    """A tool call or its result; `params` and `result` must be JSON objects."""

    name: str | None = None
    request_id: str | None = None
    params: JsonObject | None = None
    result: JsonObject | None = None
    is_error: bool | None = None
    error: str | None = None
    start_ms: SegmentMs | None = None


class PostedSegment(_Strict):
    """One item of `transcript_with_tool_calls`, times in milliseconds from the start of the call."""

    SPOKEN: ClassVar[frozenset[str]] = frozenset({"user", "agent"})

    role: Literal["node_transition", "user", "agent", "agent_function", "agent_result"]
    text: str | None = None
    words: list[PostedWord] | None = None
    start_ms: SegmentMs | None = None
    end_ms: SegmentMs | None = None
    duration_ms: SegmentMs | None = None
    node: PostedNode | None = None
    tool: PostedTool | None = None
    metadata: JsonObject = Field(default_factory=dict)

    @model_validator(mode="after")
    def _is_placed(self) -> PostedSegment:
        has_span = self.start_ms is not None and (self.end_ms is not None or self.duration_ms is not None)
        if self.role in self.SPOKEN and not self.words and not has_span:
            raise PydanticCustomError(
                "segment_timing_missing",
                "A {role} segment needs non-empty words, or start_ms and end_ms, or start_ms and duration_ms",
                {"role": self.role},
            )
        if self.role == "node_transition" and self.node is None:
            raise PydanticCustomError("node_missing", "A node_transition segment needs node with from and to")
        return self

    @property
    def span_ms(self) -> tuple[int, int] | None:
        """Start and end in milliseconds as the three timing forms give them, None for an unplaced segment."""
        if self.start_ms is not None:
            if self.end_ms is not None:
                return self.start_ms, self.end_ms
            return self.start_ms, self.start_ms + (self.duration_ms or 0)
        if self.words:
            return min(word.start_ms for word in self.words), max(word.end_ms for word in self.words)
        return None


class PostedModels(_Strict):
    """Model names of the call."""

    asr_model: str | None = None
    llm_model: str | None = None
    tts_model: str | None = None


class PostedUsage(_Strict):
    """Usage totals of the call."""

    stt_duration_seconds: float | None = None
    llm_token: Integer | None = None
    tts_characters_count: Integer | None = None


class PostedMetadata(_Strict):
    """Call-level metadata."""

    ai_models: PostedModels | None = None
    usage_token: PostedUsage | None = None


class PostedRecord(_Strict):
    """The body of `POST /api/v1/public/call`."""

    call_id: str = Field(min_length=1, max_length=200)
    call_type: str = Field(min_length=1, max_length=100)
    transcript_with_tool_calls: list[PostedSegment] = Field(min_length=1)
    start_timestamp: Natural
    end_timestamp: Natural
    recording_url: str = Field(min_length=1, max_length=1024)
    agent_version: Natural | None = None
    transcript: str | None = None
    duration_ms: Integer | None = None
    call_status: Text100 | None = None
    disconnection_reason: Text100 | None = None
    caller_phone_number: str | None = Field(default=None, max_length=50)
    call_successful: bool | None = None
    user_sentiment: Literal["positive", "neutral", "negative", "unknown"] | None = None
    in_voicemail: bool | None = None
    collected_dynamic_variables: JsonObject | None = None
    call_cost: float | None = None
    call_analysis: JsonObject | None = None
    metadata: PostedMetadata | None = None
    general_meta_data_raw: JsonObject | None = None
    recording_multi_channel_url: str | None = Field(default=None, max_length=1024)
    sip_call_id: str | None = None
    recipient: str | None = None
    sip_headers: dict[str, str] | None = None
    recording_file_extension: str | None = None
    recording_s3_multi_channel: bool | None = None
    recording_s3_caller_channel: Natural | None = None

    @field_validator("start_timestamp", "end_timestamp")
    @classmethod
    def _is_a_known_unit(cls, value: int) -> int:
        if value >= _BEYOND_MILLISECONDS:
            raise PydanticCustomError(
                "timestamp_unit", "Neither Unix seconds nor milliseconds: too large, perhaps microseconds"
            )
        return value

    @field_validator("end_timestamp")
    @classmethod
    def _ends_after_start(cls, value: int, info: ValidationInfo) -> int:
        start = info.data.get("start_timestamp")
        if start is None:
            return value
        if (start >= MILLISECONDS_FROM) != (value >= MILLISECONDS_FROM):
            raise PydanticCustomError(
                "timestamp_unit_mixed",
                "One of start_timestamp and end_timestamp is in seconds, the other in ms",
            )
        if value < start:
            raise PydanticCustomError("timestamp_order", "end_timestamp is before start_timestamp")
        return value

    @property
    def started_at(self) -> float:
        """Start in Unix seconds."""
        return unix_seconds(self.start_timestamp)

    @property
    def ended_at(self) -> float:
        """End in Unix seconds."""
        return unix_seconds(self.end_timestamp)

    @property
    def correlation_id(self) -> str | None:
        """The X-Correlation-Id among `sip_headers`, header names compared without case."""
        for name, value in (self.sip_headers or {}).items():
            if name.strip().lower() == "x-correlation-id" and value.strip():
                return value.strip()
        return None


class RefusedBody(Exception):
    """A body that Create Call answers with 422.

    Attributes:
        problems: FastAPI's `detail`: a `{"loc", "msg", "type"}` for each field at fault, without its value.
    """

    def __init__(self, problems: Sequence[Mapping[str, Any]]) -> None:
        self.problems = [dict(problem) for problem in problems]
        super().__init__("; ".join(problem_text(problem) for problem in self.problems))


def parse_record(body: bytes) -> PostedRecord:
    """Give the record that a request body holds.

    Args:
        body: the JSON text as received.

    Raises:
        RefusedBody: it is not JSON, not an object, or a field breaks the contract.
    """
    try:
        document: object = json.loads(body, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        position = error.pos if isinstance(error, json.JSONDecodeError) else 0
        problem = {"loc": ["body", position], "msg": "JSON decode error", "type": "json_invalid"}
        raise RefusedBody([problem]) from None
    return check_record(document)


def check_record(document: object) -> PostedRecord:
    """Give the record that a decoded JSON document holds.

    Raises:
        RefusedBody: it is not an object, or a field breaks the contract.
    """
    try:
        return PostedRecord.model_validate(document)
    except ValidationError as error:
        details = error.errors(include_url=False, include_context=False, include_input=False)
        problems = [
            {"loc": ["body", *item["loc"]], "msg": item["msg"], "type": item["type"]} for item in details
        ]
        raise RefusedBody(problems) from None


def problem_text(problem: Mapping[str, Any]) -> str:
    """Say one problem of a 422 body in a line: `transcript_with_tool_calls.3.role: Input should be …`."""
    path = ".".join(str(part) for part in problem["loc"][1:]) or str(problem["loc"][0])
    return f"{path}: {problem['msg']}"


def unix_seconds(timestamp: int) -> float:
    """Give a timestamp of the API, which may be in seconds or milliseconds, in Unix seconds."""
    return timestamp / 1000 if timestamp >= MILLISECONDS_FROM else float(timestamp)


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")
