import pytest

from tuner_core.identity.livekit import from_participant_attributes

CALL_ID = "2jf9wCCX7Ab3kLmNoPqRsTuVwXy"
HEX = "0a" * 16
OWN = {"sip.callID": "SCL_fR7kPq2sT9vW", "sip.ruleID": "SDR_1", "sip.phoneNumber": "+4930123456"}


def test_the_attributes_of_a_direct_call_give_both_ids() -> None:
    identity = from_participant_attributes({**OWN, "sip.callIDFull": CALL_ID, "sip.h.x-correlation-id": HEX})
    assert (identity.sip_call_id, identity.correlation_id) == (CALL_ID, HEX)
    assert (identity.provider, identity.provider_call_id) == ("livekit", OWN["sip.callID"])
    assert identity.found_at == {
        "sip_call_id": "sip.callIDFull",
        "correlation_id": "sip.h.x-correlation-id",
        "provider_call_id": "sip.callID",
    }
    assert identity.warnings == ()


def test_livekits_own_id_is_never_the_call_id() -> None:
    identity = from_participant_attributes({**OWN, "sip.callIDFull": "SCL_fR7kPq2sT9vW"})
    assert identity.sip_call_id is None
    assert any("sip.callIDFull" in warning for warning in identity.warnings)


def test_attributes_that_have_not_arrived_yet_are_a_warning_with_the_way_out() -> None:
    early = from_participant_attributes(OWN)
    assert early.links is False
    assert "include_headers" in early.warnings[0]
    late = from_participant_attributes({**OWN, "sip.callIDFull": CALL_ID})
    filled = early.filled_from(late)
    assert (filled.sip_call_id, filled.warnings) == (CALL_ID, ())


def test_behind_a_carrier_the_callers_own_call_id_wins() -> None:
    attributes = {**OWN, "sip.callIDFull": "second-leg@carrier", "sip.twilio.callSid": "CA" + "0a" * 16}
    doubtful = from_participant_attributes(attributes)
    assert doubtful.sip_call_id == "second-leg@carrier"
    assert "second leg" in doubtful.warnings[0]
    sure = from_participant_attributes({**attributes, "sip.h.x-cid": CALL_ID})
    assert (sure.sip_call_id, sure.warnings) == (CALL_ID, ())


@pytest.mark.parametrize("name", ["sip.h.X-CID", "X-Cid", "sip.h.call-id"])
def test_names_are_compared_without_case(name: str) -> None:
    assert from_participant_attributes({name: CALL_ID}).found_at["sip_call_id"] == name


def test_an_attribute_of_the_users_own_is_looked_at_first() -> None:
    identity = from_participant_attributes(
        {"tuner.callId": CALL_ID, "sip.callIDFull": "other"}, call_id_attribute="tuner.callid"
    )
    assert identity.sip_call_id == CALL_ID


def test_a_correlation_id_of_another_form_is_dropped_with_a_warning() -> None:
    identity = from_participant_attributes({"sip.callIDFull": CALL_ID, "sip.h.x-correlation-id": "unset"})
    assert identity.correlation_id is None
    assert "32 hex" in identity.warnings[0]
