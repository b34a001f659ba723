"""What `resolve` takes, whom it trusts, and what it says; the payloads themselves are in test_providers.py."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pytest
from pydantic import BaseModel, Field

from tuner_core import ConfigError, resolve
from tuner_core.identity import resolution

CALL_ID = "2jf9wCCX7Ab3kLmNoPqRsTuVwXy"
LEG = "7c1d90aa41e84f0b@198.51.100.7"
HEX = "5f0c2e9b7a314d68b1c4e07d92a6f3b8"
CALL_SID = "CA4d1f0b7e93c25a68d0e4b1f7a92c3658"
UUID = "3b9e1c52-6d47-4f0a-8c21-95e7d0b4a613"


@dataclass
class CallData:
    body: Any
    call_id: str = UUID


class Settings(BaseModel):
    call_id: str = UUID
    call_domain: str = "domain"
    sip_headers: dict[str, str] = Field(default_factory=dict)


class RunnerBody(BaseModel):
    dialin_settings: Settings


class Participant:
    attributes: Mapping[str, str] = {"sip.callID": "SCL_fR7kPq2sT9vW", "sip.callIDFull": CALL_ID}


@pytest.mark.parametrize(
    ("payload", "provider"),
    [
        (RunnerBody(dialin_settings=Settings(sip_headers={"X-CID": CALL_ID})), "daily"),
        (CallData({"SipCallId": CALL_ID}), "unknown"),
        (Participant(), "livekit"),
        ([(b"call-id", CALL_ID.encode()), (b"via", b"SIP/2.0/UDP 192.0.2.1")], "sip"),
        ((("Call-ID", CALL_ID),), "sip"),
        (bytearray(b"Call-ID: " + CALL_ID.encode()), "sip"),
        (f'\ufeff {{"SipCallId": "{CALL_ID}"}} ', "unknown"),
        (f"?SipCallId={CALL_ID}", "unknown"),
        ({"SipCallId": f"  {CALL_ID} "}, "unknown"),
        ({"SipCallId": f'"{CALL_ID}"'}, "unknown"),
        ({"body": f"SipCallId={CALL_ID}", "query": f"SipCallId={CALL_ID}"}, "unknown"),
    ],
)
def test_objects_bytes_pairs_and_text_are_read_alike(payload: Any, provider: str) -> None:
    identity = resolve(payload)
    assert (identity.sip_call_id, identity.provider) == (CALL_ID, provider), identity.warnings


def test_a_provider_named_in_any_case_or_by_an_alias_is_taken_at_its_word() -> None:
    start = {"event": "start", "start": {"callId": UUID, "streamId": "s"}, "extra_headers": ""}
    assert resolve(start).provider == "plivo"
    assert resolve(start, " Vobiz ").provider == "vobiz"
    assert resolve({"call_control_id": "v3:abcdefghijkl"}, "TeXML").provider == "telnyx"
    assert resolve(start, "").provider == "plivo"


def test_an_unknown_provider_name_is_an_error_that_lists_the_known_ones() -> None:
    with pytest.raises(ConfigError, match=r"twilio.*register_provider"):
        resolve({}, "twillio")


@pytest.mark.parametrize(
    "payload", [None, 5, "", b"\xff\x00", [], {}, "just some words", object(), range(3), {"a": 1}]
)
def test_what_shows_nothing_is_a_warning_and_no_exception(payload: Any) -> None:
    identity = resolve(payload)
    assert not identity.links
    assert identity.warnings


def test_a_payload_whose_own_code_fails_is_a_warning() -> None:
    class Broken(Mapping[str, str]):
        def __getitem__(self, key: str) -> str:
            raise RuntimeError("secret")

        def __iter__(self) -> Iterator[str]:
            raise RuntimeError("secret")

        def __len__(self) -> int:
            return 1

    identity = resolve({"CallSid": CALL_SID, "inner": Broken()}, "twilio")
    assert identity.provider == "twilio"
    assert "RuntimeError" in identity.warnings[0]
    assert "secret" not in identity.warnings[0]


def test_the_callers_own_call_id_comes_before_every_legs() -> None:
    shown = {"CallSid": CALL_SID, "SipCallId": LEG, "SipHeader_X-CID": CALL_ID}
    assert resolve(shown).sip_call_id == CALL_ID
    assert resolve({**shown, "SipHeader_X-CID": "+12025550142"}).sip_call_id == LEG
    assert resolve({**shown, "SipHeader_X-CID": CALL_SID}).sip_call_id == LEG


def test_a_leg_behind_a_carrier_is_doubtful_until_something_end_to_end_arrives() -> None:
    attributes = {"sip.callID": "SCL_fR7kPq2sT9vW", "sip.callIDFull": LEG, "sip.telnyx.callSessionID": UUID}
    assert "telnyx" in resolve(attributes).warnings[0]
    assert resolve({**attributes, "sip.h.x-correlation-id": HEX}).warnings == ()
    assert resolve({**attributes, "sip.h.x-cid": CALL_ID}).warnings == ()


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("{{SipCallId}}", "placeholder"),
        ("${sip_call_id}", "placeholder"),
        ("null", "placeholder"),
        ("two words", "form of a SIP Call-ID"),
        ("<a@b>", "form of a SIP Call-ID"),
        ("x" * 257, "form of a SIP Call-ID"),
        ("+442079460321", "telephone number"),
        (HEX, "X-Correlation-Id, which is sent on its own"),
        (
            CALL_SID,
            "Twilio's CallSid, not the SIP Call-ID: let the call reach the agent through a Twilio SIP Domain",
        ),
        ("b32xNOT!BASE32", "damaged"),
    ],
)
def test_a_forwarded_value_that_is_no_call_id_is_left_out_and_said_why(value: str, said: str) -> None:
    identity = resolve({"SipCallId": value, "X-Correlation-Id": HEX})
    assert identity.sip_call_id is None
    assert identity.correlation_id == HEX
    assert any(said in warning for warning in identity.warnings)
    if value != "null":
        assert value not in " ".join(identity.warnings)


@pytest.mark.parametrize(
    ("shown", "sent"),
    [("7c1d%40198.51.100.7", "7c1d@198.51.100.7"), ("b32xMFBGE", "aBb"), ("100%sure@host", "100%sure@host")],
)
def test_values_escaped_on_the_way_are_restored(shown: str, sent: str) -> None:
    assert resolve({"customParameters": {"SipCallId": shown}}).sip_call_id == sent


def test_a_uuid_is_a_call_id_where_the_providers_own_is_there_to_compare_and_differs() -> None:
    other = "91f0a4d7-2c3b-4e58-b6a9-0d7c5e1f8324"
    start = {"event": "start", "start": {"callId": UUID, "streamId": "s"}}
    assert resolve({**start, "extra_headers": {"SipCallId": other}}).sip_call_id == other
    assert resolve({**start, "extra_headers": {"SipCallId": UUID.upper()}}).sip_call_id is None
    assert resolve({"extra_headers": {"SipCallId": other}}, "plivo").sip_call_id is None
    assert resolve({"extra_headers": {"SipCallId": other}}).sip_call_id == other


@pytest.mark.parametrize(
    "name", ["X-Correlation-Id", "x_correlation_id", "SipHeader_X-Correlation-Id", "CorrelationId"]
)
@pytest.mark.parametrize("value", [HEX, "MFRGGZDFMZTWQ2LKNNWG23TPOA"])
def test_the_correlation_id_is_found_with_or_without_a_call_id(name: str, value: str) -> None:
    for around in ({}, {"SipCallId": CALL_ID}, {"SipCallId": CALL_SID}):
        assert resolve({**around, "customParameters": {name: value}}).correlation_id == value


def test_a_name_that_is_anybodys_is_not_warned_about() -> None:
    identity = resolve(
        {"SipCallId": CALL_ID, "correlationId": "order-81", "cid": "customer-7", "callId": "c-81"}
    )
    assert (identity.sip_call_id, identity.correlation_id, identity.warnings) == (CALL_ID, None, ())


def test_an_agents_own_call_id_is_not_mistaken_for_a_sip_call_id() -> None:
    assert resolve({"callId": "c-81", "call_id": "c-82", "cid": "7"}).sip_call_id is None


def test_a_telephone_number_as_a_key_is_not_part_of_the_path() -> None:
    found_at = resolve({"calls": {"+442079460321": {"SipCallId": CALL_ID}}}).found_at
    assert found_at == {"sip_call_id": "calls.….SipCallId"}


def test_the_outermost_of_several_wins() -> None:
    payload = {"history": [{"SipCallId": "older@host"}], "SipCallId": CALL_ID}
    assert resolve(payload).found_at["sip_call_id"] == "SipCallId"


def test_endless_and_huge_payloads_are_looked_at_as_far_as_it_makes_sense() -> None:
    endless: dict[str, Any] = {"SipCallId": CALL_ID}
    endless["again"] = endless
    assert resolve(endless).sip_call_id == CALL_ID
    assert resolve({"messages": ["word"] * 300_000, "SipCallId": CALL_ID}).sip_call_id == CALL_ID
    assert resolve("[" * 100_000).sip_call_id is None


def test_a_resolution_says_how_the_payload_was_read() -> None:
    found = resolution(f"CallSid={CALL_SID}&From=%2B12025550142")
    assert (found.format, found.shape) == ("form body", "voice webhook")
    assert "SIP Domain" in found.fix
    assert resolution(f"Call-ID: {CALL_ID}\n").fix == ""


def test_where_the_payload_is_anybodys_the_id_itself_tells_what_to_configure() -> None:
    for payload in ({"SipCallId": CALL_SID}, f"Call-ID: {CALL_SID}\n", {"metadata": f"SipCallId={CALL_SID}"}):
        found = resolution(payload)
        assert "Twilio SIP Domain" in found.fix
        assert [warning.endswith(found.fix) for warning in found.identity.warnings] == [True]


def test_headers_alone_are_read_as_headers_whoever_passed_them_on() -> None:
    listed = [{"name": "From", "value": "<sip:a@b>"}, {"name": "Call-ID", "value": LEG}]
    for provider in ("telnyx", "plivo", "jambonz"):
        assert resolve(listed, provider).sip_call_id == LEG
        assert resolve(f"Via: SIP/2.0/UDP 192.0.2.1\r\nCall-ID: {LEG}\r\n", provider).sip_call_id == LEG
    incoming = {"type": "realtime.call.incoming", "data": {"call_id": "rtc_81", "sip_headers": listed}}
    assert resolve(incoming).found_at == {"sip_call_id": "data.sip_headers[Call-ID]"}
