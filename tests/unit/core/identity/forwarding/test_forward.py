"""What is forwarded is read back as the provider's documentation says it delivers it."""

from __future__ import annotations

import json
import logging
import string
from typing import Any
from urllib.parse import parse_qs, urlsplit
from xml.etree.ElementTree import fromstring

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from tuner_core.errors import ConfigError
from tuner_core.identity import resolve
from tuner_core.identity.forwarding import (
    decode_alphanumeric,
    extra_headers,
    forward,
    forwarded_parameters,
    listen,
    stream_document,
    stream_parameters,
    stream_url,
    streaming_start,
)
from tuner_core.identity.headers import from_sip_headers
from tuner_core.identity.model import SipIdentity

URL = "wss://agent.example.com/media?lang=en&x=1"
CALL_ID = "a84b4c76-e66710.\"<&'>{~}[%41]@pc33.example.com:5060"
CORRELATION_ID = "0f6ef4e7c2b84c0e9b39a1b1c2d3e4f5"
IDENTITY = SipIdentity(sip_call_id=CALL_ID, correlation_id=CORRELATION_ID, provider="twilio")
PROVIDERS = ("twilio", "cloudonix", "texml", "telnyx", "plivo", "vobiz", "exotel", "jambonz", "vonage")

_WORD = st.text(string.ascii_letters + string.digits + "-.!%*_+`'~()<>:\\\"/[]?{}", min_size=1, max_size=60)
CALL_IDS = st.one_of(_WORD, st.builds("{}@{}".format, _WORD, _WORD))
"""RFC 3261 §25.1: callid = word [ "@" word ]."""

UUID = "2c7e1f0a-5d3b-4c8e-9f10-8a7b6c5d4e3f"
RESOLVED_AS = {"cloudonix": "twilio"}
"""Cloudonix documents no start message of its own: its documents follow TwiML."""

LIMITED_TO = {"exotel": 120}
"""Characters of a Call-ID that surely fit beside a correlation id where the provider's limit is tight."""


def carried(provider: str, body: str) -> dict[str, str]:
    """The names and values in the websocket's first message, as the provider documents it."""
    if provider in {"twilio", "cloudonix", "texml"}:
        parameters = fromstring(body).findall("./Connect/Stream/Parameter")
        return {p.attrib["name"]: p.attrib["value"] for p in parameters}
    if provider in {"plivo", "vobiz"}:
        stream = fromstring(body).find("./Stream")
        assert stream is not None
        headers = stream.get("extraHeaders", "")
        assert len(headers.encode()) <= 512
        pairs = dict(pair.split("=") for pair in headers.split(",") if pair)
        assert all(text.isalnum() and text.isascii() for pair in pairs.items() for text in pair)
        return pairs
    if provider == "exotel":
        query = urlsplit(json.loads(body)["url"]).query
        assert len(query) <= 256
        assert len(query.split("&")) <= 3
        return {name: values[0] for name, values in parse_qs(query).items()}
    sent: Any = json.loads(body)
    if provider == "telnyx":
        return {entry["name"]: entry["value"] for entry in sent["custom_parameters"]}
    if provider == "jambonz":
        return sent[0]["metadata"]
    headers = sent[0]["endpoint"][0]["headers"]
    assert len(json.dumps(headers).encode()) <= 512
    return headers


def read(provider: str, body: str) -> tuple[str | None, str | None]:
    values = {
        name.replace("-", "").lower(): decode_alphanumeric(value)
        for name, value in carried(provider, body).items()
    }
    return values.get("sipcallid"), values.get("xcorrelationid")


