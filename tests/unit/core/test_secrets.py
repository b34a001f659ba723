"""Planted secrets: in no representation, no message and no log line of the objects that hold them."""

from __future__ import annotations

import base64
import logging
import pickle
from collections.abc import Callable
from typing import Any

import pytest
from pydantic import ValidationError

from tuner_core import (
    AsyncTunerClient,
    CallRecord,
    CallTimeline,
    ConfigError,
    Delivery,
    InvalidRecord,
    Segment,
    SipIdentity,
    TunerClient,
    TunerConfig,
    conform,
    default_sink,
)
from tuner_core.events import AgentTurn, ToolCalled, ToolReturned, UserTurn
from tuner_core.http import call_request, read_response
from tuner_core.identity.pending import PendingCalls
from tuner_core.langchain import TunerCallbackHandler
from tuner_core.local.intake import CreateCallRequest, Rules
from tuner_core.local.validation import RefusedBody, parse_record
from tuner_core.recordings.target import UploadTarget
from tuner_core.shared_redis import SharedRedis
from tuner_core.tracing import CallTrace
from tuner_core.tracing.call_spans import CallSpans
from tuner_core.webhooks.exotel_token import ExotelWebhooks
from tuner_core.webhooks.plivo_signature import PlivoWebhooks
from tuner_core.webhooks.request import WebhookRequest
from tuner_core.webhooks.telnyx_signature import TelnyxWebhooks
from tuner_core.webhooks.twilio_signature import TwilioWebhooks
from tuner_core.webhooks.validator import WebhookRefused
from tuner_core.webhooks.vonage_token import VonageWebhooks

KEY = "tr_api_PLANTEDKEY"
TOKEN = "PLANTEDTOKEN0123456789abcdef0123"
WORDS = "PLANTEDWORDS my card is four one one one"
NUMBER = "+15550199"
VALUE = "PLANTEDVALUE"
PLANTED = ("PLANTED", NUMBER)


@pytest.fixture
def config(tmp_path: Any) -> TunerConfig:
    return TunerConfig(
        api_key=KEY, workspace_id=7, agent_id="desk", base_url="http://127.0.0.1:9", outbox=tmp_path / "o"
    )


def record(**changes: Any) -> CallRecord:
    rows = [
        Segment.user(WORDS, start_ms=0, end_ms=1),
        Segment.tool_call("look_up", params={"n": VALUE}, start_ms=1),
        Segment.tool_result("look_up", result={"n": VALUE}, error=VALUE, start_ms=2),
    ]
    whole = {
        "call_id": "c-1",
        "call_type": "phone_call",
        "start_timestamp": 1.0,
        "end_timestamp": 2.0,
        "transcript_with_tool_calls": rows,
        "transcript": WORDS,
        "caller_phone_number": NUMBER,
        "metadata": {"note": VALUE},
        "recipient": f"sip:{NUMBER}@example.com",
    }
    return CallRecord(**{**whole, **changes})


def clean(*values: object) -> bool:
    """Nothing planted is in any of the ways a value is put into text."""
    said = " ".join(f"{value!r} {value!s} {value} {[value]} {value:}" for value in values)
    return not any(secret in said for secret in PLANTED)


def message_of(function: Callable[[], object], kind: type[BaseException]) -> str:
    """What a traceback says of an exception and of those it shows before it."""
    with pytest.raises(kind) as caught:
        function()
    said, error = "", caught.value
    while error is not None:
        said += f"{error} {error!r}\n"
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    return said


def test_it_would_be_noticed() -> None:
    def fail() -> None:
        try:
            int(VALUE)
        except ValueError as error:
            raise RuntimeError("no number") from error

    assert VALUE in message_of(fail, RuntimeError)
    assert not clean({"note": VALUE})


def test_configuration_clients_and_deliveries_show_no_key(config: TunerConfig) -> None:
    request = call_request(
        base_url=config.base_url, workspace_id=7, agent_id="desk", api_key=KEY, body=WORDS.encode()
    )
    with TunerClient(config) as client:
        assert clean(
            config, client, AsyncTunerClient(config), Delivery(config), default_sink(config), request
        )
    assert KEY not in config.model_dump_json()


def test_records_and_what_they_are_made_of_show_no_content() -> None:
    timeline = CallTimeline(call_id="c-1")
    events = [
        UserTurn(WORDS, 1.0, 2.0),
        AgentTurn(WORDS, 1.0, 2.0, intended_text=WORDS),
        ToolCalled(1.0, "t1", "look_up", {"n": VALUE}),
        ToolReturned(2.0, "t1", "look_up", {"n": VALUE}, is_error=True, error=VALUE),
    ]
    for event in events:
        timeline.apply(event)
    made = timeline.record(caller_phone_number=NUMBER, metadata={"note": VALUE})
    odd = CallRecord.model_construct(call_id="c-1", transcript=WORDS, caller_phone_number=NUMBER)
    assert clean(
        *events, timeline, made, odd, record(), *record().transcript_with_tool_calls, conform(record())
    )
    assert clean(Segment.tool_call("look_up", params=VALUE).tool, SipIdentity(sip_call_id="x"))


