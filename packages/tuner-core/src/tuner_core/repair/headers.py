"""`sip_headers` by allow-list: what links a call leaves the machine, what names the caller does not."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any, cast

from tuner_core.repair.values import Repairs, clean_text, fields_of, plain

ALLOWED = ("X-Correlation-Id", "X-CID")
"""Headers that are always posted: they link a call and say nothing of the caller."""

_FIELD = "sip_headers"
_NEVER = frozenset({"authorization", "proxy-authorization"})


def conform_headers(value: Any, allowed: Collection[str], repairs: Repairs) -> dict[str, str] | None:
    """The headers that may be posted, each with its first value as text; None when there is none.

    Names are compared without regard to case and written as they are listed. Credentials (`Authorization`,
    `Proxy-Authorization`) are never posted.

    Args:
        value: a mapping, pairs of name and value, or objects with the keys `name` and `value`.
        allowed: names beside `ALLOWED`.
        repairs: gets a note for each change.
    """
    spelling = {name.strip().lower(): name.strip() for name in (*allowed, *ALLOWED)}
    headers: dict[str, str] = {}
    for name, content in _pairs(value, repairs):
        known = clean_text(name).strip().lower()
        if known not in spelling or known in _NEVER:
            repairs.note(_FIELD, "a header that is not on the allow-list was left out")
            continue
        text = _text(content)
        if not text:
            repairs.note(_FIELD, "a value that is not text was left out")
        elif spelling[known] not in headers:
            headers[spelling[known]] = text
    return headers or None


def _pairs(value: Any, repairs: Repairs) -> Iterable[tuple[str, Any]]:
    fields = fields_of(value)
    if fields is not None:
        yield from fields.items()
        return
    if not isinstance(value, list | tuple):
        repairs.note(_FIELD, "not an object, left out")
        return
    repairs.note(_FIELD, "a list, made an object")
    for item in cast("list[Any]", value):
        entry = fields_of(item)
        pair = (entry.get("name"), entry.get("value")) if entry is not None else item
        if isinstance(pair, tuple | list) and len(cast("list[Any]", pair)) == 2:
            name, content = cast("tuple[Any, Any]", pair)
            if isinstance(name, str):
                yield name, content


def _text(value: Any) -> str:
    if isinstance(value, list | tuple) and value:
        value = cast("list[Any]", value)[0]
    found = plain(value)
    if found is None or isinstance(found, bool):
        return ""
    return " ".join(str(found).split())
