"""Tokens are made by hand: HS256 over base64url, as RFC 7515 says; `vonage_jwt` checks them."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from typing import Any

import pytest

from tuner_core import webhooks
from tuner_core.webhooks import WebhookRefused, WebhookRequest

SECRET = "Wm1hZ2ljLXNpZ25hdHVyZS1zZWNyZXQtZm9yLXRlc3Rz"
NOW = 1_760_000_000.0
APPLICATION = "aaaaaaaa-bbbb-cccc-dddd-0123456789ab"
BODY = b'{"from":"442079460000","uuid":"aaaaaaaa-bbbb","conversation_uuid":"CON-1","name":"J\xc3\xbcrgen"}'
_DROP = object()


def encoded(part: bytes) -> str:
    return base64.urlsafe_b64encode(part).decode().rstrip("=")


def token(claims: dict[str, Any], *, secret: str = SECRET, alg: str = "HS256") -> str:
    signed = (
        f"{encoded(json.dumps({'alg': alg, 'typ': 'JWT'}).encode())}.{encoded(json.dumps(claims).encode())}"
    )
    mac = b"" if alg == "none" else hmac.new(secret.encode(), signed.encode(), hashlib.sha256).digest()
    return f"{signed}.{encoded(mac)}"


def event(
    *, body: bytes = BODY, path: str = "/event", secret: str = SECRET, alg: str = "HS256", **changes: Any
) -> WebhookRequest:
    claims: dict[str, Any] = {
        "iat": int(NOW),
        "jti": "c5ba8f24-1a14-4c10-bfdf-3fbe8ce511b5",
        "iss": "Vonage",
        "payload_hash": hashlib.sha256(body).hexdigest(),
        "api_key": "a1b2c3d",
        "application_id": APPLICATION,
        **changes,
    }
    claims = {name: value for name, value in claims.items() if value is not _DROP}
    headers = {"Authorization": f"Bearer {token(claims, secret=secret, alg=alg)}"}
    return WebhookRequest("POST" if body else "GET", path, headers, body)


def validator(**settings: object) -> webhooks.WebhookValidator:
    return webhooks.vonage(**{"signature_secret": SECRET, **settings})  # pyright: ignore[reportArgumentType]


def refusal(check: webhooks.WebhookValidator, request: WebhookRequest, now: float = NOW) -> WebhookRefused:
    with pytest.raises(WebhookRefused) as caught:
        check.check(request, now=now)
    assert SECRET not in str(caught.value)
    return caught.value


def test_an_authentic_event_passes():
    validator(application_id=APPLICATION).check(event(), now=NOW)


def test_an_authentic_get_passes_by_the_hash_of_its_query_as_json():
    query = '{"to":"442079460000","from":"Jürgen & Co","empty":""}'
    path = "/answer?to=442079460000&from=J%C3%BCrgen+%26+Co&empty="
    stated = hashlib.sha256(query.encode()).hexdigest()
    validator().check(event(body=b"", path=path, payload_hash=stated), now=NOW)
    assert refusal(validator(), event(body=b"", path=path + "1", payload_hash=stated)).reason == "wrong"


def test_a_body_hashed_without_its_blanks_passes():
    spaced = json.dumps(json.loads(BODY), indent=2, ensure_ascii=False).encode()
    validator().check(event(body=spaced, payload_hash=hashlib.sha256(BODY).hexdigest()), now=NOW)


@pytest.mark.parametrize("value", ["", "Bearer ", "Basic abc", "Bearer"])
def test_without_a_token_it_is_refused(value: str):
    request = WebhookRequest("POST", "/event", {"Authorization": value}, BODY)
    assert refusal(validator(), request).reason == "missing"


@pytest.mark.parametrize(
    "request_",
    [
        event(secret="another secret that is just as long as it must be"),
        event(alg="none"),
        event(alg="HS512"),
        event(payload_hash=hashlib.sha256(b"other").hexdigest()),
        event(payload_hash=_DROP),
        event(payload_hash=7),
        event(iat=_DROP),
        event(body=b"", path="/answer?from=x", payload_hash=_DROP),
        WebhookRequest("POST", "/event", event().headers, BODY.replace(b"44", b"45")),
        WebhookRequest("POST", "/event", event().headers, b"\xff"),
        WebhookRequest("POST", "/event", {"Authorization": "Bearer a.b.c"}, BODY),
        WebhookRequest("POST", "/event", {"Authorization": "Bearer é"}, BODY),
    ],
)
def test_a_wrong_token_is_refused(request_: WebhookRequest):
    assert refusal(validator(), request_).reason == "wrong"


def test_another_application_of_the_account_is_refused():
    assert refusal(validator(application_id="other"), event()).reason == "wrong"


def test_a_stale_token_is_refused():
    validator().check(event(), now=NOW + 299)
    assert refusal(validator(), event(), now=NOW + 301).reason == "stale"
    assert refusal(validator(), event(), now=NOW - 301).reason == "stale"


def test_a_token_from_the_future_or_expired_is_stale():
    at = int(time.time())
    assert refusal(validator(), event(iat=at + 60), now=at).reason == "stale"
    assert refusal(validator(), event(iat=at, exp=at - 1), now=at).reason == "stale"


def test_a_token_comes_once():
    check = validator()
    check.check(event(), now=NOW)
    assert refusal(check, event(), now=NOW + 1).reason == "replayed"
    check.check(event(jti="another"), now=NOW + 1)


def test_a_token_without_id_is_known_by_what_it_signs():
    check = validator()
    check.check(event(jti=_DROP), now=NOW)
    assert refusal(check, event(jti=_DROP), now=NOW).reason == "replayed"


def test_two_secrets_are_valid_while_one_replaces_the_other():
    old = "the secret that was valid until this morning"
    validator(signature_secret=(old, SECRET)).check(event(), now=NOW)
    validator(signature_secret=(old, SECRET)).check(event(secret=old), now=NOW)
