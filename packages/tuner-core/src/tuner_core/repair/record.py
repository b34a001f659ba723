"""Any record as a body that Create Call accepts, with a list of what was changed.

One bad field makes the API refuse the whole call, so each is repaired on its own: cut to its bound, wrapped,
converted or left out. Notes name the field and the change, never the content.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, cast

from tuner_core.errors import InvalidRecord
from tuner_core.identity.headers import call_id_problem
from tuner_core.records import CallRecord
from tuner_core.repair.segments import conform_segments
from tuner_core.repair.values import Repairs, as_json, clean_text, model_fields

if TYPE_CHECKING:
    from tuner_core.redaction import Redaction

PENDING_RECORDING = "pending"
"""Sent as `recording_url` when there is none yet; the API wants the field filled."""

_CALL_ID_LIMIT = 200
_TEXT_LIMITS: dict[str, int | None] = {
    "call_type": 100,
    "transcript": None,
    "call_status": 100,
    "disconnection_reason": 100,
    "caller_phone_number": 50,
    "recipient": None,
    "recording_file_extension": None,
}
_URLS = ("recording_url", "recording_multi_channel_url")
_URL_LIMIT = 1024
_FLAGS = ("call_successful", "in_voicemail", "recording_s3_multi_channel")
_OBJECTS = ("collected_dynamic_variables", "call_analysis", "metadata", "general_meta_data_raw")
_SENTIMENTS = ("positive", "neutral", "negative", "unknown")
_VERSION = re.compile(r"[vV]?(\d{1,9})")
_KEPT_NOTES = "tuner_sdk"


@dataclass(frozen=True, slots=True)
class Conformed:
    """A body that the API accepts.

    Attributes:
        payload: the body, JSON values only.
        repairs: what was changed, in words without content.
    """

    payload: dict[str, Any] = field(repr=False)
    repairs: tuple[str, ...] = ()

    @property
    def call_id(self) -> str:
        """The record's idempotency key."""
        return str(self.payload["call_id"])

    def body(self) -> bytes:
        """The payload as UTF-8 JSON."""
        text = json.dumps(self.payload, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
        return text.encode("utf-8")


def conform(record: CallRecord | Mapping[str, Any], *, redaction: Redaction | None = None) -> Conformed:
    """Make a record into a body that Create Call accepts.

    Args:
        record: a `CallRecord`, or a mapping with the API's field names.
        redaction: takes out what must not be stored; listed among the repairs by field and count.

    Returns:
        The body and what was changed to get it. Both timestamps are Unix milliseconds.

    Raises:
        InvalidRecord: it has no `call_id`, or neither timestamp: nothing could stand in for those.
    """
    given = _fields_of(record)
    repairs = Repairs()
    call_id = conform_call_id(given.pop("call_id", None), repairs)
    start_ms, end_ms = _moments(given, repairs)
    payload: dict[str, Any] = {
        "call_id": call_id,
        "call_type": "",
        "transcript_with_tool_calls": conform_segments(
            given.pop("transcript_with_tool_calls", None), call_start_ms=start_ms, repairs=repairs
        ),
        "start_timestamp": start_ms,
        "end_timestamp": end_ms,
        "recording_url": "",
    }
    aside: dict[str, Any] = {}
    for name, value in given.items():
        kept = _field(name, value, aside, repairs)
        if kept is not None:
            payload[name] = kept
    payload["call_type"] = payload["call_type"] or _assumed_call_type(payload, repairs)
    if not payload["recording_url"]:
        payload["recording_url"] = PENDING_RECORDING
        repairs.note("recording_url", f"missing, sent as {PENDING_RECORDING!r}")
    if aside:
        raw = payload.setdefault("general_meta_data_raw", {})
        notes = raw.get(_KEPT_NOTES)
        raw[_KEPT_NOTES] = {**(cast("dict[str, Any]", notes) if isinstance(notes, dict) else {}), **aside}
    listed = repairs.listed()
    if redaction is not None:
        payload, notes = redaction.redact_payload(payload)
        listed += notes
    return Conformed(payload, listed)


def _fields_of(record: Any) -> dict[str, Any]:
    if isinstance(record, CallRecord):
        return model_fields(record)
    if isinstance(record, Mapping):
        return {
            clean_text(str(name)): value
            for name, value in cast("Mapping[Any, Any]", record).items()
            if value is not None
        }
    raise InvalidRecord(f"a record is a CallRecord or a mapping, not {type(record).__name__}")


def conform_call_id(value: Any, repairs: Repairs) -> str:
    """A call id as it is sent, the same for the same value.

    Args:
        value: as given.
        repairs: gets a note when it was changed.

    Raises:
        InvalidRecord: there is none.
    """
    text = (
        clean_text(str(value)).strip() if isinstance(value, str | int) and not isinstance(value, bool) else ""
    )
    if not text:
        raise InvalidRecord(
            "the record has no call_id: give each call an id of yours, the same on every retry"
        )
    if len(text) > _CALL_ID_LIMIT:
        # The digest keeps two long ids with one beginning apart, and is the same on every retry.
        digest = hashlib.sha256(text.encode()).hexdigest()[:32]
        repairs.note("call_id", f"longer than {_CALL_ID_LIMIT} characters, cut and completed by a digest")
        text = f"{text[: _CALL_ID_LIMIT - 33]}-{digest}"
    return text


def _field(name: str, value: Any, aside: dict[str, Any], repairs: Repairs) -> Any:
    """The value to send for one optional field, None to leave it out."""
    if name in _TEXT_LIMITS:
        return _text(name, value, _TEXT_LIMITS[name], repairs)
    if name in _URLS:
        return _url(name, value, aside, repairs)
    if name in _FLAGS:
        return _flag(name, value, repairs)
    if name in _OBJECTS:
        found = as_object(value, field=name, repairs=repairs)
        return _checked_metadata(found, repairs) if name == "metadata" else found
    match name:
        case "sip_call_id":
            return _sip_call_id(value, repairs)
        case "sip_headers":
            return _sip_headers(value, repairs)
        case "user_sentiment":
            return _sentiment(value, repairs)
        case "agent_version":
            return _agent_version(value, aside, repairs)
        case "duration_ms" | "recording_s3_caller_channel":
            return _whole(name, value, repairs)
        case "call_cost":
            return _cost(value, repairs)
        case _:
            return as_json(value, field="a field that this version does not know", repairs=repairs)


def _text(name: str, value: Any, limit: int | None, repairs: Repairs) -> str | None:
    if not isinstance(value, str):
        converted = as_json(value, field=name, repairs=repairs)
        if isinstance(converted, bool) or not isinstance(converted, str | int | float):
            repairs.note(name, "not text, left out")
            return None
        value = str(converted)
    text = clean_text(value)
    if limit is not None and len(text) > limit:
        repairs.note(name, f"longer than {limit} characters, cut")
        text = text[:limit]
    return text or None


def _url(name: str, value: Any, aside: dict[str, Any], repairs: Repairs) -> str | None:
    text = _text(name, value, None, repairs)
    if text is None or len(text) <= _URL_LIMIT:
        return text
    # A URL that was cut leads nowhere, or to something else.
    repairs.note(name, f"longer than {_URL_LIMIT} characters, kept in general_meta_data_raw.{_KEPT_NOTES}")
    aside[name] = text
    return None


def _flag(name: str, value: Any, repairs: Repairs) -> bool | None:
    if isinstance(value, bool):
        return value
    spelt = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}
    flag = spelt.get(value.strip().lower()) if isinstance(value, str) else None
    if isinstance(value, int | float) and value in (0, 1):
        flag = bool(value)
    repairs.note(name, "not a boolean, left out" if flag is None else "converted to a boolean")
    return flag


