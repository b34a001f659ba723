"""The two timestamps and the duration of a call."""

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta, timezone, tzinfo
from decimal import Decimal
from typing import Any

import numpy
import pytest

from tuner_core.errors import InvalidRecord
from tuner_core.repair import conform

Check = Callable[[Any], None]
START = 1_790_000_000
CALL: dict[str, Any] = {
    "call_id": "c-81",
    "call_type": "phone_call",
    "start_timestamp": START,
    "end_timestamp": START + 42,
    "recording_url": "https://recordings.example/c-81.wav",
    "transcript_with_tool_calls": [{"role": "agent", "text": "Hello!", "start_ms": 600, "end_ms": 1400}],
}


@pytest.mark.parametrize(
    "moment",
    [
        START,
        START * 1000,
        START * 1_000_000,
        START * 1_000_000_000,
        float(START),
        str(START),
        datetime.fromtimestamp(START, UTC),
        datetime.fromtimestamp(START, UTC).replace(tzinfo=None),
        datetime.fromtimestamp(START, UTC).isoformat(),
        Decimal(START),
    ],
    ids=["s", "ms", "us", "ns", "float", "text", "datetime", "naive", "iso", "decimal"],
)
def test_every_spelling_of_a_moment_becomes_unix_milliseconds(moment: Any) -> None:
    assert conform({**CALL, "start_timestamp": moment}).payload["start_timestamp"] == START * 1000


def test_seconds_and_milliseconds_in_one_record_become_one_unit(assert_accepted: Check) -> None:
    payload = conform({**CALL, "start_timestamp": START, "end_timestamp": START * 1000 + 5500}).payload
    assert_accepted(payload)
    assert payload["end_timestamp"] - payload["start_timestamp"] == 5500


def test_a_missing_or_earlier_end_is_derived(assert_accepted: Check) -> None:
    for broken in (None, START - 10, "tomorrow", float("nan")):
        payload = conform({**CALL, "end_timestamp": broken, "duration_ms": 3000}).payload
        assert_accepted(payload)
        assert payload["end_timestamp"] == START * 1000 + 3000


@pytest.mark.parametrize(
    "moment",
    [numpy.int64(START), numpy.float64(START), datetime.fromtimestamp(START, timezone(timedelta(hours=5)))],
)
def test_moments_of_numpy_and_of_other_zones_are_read_too(moment: Any) -> None:
    assert conform({**CALL, "start_timestamp": moment}).payload["start_timestamp"] == START * 1000


def test_a_date_is_its_midnight() -> None:
    payload = conform({**CALL, "start_timestamp": date(2026, 9, 21)}).payload
    assert payload["start_timestamp"] == int(datetime(2026, 9, 21, tzinfo=UTC).timestamp()) * 1000


@pytest.mark.parametrize(
    ("changes", "repair"),
    [
        ({"start_timestamp": START, "end_timestamp": START * 1000 + 5000}, "end_timestamp: in another unit"),
        ({"start_timestamp": str(START)}, "start_timestamp: text"),
        ({"start_timestamp": START * 10**6, "end_timestamp": START * 10**6}, "start_timestamp: in micro"),
        ({"end_timestamp": START - 1}, "end_timestamp: before the start"),
        ({"end_timestamp": None}, "end_timestamp: missing"),
        ({"start_timestamp": "soon"}, "start_timestamp: says no moment"),
        ({"start_timestamp": True}, "start_timestamp: says no moment"),
        ({"start_timestamp": -5}, "start_timestamp: says no moment"),
        ({"start_timestamp": 10**30}, "start_timestamp: says no moment"),
        ({"duration_ms": -1}, "duration_ms: not a number"),
        ({"duration_ms": float("nan")}, "duration_ms: not a number"),
        ({"duration_ms": 42}, "duration_ms: disagreed"),
    ],
)
def test_each_repair_of_the_moments_is_listed(
    changes: dict[str, Any], repair: str, assert_accepted: Check
) -> None:
    conformed = conform({**CALL, **changes})
    assert_accepted(conformed.payload)
    assert any(listed.startswith(repair) for listed in conformed.repairs), conformed.repairs


def test_a_duration_in_seconds_is_corrected_by_the_moments_and_a_right_one_stays() -> None:
    assert conform({**CALL, "duration_ms": 42}).payload["duration_ms"] == 42_000
    right = conform({**CALL, "duration_ms": 41_700})
    assert (right.payload["duration_ms"], right.repairs) == (41_700, ())


def test_a_missing_start_is_derived_from_the_end_and_the_duration(assert_accepted: Check) -> None:
    payload = conform({**CALL, "start_timestamp": None, "duration_ms": 3000}).payload
    assert_accepted(payload)
    assert payload["start_timestamp"] == (START + 39) * 1000


def test_a_clock_without_a_date_gives_a_call_of_the_right_length_in_one_unit(assert_accepted: Check) -> None:
    """`time.monotonic()` in place of `time.time()`: as milliseconds the API would read it as seconds."""
    conformed = conform({**CALL, "start_timestamp": 12_345.6, "end_timestamp": 12_387.6})
    assert_accepted(conformed.payload)
    assert (conformed.payload["start_timestamp"], conformed.payload["end_timestamp"]) == (12_345, 12_387)
    assert any("clock was not set" in repair for repair in conformed.repairs)
    assert conform(conformed.payload).repairs == ()


def test_a_start_that_no_clock_gave_is_derived_from_an_end_that_one_did(assert_accepted: Check) -> None:
    payload = conform({**CALL, "start_timestamp": 17.5, "end_timestamp": START, "duration_ms": 2000}).payload
    assert_accepted(payload)
    assert payload["start_timestamp"] == (START - 2) * 1000


class _Broken(tzinfo):
    def utcoffset(self, dt: datetime | None) -> timedelta:
        raise RuntimeError


@pytest.mark.parametrize("odd", [datetime(2026, 1, 1, tzinfo=_Broken()), object(), {}, 1e300, "9" * 5000])
def test_a_moment_that_cannot_be_read_is_as_good_as_none(odd: Any) -> None:
    assert conform({**CALL, "end_timestamp": odd}).payload["end_timestamp"] == START * 1000
    with pytest.raises(InvalidRecord):
        conform({**CALL, "start_timestamp": odd, "end_timestamp": odd})