def started(provider: str, body: str) -> dict[str, Any]:
    """The websocket's first message, in the form that the provider documents."""
    values = carried(provider, body)
    if provider in {"twilio", "cloudonix"}:
        ids = {"streamSid": "MZ" + "1" * 32, "accountSid": "AC" + "2" * 32, "callSid": "CA" + "3" * 32}
        return {"event": "start", "sequenceNumber": "1", "start": {**ids, "customParameters": values}}
    if provider in {"telnyx", "texml"}:
        own: Any = [{"name": name, "value": value} for name, value in values.items()]
        start = {"call_control_id": "v3:MdI91X4lWFEs7IgbBEOT9M4AigoY08M0WWZFISt1Yw2axZ", "user_id": UUID}
        return {"event": "start", "stream_id": UUID, "start": {**start, "custom_parameters": own}}
    if provider in {"plivo", "vobiz"}:
        account = "500042" if provider == "vobiz" else "MAXXXXXXXXXXXXXXXXXX"
        headers = ",".join(f"{name}={value}" for name, value in values.items())
        start = {"callId": UUID, "streamId": UUID, "accountId": account, "tracks": ["inbound"]}
        return {"event": "start", "sequenceNumber": 1, "start": start, "extra_headers": headers}
    if provider == "exotel":
        start = {"stream_sid": "6f048d2e", "call_sid": "4" * 32, "custom_parameters": values}
        return {"event": "start", "stream_sid": "6f048d2e", "start": start}
    if provider == "jambonz":
        return {"callSid": UUID, "sampleRate": 8000, "mixType": "mono", "direction": "inbound", **values}
    return {"event": "websocket:connected", "content-type": "audio/l16;rate=16000", **values}


@pytest.mark.parametrize("provider", PROVIDERS)
@settings(max_examples=60, deadline=None)
@given(call_id=CALL_IDS, correlation_id=st.one_of(st.none(), st.just(CORRELATION_ID)))
def test_every_legal_call_id_arrives(provider: str, call_id: str, correlation_id: str | None):
    """From the headers of the INVITE, over webhook and websocket, to the record."""
    headers = {"Call-ID": call_id[: LIMITED_TO.get(provider)], "X-Correlation-Id": correlation_id}
    at_webhook = from_sip_headers(headers)
    assume(at_webhook.sip_call_id)
    forwarded = forward(at_webhook, url="wss://agent.example.com/media", provider=provider)
    assert forwarded.left_out == ()
    for named in ("auto", RESOLVED_AS.get(provider, provider)):
        at_websocket = resolve(json.dumps(started(provider, forwarded.body)), named)
        assert at_websocket.sip_call_id == headers["Call-ID"]
        assert at_websocket.correlation_id == correlation_id
        assert at_websocket.warnings == ()


@pytest.mark.parametrize("provider", PROVIDERS)
def test_the_websocket_url_arrives_untouched(provider: str):
    body = forward(IDENTITY, url=URL, provider=provider).body
    if provider in {"twilio", "cloudonix", "texml"}:
        assert fromstring(body).find("./Connect/Stream").attrib["url"] == URL  # pyright: ignore[reportOptionalMemberAccess]
    elif provider in {"plivo", "vobiz"}:
        assert fromstring(body).findtext("./Stream") == URL
    elif provider == "exotel":
        assert json.loads(body)["url"].startswith(URL + "&SipCallId=")
    else:
        assert URL in {json.loads(body).get("stream_url")} if provider == "telnyx" else URL in body


@pytest.mark.parametrize("provider", PROVIDERS)
def test_a_call_without_identity_connects_all_the_same(provider: str):
    forwarded = forward(SipIdentity(), url="wss://agent.example.com/media", provider=provider)
    assert read(provider, forwarded.body) == (None, None)
    assert "wss://agent.example.com/media" in forwarded.body


@pytest.mark.parametrize("provider", PROVIDERS)
@pytest.mark.parametrize("value", ["two words", "line\r\nbreak", "\x00", "x" * 257])
def test_what_is_no_call_id_is_not_passed_on(provider: str, value: str):
    forwarded = forward(
        SipIdentity(sip_call_id=value), url="wss://agent.example.com/media", provider=provider
    )
    assert read(provider, forwarded.body) == (None, None)