def as_object(value: Any, *, field: str, repairs: Repairs) -> dict[str, Any]:
    """`value` as a JSON object; what is none is wrapped as `{"value": …}`."""
    converted = as_json(value, field=field, repairs=repairs)
    if isinstance(converted, dict):
        return converted
    repairs.note(field, "not an object, wrapped in one")
    return {"value": converted}


def _checked_metadata(metadata: dict[str, Any], repairs: Repairs) -> dict[str, Any]:
    """Metadata whose two reserved groups have the API's types; odd ones move to `user_<key>`."""
    groups: dict[str, dict[str, tuple[type, ...]]] = {
        "ai_models": {"asr_model": (str,), "llm_model": (str,), "tts_model": (str,)},
        "usage_token": {
            "stt_duration_seconds": (int, float),
            "llm_token": (int,),
            "tts_characters_count": (int,),
        },
    }
    for group, types in groups.items():
        content = metadata.get(group)
        if content is None:
            continue
        if not isinstance(content, dict):
            metadata[f"user_{group}"] = metadata.pop(group)
            repairs.note(f"metadata.{group}", f"reserved for an object, moved to user_{group}")
            continue
        members = cast("dict[str, Any]", content)
        for key, wanted in types.items():
            member = members.get(key)
            if member is not None and (isinstance(member, bool) or not isinstance(member, wanted)):
                members[f"user_{key}"] = members.pop(key)
                repairs.note(f"metadata.{group}.{key}", f"of the wrong type, moved to user_{key}")
    return metadata


