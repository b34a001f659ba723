"""For any input `resolve` gives an identity: nothing raises, nothing leaks, no provider's own id is sent."""

import json
import re
from typing import Any
from urllib.parse import urlencode

from hypothesis import given, settings
from hypothesis import strategies as st

from tuner_core.identity import SipIdentity, resolve
from tuner_core.identity.carrier_ids import recognise
from tuner_core.identity.forwarding import encode_alphanumeric
from tuner_core.identity.registry import providers

SECRET = "+4930901820666"
OWN = ["CA" + "0a" * 16, "SCL_fR7kPq2sT9vW", "v3:" + "aB3" * 10, "3b9e1c52-6d47-4f0a-8c21-95e7d0b4a613"]
NAMES = sorted(
    {
        place.lstrip("=").split(".")[-1]
        for provider in providers()
        for shape in provider.shapes
        for place in shape.needs
    }
    | {
        "SipCallId",
        "X-CID",
        "x-correlation-id",
        "name",
        "value",
        "headers",
        "customParameters",
        "extra_headers",
        "data",
    }
    | {
        "SipHeader_X-CID",
        "variable_sip_call_id",
        "sip.callIDFull",
        "event",
        "start",
        "call",
        "agi_request",
        "body",
    }
)

keys = st.one_of(st.sampled_from(NAMES), st.text(max_size=8), st.binary(max_size=4), st.integers(), st.none())
leaves = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.binary(max_size=8),
    st.text(max_size=20),
    st.sampled_from(
        [*OWN, SECRET, "start", "a@b", "{", '{"SipCallId": 5}', "a=b;c=d", "%", "%zz", "b32x", "\ud800"]
    ),
    st.builds(object),
    st.dates(),
)
payloads = st.recursive(
    leaves,
    lambda inner: st.one_of(
        st.dictionaries(keys, inner, max_size=6),
        st.lists(inner, max_size=4),
        st.tuples(inner, inner),
        st.sets(st.text(max_size=4), max_size=3),
    ),
    max_leaves=25,
)
lines = st.lists(
    st.tuples(
        st.one_of(st.sampled_from(NAMES), st.text(max_size=10)),
        st.one_of(st.sampled_from(OWN), st.text(max_size=20)),
    ),
    max_size=8,
)
provider_names = st.sampled_from(["auto", *(provider.name for provider in providers())])


def checked(payload: Any, provider: str) -> SipIdentity:
    identity = resolve(payload, provider)
    assert identity == resolve(payload, provider)
    assert identity.sip_call_id is None or (
        recognise(identity.sip_call_id) is None
        and not any(blank in identity.sip_call_id for blank in " \t\r\n")
        and not re.fullmatch("<.*>", identity.sip_call_id)
    )
    assert identity.sip_call_id is None or "sip_call_id" in identity.found_at
    assert identity.sip_call_id or identity.warnings
    said = " ".join((*identity.warnings, *identity.found_at.values()))
    assert SECRET.lstrip("+") not in said
    json.dumps(
        {
            **{name: getattr(identity, name) for name in identity.__slots__},
            "found_at": dict(identity.found_at),
        }
    )
    return identity


@settings(max_examples=300, deadline=None)
@given(payloads, provider_names)
def test_any_data_gives_an_identity(payload: Any, provider: str) -> None:
    checked(payload, provider)


@settings(max_examples=150, deadline=None)
@given(st.one_of(st.text(max_size=80), st.binary(max_size=80)), provider_names)
def test_any_text_gives_an_identity(payload: Any, provider: str) -> None:
    checked(payload, provider)


@settings(max_examples=150, deadline=None)
@given(lines, provider_names, st.sampled_from([": ", "=", ":"]), st.sampled_from(["\n", "\r\n", "&"]))
def test_any_lines_give_an_identity(
    pairs: list[tuple[str, str]], provider: str, between: str, end: str
) -> None:
    checked(end.join(f"{name}{between}{value}" for name, value in pairs), provider)


call_ids = st.text(st.sampled_from("abcXYZ0189-.!*_+`'~()\\/:[]?{}=@#"), min_size=1, max_size=60).filter(
    lambda text: recognise(text) is None and not text.strip("+").isdigit() and "{{" not in text
)


@settings(max_examples=200, deadline=None)
@given(call_ids)
def test_a_call_id_comes_back_from_sip_from_a_form_from_json_and_encoded(call_id: str) -> None:
    invite = f"INVITE sip:a@b SIP/2.0\r\nCall-ID: {call_id}\r\nCSeq: 1 INVITE\r\n\r\n"
    form = urlencode({"CallSid": OWN[0], "SipCallId": call_id})
    message = json.dumps(
        {"event": "start", "start": {"call_control_id": OWN[2], "custom_parameters": {"SipCallId": call_id}}}
    )
    encoded = f"SipCallId={encode_alphanumeric(call_id)}"
    stream = {"event": "start", "start": {"callId": OWN[3], "streamId": "s"}, "extra_headers": encoded}
    assert [resolve(carrier).sip_call_id for carrier in (invite, form, message, stream)] == [call_id] * 4
