"""Every field of a payload with its path, found again by name however deep it stands and however it is spelt.

One walk, the outermost fields first: mappings, lists, objects, lists of names and values, JSON inside a string,
and `a=b,c=d` inside the strings that providers use for it.
"""

from __future__ import annotations

import json
import re
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, cast

from tuner_core.identity.names import normal
from tuner_core.identity.reading import opened, pairs_in, unpacked

MAX_FIELDS = 20_000
"""Fields looked at; identity stands near the top, so what lies beyond is content."""

_MAX_DEPTH = 14
_MAX_PAIRS_TEXT = 4_096
_NAME_KEYS = ("name", "key", "header", "variable")
_PAIRS_TEXT = frozenset(
    "extraheaders customparameters customheaders customsipheaders sipheaders headers parameters metadata"
    " customfield query querystring args agirequest agiarg1 agiarg2 agiarg3 agiarg4".split()
)
"""Normal names of fields whose string may hold names and values."""

_TELEPHONE = re.compile(r"\+?[0-9]{6,}")


@dataclass(frozen=True, slots=True)
class Field:
    """One field of a payload.

    Attributes:
        path: as the payload spells it: `start.customParameters.SipCallId`, `headers[X-CID]`, `callIds[0]`.
        keys: normal names from the outermost to its own; positions in lists are left out.
        value: a string, number or container.
    """

    path: str
    keys: tuple[str, ...]
    value: Any = field(repr=False)

    @property
    def name(self) -> str:
        """Its own normal name, "" for the payload itself."""
        return self.keys[-1] if self.keys else ""

    @property
    def text(self) -> str:
        """The value as text without blanks around it; "" for containers and what is no text."""
        value = self.value
        if isinstance(value, bytes):
            value = value.decode("utf-8", errors="replace")
        if isinstance(value, str):
            return value.strip()
        return str(value) if isinstance(value, int) and not isinstance(value, bool) else ""


@dataclass(slots=True)
class Fields:
    """All fields of one payload, outermost first."""

    all: list[Field] = field(default_factory=list[Field])
    _by_place: dict[str, list[Field]] = field(default_factory=dict[str, list[Field]])

    def add(self, entry: Field) -> None:
        """Make `entry` findable by its name and by every longer end of its path."""
        self.all.append(entry)
        for start in range(len(entry.keys)):
            self._by_place.setdefault(".".join(entry.keys[start:]), []).append(entry)

    def at(self, place: str) -> list[Field]:
        """The fields whose path is `place` or ends in it; `=` before it minds hyphens and underscores.

        Args:
            place: `start.callSid`, `sip.callIDFull`; case, `-` and `_` do not matter.
        """
        if not place.startswith("="):
            return self._by_place.get(normal(place), [])
        literal = place[1:].lower()
        return [entry for entry in self.at(literal) if _ends_with(entry.path.lower(), literal)]

    def inside(self, places: tuple[str, ...]) -> frozenset[int]:
        """Identities (`id`) of the fields in the containers at `places`; `*` is the whole payload.

        A payload that is itself a list of names and values, `Call-ID` among them, counts as such a container.
        """
        if "*" in places:
            return frozenset(id(entry) for entry in self.all)
        is_list = bool(self.all) and isinstance(self.all[0].value, list | tuple)
        listed = [entry for entry in self.all if is_list and len(entry.keys) == 1 and entry.path[:1] != "["]
        found = listed if any(entry.path.lower() == "call-id" for entry in listed) else []
        containers = {entry.keys for place in places for entry in self.at(place)}
        if containers:
            found += [
                entry
                for entry in self.all
                if any(entry.keys[:length] in containers for length in range(len(entry.keys)))
            ]
        return frozenset(id(entry) for entry in found)


