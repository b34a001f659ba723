"""Reading JSON of which nothing is certain: posted records and measures of other versions."""

from __future__ import annotations

from typing import Any, cast


def object_of(value: object) -> dict[str, Any]:
    """The value if it is a JSON object, else an empty one."""
    return cast(dict[str, Any], value) if isinstance(value, dict) else {}


def objects_of(value: object) -> list[dict[str, Any]]:
    """The JSON objects in a list; empty when the value is no list."""
    return [object_of(item) for item in cast(list[Any], value)] if isinstance(value, list) else []


def number_of(value: object) -> float | None:
    """The value if it is a number, else None."""
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def text_of(value: object) -> str:
    """The value if it is a string, else an empty one."""
    return value if isinstance(value, str) else ""


def spans_of(value: object) -> list[tuple[float, float]]:
    """The pairs of numbers in a list, such as where somebody spoke."""
    spans: list[tuple[float, float]] = []
    for item in cast(list[Any], value) if isinstance(value, list) else []:
        pair = cast(list[Any], item) if isinstance(item, list) else []
        if len(pair) == 2 and all(number_of(edge) is not None for edge in pair):
            spans.append((float(pair[0]), float(pair[1])))
    return spans
