"""Signatures are made by hand as Twilio documents them, so that the check can fail."""

from __future__ import annotations

import base64
import hashlib
import hmac
from datetime import UTC, datetime
from email.utils import format_datetime
from urllib.parse import urlencode

import pytest

from tuner_core import webhooks
from tuner_core.errors import ConfigError
from tuner_core.webhooks import WebhookRefused, WebhookRequest

TOKEN = "12345678901234567890123456789012"
ORIGIN = "https://agent.example.com"
PATH = "/voice?tenant=7"
NOW = 1_760_000_000.0
FIELDS = {
    "CallSid": "CA" + "0" * 32,
    "SipCallId": "a84b4c76@pc33",
    "From": "sip:probe@example.com",
    "Digits": "",
}


def sign(url: str, fields: dict[str, str], token: str = TOKEN) -> str:
    text = url + "".join(name + fields[name] for name in sorted(fields))
    return base64.b64encode(hmac.new(token.encode(), text.encode(), hashlib.sha1).digest()).decode()


def post(
    fields: dict[str, str] = FIELDS, *, path: str = PATH, signature: str | None = None, extra: str = ""
) -> WebhookRequest:
    return WebhookRequest(
        "POST",
        path,
        {
            "content-type": "application/x-www-form-urlencoded; charset=UTF-8",
            "x-twilio-signature": sign(ORIGIN + path, fields) if signature is None else signature,
            "x-forwarded-host": "evil.example.com",
        },
        (urlencode(fields) + extra).encode(),
    )


def validator(**settings: object) -> webhooks.WebhookValidator:
    return webhooks.twilio(**{"auth_token": TOKEN, "public_url": ORIGIN, **settings})  # pyright: ignore[reportArgumentType]


def refusal(check: webhooks.WebhookValidator, request: WebhookRequest, now: float = NOW) -> WebhookRefused:
    with pytest.raises(WebhookRefused) as caught:
        check.check(request, now=now)
    assert TOKEN not in str(caught.value)
    return caught.value


def test_an_authentic_form_passes():
    validator().check(post(), now=NOW)


def test_an_authentic_get_passes():
    path = "/voice?CallSid=CA1&From=%2B14155550123"
    signature = sign(ORIGIN + path, {})
    validator().check(WebhookRequest("GET", path, {"X-Twilio-Signature": signature}), now=NOW)


def test_repeated_fields_are_signed_once_each_in_order():
    url = ORIGIN + "/voice"
    text = url + "MediaUrla" + "MediaUrlb"
    signature = base64.b64encode(hmac.new(TOKEN.encode(), text.encode(), hashlib.sha1).digest()).decode()
    headers = {"X-Twilio-Signature": signature, "Content-Type": "application/x-www-form-urlencoded"}
    validator().check(WebhookRequest("POST", "/voice", headers, b"MediaUrl=b&MediaUrl=a"), now=NOW)


@pytest.mark.parametrize(
    ("given", "signed"),
    [
        ("https://agent.example.com", "https://agent.example.com:443"),
        ("https://agent.example.com:443", "https://agent.example.com"),
        ("https://agent.example.com:8443", "https://agent.example.com:8443"),
        ("https://agent.example.com/", "https://agent.example.com"),
        ("https://proxy.example.com/agents/7", "https://proxy.example.com/agents/7"),
    ],
)
def test_the_public_url_counts_with_and_without_its_port(given: str, signed: str):
    request = post(signature=sign(signed + PATH, FIELDS))
    validator(public_url=given).check(request, now=NOW)


def test_a_media_streams_handshake_is_signed_like_a_get_and_alike_in_every_call():
    signature = sign("wss://agent.example.com/media", {})
    check = validator(public_url="wss://agent.example.com", allow_replays=True)
    scope = {
        "type": "websocket",
        "path": "/media",
        "headers": [(b"x-twilio-signature", signature.encode()), (b"upgrade", b"websocket")],
    }
    check.check(WebhookRequest.from_asgi(scope), now=NOW)
    check.check(WebhookRequest.from_asgi(scope), now=NOW)
    assert refusal(check, WebhookRequest.from_asgi({**scope, "path": "/other"})).reason == "wrong"


def test_a_json_body_is_covered_by_its_hash_in_the_query():
    body = b'{"CallSid": "CA1"}'
    path = f"/events?bodySHA256={hashlib.sha256(body).hexdigest()}"
    headers = {"X-Twilio-Signature": sign(ORIGIN + path, {}), "Content-Type": "application/json"}
    validator().check(WebhookRequest("POST", path, headers, body), now=NOW)
    assert refusal(validator(), WebhookRequest("POST", path, headers, body + b" ")).reason == "wrong"