def _sip_call_id(value: Any, repairs: Repairs) -> str | None:
    text = value.strip() if isinstance(value, str) else ""
    problem = call_id_problem(text) if text else "it is empty or not text"
    if problem is not None:
        repairs.note("sip_call_id", f"left out: {problem}")
        return None
    return text


def _sip_headers(value: Any, repairs: Repairs) -> dict[str, str] | None:
    headers: dict[str, str] = {}
    for name, content in as_object(value, field="sip_headers", repairs=repairs).items():
        first = cast("list[Any]", content)[:1] if isinstance(content, list) else [content]
        if first and isinstance(first[0], str | int | float) and not isinstance(first[0], bool):
            headers[name] = str(first[0])
        else:
            repairs.note("sip_headers", "a value that is not text was left out")
    return headers or None


def _sentiment(value: Any, repairs: Repairs) -> str | None:
    text = value.strip().lower() if isinstance(value, str) else ""
    if text in _SENTIMENTS:
        return text
    repairs.note("user_sentiment", "not one of the API's words, sent as 'unknown'")
    return "unknown"


def _agent_version(value: Any, aside: dict[str, Any], repairs: Repairs) -> int | None:
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return value
    text = str(value).strip() if isinstance(value, str | int | float) else ""
    spelt = _VERSION.fullmatch(text)
    if spelt:
        return int(spelt[1])
    repairs.note("agent_version", f"not a whole number, kept in general_meta_data_raw.{_KEPT_NOTES}")
    aside["agent_version"] = clean_text(text)[:200]
    return None


def _whole(name: str, value: Any, repairs: Repairs) -> int | None:
    number = _number(value)
    if number is None or number < 0:
        repairs.note(name, "not a number from 0 up, left out")
        return None
    return math.ceil(number)


def _cost(value: Any, repairs: Repairs) -> float | None:
    number = _number(value)
    if number is None:
        repairs.note("call_cost", "not a number, left out")
    return number


def _number(value: Any) -> float | None:
    try:
        number = math.nan if isinstance(value, bool) else float(value)
    except (TypeError, ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None


def _assumed_call_type(payload: Mapping[str, Any], repairs: Repairs) -> str:
    telephony = ("sip_call_id", "recipient", "caller_phone_number", "sip_headers")
    assumed = "phone_call" if any(payload.get(name) for name in telephony) else "web_call"
    repairs.note("call_type", f"missing, assumed {assumed}")
    return assumed


def _moments(given: dict[str, Any], repairs: Repairs) -> tuple[int, int]:
    """Both timestamps in Unix milliseconds, the end never before the start."""
    start = _unix_ms("start_timestamp", given.pop("start_timestamp", None), repairs)
    end = _unix_ms("end_timestamp", given.pop("end_timestamp", None), repairs)
    length = _number(given.get("duration_ms"))
    lasted = math.ceil(length) if length is not None and 0 <= length < 1e12 else 0
    if start is None and end is None:
        raise InvalidRecord("the record has no start_timestamp and no end_timestamp that says a moment")
    if start is None:
        start = max(0, cast("int", end) - lasted)
        repairs.note("start_timestamp", "missing, derived from the end")
    if end is None:
        end = start + lasted
        repairs.note("end_timestamp", "missing, derived from the start")
    if end < start:
        end = start + lasted
        repairs.note("end_timestamp", "before the start, moved behind it")
    return start, end


def _unix_ms(name: str, value: Any, repairs: Repairs) -> int | None:
    if value is None:
        return None
    if isinstance(value, str):
        value = _parsed_moment(value)
    if isinstance(value, datetime):
        aware = value if value.tzinfo else value.replace(tzinfo=UTC)
        number: float | None = aware.timestamp()
    else:
        number = _number(value)
    if number is None:
        repairs.note(name, "says no moment")
        return None
    if number < 0:
        repairs.note(name, "negative, sent as 0")
        return 0
    return round(number * 1000 / _units_per_second(number))


def _parsed_moment(text: str) -> datetime | float | None:
    try:
        return float(text)
    except ValueError:
        pass
    try:
        return datetime.fromisoformat(text.strip())
    except ValueError:
        return None


def _units_per_second(number: float) -> int:
    """Seconds, milli-, micro- or nanoseconds: their present values lie three orders of magnitude apart."""
    for bound, units in ((1e11, 1), (1e14, 1000), (1e17, 1_000_000)):
        if number < bound:
            return units
    return 1_000_000_000
