"""Any Python value as a JSON value that the API can store, with a note of what could not be kept."""

from __future__ import annotations

import base64
import json
import math
import re
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import fields, is_dataclass
from datetime import date, time, timedelta
from decimal import Decimal
from enum import Enum
from fractions import Fraction
from functools import lru_cache
from itertools import islice
from pathlib import PurePath
from typing import Any, TypeAlias, cast
from uuid import UUID

from pydantic import BaseModel

from tuner_core.repair.notes import MOST_VALUES, Repairs

__all__ = ["MAX_DEPTH", "JsonValue", "Repairs", "as_json", "as_object", "clean_text", "fields_of", "plain"]

JsonValue: TypeAlias = bool | int | float | str | list[Any] | dict[str, Any] | None

MAX_DEPTH = 64
"""Containers within containers that are kept."""

_INT64 = range(-(2**63), 2**63)
_LONGEST_INT_BITS = 10_000
_MOST_MADE = 100_000  # of a container that may make its members when it is asked for them
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")


def clean_text(text: str) -> str:
    """`text` without NUL and unpaired surrogates, which no UTF-8 body and few databases can hold."""
    if type(text) is not str:
        text = str.__str__(text)
    if (text.isascii() and "\x00" not in text) or _UNSTORABLE.search(text) is None:
        return text
    return text.replace("\x00", "").encode("utf-8", "replace").decode("utf-8")


def as_json(value: Any, *, field: str, repairs: Repairs) -> JsonValue:
    """`value` as a JSON value.

    Moments become ISO 8601 text, durations seconds, decimals numbers, bytes text or Base64, enums their
    value, models and dataclasses objects, integers beyond 64 bits text. NaN and infinity become null. What has no
    meaning in JSON becomes its class name in angle brackets. Never raises, and changes nothing it is given.

    Args:
        value: anything, also with cycles.
        field: the field's name for the notes.
        repairs: gets a note for each value that lost something.
    """
    return _Converter(field, repairs).convert(value, 0)


def as_object(value: Any, *, field: str, repairs: Repairs) -> dict[str, Any]:
    """`value` as a JSON object; what is none is wrapped as `{"value": …}`."""
    converted = as_json(value, field=field, repairs=repairs)
    if isinstance(converted, dict):
        return converted
    repairs.note(field, "not an object, wrapped in one")
    return {"value": converted}


def plain(value: Any) -> bool | int | float | str | None:
    """The plain value of an enum member, a numpy scalar, a decimal, bytes and the like; None when it has none."""
    converted = as_json(value, field="", repairs=Repairs())
    return None if isinstance(converted, list | dict) or not _has_meaning(value, converted) else converted


def fields_of(value: Any) -> dict[str, Any] | None:
    """The members of a mapping, a model or a dataclass that are not None, None when it is none of these.

    Keys become clean text. Never raises.
    """
    if value is None:
        return None
    try:
        members = cast("dict[Any, Any]", value) if type(value) is dict else _members(value)
    except Exception:  # a value's own methods may raise anything
        return None
    if not isinstance(members, dict):
        return None
    return {
        key if type(key) is str and key.isidentifier() else _field_name(key): member
        for key, member in members.items()
        if member is not None
    }


def model_fields(model: BaseModel) -> dict[str, Any]:
    """The fields of a model under their wire names, values as they are, None left out."""
    values, extra = model.__dict__, model.model_extra
    named = {
        wire_name: value
        for name, wire_name in _wire_names(type(model))
        if (value := values.get(name)) is not None
    }
    return {**named, **extra} if extra else named


@lru_cache(maxsize=64)
def _wire_names(model: type[BaseModel]) -> tuple[tuple[str, str], ...]:
    return tuple((name, info.alias or name) for name, info in model.model_fields.items())


def json_size(value: JsonValue) -> int:
    """Bytes of `value` as UTF-8 JSON without spaces."""
    return len(json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode())


