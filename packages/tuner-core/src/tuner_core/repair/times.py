"""Times of rows and words: whole milliseconds from the start of the call."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, timedelta
from itertools import islice
from typing import Any, cast

from tuner_core.records import Word
from tuner_core.repair.moments import number_in, unix_seconds
from tuner_core.repair.values import Repairs, as_json, clean_text, fields_of

ROWS = "transcript_with_tool_calls"

_START, _END, _DURATION = f"{ROWS}[].start_ms", f"{ROWS}[].end_ms", f"{ROWS}[].duration_ms"
_WORDS = f"{ROWS}[].words"
_WORD_START, _WORD_END = f"{_WORDS}[].start_ms", f"{_WORDS}[].end_ms"
_WORD_FIELDS = frozenset({"word", "start_ms", "end_ms", "confidence"})

_LONGEST_MS = 1e9
"""No call lasts eleven days; a larger number is a Unix time, or nothing."""

_WORD_S = (0.02, 10.0)
_SURE_SPANS = 3
_LOOKED_AT = 8
_SLACK_MS = 2000.0
_MOST_WORDS = 100_000


def relative_ms(
    field: str, value: Any, call_start_ms: int, repairs: Repairs, *, scale: float = 1
) -> int | None:
    """Milliseconds from the start of the call, rounded up as the API does; None when it is no time.

    Args:
        field: its name, for the notes.
        value: milliseconds; a Unix time or a datetime becomes relative to the start of the call.
        call_start_ms: in Unix milliseconds.
        repairs: gets a note for each change.
        scale: 1000 for a value in seconds.
    """
    if value is None:
        return None
    kind = cast("type[Any]", type(value))
    if (kind is int or kind is float) and 0 <= value < _LONGEST_MS:
        number = value * scale
    else:
        number = _odd_number(field, value, call_start_ms, scale, repairs)
    if number is None or number >= _LONGEST_MS:
        repairs.note(field, "no time in a call, left out")
        return None
    if number < 0:
        repairs.note(field, "negative, sent as 0")
        return 0
    return math.ceil(number)


def duration_in_ms(field: str, value: Any, repairs: Repairs, *, scale: float = 1) -> int | None:
    """A duration in whole milliseconds, None when it is none."""
    if value is None:
        return None
    number = value / timedelta(milliseconds=1) if isinstance(value, timedelta) else number_in(value)
    if number is None or number * scale >= _LONGEST_MS:
        repairs.note(field, "no time in a call, left out")
        return None
    if number < 0:
        repairs.note(field, "negative, sent as 0")
        return 0
    return math.ceil(number * scale)


def row_times(given: Mapping[str, Any], call_start_ms: int, scale: float, repairs: Repairs) -> dict[str, int]:
    """Start, end and duration of a row as far as they are known, the end never before the start.

    Args:
        given: `start_ms`, `end_ms` and `duration_ms`, any of them None or absent.
        call_start_ms: in Unix milliseconds.
        scale: 1000 when they are in seconds.
        repairs: gets a note for each change.
    """
    start = relative_ms(_START, given.get("start_ms"), call_start_ms, repairs, scale=scale)
    end = relative_ms(_END, given.get("end_ms"), call_start_ms, repairs, scale=scale)
    duration = duration_in_ms(_DURATION, given.get("duration_ms"), repairs, scale=scale)
    if start is None and end is not None and duration is not None:
        start = max(0, end - duration)
        repairs.note(_START, "missing, derived from end and duration")
    if start is None:
        return {} if end is None else {"end_ms": end}
    if end is None and duration is not None:
        end = start + duration
    if end is None:
        return {"start_ms": start}
    if end < start:
        repairs.note(_END, "before the start, moved to it")
        end = start
    times = {"start_ms": start, "end_ms": end}
    if duration is not None:
        times["duration_ms"] = end - start
        if abs(duration - times["duration_ms"]) > 1:
            repairs.note(_DURATION, "disagreed with start and end, corrected")
    return times


def row_words(value: Any, call_start_ms: int, scale: float, repairs: Repairs) -> list[dict[str, Any]]:
    """The words that have text and times; the others are left out.

    Args:
        value: a list of `Word`s or mappings.
        call_start_ms: in Unix milliseconds.
        scale: 1000 when the row's times are in seconds.
        repairs: gets a note for each change.
    """
    if value is None:
        return []
    if isinstance(value, str | bytes | Mapping) or not isinstance(value, Sequence):
        repairs.note(_WORDS, "not a list, left out")
        return []
    given = [_word_fields(word) for word in islice(cast("Sequence[Any]", value), _MOST_WORDS + 1)]
    if len(given) > _MOST_WORDS:
        repairs.note(_WORDS, f"more than {_MOST_WORDS} words in a row, the rest left out")
        del given[_MOST_WORDS:]
    spans = ((word.get("start_ms"), word.get("end_ms")) for word in given[:_LOOKED_AT])
    if scale == 1 and seconds_for_milliseconds(spans, usual_s=_WORD_S, longest_ms=_LONGEST_MS):
        repairs.note(_WORDS, "times in seconds, made milliseconds")
        scale = 1000
    words = (_word(fields, call_start_ms, scale, repairs) for fields in given)
    return [word for word in words if word is not None]


def seconds_for_milliseconds(
    spans: Iterable[tuple[Any, Any]], *, usual_s: tuple[float, float], longest_ms: float
) -> bool:
    """True when these times can only be seconds: as milliseconds, nobody speaks that fast.

    Whole numbers need several spans to be sure, for a row of 0 to 1 ms is also what somebody without times writes.

    Args:
        spans: start and end of what was spoken.
        usual_s: between these seconds lies the mean of such spans, less than a thousandfold apart.
        longest_ms: what the times would have to fit into once they are milliseconds.
    """
    total = last = 0.0
    count = 0
    fractions = False
    for given in spans:
        span = _span(*given)
        if span is not None:
            start, end = span
            total += end - start
            count += 1
            last = max(last, end)
            fractions = fractions or start % 1 != 0 or end % 1 != 0
    if not (fractions or count >= _SURE_SPANS) or not math.isfinite(total):
        return False
    shortest, longest = usual_s
    return shortest <= total / count < longest and last * 1000 <= longest_ms + _SLACK_MS


def _span(start: Any, end: Any) -> tuple[float, float] | None:
    # Even the type of a proxy may raise, so the values are not asked for it.
    if not (issubclass(type(start), int | float) and issubclass(type(end), int | float)):
        return None
    first, last = number_in(start), number_in(end)
    return (first, last) if first is not None and last is not None and 0 <= first < last else None


def _odd_number(field: str, value: Any, call_start_ms: int, scale: float, repairs: Repairs) -> float | None:
    """Milliseconds from the start of the call that a value of another type or size says, None when it says none."""
    if isinstance(value, timedelta):
        return value / timedelta(milliseconds=1)
    number = number_in(value)
    if number is not None and number < _LONGEST_MS:
        if isinstance(value, str):
            repairs.note(field, "text, read as a number")
        return number * scale
    moment = unix_seconds(value) if number is not None or isinstance(value, date | str) else None
    if moment is None:
        return None
    repairs.note(field, "a moment, made relative to the start of the call")
    return moment * 1000 - call_start_ms


def _word(
    fields: Mapping[Any, Any], call_start_ms: int, scale: float, repairs: Repairs
) -> dict[str, Any] | None:
    text, start, end = fields.get("word"), fields.get("start_ms"), fields.get("end_ms")
    if isinstance(text, int | float) and not isinstance(text, bool):
        text = str(as_json(text, field=_WORDS, repairs=repairs))
    if not (type(start) is int and type(end) is int and scale == 1 and 0 <= start <= end < _LONGEST_MS):
        start = relative_ms(_WORD_START, start, call_start_ms, repairs, scale=scale)
        end = relative_ms(_WORD_END, end, call_start_ms, repairs, scale=scale)
    if not isinstance(text, str) or start is None or end is None:
        repairs.note(_WORDS, "a word without text or times was left out")
        return None
    if end < start:
        repairs.note(_WORD_END, "before the start, moved to it")
        end = start
    word: dict[str, Any] = {"word": clean_text(text), "start_ms": start, "end_ms": end}
    confidence = fields.get("confidence")
    if confidence is not None:
        measured = confidence if type(confidence) is int else number_in(confidence)
        if measured is None:
            repairs.note(f"{_WORDS}[].confidence", "not a number, left out")
        else:
            word["confidence"] = measured
    if not fields.keys() <= _WORD_FIELDS:
        for name, value in fields.items():
            if value is not None and name not in _WORD_FIELDS:
                word[clean_text(str(name))] = as_json(value, field=f"{_WORDS}[]", repairs=repairs)
    return word


def _word_fields(word: Any) -> Mapping[Any, Any]:
    if type(word) is Word:
        return word.__dict__
    return cast("dict[Any, Any]", word) if type(word) is dict else fields_of(word) or {}