def test_the_provider_is_the_one_that_showed_the_identity():
    assert forward(IDENTITY, url=URL).content_type == "application/xml"
    assert forward(IDENTITY, url=URL, provider="Jambonz").content_type == "application/json"


@pytest.mark.parametrize("provider", ["", "daily", "carrier-pigeon"])
def test_a_provider_that_forwards_nothing_is_named_with_the_way_out(provider: str):
    with pytest.raises(ConfigError, match=r"twilio, vobiz, vonage.*PendingCalls"):
        forward(SipIdentity(provider=provider), url=URL)


def test_a_call_id_that_does_not_fit_leaves_the_correlation_id(caplog: pytest.LogCaptureFixture):
    identity = SipIdentity(sip_call_id="-" * 200, correlation_id=CORRELATION_ID)
    with caplog.at_level(logging.WARNING, logger="tuner_core.identity"):
        forwarded = forward(identity, url="wss://agent.example.com/media", provider="exotel")
    assert read("exotel", forwarded.body) == (None, CORRELATION_ID)
    assert forwarded.left_out == ("SipCallId",)
    assert "SipCallId does not fit what exotel forwards" in caplog.text
    assert "---" not in caplog.text


def test_where_only_one_fits_the_call_id_goes():
    identity = SipIdentity(sip_call_id="-" * 140, correlation_id=CORRELATION_ID)
    forwarded = forward(identity, url="wss://agent.example.com/media", provider="exotel")
    assert read("exotel", forwarded.body) == ("-" * 140, None)
    assert forwarded.left_out == ("X-Correlation-Id",)


def test_exotel_counts_the_users_own_pairs_but_not_the_applets_options():
    url = "wss://agent.example.com/media?sample-rate=16000&tenant=7"
    asked, left_out = stream_url(IDENTITY, url)
    assert left_out == ()
    assert asked.startswith(url + "&SipCallId=")
    _, left_out = stream_url(IDENTITY, url + "&a=1")
    assert left_out == ("X-Correlation-Id",)
    asked, left_out = stream_url(IDENTITY, url + "&a=1&b=2")
    assert left_out == ("SipCallId", "X-Correlation-Id")
    assert asked == url + "&a=1&b=2"


def test_plivo_headers_stay_readable_for_a_plain_call_id():
    identity = SipIdentity(sip_call_id="7HqxZk0aPq2LmN4vBt9sWc1yDfE", correlation_id=CORRELATION_ID)
    assert extra_headers(identity) == (
        f"SipCallId=7HqxZk0aPq2LmN4vBt9sWc1yDfE,XCorrelationId={CORRELATION_ID}",
        (),
    )


def test_an_agent_on_plivo_may_speak_and_keeps_the_call():
    stream = fromstring(forward(IDENTITY, url=URL, provider="plivo").body).find("./Stream")
    assert stream is not None
    assert (stream.get("bidirectional"), stream.get("keepCallAlive")) == ("true", "true")


def test_options_of_the_stream_are_kept():
    twiml = forward(IDENTITY, url=URL, options={"statusCallback": "https://agent.example.com/s?a=1&b=2"}).body
    assert 'statusCallback="https://agent.example.com/s?a=1&amp;b=2"' in twiml
    start = streaming_start(
        IDENTITY, URL, options={"custom_parameters": [{"name": "a", "value": "1"}], "command_id": "x"}
    )
    assert [entry["name"] for entry in start["custom_parameters"]] == ["a", "SipCallId", "X-Correlation-Id"]
    assert start["command_id"] == "x"
    verb = listen(IDENTITY, URL, options={"metadata": {"tenant": 7}, "actionHook": "/done"})[0]
    assert verb["metadata"] == {"tenant": 7, **forwarded_parameters(IDENTITY)}


def test_parameters_alone_are_those_of_the_document():
    assert stream_parameters(IDENTITY) in stream_document(IDENTITY, URL)
    assert stream_parameters(SipIdentity()) == ""
