"""Signatures are made by hand as Plivo documents V3, so that the check can fail."""

from __future__ import annotations

import base64
import hashlib
import hmac
from urllib.parse import urlencode

import pytest

from tuner_core import webhooks
from tuner_core.webhooks import WebhookRefused, WebhookRequest

TOKEN = "MjQ5ZTk1ZWYxMDkyNmQ4ZTQ2ZGY3Mzk0"
ORIGIN = "https://agent.example.com"
NONCE = "05429567804466091622"
NOW = 1_760_000_000.0
FIELDS = {"CallUUID": "2c7e1f0a-5d3b-4c8e-9f10-8a7b6c5d4e3f", "From": "14155550123", "X-PH-CallID": "a@b"}


def sign(text: str, nonce: str = NONCE, token: str = TOKEN) -> str:
    digest = hmac.new(token.encode(), f"{text}.{nonce}".encode(), hashlib.sha256).digest()
    return base64.b64encode(digest).decode()


def joined(fields: dict[str, str]) -> str:
    return "".join(name + fields[name] for name in sorted(fields))


def post(
    fields: dict[str, str] = FIELDS,
    *,
    signature: str | None = None,
    nonce: str = NONCE,
    header: str = "X-Plivo-Signature-V3",
) -> WebhookRequest:
    signature = sign(f"{ORIGIN}/answer?tenant=7.{joined(fields)}", nonce) if signature is None else signature
    headers = {
        "Content-Type": "application/x-www-form-urlencoded",
        header: signature,
        "X-Plivo-Signature-V3-Nonce": nonce,
        "X-Forwarded-Proto": "http",
    }
    return WebhookRequest("POST", "/answer?tenant=7", headers, urlencode(fields).encode())


def validator(**settings: object) -> webhooks.WebhookValidator:
    return webhooks.plivo(**{"auth_token": TOKEN, "public_url": ORIGIN, **settings})  # pyright: ignore[reportArgumentType]


def refusal(check: webhooks.WebhookValidator, request: WebhookRequest, now: float = NOW) -> WebhookRefused:
    with pytest.raises(WebhookRefused) as caught:
        check.check(request, now=now)
    assert TOKEN not in str(caught.value)
    return caught.value


def test_an_authentic_post_passes():
    validator().check(post(), now=NOW)


def test_a_post_to_an_address_without_query_passes():
    headers = {
        "Content-Type": "application/x-www-form-urlencoded",
        "X-Plivo-Signature-V3": sign(f"{ORIGIN}/answer?{joined(FIELDS)}"),
        "X-Plivo-Signature-V3-Nonce": NONCE,
    }
    validator().check(WebhookRequest("POST", "/answer", headers, urlencode(FIELDS).encode()), now=NOW)


def test_an_authentic_get_passes_whatever_the_order_of_its_query():
    signature = sign(f"{ORIGIN}/answer?CallUUID=2c7e&From=14155550123&tenant=7")
    headers = {"X-Plivo-Signature-V3": signature, "X-Plivo-Signature-V3-Nonce": NONCE}
    validator().check(
        WebhookRequest("GET", "/answer?tenant=7&From=14155550123&CallUUID=2c7e", headers), now=NOW
    )


def test_the_main_accounts_signature_counts_too():
    validator().check(post(header="X-Plivo-Signature-Ma-V3"), now=NOW)


def test_one_of_several_signatures_is_enough():
    """While a token is changed Plivo sends one signature for each, joined by a comma."""
    good = sign(f"{ORIGIN}/answer?tenant=7.{joined(FIELDS)}")
    validator().check(post(signature=f"{sign('other')},{good}"), now=NOW)


def test_without_signature_or_nonce_it_is_refused():
    assert refusal(validator(), post(signature="")).reason == "missing"
    assert refusal(validator(), post(nonce="")).reason == "missing"


@pytest.mark.parametrize(
    "request_",
    [
        post(signature=sign(f"{ORIGIN}/answer?tenant=7.{joined(FIELDS)}", token="another token")),
        post(signature=sign(f"{ORIGIN}/answer?tenant=7.{joined(FIELDS)}", nonce="1")),
        post(signature=sign(f"http://agent.example.com/answer?tenant=7.{joined(FIELDS)}")),
        post({**FIELDS, "From": "1"}, signature=sign(f"{ORIGIN}/answer?tenant=7.{joined(FIELDS)}")),
        post(signature="é"),
        WebhookRequest("PUT", "/answer?tenant=7", post().headers),
        WebhookRequest("POST", "/answer?tenant=7", post().headers, b"\xff"),
        WebhookRequest(
            "POST", "/answer?tenant=7", {**dict(post().headers), "Content-Type": "application/json"}, b"{}"
        ),
    ],
)
def test_a_wrong_signature_is_refused(request_: WebhookRequest):
    assert refusal(validator(), request_).reason == "wrong"


def test_a_body_behind_a_signed_get_is_refused():
    signature = sign(f"{ORIGIN}/answer?CallUUID=2c7e")
    headers = {
        "Content-Type": "application/x-www-form-urlencoded",
        "X-Plivo-Signature-V3": signature,
        "X-Plivo-Signature-V3-Nonce": NONCE,
    }
    request = WebhookRequest("GET", "/answer?CallUUID=2c7e", headers, b"CallUUID=other")
    assert refusal(validator(), request).reason == "wrong"


def test_a_nonce_comes_once_even_a_day_later():
    """V3 has no time in it: what makes a request stale is that its nonce is known."""
    check = validator()
    check.check(post(), now=NOW)
    assert refusal(check, post(), now=NOW + 86_000).reason == "replayed"
    check.check(post(nonce="77"), now=NOW)


def test_a_forged_request_does_not_use_up_the_nonce():
    check = validator()
    refusal(check, post(signature="forged"))
    check.check(post(), now=NOW)