@pytest.mark.parametrize("kind", ["application/json", "text/plain", "", "multipart/form-data"])
def test_a_body_that_no_signature_covers_is_refused(kind: str):
    """The signature of a bare address must not let in whatever body somebody adds."""
    headers = {"X-Twilio-Signature": sign(ORIGIN + "/voice", {}), "Content-Type": kind}
    assert refusal(validator(), WebhookRequest("POST", "/voice", headers, b"CallSid=CA1")).reason == "wrong"


def test_no_signature_is_refused():
    assert refusal(validator(), post(signature="")).reason == "missing"


@pytest.mark.parametrize(
    "request_",
    [
        post(signature=sign(ORIGIN + PATH, FIELDS, "another token")),
        post(signature=sign("https://evil.example.com" + PATH, FIELDS)),
        post(signature=sign("http://agent.example.com" + PATH, FIELDS)),
        post(signature=sign(ORIGIN + "/other", FIELDS)),
        post(signature=sign(ORIGIN + PATH, FIELDS), extra="&CallSid=CA2"),
        post({**FIELDS, "From": "x"}, signature=sign(ORIGIN + PATH, FIELDS)),
        post(signature=sign(ORIGIN + PATH, FIELDS).swapcase()),
        post(signature="é"),
        WebhookRequest(
            "POST",
            PATH,
            {**dict(post().headers), "content-type": "application/x-www-form-urlencoded"},
            b"\xff",
        ),  # pyright: ignore[reportArgumentType]
        WebhookRequest(
            "POST", PATH, [*dict(post().headers).items(), ("X-Twilio-Signature", "second")], post().body
        ),
    ],
)
def test_a_wrong_signature_is_refused(request_: WebhookRequest):
    assert refusal(validator(), request_).reason == "wrong"


def test_a_replay_is_refused_and_a_forgery_does_not_spoil_the_real_one():
    check = validator()
    refusal(check, post(signature="forged"))
    check.check(post(), now=NOW)
    assert refusal(check, post(), now=NOW + 3600).reason == "replayed"


def test_twiml_that_loops_may_allow_replays():
    check = validator(allow_replays=True)
    check.check(post(), now=NOW)
    check.check(post(), now=NOW)


@pytest.mark.parametrize("iso", [False, True])
def test_a_signed_timestamp_must_be_of_now(iso: bool):
    at = datetime.fromtimestamp(NOW, UTC)
    request = post({**FIELDS, "Timestamp": at.isoformat() if iso else format_datetime(at)})
    validator().check(request, now=NOW + 299)
    assert refusal(validator(), request, now=NOW + 301).reason == "stale"
    assert refusal(validator(), request, now=NOW - 301).reason == "stale"


def test_a_timestamp_that_is_none_is_left_alone():
    validator().check(post({**FIELDS, "Timestamp": "yesterday"}), now=NOW)


def test_two_tokens_are_valid_while_one_replaces_the_other():
    old = post(signature=sign(ORIGIN + PATH, FIELDS, "the old token"))
    validator(auth_token=("the old token", TOKEN)).check(post(), now=NOW)
    validator(auth_token=("the old token", TOKEN)).check(old, now=NOW)
    assert refusal(validator(), old).reason == "wrong"


def test_a_shared_keys_sha256_is_checked_where_twilios_package_knows_it():
    text = ORIGIN + "/voice"
    signature = base64.b64encode(hmac.new(TOKEN.encode(), text.encode(), hashlib.sha256).digest()).decode()
    headers = {
        "X-Twilio-Signature": signature,
        "X-Twilio-Webhooks-Signature-Settings": "key=webhooks_sharedkey_1,algorithm=HMAC_SHA256",
    }
    validator().check(WebhookRequest("GET", "/voice", headers), now=NOW)
    headers["X-Twilio-Webhooks-Signature-Settings"] = "algorithm=none"
    assert refusal(validator(), WebhookRequest("GET", "/voice", headers)).reason == "wrong"


@pytest.mark.parametrize("token", ["", "  ", (), ("",)])
def test_an_empty_token_is_refused_at_the_start(token: object):
    with pytest.raises(ConfigError, match="auth_token is empty"):
        validator(auth_token=token)


@pytest.mark.parametrize(
    "url", ["", "agent.example.com", "ftp://agent.example.com", "https://a.example.com/?x=1"]
)
def test_a_public_url_that_is_none_is_refused_at_the_start(url: str):
    with pytest.raises(ConfigError, match="public_url must be the address"):
        validator(public_url=url)
