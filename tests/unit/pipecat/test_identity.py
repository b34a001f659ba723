from __future__ import annotations

import pytest

from tuner_pipecat._identity import identity_of, merged

CALL_ID = "2jf9wCCXfwgxKkTOfLcEsA5LD6f"
CORRELATION = "0123456789abcdef0123456789abcdef"


@pytest.mark.parametrize("name", ["Call-ID", "CALL-ID", "call-id", "X-CID", "SipCallId"])
def test_the_call_id_is_found_whatever_the_case(name: str) -> None:
    assert identity_of(None, {name: CALL_ID}).sip_call_id == CALL_ID


def test_the_callers_own_id_comes_before_the_leg_of_a_b2bua() -> None:
    assert identity_of(None, {"Call-ID": "inner-leg", "X-CID": CALL_ID}).sip_call_id == CALL_ID


def test_only_the_correlation_id_is_posted_of_the_headers() -> None:
    headers = {"From": "<sip:alice@example.com>", "AccountSid": "AC1", "X-Correlation-ID": CORRELATION}
    assert identity_of(CALL_ID, headers).sip_headers == {"X-Correlation-Id": CORRELATION}


@pytest.mark.parametrize("carriers", ["CA" + "0" * 32, "SCL_abcdefgh", "v3:" + "a" * 30])
def test_a_carriers_own_id_is_left_out_and_does_not_block_the_real_one(carriers: str) -> None:
    known = identity_of(carriers, None)
    assert known.sip_call_id is None
    assert "not the SIP Call-ID" in known.warnings[0]
    assert merged(known, identity_of(CALL_ID, None)).sip_call_id == CALL_ID


def test_what_is_known_is_not_replaced() -> None:
    assert merged(identity_of(CALL_ID, None), identity_of("another", None)).sip_call_id == CALL_ID
