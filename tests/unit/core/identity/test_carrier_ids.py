import pytest

from tuner_core.identity.carrier_ids import advice_for, carrier_id_of, recognise

UUID = "f81d4fae-7dec-11d0-a765-00a0c91e6bf6"


@pytest.mark.parametrize(
    ("value", "name"),
    [
        ("CA" + "0a" * 16, "Twilio's CallSid"),
        ("MZ" + "0a" * 16, "Twilio's StreamSid"),
        ("SCL_fR7kPq2sT9vW", "LiveKit's sip.callID"),
        ("AJ_fR7kPq2sT9vW", "a LiveKit id"),
        ("v3:MdI91X4lWFEs7IgbBEOT9M4AigoY08M0WWZFISt1Yw2axZ_IiE4pqg", "Telnyx's call_control_id"),
        ("call_a4441234567890777c4a4a123e6", "Retell's call_id"),
        (f"CON-{UUID}", "Vonage's conversation_uuid"),
        (f" CON-{UUID}\n", "Vonage's conversation_uuid"),
    ],
)
def test_ids_that_only_a_provider_makes_are_recognised_by_themselves(value: str, name: str) -> None:
    assert carrier_id_of(value) == name
    advice = advice_for(value)
    assert advice is not None
    assert "not the SIP Call-ID; send" in advice


@pytest.mark.parametrize(
    "value",
    [
        UUID,
        "0a" * 16,
        "2jf9wCCX7Ab3kLmNoPqRsTuVwXy",
        "a84b4c76e66710@pc33.atlanta.example",
        "CA-not-a-sid@pbx.example",
        "1234567890",
        "",
    ],
)
def test_what_a_sip_stack_may_generate_is_not_taken_for_a_providers_id(value: str) -> None:
    assert recognise(value) is None
    assert advice_for(value) is None


@pytest.mark.parametrize("provider", ["jambonz", "daily", "vapi", "Plivo"])
def test_a_bare_uuid_is_the_providers_where_the_provider_is_known(provider: str) -> None:
    found = recognise(UUID, provider=provider)
    assert found is not None
    assert found.provider == provider.lower()
