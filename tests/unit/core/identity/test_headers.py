from typing import Any

import pytest

from tuner_core.identity.headers import from_sip_headers
from tuner_core.identity.model import SipIdentity

CALL_ID = "2jf9wCCX7Ab3kLmNoPqRsTuVwXy"
HEX, BASE32 = "0a" * 16, "ABCDEFGHIJKLMNOPQRSTUVWX23"


@pytest.mark.parametrize(
    "headers",
    [
        {"Call-ID": CALL_ID},
        {"CALL-ID": [CALL_ID, "second"]},
        {"i": f" {CALL_ID} "},
        [("call-id", CALL_ID)],
        [{"name": "Call-ID", "value": CALL_ID}],
        [["SipCallId", CALL_ID], "odd", ["three", "items", "here"], {"name": 5, "value": None}],
    ],
)
def test_the_call_id_is_found_in_every_shape_of_headers(headers: Any) -> None:
    identity = from_sip_headers(headers)
    assert identity.sip_call_id == CALL_ID
    assert identity.warnings == ()


def test_the_callers_own_call_id_wins_over_that_of_a_later_leg() -> None:
    identity = from_sip_headers({"Call-ID": "inner-leg@sbc", "X-CID": CALL_ID})
    assert identity.sip_call_id == CALL_ID
    assert identity.found_at == {"sip_call_id": "X-CID"}


def test_a_telephone_number_in_x_cid_is_a_caller_id_and_no_call_id() -> None:
    assert from_sip_headers({"X-CID": "+4930123456", "Call-ID": CALL_ID}).sip_call_id == CALL_ID


def test_a_providers_own_id_is_passed_over_with_a_warning() -> None:
    identity = from_sip_headers({"X-CID": "CA" + "0a" * 16, "Call-ID": CALL_ID})
    assert identity.sip_call_id == CALL_ID
    assert "Twilio" in identity.warnings[0]


@pytest.mark.parametrize("value", ["two words", "<a@b>", "x" * 300])
def test_what_has_not_the_form_of_a_call_id_is_not_sent(value: str) -> None:
    identity = from_sip_headers({"Call-ID": value})
    assert identity.sip_call_id is None
    assert len(identity.warnings) == 2


@pytest.mark.parametrize(("value", "kept"), [(HEX, HEX), (BASE32, BASE32), (HEX[:-1], None), ("unset", None)])
def test_a_correlation_id_has_one_of_two_forms(value: str, kept: str | None) -> None:
    identity = from_sip_headers({"Call-ID": CALL_ID, "x-correlation-id": value})
    assert identity.correlation_id == kept
    assert bool(identity.warnings) == (kept is None)
    assert identity.sip_headers == ({"X-Correlation-Id": kept} if kept else {})


def test_an_identity_is_filled_by_what_arrives_later_and_never_overwritten() -> None:
    early = SipIdentity(CALL_ID, None, "livekit", None, {"sip_call_id": "a"}, ("no correlation id",))
    late = SipIdentity("other", HEX, "livekit", "SCL_1", {"sip_call_id": "b", "correlation_id": "c"})
    assert early.filled_from(late) == SipIdentity(
        CALL_ID, HEX, "livekit", "SCL_1", {"sip_call_id": "a", "correlation_id": "c"}
    )


def test_nothing_found_is_said_with_the_way_out() -> None:
    identity = from_sip_headers({})
    assert identity.links is False
    assert "pass on Call-ID" in identity.warnings[0]
