"""Any Python value as JSON."""

import enum
import json
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from fractions import Fraction
from pathlib import PurePosixPath
from typing import Any
from uuid import UUID

import numpy
import pytest
from pydantic import BaseModel

from tuner_core.repair.notes import MOST_VALUES
from tuner_core.repair.values import MAX_DEPTH, Repairs, as_json


class Colour(enum.Enum):
    red = "r"
    pair = (1, 2)


class Level(enum.IntEnum):
    high = 3


class Name(enum.StrEnum):
    ann = "Ann"


@dataclass
class Point:
    x: int = 1
    y: Any = None


class Model(BaseModel):
    when: datetime = datetime(2026, 1, 2, tzinfo=UTC)
    inner: Point = Point()


@pytest.mark.parametrize(
    ("value", "sent"),
    [
        (datetime(2026, 1, 2, 3, 4, tzinfo=UTC), "2026-01-02T03:04:00+00:00"),
        (date(2026, 1, 2), "2026-01-02"),
        (time(3, 4), "03:04:00"),
        (timedelta(seconds=1.5), 1.5),
        (Decimal("1.50"), 1.5),
        (Decimal("2"), 2),
        (Fraction(1, 4), 0.25),
        (UUID(int=1), "00000000-0000-0000-0000-000000000001"),
        (b"abc", "abc"),
        (b"\xff\x00", "/wA="),
        (bytearray(b"abc"), "abc"),
        (memoryview(b"abc"), "abc"),
        (Colour.red, "r"),
        (Colour.pair, "pair"),
        (Level.high, 3),
        (Name.ann, "Ann"),
        ({3, 1, 2}, [1, 2, 3]),
        (("a", 1), ["a", 1]),
        (range(3), [0, 1, 2]),
        (Point(y=Point()), {"x": 1, "y": {"x": 1, "y": None}}),
        (Model(), {"when": "2026-01-02T00:00:00+00:00", "inner": {"x": 1, "y": None}}),
        (numpy.int64(7), 7),
        (numpy.float32(0.5), 0.5),
        (numpy.bool_(True), True),
        (numpy.array([[1, 2], [3, 4]]), [[1, 2], [3, 4]]),
        (numpy.datetime64("2026-01-02"), "2026-01-02"),
        (PurePosixPath("a/b"), "a/b"),
        (ValueError("no"), "ValueError: no"),
        (
            {1: "a", None: "b", 2.5: "c", ("x", 1): "d", Colour.red: "e", UUID(int=1): "f"},
            {
                "1": "a",
                "None": "b",
                "2.5": "c",
                "x,1": "d",
                "r": "e",
                "00000000-0000-0000-0000-000000000001": "f",
            },
        ),
    ],
)
def test_what_means_the_same_in_json_becomes_it_without_a_note(value: Any, sent: Any) -> None:
    repairs = Repairs()
    converted = as_json(value, field="x", repairs=repairs)
    assert converted == sent
    assert type(converted) is type(sent)
    assert repairs.listed() == ()


@pytest.mark.parametrize(
    ("value", "sent", "note"),
    [
        (float("nan"), None, "not finite"),
        (float("-inf"), None, "not finite"),
        (Decimal("sNaN"), None, "not finite"),
        (Decimal("1E+999999"), None, "not finite"),
        (Fraction(10**400, 3), None, "not finite"),
        (numpy.float64("nan"), None, "not finite"),
        (2**63, "9223372036854775808", "64 bits"),
        (-(2**63) - 1, "-9223372036854775809", "64 bits"),
        pytest.param(10**5000, "<int>", "64 bits", id="an integer that has no text"),
        ("a\x00b\ud800c", "ab?c", "removed characters"),
        (object(), "<object>", "type object"),
        (complex(1, 2), "<complex>", "type complex"),
        ((item for item in [1]), "<generator>", "type generator"),
        (print, "<builtin_function_or_method>", "type builtin"),
        ({1: "a", "1": "b"}, {"1": "a", "1_2": "b"}, "two keys"),
    ],
)
def test_what_loses_something_is_noted(value: Any, sent: Any, note: str) -> None:
    repairs = Repairs()
    assert as_json(value, field="x", repairs=repairs) == sent
    assert note in repairs.listed()[0]


def test_a_cycle_and_a_deep_value_are_cut() -> None:
    cycle: dict[str, Any] = {"a": 1}
    cycle["self"] = cycle
    deep: Any = "end"
    for _ in range(100_000):
        deep = [deep]
    repairs = Repairs()
    assert as_json(cycle, field="x", repairs=repairs) == {"a": 1, "self": None}
    converted = json.dumps(as_json(deep, field="x", repairs=repairs))
    assert converted.count("[") == MAX_DEPTH
    assert repairs.listed() == ("x: a value nested without end was cut (2 times)",)


def test_the_same_value_twice_is_no_cycle() -> None:
    shared = {"a": 1}
    assert as_json([shared, shared], field="x", repairs=Repairs()) == [{"a": 1}, {"a": 1}]


def test_containers_that_unfold_without_bound_are_cut_while_they_unfold() -> None:
    bomb: list[Any] = ["x"]
    for _ in range(40):
        bomb = [bomb] * 10
    repairs = Repairs()
    repairs.values_left = 5000
    as_json(bomb, field="x", repairs=repairs)
    assert any("too many members" in note for note in repairs.listed())
    assert MOST_VALUES > 5000


def test_an_object_whose_methods_raise_becomes_its_name() -> None:
    class Odd:
        def __getattr__(self, name: str) -> Any:
            raise RuntimeError

        def __str__(self) -> str:
            raise RuntimeError

    assert as_json([Odd(), {"a": Odd()}], field="x", repairs=Repairs()) == ["<Odd>", {"a": "<Odd>"}]