def fields_of(data: Any) -> Fields:
    """All fields of plain data as `read` gives it; deep, endless or huge data is looked at as far as the limits go."""
    found = Fields()
    waiting: deque[tuple[Field, int]] = deque([(Field("", (), data), 0)])
    while waiting and len(found.all) < MAX_FIELDS:
        entry, depth = waiting.popleft()
        found.add(entry)
        room = MAX_FIELDS - len(found.all) - len(waiting)
        if depth < _MAX_DEPTH and room > 0:
            waiting.extend((child, depth + 1) for child in islice(_children(entry), room))
    return found


def _children(entry: Field) -> Iterator[Field]:
    value = _expanded(entry)
    if isinstance(value, Mapping):
        table = cast("Mapping[Any, Any]", value)
        yield from _named_value(entry, table)
        for key, inner in table.items():
            name = _key_text(key)
            if name:
                yield _child(entry, name, inner)
    elif isinstance(value, list | tuple):
        for position, inner in enumerate(cast("list[Any]", value)):
            # A body in base64 may end in `=`, as a name without a value does.
            is_body = entry.name == "body" and isinstance(inner, str)
            pair = None if is_body else _pair(inner)
            if pair:
                yield Field(_bracketed(entry.path, pair[0]), (*entry.keys, normal(pair[0])), pair[1])
            else:
                yield Field(f"{entry.path}[{position}]", entry.keys, inner)


def _expanded(entry: Field) -> Any:
    """The value with what is packed in a string unpacked."""
    value = entry.value
    text = entry.text if isinstance(value, str | bytes) else ""
    if not text:
        return opened(value)
    if text[0] in "{[":
        try:
            return json.loads(text)
        except (ValueError, RecursionError):
            pass
    if entry.name == "body":
        return unpacked(text)
    if entry.name in _PAIRS_TEXT and len(text) <= _MAX_PAIRS_TEXT:
        return pairs_in(text)
    return None


def _named_value(entry: Field, table: Mapping[Any, Any]) -> Iterator[Field]:
    """The field that `{"name": …, "value": …}` stands for."""
    folded = {key.lower(): value for key, value in table.items() if isinstance(key, str)}
    name = next((_key_text(folded[key]) for key in _NAME_KEYS if _key_text(folded.get(key))), "")
    if name and "value" in folded:
        where = re.sub(r"\[\d+\]$", "", entry.path)
        yield Field(_bracketed(where, name), (*entry.keys, normal(name)), folded["value"])


def _pair(value: Any) -> tuple[str, Any] | None:
    """A name and its value in a list of two, or in one string `Name: value`."""
    if isinstance(value, list | tuple) and len(cast("list[Any]", value)) == 2:
        key, inner = cast("tuple[Any, Any]", value)
        name = _key_text(key)
        return (name, inner) if name else None
    if isinstance(value, str) and len(value) <= _MAX_PAIRS_TEXT:
        header = re.fullmatch(r"([A-Za-z][\w-]*)(?::[ \t]+|=)([^\s,;&]+)\s*", value)
        return (header[1], header[2]) if header else None
    return None


def _child(entry: Field, name: str, value: Any) -> Field:
    shown = "…" if _TELEPHONE.fullmatch(name) else name
    path = f"{entry.path}.{shown}" if entry.path else shown
    # A form spells nesting with brackets: Stream[StreamSID].
    parts = [part for part in re.split(r"[\[\]]", name) if part] if "(" not in name else [name]
    # Each place on the way is an index entry; a name of a thousand brackets is no path.
    if len(parts) > _MAX_DEPTH:
        parts = [name]
    return Field(path, (*entry.keys, *(normal(part) for part in parts)), value)


def _bracketed(path: str, name: str) -> str:
    return f"{path}[{name}]" if path else name


def _key_text(key: Any) -> str:
    if isinstance(key, bytes):
        key = key.decode("utf-8", errors="replace")
    return key.strip() if isinstance(key, str) else ""


def _ends_with(path: str, literal: str) -> bool:
    bare = re.sub(r"\[\d+\]", "", path)
    if bare.endswith(f"[{literal}]"):
        return True
    return bare == literal or bare.endswith(f".{literal}")
