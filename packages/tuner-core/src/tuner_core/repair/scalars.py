"""Fields of one plain type: text, flags."""

from __future__ import annotations

import json
from typing import Any

from tuner_core.repair.values import Repairs, as_json, clean_text, plain

_SPELT = {
    "true": True,
    "1": True,
    "yes": True,
    "on": True,
    "false": False,
    "0": False,
    "no": False,
    "off": False,
}


def text_of(field: str, value: Any, repairs: Repairs) -> str:
    """A value as text; what is none is written as JSON."""
    if type(value) is str:
        cleaned = clean_text(value)
        if cleaned is not value:
            repairs.note(field, "removed characters that JSON storage refuses")
        return cleaned
    converted = as_json(value, field=field, repairs=repairs)
    if isinstance(converted, str):
        return converted
    repairs.note(field, "not text, written as text")
    return json.dumps(converted, ensure_ascii=False)


def flag_of(field: str, value: Any, repairs: Repairs) -> bool | None:
    """A value as a boolean, None when it says neither."""
    if isinstance(value, bool):
        return value
    found = plain(value)
    if isinstance(found, bool):
        return found
    flag = _SPELT.get(found.strip().lower()) if isinstance(found, str) else None
    if isinstance(found, int | float) and found in (0, 1):
        flag = bool(found)
    repairs.note(field, "not a boolean, left out" if flag is None else "converted to a boolean")
    return flag
