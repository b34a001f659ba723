"""The fields of a record outside its transcript and its timestamps, each repaired on its own."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Collection
from typing import Any, cast

from tuner_core.identity.headers import call_id_problem
from tuner_core.repair.headers import conform_headers
from tuner_core.repair.moments import number_in
from tuner_core.repair.scalars import flag_of
from tuner_core.repair.values import Repairs, as_json, as_object, clean_text, free_name, plain

TEXT_LIMITS = {"call_type": 100, "call_status": 100, "disconnection_reason": 100, "caller_phone_number": 50}
"""Characters that the API allows; `call_id` and URLs are never cut."""

SDK_NOTES = "tuner_sdk"
"""Member of `general_meta_data_raw` that keeps what has no place of its own."""

_TEXTS = frozenset({*TEXT_LIMITS, "transcript", "recording_file_extension"})
_URLS = frozenset({"recording_url", "recording_multi_channel_url"})
_URL_LIMIT = 1024
_FLAGS = frozenset({"call_successful", "in_voicemail", "recording_s3_multi_channel"})
_OBJECTS = frozenset({"collected_dynamic_variables", "call_analysis", "general_meta_data_raw"})
_SENTIMENTS = frozenset({"positive", "neutral", "negative", "unknown"})
_VERSION = re.compile(r"[vV]?(\d{1,9})")
_LARGEST_INT = 2**63 - 1
_UNKNOWN = "a field that this version does not know"

_GROUPS: dict[str, dict[str, type]] = {
    "ai_models": {"asr_model": str, "llm_model": str, "tts_model": str},
    "usage_token": {"stt_duration_seconds": float, "llm_token": int, "tts_characters_count": int},
}


class Fields:
    """Repairs one field after the other.

    Args:
        repairs: gets a note for each change.
        allowed_sip_headers: names beside those that are always posted.

    Attributes:
        aside: what has no place of its own, to be kept in `general_meta_data_raw`.
    """

    def __init__(self, repairs: Repairs, allowed_sip_headers: Collection[str]) -> None:
        self._repairs = repairs
        self._allowed = allowed_sip_headers
        self.aside: dict[str, Any] = {}
        self._own: dict[str, Callable[[Any], Any]] = {
            "recipient": self._recipient,
            "sip_call_id": self._sip_call_id,
            "sip_headers": lambda value: conform_headers(value, self._allowed, self._repairs),
            "metadata": self._metadata,
            "user_sentiment": self._sentiment,
            "agent_version": self._agent_version,
            "recording_s3_caller_channel": self._channel,
            "call_cost": self._cost,
        }

    def conform(self, name: str, value: Any) -> Any:
        """The value to send for a field, None to leave it out. Never raises."""
        try:
            return self._conform(name, value)
        except Exception:  # a value's own methods may raise anything, and cost their field only
            known = name in _TEXTS | _URLS | _FLAGS | _OBJECTS or name in self._own
            self._repairs.note(name if known else _UNKNOWN, "could not be read, left out")
            return None

    def _conform(self, name: str, value: Any) -> Any:
        if name in _TEXTS:
            return self._text(name, value)
        if name in _URLS:
            return self._url(name, value)
        if name in _FLAGS:
            return flag_of(name, value, self._repairs)
        if name in _OBJECTS:
            return as_object(value, field=name, repairs=self._repairs)
        own = self._own.get(name)
        return own(value) if own else as_json(value, field=_UNKNOWN, repairs=self._repairs)

    def _text(self, name: str, value: Any) -> str | None:
        found = plain(value)
        if found is None or isinstance(found, bool):
            self._repairs.note(name, "not text, left out")
            return None
        if not isinstance(found, str):
            self._repairs.note(name, "not text, written as text")
        text = str(found)
        if text != value and isinstance(value, str) and type(value) is str:
            self._repairs.note(name, "removed characters that JSON storage refuses")
        return text or None

    def _url(self, name: str, value: Any) -> str | None:
        text = self._text(name, value)
        if text is None or len(text) <= _URL_LIMIT:
            return text
        # A URL that was cut leads nowhere, or to something else.
        self._repairs.note(
            name, f"longer than {_URL_LIMIT} characters, kept in general_meta_data_raw.{SDK_NOTES}"
        )
        self.aside[name] = text
        return None

    def _recipient(self, value: Any) -> str | None:
        """Verbatim or not at all: it links by being exactly what Tuner gave."""
        if isinstance(value, str) and value and clean_text(value) == value:
            return clean_text(value)
        if value != "":
            self._repairs.note("recipient", "not text that can be sent as it is, left out")
        return None

    def _sip_call_id(self, value: Any) -> str | None:
        text = value.strip() if isinstance(value, str) else ""
        problem = call_id_problem(text) if text else "it is empty or not text"
        if problem is not None:
            self._repairs.note("sip_call_id", f"left out: {problem}")
            return None
        return text

    def _sentiment(self, value: Any) -> str:
        found = plain(value)
        text = found.strip().lower() if isinstance(found, str) else ""
        if text not in _SENTIMENTS:
            self._repairs.note("user_sentiment", "not one of the API's words, sent as 'unknown'")
            return "unknown"
        if text != value:
            self._repairs.note("user_sentiment", "written as the API's word")
        return text

    def _agent_version(self, value: Any) -> int | None:
        found = plain(value)
        if isinstance(found, float) and found.is_integer():
            found = int(found)
        if isinstance(found, int) and not isinstance(found, bool) and 0 <= found <= _LARGEST_INT:
            return found
        text = str(found).strip() if found is not None else ""
        spelt = _VERSION.fullmatch(text)
        if spelt:
            return int(spelt[1])
        self._repairs.note("agent_version", f"not a whole number, kept in general_meta_data_raw.{SDK_NOTES}")
        if text:
            self.aside["agent_version"] = text[:200]
        return None

    def _channel(self, value: Any) -> int | None:
        number = number_in(value)
        if number is None or not 0 <= number <= _LARGEST_INT // 2:
            self._repairs.note("recording_s3_caller_channel", "not a number from 0 up, left out")
            return None
        return math.ceil(number)

    def _cost(self, value: Any) -> float | int | None:
        number = number_in(value)
        if number is None:
            self._repairs.note("call_cost", "not a number, left out")
        elif isinstance(value, str):
            self._repairs.note("call_cost", "text, read as a number")
        return number

    def _metadata(self, value: Any) -> dict[str, Any]:
        """Metadata whose two reserved groups have the API's types; odd ones move to `user_<key>`."""
        metadata = as_object(value, field="metadata", repairs=self._repairs)
        for group, types in _GROUPS.items():
            content = metadata.get(group)
            if content is None:
                continue
            if isinstance(content, dict):
                self._group(group, cast("dict[str, Any]", content), types)
            else:
                metadata[free_name(f"user_{group}", metadata)] = metadata.pop(group)
                self._repairs.note(f"metadata.{group}", f"reserved for an object, moved to user_{group}")
        return metadata

    def _group(self, group: str, members: dict[str, Any], types: dict[str, type]) -> None:
        for key, wanted in types.items():
            member = members.get(key)
            if member is None:
                continue
            field = f"metadata.{group}.{key}"
            kept = _typed(member, wanted)
            if kept is None:
                members[free_name(f"user_{key}", members)] = members.pop(key)
                self._repairs.note(field, f"of the wrong type, moved to user_{key}")
            else:
                members[key] = kept
                if wanted is not str and isinstance(member, str):
                    self._repairs.note(field, "text, read as a number")


def _typed(member: Any, wanted: type) -> str | int | float | None:
    if wanted is str:
        return member if isinstance(member, str) else None
    number = number_in(member)
    if number is None or abs(number) > _LARGEST_INT // 2:
        return None
    if isinstance(member, int) or wanted is float:
        return member if isinstance(member, int) else number
    return int(number) if number.is_integer() else None
