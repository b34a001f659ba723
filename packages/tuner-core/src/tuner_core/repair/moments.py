"""The two timestamps of a call, whatever unit or type they came in, and its duration."""

from __future__ import annotations

import math
from datetime import UTC, date, datetime
from typing import Any, cast

from tuner_core.errors import InvalidRecord
from tuner_core.repair.values import Repairs, plain

_MILLISECONDS_FROM = 10**11
"""Timestamps from here on are milliseconds, below it seconds: as milliseconds it is March 1973."""

_LAST_MS = 10**14
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SLACK_MS = 1000
"""Timestamps in whole seconds may be this far from the duration."""


def call_moments(start: Any, end: Any, duration: Any, repairs: Repairs) -> tuple[int, int, int | None]:
    """Start and end in Unix milliseconds, the end never before the start, and the duration when it was given.

    Two moments before March 1973, as a clock that does not know the date gives them, stay seconds: as milliseconds
    the API would take them for seconds.

    Args:
        start: Unix seconds, milli-, micro- or nanoseconds, a datetime (naive means UTC), text of either.
        end: the same.
        duration: in milliseconds; corrected when start and end say otherwise.
        repairs: gets a note for each change.

    Raises:
        InvalidRecord: neither says a moment.
    """
    first, last = _seconds("start_timestamp", start, repairs), _seconds("end_timestamp", end, repairs)
    length = number_in(duration)
    if duration is not None and (length is None or length < 0):
        repairs.note("duration_ms", "not a number from 0 up, left out")
    lasted_ms = math.ceil(length) if length is not None and 0 <= length < _LAST_MS else None
    if first is None and last is None:
        raise InvalidRecord("the record has no start_timestamp and no end_timestamp that says a moment")
    _note_units(start, end, repairs)
    first_ms, last_ms = _both(first, last, lasted_ms or 0, repairs)
    if last_ms < first_ms:
        last_ms = first_ms + (lasted_ms or 0)
        repairs.note("end_timestamp", "before the start, moved behind it")
    undated = first_ms < _MILLISECONDS_FROM
    last_ms = min(last_ms, (_MILLISECONDS_FROM if undated else _LAST_MS) - 1)
    if lasted_ms is not None and abs(lasted_ms - (last_ms - first_ms)) > _SLACK_MS:
        repairs.note("duration_ms", "disagreed with start and end, corrected")
        lasted_ms = last_ms - first_ms
    if not undated:
        return first_ms, last_ms, lasted_ms
    first_s, last_s = first_ms // 1000, last_ms // 1000
    if not (type(start) is int and type(end) is int and (start, end) == (first_s, last_s)):
        repairs.note("start_timestamp", "before 1973, the clock was not set; sent in whole seconds")
    return first_s, last_s, lasted_ms


def unix_seconds(value: Any) -> float | None:
    """The moment that a number, a datetime or text says, in Unix seconds; None when it says none. Never raises."""
    try:
        if isinstance(value, date):
            value = value if isinstance(value, datetime) else datetime(value.year, value.month, value.day)
        elif not isinstance(value, str | int | float):
            value = plain(value)
        if isinstance(value, str):
            value = _parsed(value)
        if isinstance(value, datetime):
            aware = value if value.tzinfo else value.replace(tzinfo=UTC)
            return (aware - _EPOCH).total_seconds()
    except Exception:  # a value's own methods may raise anything
        return None
    number = number_in(value)
    return None if number is None else number / units_per_second(number)


def units_per_second(number: float) -> int:
    """Seconds, milli-, micro- or nanoseconds: their present values lie three orders of magnitude apart."""
    for bound, units in ((1e11, 1), (1e14, 1000), (1e17, 1_000_000)):
        if number < bound:
            return units
    return 1_000_000_000


def number_in(value: Any) -> float | None:
    """The finite number that a value is or spells, None when it is none. Never raises."""
    if type(value) is float:
        return value if math.isfinite(value) else None
    try:
        if isinstance(value, bool):
            return None
        if not isinstance(value, int | float | str):
            value = plain(value)
            if isinstance(value, bool) or value is None:
                return None
        number = float(value)
    except Exception:  # a value's own methods may raise anything
        return None
    return number if math.isfinite(number) else None


def _seconds(name: str, value: Any, repairs: Repairs) -> float | None:
    if value is None:
        return None
    seconds = unix_seconds(value)
    if seconds is None or not 0 <= seconds * 1000 < _LAST_MS:
        repairs.note(name, "says no moment")
        return None
    if isinstance(value, str):
        repairs.note(name, "text, read as a moment")
    elif issubclass(type(value), int | float) and (number_in(value) or 0.0) >= 1e14:
        repairs.note(name, "in micro- or nanoseconds, sent as milliseconds")
    return seconds


def _note_units(start: Any, end: Any, repairs: Repairs) -> None:
    # Even the type of a proxy may raise, so the values are not asked for it.
    if not issubclass(type(start), int | float) or not issubclass(type(end), int | float):
        return
    first, last = number_in(start), number_in(end)
    if first is None or last is None:
        return
    if units_per_second(first) != units_per_second(last):
        repairs.note("end_timestamp", "in another unit than start_timestamp, both sent as milliseconds")


def _both(first: float | None, last: float | None, lasted_ms: int, repairs: Repairs) -> tuple[int, int]:
    early = _MILLISECONDS_FROM / 1000
    if first is not None and last is not None and first < early <= last:
        repairs.note("start_timestamp", "says no moment")
        first = None
    if first is None:
        last_ms = round(cast("float", last) * 1000)
        repairs.note("start_timestamp", "missing, derived from the end")
        first_ms = last_ms - lasted_ms
        floor = _MILLISECONDS_FROM if last_ms >= _MILLISECONDS_FROM else 0
        return max(floor, first_ms), last_ms
    first_ms = round(first * 1000)
    if last is None:
        repairs.note("end_timestamp", "missing, derived from the start")
        return first_ms, first_ms + lasted_ms
    if first_ms == _LAST_MS:
        first_ms -= 1
    return first_ms, round(last * 1000)


def _parsed(text: str) -> datetime | float | None:
    try:
        return float(text)
    except ValueError:
        pass
    try:
        return datetime.fromisoformat(text.strip())
    except ValueError:
        return None
