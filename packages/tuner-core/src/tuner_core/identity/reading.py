"""Whatever a provider handed over as plain data: bodies as bytes or text become mappings, lists and strings.

Text is told apart by its shape: JSON, a SIP message, SIP headers, FreeSWITCH's event text, Asterisk's AGI
environment, lines of variables, a form body, a URL with a query.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from typing import Any, cast
from urllib.parse import parse_qsl, unquote

_START_LINE = re.compile(r"(?:[A-Z]{3,12} \S+ SIP/2\.0|SIP/2\.0 \d{3}.*)\s*")
_HEADER_LINE = re.compile(r"([A-Za-z$][\w.$%!*+`'~(),-]*)[ \t]*:[ \t]*(.*)")
_VARIABLE = re.compile(r"([A-Za-z_$][\w.$(),-]*)[ \t]*=(.*)")
_BASE64 = re.compile(r"[A-Za-z0-9+/]+={0,2}")
_URL = re.compile(r"[a-z][a-z0-9+.-]*://\S+", re.IGNORECASE)
_NAME = re.compile(r"[\w$][\w.$ -]*")
_SEPARATOR = re.compile("[=:]")


@dataclass(frozen=True, slots=True)
class Reading:
    """A payload as data.

    Attributes:
        data: mappings, lists and scalars; None when nothing could be read.
        format: what it was, in words: `JSON`, `form body`, `SIP message`, ...
        is_sip: True when it was SIP itself, whose values are taken literally.
    """

    data: Any = field(repr=False)
    format: str
    is_sip: bool = False


def read(payload: Any) -> Reading:
    """`payload` as data; anything that is not text, bytes or an object with fields passes as it is."""
    if isinstance(payload, bytes | bytearray):
        return read_text(payload.decode("utf-8", errors="replace"))
    if isinstance(payload, str):
        return read_text(payload)
    return Reading(opened(payload), "mapping" if isinstance(payload, Mapping) else type(payload).__name__)


def read_text(text: str) -> Reading:
    """The data in a body of text; `Reading.format` says which form it has."""
    text = text.lstrip("\ufeff").strip()
    if text.startswith(("{", "[")):
        try:
            return Reading(json.loads(text), "JSON")
        except (ValueError, RecursionError):
            if frames := _json_lines(text):
                return Reading(frames, "JSON lines")
    if _URL.fullmatch(text):
        return Reading(_form(text.partition("?")[2]), "URL query")
    if _START_LINE.fullmatch(text.partition("\n")[0]):
        head = re.split(r"\r?\n\r?\n", text.partition("\n")[2], maxsplit=1)[0]
        return Reading(_lines(head) or {}, "SIP message", is_sip=True)
    # What a script asked and was told after its environment stands there too.
    lines = _lines(text, skip_others=text.startswith("agi_"))
    if lines is not None:
        return _told_apart(lines)
    if "\n" in text and (variables := _variables(text)):
        return Reading(variables, "lines of variables")
    if "=" in text and not re.search(r"\s", text):
        return Reading(_form(text.removeprefix("?")), "form body")
    return Reading(None, "text")


def unpacked(body: str) -> Any:
    """The data in the body of a request inside a payload, as gateways hand requests on; also when it is in base64."""
    text = body.strip()
    if len(text) % 4 == 0 and _BASE64.fullmatch(text):
        try:
            inner = read_text(base64.b64decode(text).decode("utf-8")).data
        except ValueError:
            inner = None
        if inner is not None:
            return inner
    return read_text(text).data


def opened(value: Any) -> Any:
    """The fields of an object (pydantic model, dataclass, SIP participant) as a mapping; other values as they are."""
    if isinstance(value, Mapping | str | bytes | list | tuple | int | float | None):
        return cast("Any", value)
    if is_dataclass(value) and not isinstance(value, type):
        return {entry.name: getattr(value, entry.name, None) for entry in fields(value)}
    dump = getattr(value, "model_dump", None)
    if callable(dump) and not isinstance(value, type):
        return dump()
    attributes = getattr(value, "attributes", None)
    if isinstance(attributes, Mapping):
        return {"attributes": cast("Mapping[Any, Any]", attributes)}
    descriptor: Any = getattr(cast("Any", value), "DESCRIPTOR", None)
    if descriptor is not None:
        # A protobuf message, as livekit-api hands out webhooks and call infos.
        return {entry.name: getattr(value, entry.name) for entry in descriptor.fields}
    items = getattr(value, "items", None)
    if callable(items) and not isinstance(value, type):
        return dict(cast("Iterable[tuple[Any, Any]]", items()))
    return list(cast("Iterable[Any]", value)) if isinstance(value, Iterable) else cast("Any", value)


def pairs_in(text: str) -> dict[str, str]:
    """Names and values in one string: `a=b,c=d`, `a=b;c=d`, `a=b&c=d`, `{a: b, c: d}`, a URL with a query."""
    text = text.strip()
    if _URL.fullmatch(text):
        text = text.partition("?")[2]
    if text.startswith("{") and text.endswith("}"):
        text = text[1:-1]
    table: dict[str, str] = {}
    for part in re.split(r"[,;&\n]", text):
        name, value = _pair_of(part)
        if name and value:
            table.setdefault(name, value)
    return table


def _pair_of(text: str) -> tuple[str, str]:
    """`name=value` or `name: value`, each in quotes or not; an empty name when it is none."""
    separator = _SEPARATOR.search(text)
    if separator is None:
        return "", ""
    name = _bare(text[: separator.start()])
    return (name, _bare(text[separator.end() :])) if _NAME.fullmatch(name) else ("", "")


def _bare(text: str) -> str:
    """A text without the blanks around it and a quote at each end."""
    text = text.strip()
    text = text[1:] if text[:1] in ("'", '"') else text
    return text[:-1] if text[-1:] in ("'", '"') else text


def _told_apart(lines: dict[str, Any]) -> Reading:
    if any(name.startswith("agi_") for name in lines):
        return Reading(lines, "AGI environment")
    if "Event-Name" in lines or any(name.startswith("variable_") for name in lines):
        # mod_event_socket percent-encodes the values of the plain format.
        decoded = {name: unquote(value) if isinstance(value, str) else value for name, value in lines.items()}
        return Reading(decoded, "event text")
    return Reading(lines, "SIP headers", is_sip=True)


def _lines(text: str, *, skip_others: bool = False) -> dict[str, Any] | None:
    """`Name: value` lines as a table, folded lines joined (RFC 3261 §7.3.1); None when one line is not of that form."""
    table: dict[str, list[str]] = {}
    name = ""
    for line in text.splitlines():
        if not line.strip():
            continue
        if line[0] in " \t" and name:
            table[name].append(line.strip())
            continue
        match = _HEADER_LINE.fullmatch(line.rstrip())
        if match is None:
            if skip_others:
                continue
            return None
        name = match[1]
        # The first of several wins: nothing that is looked for may stand twice.
        if name in table:
            name = ""
        else:
            table[name] = [match[2].strip()]
    return {name: " ".join(parts) for name, parts in table.items()} or None


def _json_lines(text: str) -> list[Any]:
    """One JSON value a line, as messages of a websocket are logged; empty when a line is none."""
    try:
        return [json.loads(line) for line in text.splitlines() if line.strip()]
    except (ValueError, RecursionError):
        return []


def _variables(text: str) -> dict[str, str]:
    """`name=value` lines, as Asterisk prints channel variables; empty when a line is of another form."""
    pairs = [_VARIABLE.fullmatch(line.strip()) for line in text.splitlines() if line.strip()]
    return {pair[1]: pair[2].strip() for pair in pairs if pair} if all(pairs) else {}


def _form(text: str) -> dict[str, Any]:
    table: dict[str, list[str]] = {}
    for name, value in parse_qsl(text, keep_blank_values=True):
        table.setdefault(name, []).append(value)
    return {name: values[0] if len(values) == 1 else values for name, values in table.items()}