class _Converter:
    def __init__(self, field: str, repairs: Repairs) -> None:
        self._field = field
        self._repairs = repairs
        self._open: set[int] = set()

    def convert(self, value: Any, depth: int) -> JsonValue:
        kind = cast("type[Any]", type(value))
        if kind is str:
            return self._text(value)
        if value is None or kind is bool:
            return value
        if kind is int or kind is float:
            return self._number(value)
        try:
            if kind is dict or kind is list:
                return self._container(value, value, depth)
            return self._odd(value, depth)
        except _TooManyMembers:
            self._repairs.note(self._field, "a value with too many members was cut")
            return None
        except Exception:  # a value's own methods may raise anything
            return self._named(value)

    def _odd(self, value: Any, depth: int) -> JsonValue:
        if isinstance(value, Enum):
            inner: Any = value.value
            return self.convert(inner if isinstance(inner, bool | int | float | str) else value.name, depth)
        if isinstance(value, str):
            return self._text(str.__str__(value))
        if isinstance(value, int | float | Decimal | Fraction):
            return self._number(value)
        text = _scalar(value)
        if text is not None:
            return self.convert(text, depth)
        if getattr(value, "shape", None) == () and callable(getattr(value, "item", None)):
            item = value.item()  # a scalar of numpy or torch
            return self._named(value) if type(item) is type(value) else self.convert(item, depth + 1)
        members = _members(value, max(self._repairs.values_left, 0))
        return self._named(value) if members is None else self._container(value, members, depth)

    def _container(self, value: Any, members: list[Any] | dict[Any, Any], depth: int) -> JsonValue:
        if depth >= MAX_DEPTH or id(value) in self._open:
            self._repairs.note(self._field, "a value nested without end was cut")
            return None
        self._repairs.values_left -= len(members)
        if self._repairs.values_left < 0:
            self._repairs.note(self._field, "a value with too many members was cut")
            return None
        self._open.add(id(value))
        try:
            if isinstance(members, list):
                return [self.convert(item, depth + 1) for item in members]
            return self._object(members, depth)
        finally:
            self._open.discard(id(value))

    def _object(self, members: Mapping[Any, Any], depth: int) -> dict[str, Any]:
        converted: dict[str, Any] = {}
        for key, item in members.items():
            name = self._text(key) if type(key) is str else self._key(key)
            if name in converted:
                self._repairs.note(self._field, "two keys read the same, one was numbered")
                name = free_name(name, converted)
            converted[name] = self.convert(item, depth + 1)
        return converted

    def _text(self, text: str) -> str:
        cleaned = clean_text(text)
        if cleaned is not text and cleaned != text:
            self._repairs.note(self._field, "removed characters that JSON storage refuses")
        return cleaned

    def _number(self, value: int | float | Decimal | Fraction) -> JsonValue:
        if isinstance(value, int):
            if value in _INT64:
                return int(value)
            self._repairs.note(self._field, "an integer beyond 64 bits became text")
            return str(int(value)) if value.bit_length() <= _LONGEST_INT_BITS else "<int>"
        # A signalling NaN cannot even be made a float, and some fractions are beyond it.
        try:
            number = math.nan if isinstance(value, Decimal) and value.is_nan() else float(value)
        except OverflowError:
            number = math.inf
        if not math.isfinite(number):
            self._repairs.note(self._field, "a number that is not finite became null")
            return None
        whole = not isinstance(value, float) and number.is_integer() and abs(number) < 2**53
        return int(number) if whole else number

    def _key(self, key: Any) -> str:
        if isinstance(key, tuple):
            return ",".join(self._key(part) for part in cast("tuple[Any, ...]", key))
        found = plain(key)
        if found is not None:
            return self._text(str(found))
        return "None" if key is None else f"<{type(key).__name__}>"

    def _named(self, value: Any) -> str:
        self._repairs.note(self._field, f"a value of type {type(value).__name__[:60]} has no JSON form")
        return f"<{type(value).__name__}>"


def free_name(name: str, taken: Mapping[str, Any]) -> str:
    """`name`, numbered when it is taken."""
    number, free = 2, name
    while free in taken:
        free, number = f"{name}_{number}", number + 1
    return free


def _field_name(key: Any) -> str:
    return clean_text(key) if isinstance(key, str) else str(plain(key))


def _has_meaning(value: Any, converted: JsonValue) -> bool:
    return converted is not None and not (
        isinstance(converted, str) and converted == f"<{type(value).__name__}>"
    )


def _scalar(value: Any) -> float | str | None:
    """Text or a number that says the same, None when there is none."""
    match value:
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
            return None


def _bytes_text(raw: bytes) -> str:
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        return base64.b64encode(raw).decode("ascii")


class _TooManyMembers(Exception):
    """A container that would fill the memory, such as `range(10**12)`."""


def _at_most(limit: int, items: Iterable[Any]) -> list[Any]:
    taken = list(islice(items, limit + 1))
    if len(taken) > limit:
        raise _TooManyMembers
    return taken


def _members(value: Any, limit: int = MOST_VALUES) -> list[Any] | dict[Any, Any] | None:
    """The members of a container, None when the value is none.

    Raises:
        _TooManyMembers: there are more than `limit`.
    """
    if isinstance(value, BaseModel):
        return model_fields(value)
    if isinstance(value, dict):
        return dict(cast("dict[Any, Any]", value))
    if not issubclass(cast("type[Any]", type(value)), list | tuple | set | frozenset):
        limit = min(limit, _MOST_MADE)
    if isinstance(value, Mapping):
        mapping = cast("Mapping[Any, Any]", value)
        return {key: mapping[key] for key in _at_most(limit, mapping)}
    if is_dataclass(value) and not isinstance(value, type):
        return {item.name: getattr(value, item.name) for item in fields(value)}
    if isinstance(value, Set):
        return sorted(_at_most(limit, cast("Set[Any]", value)), key=str)
    if isinstance(value, Sequence) and not isinstance(value, str | bytes | bytearray | memoryview):
        return _at_most(limit, cast("Sequence[Any]", value))
    shape: Any = getattr(cast("Any", value), "shape", ())
    if isinstance(shape, tuple) and math.prod(cast("tuple[int, ...]", shape)) > limit:
        raise _TooManyMembers
    tolist: Any = getattr(cast("Any", value), "tolist", None)  # arrays of numpy and its kin
    listed: Any = tolist() if callable(tolist) else None
    return cast("list[Any]", listed) if isinstance(listed, list) else None
