"""Payloads made to be slow: each is read in a time that its length deserves.

In the wrong form each of these would take hours, or memory without end.
"""

from __future__ import annotations

from typing import Any

import pytest

from tuner_core import resolve
from tuner_core.identity.fields import fields_of
from tuner_core.identity.names import header_name, normal
from tuner_core.identity.reading import pairs_in, read_text

LONG = 1_000_000


@pytest.mark.parametrize("opening", ["[", '{"a":', "{}\n["], ids=["lists", "objects", "lines"])
def test_json_nested_without_end_is_no_exception(opening: str) -> None:
    text = opening * 100_000
    assert resolve(text).sip_call_id is None
    assert resolve({"body": text}).sip_call_id is None
    assert resolve({"metadata": text}).sip_call_id is None


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("a" + " " * LONG + "b", {}),
        ("a=" + " " * LONG + "b", {"a": "b"}),
        ("a=" + "b" + " " * LONG + "c", {"a": "b" + " " * LONG + "c"}),
        ("\"'" * LONG, {}),
        ("x.y " * LONG + "'", {}),
    ],
    ids=["no sign", "before the value", "in the value", "quotes", "name"],
)
def test_pairs_are_told_apart_in_one_pass(text: str, found: dict[str, str]) -> None:
    assert pairs_in(text) == found


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("a=b,'c d'=e;f: \"g\"", {"a": "b", "c d": "e", "f": "g"}),
        ("{x-y: 'z', w = v=u}", {"x-y": "z", "w": "v=u"}),
        ("=a&-b=c&d=&e", {}),
        ("a=b&a=c", {"a": "b"}),
    ],
)
def test_pairs_in_one_string(text: str, found: dict[str, str]) -> None:
    assert pairs_in(text) == found


@pytest.mark.parametrize(
    ("name", "header"),
    [
        ("PJSIP_HEADER(read,X-CID)", "xcid"),
        ("SIP_HEADER(X-CID,1)", "xcid"),
        ("$hdr(X-CID)", "xcid"),
        ("hdr(X-CID", "xcid"),
        ("hdr(" + "a" * LONG + "))", None),
        ("hdr(" + "a," * LONG + "))", None),
    ],
    ids=["read", "number", "dollar", "open", "long", "commas"],
)
def test_a_header_named_by_a_function(name: str, header: str | None) -> None:
    assert header_name(normal(name)) == header


@pytest.mark.parametrize("name", ["[a" * LONG, "a" + "[1]" * LONG], ids=["open", "closed"])
def test_a_name_of_a_million_brackets_is_one_name(name: str) -> None:
    assert [len(entry.keys) for entry in fields_of({name: 1}).all] == [0, 1]


def test_nesting_by_brackets_is_a_path() -> None:
    assert fields_of({"Stream[Parameters][X-CID]": "v"}).at("parameters.xcid")[0].text == "v"


def test_fields_in_thousands_of_containers_are_found_by_their_own() -> None:
    payload: dict[str, Any] = {f"leg{leg}": {"headers": {"a": 1}} for leg in range(6000)}
    found = fields_of(payload)
    assert len(found.inside(("headers",))) == 6000


def test_a_header_folded_over_thousands_of_lines_is_one_value() -> None:
    reading = read_text("A: b\n" + " c\n" * 200_000)
    assert reading.data == {"A": "b" + " c" * 200_000}
