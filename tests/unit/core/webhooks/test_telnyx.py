"""Signatures are made with `cryptography`, the vendor's validator checks them with PyNaCl.

The vendor's validator reads this machine's clock, so the times here are real.
"""

from __future__ import annotations

import base64
import time

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from tuner_core import webhooks
from tuner_core.errors import ConfigError
from tuner_core.webhooks import WebhookRefused, WebhookRequest

KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
OTHER_KEY = Ed25519PrivateKey.from_private_bytes(bytes(32))
BODY = b'{"data": {"event_type": "call.initiated", "payload": {"sip_call_id": "a84b@pc33"}}}'


def public(key: Ed25519PrivateKey = KEY) -> str:
    return base64.b64encode(key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)).decode()


def event(
    *,
    body: bytes = BODY,
    at: float | None = None,
    key: Ed25519PrivateKey = KEY,
    timestamp: str | None = None,
    signature: str | None = None,
    sent_body: bytes | None = None,
) -> WebhookRequest:
    timestamp = str(int(time.time() if at is None else at)) if timestamp is None else timestamp
    signed = base64.b64encode(key.sign(timestamp.encode() + b"|" + body)).decode()
    headers = {
        "telnyx-signature-ed25519": signed if signature is None else signature,
        "telnyx-timestamp": timestamp,
        "content-type": "application/json",
    }
    return WebhookRequest("POST", "/telnyx", headers, body if sent_body is None else sent_body)


def validator(**settings: object) -> webhooks.WebhookValidator:
    return webhooks.telnyx(**{"public_key": public(), **settings})  # pyright: ignore[reportArgumentType]


def refusal(
    check: webhooks.WebhookValidator, request: WebhookRequest, now: float | None = None
) -> WebhookRefused:
    with pytest.raises(WebhookRefused) as caught:
        check.check(request, now=now)
    return caught.value


def test_an_authentic_event_passes():
    validator().check(event())


def test_a_texml_form_passes():
    validator().check(event(body=b"CallSid=v3%3Aabc&StreamEvent=stream-started"))


@pytest.mark.parametrize("request_", [event(signature=""), event(timestamp="")])
def test_without_signature_or_time_it_is_refused(request_: WebhookRequest):
    assert refusal(validator(), request_).reason == "missing"


@pytest.mark.parametrize(
    "faults",
    [
        {"key": OTHER_KEY},
        {"sent_body": BODY + b" "},
        {"sent_body": b""},
        {"sent_body": b"\xff\xfe"},
        {"signature": "not base64"},
        {"signature": base64.b64encode(bytes(64)).decode()},
        {"signature": base64.b64encode(bytes(63)).decode()},
        {"timestamp": "soon"},
        {"timestamp": "1_760_000_000"},
        {"timestamp": "-1"},
    ],
)
def test_a_wrong_signature_is_refused(faults: dict[str, object]):
    assert refusal(validator(), event(**faults)).reason == "wrong"  # pyright: ignore[reportArgumentType]


def test_the_time_is_signed_with_the_body():
    at = int(time.time())
    request = event(at=at)
    moved = {**dict(request.headers), "telnyx-timestamp": str(at - 1)}
    assert refusal(validator(), WebhookRequest("POST", "/telnyx", moved, BODY)).reason == "wrong"


def test_a_stale_event_is_refused():
    now = time.time()
    assert refusal(validator(), event(at=now - 302)).reason == "stale"
    assert refusal(validator(), event(at=now + 302)).reason == "stale"
    assert refusal(validator(window_s=10), event(at=now - 12)).reason == "stale"


def test_the_window_is_told_with_the_age():
    now = time.time()
    assert "signed 400 s before this machine's time; 300 s are allowed" in str(
        refusal(validator(), event(at=int(now) - 400), now=int(now))
    )


def test_a_replay_is_refused_however_its_signature_is_spelt():
    check = validator()
    request = event()
    check.check(request)
    assert refusal(check, request).reason == "replayed"
    respelt = dict(request.headers)
    respelt["telnyx-signature-ed25519"] = "*" + respelt["telnyx-signature-ed25519"]
    assert refusal(check, WebhookRequest("POST", "/telnyx", respelt, BODY)).reason == "replayed"


def test_two_keys_are_valid_while_one_replaces_the_other():
    check = validator(public_key=(public(OTHER_KEY), public()))
    check.check(event())
    check.check(event(key=OTHER_KEY, body=b"{}"))


@pytest.mark.parametrize("key", ["not base64!", base64.b64encode(b"short").decode()])
def test_a_key_that_is_none_is_refused_at_the_start(key: str):
    with pytest.raises(ConfigError, match="Mission Control"):
        validator(public_key=key)
