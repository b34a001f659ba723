"""Every fixture of tests/data/providers: one file for each provider and shape, the result beside it.

A file put there with its entry in expected.json is a test; nothing here names a provider.
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tuner_core.identity import SipIdentity, resolution, resolve
from tuner_core.identity.reading import read
from tuner_core.identity.registry import providers

ROOT = Path(__file__).parents[3] / "data" / "providers"
FILES = sorted(path for path in ROOT.glob("*/*") if path.name != "expected.json")
EXPECTED = {path.parent.name: json.loads(path.read_text()) for path in ROOT.glob("*/expected.json")}
IDS = [f"{path.parent.name}/{path.name}" for path in FILES]


def expected_of(path: Path) -> dict[str, Any]:
    return EXPECTED[path.parent.name][path.name]


def linking_values(identity: SipIdentity) -> tuple[str | None, ...]:
    return identity.sip_call_id, identity.correlation_id, identity.provider_call_id, identity.provider


@pytest.mark.parametrize("path", FILES, ids=IDS)
def test_what_a_fixture_resolves_to(path: Path) -> None:
    expected = expected_of(path)
    found = resolution(path.read_bytes(), path.parent.name if expected.get("named") else "auto")
    identity = found.identity
    assert {
        "provider": identity.provider,
        "sip_call_id": identity.sip_call_id,
        "correlation_id": identity.correlation_id,
        "provider_call_id": identity.provider_call_id,
        "found_at": dict(identity.found_at),
        "warnings": len(identity.warnings),
    } == {
        "provider": path.parent.name,
        **{key: expected[key] for key in ("sip_call_id", "correlation_id", "provider_call_id", "found_at")},
        "warnings": len(expected["warnings"]),
    }, identity.warnings
    assert [
        part for part in expected["warnings"] if not any(part in said for said in identity.warnings)
    ] == []
    assert bool(found.fix) == (
        identity.sip_call_id is None or any("leg" in said for said in identity.warnings)
    )
    if not expected.get("named"):
        assert found.shape == expected["shape"]


def test_every_provider_has_fixtures_and_every_fixture_an_expectation() -> None:
    assert sorted(EXPECTED) == sorted(provider.name for provider in providers())
    assert {name: sorted(table) for name, table in EXPECTED.items()} == {
        name: sorted(path.name for path in FILES if path.parent.name == name) for name in EXPECTED
    }


def keys_changed(data: Any, change: Callable[[str], str]) -> Any:
    if isinstance(data, dict):
        return {change(key): keys_changed(value, change) for key, value in data.items()}
    return [keys_changed(value, change) for value in data] if isinstance(data, list) else data


def values_listed(data: Any) -> Any:
    """Each value in a list of its own, as `parse_qs` and some frameworks have it."""
    if isinstance(data, dict):
        if {"name", "value"} <= data.keys() or "variable" in data:
            return data
        return {key: values_listed(value) for key, value in data.items()}
    if isinstance(data, list):
        return [values_listed(value) if isinstance(value, dict) else value for value in data]
    return [data]


def header_objects(data: Any) -> Any:
    """Each mapping of SIP headers or parameters as the list of objects that other versions send."""
    if isinstance(data, list):
        return [header_objects(value) for value in data]
    if not isinstance(data, dict):
        return data
    return {
        key: [{"name": name, "value": entry} for name, entry in value.items()]
        if isinstance(value, dict) and ("headers" in key.lower() or "parameters" in key.lower())
        else header_objects(value)
        for key, value in data.items()
    }


VARIANTS: dict[str, Callable[[Any], Any]] = {
    "lower-case keys": lambda data: keys_changed(data, str.lower),
    "upper-case keys": lambda data: keys_changed(data, str.upper),
    "under payload": lambda data: {"payload": data},
    "under body": lambda data: {"headers": {"content-type": "application/json"}, "body": data},
    "under data, in a list": lambda data: {"data": [data]},
    "as a JSON string": lambda data: {"body": json.dumps(data)},
    "values in lists": values_listed,
    "headers as objects": header_objects,
    "pairs": lambda data: list(data.items()) if isinstance(data, dict) and "variable" not in data else data,
}


@pytest.mark.parametrize("path", FILES, ids=IDS)
def test_a_payload_spelt_or_wrapped_otherwise_gives_the_same_identity(path: Path) -> None:
    named = path.parent.name if expected_of(path).get("named") else "auto"
    plain = resolve(path.read_text(), named)
    for variant, change in VARIANTS.items():
        other = resolve(change(read(path.read_text()).data), named)
        assert linking_values(other) == linking_values(plain), variant
        assert len(other.warnings) == len(plain.warnings), variant


@pytest.mark.parametrize("path", FILES, ids=IDS)
def test_hyphens_and_underscores_do_not_matter_where_the_provider_is_known(path: Path) -> None:
    data = read(path.read_text()).data
    plain = resolve(path.read_text(), path.parent.name)
    swapped = keys_changed(data, lambda key: key.translate(str.maketrans("-_", "_-")))
    assert linking_values(resolve(swapped, path.parent.name)) == linking_values(plain)


WITH_OWN_ID = [path for path in FILES if expected_of(path)["provider_call_id"]]


@pytest.mark.parametrize("path", WITH_OWN_ID, ids=[f"{path.parent.name}/{path.name}" for path in WITH_OWN_ID])
def test_the_providers_own_id_is_never_the_call_id_under_any_name(path: Path) -> None:
    expected = expected_of(path)
    own = expected["provider_call_id"]
    named = path.parent.name if expected.get("named") else "auto"
    data = read(path.read_text()).data
    if isinstance(data, list):
        data = next(message for message in data if own in json.dumps(message))
    for name in ("SipCallId", "sip_call_id", "X-CID", "SipHeader_X-CID"):
        for moved in (
            {**data, name: own},
            {**data, name: own.upper()},
            {**data, "customParameters": {name: own}},
        ):
            identity = resolve(moved, named)
            assert (identity.sip_call_id or "").lower() != own.lower(), identity.found_at
            if name not in data:
                assert identity.sip_call_id == expected["sip_call_id"], identity.found_at


@pytest.mark.parametrize("path", FILES, ids=IDS)
def test_nothing_of_the_content_is_in_the_warnings(path: Path) -> None:
    text = path.read_text()
    identity = resolve(text)
    said = " ".join((*identity.warnings, *identity.found_at.values()))
    for content in ("2025550142", "7946032", "198.51.100.7", "acme", "caller@"):
        assert content not in said


def test_only_the_correlation_id_becomes_a_header_to_post() -> None:
    for path in FILES:
        assert set(resolve(path.read_text()).sip_headers) <= {"X-Correlation-Id"}
