"""Any record as a body that Create Call accepts, with a list of what was changed.

One bad field makes the API refuse the whole call, so each is repaired on its own: cut to its bound, wrapped,
converted or left out. Notes name the field and the change, never the content.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypedDict, cast

from tuner_core.errors import InvalidRecord
from tuner_core.records import CallRecord
from tuner_core.repair.fields import SDK_NOTES, TEXT_LIMITS, Fields
from tuner_core.repair.moments import call_moments
from tuner_core.repair.segments import conform_segments
from tuner_core.repair.size import MAX_BODY_BYTES, SMALLEST_BOUND, encoded, fit
from tuner_core.repair.values import Repairs, fields_of, free_name, plain

if TYPE_CHECKING:
    from tuner_core.redaction import Redaction

PENDING_RECORDING = "pending"
"""Sent as `recording_url` when there is none yet; the API wants the field filled."""

_ROWS = "transcript_with_tool_calls"
_CALL_ID_LIMIT = 200


class ConformOptions(TypedDict, total=False):
    """The keyword arguments of `conform`."""

    redaction: Redaction | None
    allowed_sip_headers: Collection[str]
    max_bytes: int


@dataclass(frozen=True, slots=True)
class Conformed:
    """A body that the API accepts.

    Attributes:
        payload: the body, JSON values only; to be read, not to be changed.
        repairs: what was changed, in words without content.
    """

    payload: dict[str, Any] = field(repr=False)
    repairs: tuple[str, ...] = ()
    _encoded: bytes = field(default=b"", repr=False, compare=False)

    @property
    def call_id(self) -> str:
        """The record's idempotency key."""
        return str(self.payload["call_id"])

    def body(self) -> bytes:
        """The payload as UTF-8 JSON."""
        return self._encoded or encoded(self.payload)


def conform(
    record: CallRecord | Mapping[str, Any],
    *,
    redaction: Redaction | None = None,
    allowed_sip_headers: Collection[str] = (),
    max_bytes: int = MAX_BODY_BYTES,
    between_rows: Callable[[], None] | None = None,
) -> Conformed:
    """Make a record into a body that Create Call accepts. The record is not changed.

    Conforming a payload again gives the same payload and no repairs.

    Args:
        record: a `CallRecord`, a mapping with the API's field names, or a model or dataclass with such fields.
        redaction: takes out what must not be stored; listed among the repairs by field and count.
        allowed_sip_headers: names of `sip_headers` to post beside `X-Correlation-Id` and `X-CID`; all others are
            left out, since INVITE headers such as `From` and `P-Asserted-Identity` name the caller.
        max_bytes: bound of the body; `tuner_core.repair.size` says what goes first when a call is larger.
        between_rows: called after each row of each pass: a call of an hour takes 100 ms, and whoever has other threads
            to care for lets them run there.

    Returns:
        The body and what was changed to get it. Both timestamps are Unix milliseconds.

    Raises:
        InvalidRecord: it has no `call_id`, or neither timestamp: nothing could stand in for those.
        ValueError: `max_bytes` is below `SMALLEST_BOUND`.
    """
    if max_bytes < SMALLEST_BOUND:
        raise ValueError(f"max_bytes is at least {SMALLEST_BOUND}, not {max_bytes}")
    given = fields_of(record)
    if given is None:
        raise InvalidRecord(f"a record is a CallRecord or a mapping, not {type(record).__name__}")
    repairs = Repairs(between_rows)
    payload = _conformed(given, allowed_sip_headers, repairs)
    if redaction is not None:
        payload = redaction.redact_into(payload, repairs)
    for name, limit in TEXT_LIMITS.items():
        text = payload.get(name)
        if isinstance(text, str) and len(text) > limit:
            repairs.note(name, f"longer than {limit} characters, cut")
            payload[name] = text[:limit]
    body = fit(payload, max_bytes, repairs)
    return Conformed(payload, repairs.listed(), body)


def _conformed(
    given: dict[str, Any], allowed_sip_headers: Collection[str], repairs: Repairs
) -> dict[str, Any]:
    call_id = conform_call_id(given.pop("call_id", None), repairs)
    start_ms, end_ms, duration_ms = call_moments(
        given.pop("start_timestamp", None),
        given.pop("end_timestamp", None),
        given.pop("duration_ms", None),
        repairs,
    )
    rows = conform_segments(
        given.pop(_ROWS, None), call_start_ms=start_ms, call_length_ms=end_ms - start_ms, repairs=repairs
    )
    payload: dict[str, Any] = {
        "call_id": call_id,
        "call_type": "",
        _ROWS: rows,
        "start_timestamp": start_ms,
        "end_timestamp": end_ms,
        "recording_url": "",
    }
    if duration_ms is not None:
        payload["duration_ms"] = duration_ms
    fields = Fields(repairs, allowed_sip_headers)
    for name, value in given.items():
        kept = fields.conform(name, value)
        if kept is not None:
            payload[name] = kept
    payload["call_type"] = payload["call_type"] or _assumed_call_type(payload, repairs)
    if not payload["recording_url"]:
        payload["recording_url"] = PENDING_RECORDING
        repairs.note("recording_url", f"missing, sent as {PENDING_RECORDING!r}")
    if fields.aside:
        _keep_aside(payload, fields.aside, repairs)
    return payload


def conform_call_id(value: Any, repairs: Repairs) -> str:
    """A call id as it is sent, the same for the same value; the journal of a running call is kept under it.

    Args:
        value: as given.
        repairs: gets a note when it was changed.

    Raises:
        InvalidRecord: there is none.
    """
    found = plain(value)
    text = str(found).strip() if isinstance(found, str | int) and not isinstance(found, bool) else ""
    if not text:
        raise InvalidRecord(
            "the record has no call_id: give each call an id of yours, the same on every retry"
        )
    if text != value:
        repairs.note("call_id", "not plain text, written as such")
    if len(text) > _CALL_ID_LIMIT:
        # The digest keeps two long ids with one beginning apart, and is the same on every retry.
        digest = hashlib.sha256(text.encode()).hexdigest()[:32]
        repairs.note("call_id", f"longer than {_CALL_ID_LIMIT} characters, cut and completed by a digest")
        text = f"{text[: _CALL_ID_LIMIT - 33]}-{digest}"
    return text


def _assumed_call_type(payload: Mapping[str, Any], repairs: Repairs) -> str:
    telephony = ("sip_call_id", "recipient", "caller_phone_number", "sip_headers")
    assumed = "phone_call" if any(payload.get(name) for name in telephony) else "web_call"
    repairs.note("call_type", f"missing, assumed {assumed}")
    return assumed


def _keep_aside(payload: dict[str, Any], aside: dict[str, Any], repairs: Repairs) -> None:
    """Put what has no place of its own into `general_meta_data_raw`, beside what is there."""
    raw = payload.setdefault("general_meta_data_raw", {})
    notes = raw.get(SDK_NOTES)
    if notes is not None and not isinstance(notes, dict):
        raw[free_name(f"user_{SDK_NOTES}", raw)] = raw.pop(SDK_NOTES)
        repairs.note("general_meta_data_raw", f"{SDK_NOTES} is reserved, moved to user_{SDK_NOTES}")
        notes = None
    known = cast("dict[str, Any]", notes or {})
    for name in [name for name in aside if name in known]:
        known[free_name(f"user_{name}", known)] = known.pop(name)
        repairs.note("general_meta_data_raw", f"{SDK_NOTES}.{name} is reserved, moved to user_{name}")
    raw[SDK_NOTES] = {**known, **aside}
