"""Redaction of a whole body: which fields are walked, which are left alone, and the notes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from tuner_core.redaction.texts import Found, Redactor
from tuner_core.repair.values import Repairs
from tuner_core.transcript import plain_lines

LEFT_ALONE = frozenset(
    {
        "call_id",
        "call_type",
        "call_status",
        "sip_call_id",
        "sip_headers",
        "recipient",
        "recording_url",
        "recording_multi_channel_url",
        "recording_file_extension",
        "recording_s3_multi_channel",
        "recording_s3_caller_channel",
        "start_timestamp",
        "end_timestamp",
        "duration_ms",
        "agent_version",
        "call_cost",
        "call_successful",
        "in_voicemail",
        "user_sentiment",
    }
)
"""Fields that say which call it is, or hold no text: changed, the call would be another one or refused."""

CALLER = "caller_phone_number"
CALLER_MASK = "[phone]"

_ROWS = "transcript_with_tool_calls"
_TRANSCRIPT = "transcript"
_SDK_NOTES = "tuner_sdk"
_SDK_IDS = frozenset({"sip_identity", "recording_url", "recording_multi_channel_url"})
_ROW_PLAIN = frozenset({"role", "start_ms", "end_ms", "duration_ms"})
_TOOL_PLAIN = frozenset({"name", "request_id", "is_error", "start_ms"})


def redact(
    payload: Mapping[str, Any], redactor: Redactor, repairs: Repairs, *, caller_number: bool
) -> dict[str, Any]:
    """The body redacted.

    Args:
        payload: a body as `conform` makes it; it is not changed.
        redactor: rules and hook.
        repairs: gets notes by field and count.
        caller_number: mask `caller_phone_number` too.
    """
    walk = _Walk(redactor, repairs)
    redacted: dict[str, Any] = {}
    for name, value in payload.items():
        if name in LEFT_ALONE or (name == CALLER and not caller_number):
            redacted[name] = value
        elif name == CALLER:
            redacted[name] = value and CALLER_MASK
            if value:
                walk.repairs.note(CALLER, "redacted, as configured")
        elif name == _ROWS and isinstance(value, list):
            rows = cast("list[Any]", value)
            redacted[name] = [walk.row(row, f"{_ROWS}[{index}]") for index, row in enumerate(rows)]
        elif name == _TRANSCRIPT and value and value == _told(payload):
            redacted[name] = None  # its place
        else:
            kept = _plain_members(name, value)
            redacted[name] = walk.value(value, name, field=name, but=kept)
    if _TRANSCRIPT in redacted and redacted[_TRANSCRIPT] is None and payload[_TRANSCRIPT] is not None:
        redacted[_TRANSCRIPT] = _told(redacted)
        if redacted[_TRANSCRIPT] != payload[_TRANSCRIPT]:
            repairs.note(_TRANSCRIPT, "redacted with the rows that it tells")
    return redacted


def _told(payload: Mapping[str, Any]) -> str:
    """The plain transcript of the rows; an hour of it as one text would keep the interpreter for long."""
    rows = [cast("dict[str, Any]", row) for row in payload.get(_ROWS) or () if isinstance(row, dict)]
    try:
        return plain_lines((row.get("role"), row.get("text"), row.get("metadata")) for row in rows)
    except AttributeError:  # metadata that is no object
        return ""


def _plain_members(name: str, value: Any) -> frozenset[str]:
    """Members of a top-level object that hold identifiers or counts."""
    if name == "metadata" and isinstance(value, dict):
        return frozenset({"usage_token"})
    return frozenset()


class _Walk:
    def __init__(self, redactor: Redactor, repairs: Repairs) -> None:
        self._redactor = redactor
        self.repairs = repairs

    def value(self, value: Any, place: str, *, field: str, but: frozenset[str] = frozenset()) -> Any:
        found: Found = {}
        if field == "general_meta_data_raw" and isinstance(value, dict):
            redacted = self._raw(cast("dict[str, Any]", value), place, found)
        else:
            redacted = self._but(value, place, found, but)
        self._note(field, found)
        return redacted

    def row(self, row: Any, place: str) -> Any:
        self.repairs.between_rows()
        if not isinstance(row, dict):
            return self.value(row, place, field=f"{_ROWS}[]")
        redacted: dict[str, Any] = {}
        lost: Found = {}
        for name, value in cast("dict[str, Any]", row).items():
            if name in _ROW_PLAIN:
                redacted[name] = value
            elif name == "text" and isinstance(value, str):
                redacted[name] = self._redactor.text(value, f"{place}.text", lost)
                self._note(f"{_ROWS}[].text", lost)
            elif name == "tool" and isinstance(value, dict):
                redacted[name] = self._tool(cast("dict[str, Any]", value), f"{place}.tool")
            elif name == "words" and isinstance(value, list):
                redacted[name] = cast("list[Any]", value)
            else:
                but = frozenset({"id"}) if name == "metadata" else frozenset[str]()
                redacted[name] = self.value(value, f"{place}.{name}", field=f"{_ROWS}[].{name}"[:80], but=but)
        if "words" in redacted:
            self._words(redacted, lost, place)
        if (
            lost
            and isinstance(redacted.get("metadata"), dict)
            and redacted["metadata"].pop("fragments", None)
        ):
            self.repairs.note(f"{_ROWS}[].metadata.fragments", "left out, since their text was redacted")
        return redacted

    def _tool(self, tool: dict[str, Any], place: str) -> dict[str, Any]:
        return {
            name: value
            if name in _TOOL_PLAIN
            else self.value(value, f"{place}.{name}", field=f"{_ROWS}[].tool.{name}"[:80])
            for name, value in tool.items()
        }

    def _words(self, row: dict[str, Any], lost: Found, place: str) -> None:
        words = [cast("dict[str, Any]", word) for word in row["words"] if isinstance(word, dict)]
        texts = [str(word.get("word", "")) for word in words]
        if "text" not in row:
            self._redactor.text(" ".join(texts), f"{place}.words", lost)
        if not lost and self._redactor.finds_nothing(" ".join(texts)):
            return
        kept = self._redactor.words(texts, lost)
        if kept is None:
            _time_from_words(row, words)
            del row["words"]
            self.repairs.note(f"{_ROWS}[].words", "left out, since their text was redacted")
            return
        masked: list[dict[str, Any]] = []
        for first, last, text in kept:
            word = words[first]
            if text != texts[first] or first != last:
                word = {**word, "word": text, "end_ms": words[last].get("end_ms")}
                self.repairs.note(f"{_ROWS}[].words", "redacted with their text")
            masked.append(word)
        row["words"] = masked

    def _raw(self, raw: dict[str, Any], place: str, found: Found) -> dict[str, Any]:
        notes = raw.get(_SDK_NOTES)
        redacted = self._but(raw, place, found, frozenset({_SDK_NOTES}))
        if notes is not None:
            redacted[_SDK_NOTES] = self._but(notes, f"{place}.{_SDK_NOTES}", found, _SDK_IDS)
        return redacted

    def _but(self, value: Any, place: str, found: Found, but: frozenset[str]) -> Any:
        """`value` redacted except for these members."""
        if not but or not isinstance(value, dict) or but.isdisjoint(cast("dict[str, Any]", value)):
            return self._redactor.value(value, place, found)
        members = cast("dict[str, Any]", value)
        walked = {name: member for name, member in members.items() if name not in but}
        kept = {name: member for name, member in members.items() if name in but}
        return {**self._redactor.value(walked, place, found), **kept}

    def _note(self, field: str, found: Found) -> None:
        for rule, count in found.items():
            self.repairs.note(field, f"redacted by {rule}", count)


def _time_from_words(row: dict[str, Any], words: list[dict[str, Any]]) -> None:
    """A spoken row needs times once it has no words."""
    if words:
        row.setdefault("start_ms", words[0].get("start_ms"))
        if "end_ms" not in row and "duration_ms" not in row:
            row["end_ms"] = words[-1].get("end_ms")