def test_a_wrong_record_is_told_without_its_values() -> None:
    wrong = message_of(lambda: record(duration_ms=WORDS, caller_phone_number={"n": NUMBER}), ValidationError)
    assert not any(secret in wrong for secret in PLANTED)
    unknown = message_of(lambda: record(note=WORDS), ValidationError)
    assert "PLANTED" not in unknown
    refused = message_of(lambda: conform({"transcript": WORDS, "start_timestamp": WORDS}), InvalidRecord)
    assert "PLANTED" not in refused
    repairs = conform(
        record(start_timestamp=5.0, user_sentiment=WORDS, agent_version=WORDS, sip_call_id=f"CA{'0' * 32}")
    ).repairs
    assert repairs
    assert not any(secret in " ".join(repairs) for secret in PLANTED)


@pytest.mark.parametrize(
    "settings",
    [
        {"api_key": KEY, "workspace_id": "PLANTED", "agent_id": "a"},
        {"api_key": KEY, "workspace_id": 1, "agent_id": "a", "base_url": "https://u:PLANTED@example.com"},
        {"api_key": KEY, "workspace_id": 1},
    ],
)
def test_a_wrong_setting_is_told_without_its_value(
    settings: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("TUNER_AGENT_ID", raising=False)
    assert "PLANTED" not in message_of(lambda: TunerConfig(**settings), ConfigError)


def test_what_the_api_quotes_of_a_record_is_not_repeated() -> None:
    body = b'{"detail": [{"loc": ["body", "transcript"], "msg": "too long", "input": "PLANTEDWORDS"}]}'
    said = message_of(lambda: read_response(422, {}, body, call_id="c-1", now=0.0), Exception)
    assert "too long" in said
    assert "PLANTED" not in said


def test_webhook_checks_show_no_secret_and_refuse_without_content() -> None:
    public_key = base64.b64encode(b"PLANTEDKEYPLANTEDKEYPLANTEDKEY!!").decode()
    checks = [
        TwilioWebhooks(auth_token=TOKEN, public_url="https://agent.example.com"),
        PlivoWebhooks(auth_token=TOKEN, public_url="https://agent.example.com"),
        ExotelWebhooks(networks=["127.0.0.1"], token=TOKEN),
        VonageWebhooks(signature_secret=TOKEN),
        TelnyxWebhooks(public_key=public_key),
    ]
    headers = {
        "X-Twilio-Signature": "PLANTEDSIGNATURE=",
        "X-Plivo-Signature-V3": "PLANTEDSIGNATURE=",
        "X-Plivo-Signature-V3-Nonce": "PLANTEDNONCE",
        "Authorization": "Bearer PLANTED.PLANTED.PLANTED",
        "telnyx-signature-ed25519": base64.b64encode(b"PLANTED").decode(),
        "telnyx-timestamp": "1760000000",
        "Content-Type": "application/x-www-form-urlencoded",
    }
    request = WebhookRequest(
        "POST", "/voice?token=PLANTED", headers, b"From=%2B15550199&Body=PLANTEDWORDS", client_ip="127.0.0.1"
    )
    assert clean(*checks, request)
    for check in checks:
        said = message_of(lambda check=check: check.check(request, now=1_760_000_000.0), WebhookRefused)
        assert not any(secret in said for secret in PLANTED), said


def test_uploads_stores_traces_and_handlers_show_no_secret(config: TunerConfig) -> None:
    target = UploadTarget.parse(
        {"url": "https://s3.example.com/b?sig=PLANTED", "fields": {"policy": "PLANTED"}}
    )
    redis = SharedRedis("redis://user:PLANTED@127.0.0.1:1/0", used_for="a test")
    spans = CallSpans("c-1", f"{config.base_url}/api/v1/traces", config.api_key)
    assert clean(target, redis, PendingCalls(), CallTrace("c-1", config), spans, TunerCallbackHandler(print))
    wrong = message_of(lambda: SharedRedis("PLANTED://user:PLANTED@x", used_for="a test"), ConfigError)
    assert "PLANTED" not in wrong


def test_a_redis_that_is_away_is_told_without_its_password(caplog: pytest.LogCaptureFixture) -> None:
    redis = SharedRedis("redis://user:PLANTED@127.0.0.1:1/0", used_for="a test", timeout_s=0.05)
    with caplog.at_level(logging.DEBUG):
        assert redis.ask(lambda client: client.ping()) == (False, None)
    assert "PLANTED" not in caplog.text
    redis.close()


def test_the_local_tuner_shows_no_key_and_refuses_without_values() -> None:
    request = CreateCallRequest(
        authorization=f"Bearer {KEY}", query={}, content_type="application/json", body=WORDS.encode()
    )
    assert clean(Rules(api_key=KEY), request)
    document = b'{"call_id": "c-1", "transcript": {"PLANTED": 1}, "caller_phone_number": 15550199}'
    said = message_of(lambda: parse_record(document), RefusedBody)
    assert not any(secret in said for secret in PLANTED)


def test_a_key_is_in_a_pickle_but_in_no_text_of_it(config: TunerConfig) -> None:
    """Settings travel to job processes by pickle, where the key must arrive."""
    again = pickle.loads(pickle.dumps(config))
    assert again.api_key.get_secret_value() == KEY
    assert clean(again)
