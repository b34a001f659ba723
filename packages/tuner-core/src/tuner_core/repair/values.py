"""Any Python value as a JSON value that the API can store, with a note of what could not be kept."""

from __future__ import annotations

import base64
import math
import re
from collections.abc import Mapping, Sequence, Set
from dataclasses import fields, is_dataclass
from datetime import date, time, timedelta
from decimal import Decimal
from enum import Enum
from pathlib import PurePath
from typing import Any, TypeAlias, cast
from uuid import UUID

from pydantic import BaseModel

JsonValue: TypeAlias = bool | int | float | str | list[Any] | dict[str, Any] | None

MAX_DEPTH = 64
_LARGEST_INT_BITS = 256
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")


class Repairs:
    """Collects what was changed, in words without content; the same change on many rows is one entry."""

    def __init__(self) -> None:
        self._counts: dict[str, int] = {}

    def note(self, field: str, what: str, count: int = 1) -> None:
        """Add a change: the field's name in the API, what was done to it, and how often."""
        text = f"{field}: {what}"
        self._counts[text] = self._counts.get(text, 0) + count

    def add(self, other: Repairs) -> None:
        """Add the changes that another collected."""
        for text, count in other._counts.items():
            self._counts[text] = self._counts.get(text, 0) + count

    def listed(self) -> tuple[str, ...]:
        """The changes in order of their first appearance, each with how often it happened."""
        return tuple(
            text if count == 1 else f"{text} ({count} times)" for text, count in self._counts.items()
        )


def clean_text(text: str) -> str:
    """`text` without NUL and unpaired surrogates, which no UTF-8 body and few databases can hold."""
    if _UNSTORABLE.search(text) is None:
        return text
    return text.replace("\x00", "").encode("utf-8", "replace").decode("utf-8")


def as_json(value: Any, *, field: str, repairs: Repairs) -> JsonValue:
    """`value` as a JSON value.

    Moments become ISO 8601 text, durations seconds, decimals numbers, bytes text or Base64, enums their
    value, models and dataclasses objects. NaN and infinity become null. What has no meaning in JSON becomes
    its class name in angle brackets. Never raises.

    Args:
        value: anything, also with cycles.
        field: the field's name for the notes.
        repairs: gets a note for each value that lost something.
    """
    return _Converter(field, repairs).convert(value, 0)


class _Converter:
    def __init__(self, field: str, repairs: Repairs) -> None:
        self._field = field
        self._repairs = repairs
        self._open: set[int] = set()

    def convert(self, value: Any, depth: int) -> JsonValue:
        if value is None or isinstance(value, bool):
            return value
        if isinstance(value, str):
            return self._text(str(value.value) if isinstance(value, Enum) else value)
        if isinstance(value, int | float | Decimal) and not isinstance(value, Enum):
            return self._number(value)
        try:
            return self._compound(value, depth)
        except Exception:  # a value's own methods may raise anything
            return self._named(value)

    def _compound(self, value: Any, depth: int) -> JsonValue:
        scalar = _scalar(value)
        if scalar is not None:
            return self.convert(scalar, depth)
        parts = _parts(value)
        if parts is None:
            return self._named(value)
        if depth >= MAX_DEPTH or id(value) in self._open:
            self._repairs.note(self._field, "a value nested without end was cut")
            return None
        self._open.add(id(value))
        try:
            if isinstance(parts, list):
                return [self.convert(item, depth + 1) for item in parts]
            return {self._key(key): self.convert(item, depth + 1) for key, item in parts.items()}
        finally:
            self._open.discard(id(value))

    def _text(self, text: str) -> str:
        cleaned = clean_text(text)
        if cleaned != text:
            self._repairs.note(self._field, "removed characters that JSON storage refuses")
        return cleaned

    def _number(self, value: int | float | Decimal) -> JsonValue:
        if isinstance(value, int):
            return int(value) if value.bit_length() <= _LARGEST_INT_BITS else hex(value)
        # A signalling NaN cannot even be made a float.
        number = math.nan if isinstance(value, Decimal) and value.is_nan() else float(value)
        if not math.isfinite(number):
            self._repairs.note(self._field, "a number that is not finite became null")
            return None
        return int(number) if isinstance(value, Decimal) and number.is_integer() else number

    def _key(self, key: Any) -> str:
        if isinstance(key, str):
            return self._text(str(key.value) if isinstance(key, Enum) else key)
        if isinstance(key, int | float | UUID | date) or key is None:
            return str(key)
        return f"<{type(key).__name__}>"

    def _named(self, value: Any) -> str:
        self._repairs.note(self._field, f"a value of type {type(value).__name__} has no JSON form")
        return f"<{type(value).__name__}>"


def _scalar(value: Any) -> bool | int | float | str | Decimal | None:
    """A plain value that says the same, None when there is none."""
    match value:
        case Enum():
            return value.value if isinstance(value.value, bool | int | float | str) else value.name
        case date() | time():
            return value.isoformat()
        case timedelta():
            return value.total_seconds()
        case UUID() | PurePath():
            return str(value)
        case BaseException():
            return f"{type(value).__name__}: {value}"
        case bytes() | bytearray() | memoryview():
            return _bytes_text(bytes(cast("bytes", value)))
        case _:
            return _array_scalar(value)


def _bytes_text(raw: bytes) -> str:
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        return base64.b64encode(raw).decode("ascii")


def _array_scalar(value: Any) -> bool | int | float | str | None:
    """The Python number of a numpy or torch scalar, known by its `item` method and empty shape."""
    if getattr(value, "shape", None) == ():
        item = value.item()
        if isinstance(item, bool | int | float | str):
            return item
    return None


def _parts(value: Any) -> list[Any] | dict[Any, Any] | None:
    """The members of a container, None when the value is none."""
    if isinstance(value, BaseModel):
        return model_fields(value)
    if isinstance(value, Mapping):
        return dict(cast("Mapping[Any, Any]", value))
    if is_dataclass(value) and not isinstance(value, type):
        return {item.name: getattr(value, item.name) for item in fields(value)}
    if isinstance(value, Sequence | Set):
        members = list(cast("Sequence[Any]", value))
        return sorted(members, key=str) if isinstance(value, Set) else members
    tolist: Any = getattr(cast("Any", value), "tolist", None)  # arrays of numpy and its kin
    return cast("list[Any]", tolist()) if callable(tolist) else None


def model_fields(model: BaseModel) -> dict[str, Any]:
    """The fields of a model under their wire names, values as they are, None left out."""
    named: dict[str, Any] = {}
    for name, info in type(model).model_fields.items():
        value = getattr(model, name, None)
        if value is not None:
            named[info.alias or name] = value
    return {**named, **(model.model_extra or {})}
