"""`sip_headers` by allow-list."""

from collections.abc import Callable
from typing import Any

import pytest

from tuner_core.config import TunerConfig
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


def test_sip_headers_hold_text_only(assert_accepted: Check) -> None:
    headers = {"X-A": 1, "X-B": ["x", "y"], "X-C": None, "X-D": "d"}
    payload = conform({**CALL, "sip_headers": headers}, allowed_sip_headers=headers).payload
    assert_accepted(payload)
    assert payload["sip_headers"] == {"X-A": "1", "X-B": "x", "X-D": "d"}


INVITE = {
    "From": '"Ann" <sip:+4930123456@carrier.example>',
    "To": "<sip:agent@edge.example>",
    "Contact": "<sip:+4930123456@192.0.2.1>",
    "P-Asserted-Identity": "<tel:+4930123456>",
    "Remote-Party-ID": "<sip:+4930123456@carrier.example>",
    "Diversion": "<sip:+4930999@carrier.example>",
    "Authorization": "Digest username=probe",
    "Proxy-Authorization": "Digest username=probe",
    "AccountSid": "AC00",
    "x-correlation-id": "0a" * 16,
    "X-Cid": "2jf9wCCX7Ab3kLmNoPqRsTuVwXy",
    "X-Campaign": "spring",
}


def test_only_what_links_a_call_leaves_the_machine(assert_accepted: Check) -> None:
    conformed = conform({**CALL, "sip_headers": INVITE})
    assert_accepted(conformed.payload)
    assert conformed.payload["sip_headers"] == {
        "X-Correlation-Id": "0a" * 16,
        "X-CID": "2jf9wCCX7Ab3kLmNoPqRsTuVwXy",
    }
    assert conformed.repairs == (
        "sip_headers: a header that is not on the allow-list was left out (10 times)",
    )


def test_what_the_user_allows_is_posted_under_the_users_spelling_and_credentials_never() -> None:
    allowed = ["x-campaign", "Authorization", "proxy-authorization"]
    payload = conform({**CALL, "sip_headers": INVITE}, allowed_sip_headers=allowed).payload
    assert payload["sip_headers"]["x-campaign"] == "spring"
    assert {name.lower() for name in payload["sip_headers"]} == {"x-correlation-id", "x-cid", "x-campaign"}


def test_the_allow_list_can_be_set_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TUNER_SIP_HEADERS", "X-Campaign, X-Tenant")
    config = TunerConfig(api_key="k", workspace_id=1, agent_id="a")
    payload = conform({**CALL, "sip_headers": INVITE}, **config.conform_options()).payload
    assert payload["sip_headers"]["X-Campaign"] == "spring"


@pytest.mark.parametrize(
    "headers",
    [
        [("From", "x"), ("X-Correlation-Id", "0a")],
        [{"name": "X-Correlation-Id", "value": "0a"}, {"name": "From", "value": "x"}, 5, ("a", "b", "c")],
        {"X-Correlation-Id": ["0a", "0b"]},
        {"X-Correlation-Id": "0a\r\n"},
    ],
    ids=["pairs", "objects", "values in lists", "line ends"],
)
def test_headers_of_every_usual_shape(headers: Any, assert_accepted: Check) -> None:
    conformed = conform({**CALL, "sip_headers": headers})
    assert_accepted(conformed.payload)
    assert conformed.payload["sip_headers"] == {"X-Correlation-Id": "0a"}


@pytest.mark.parametrize("headers", ["From: x", 5, {}, [], {"From": "x"}])
def test_headers_that_are_none_are_left_out(headers: Any) -> None:
    assert "sip_headers" not in conform({**CALL, "sip_headers": headers}).payload
