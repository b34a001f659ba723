from __future__ import annotations

import base64

import pytest

from tuner_core import webhooks
from tuner_core.errors import ConfigError
from tuner_core.webhooks import WebhookRefused, WebhookRequest

TOKEN = "s3cret-of-the-applet"
NOW = 1_760_000_000.0


def passthru(
    *,
    token: str | None = TOKEN,
    ip: str | None = "203.0.113.7",
    sid: str = "1",
    headers: dict[str, str] | None = None,
) -> WebhookRequest:
    query = f"?CallSid={sid}&From=09876543210" + ("" if token is None else f"&token={token}")
    return WebhookRequest(
        "GET", "/exotel" + query, headers or {"X-Forwarded-For": "203.0.113.7"}, client_ip=ip
    )


def validator(**settings: object) -> webhooks.WebhookValidator:
    defaults = {"networks": ["203.0.113.0/28", "198.51.100.4"], "token": TOKEN}
    return webhooks.exotel(**{**defaults, **settings})  # pyright: ignore[reportArgumentType]


def refusal(check: webhooks.WebhookValidator, request: WebhookRequest, now: float = NOW) -> WebhookRefused:
    with pytest.raises(WebhookRefused) as caught:
        check.check(request, now=now)
    assert TOKEN not in str(caught.value)
    assert "203.0.113" not in str(caught.value)
    return caught.value


@pytest.mark.parametrize("ip", ["203.0.113.0", "203.0.113.15", "198.51.100.4", "::ffff:203.0.113.7"])
def test_the_right_address_with_the_right_token_passes(ip: str):
    validator().check(passthru(ip=ip), now=NOW)


@pytest.mark.parametrize("ip", ["203.0.113.16", "198.51.100.5", "127.0.0.1", "::1", "::ffff:203.0.113.16"])
def test_another_address_is_a_stranger_whatever_it_says_it_forwards(ip: str):
    assert refusal(validator(), passthru(ip=ip)).reason == "stranger"


@pytest.mark.parametrize("ip", [None, "", "localhost", "203.0.113.7, 10.0.0.1"])
def test_an_address_that_is_not_given_is_not_guessed(ip: str | None):
    assert refusal(validator(), passthru(ip=ip)).reason == "missing"


def test_no_token_is_refused():
    assert refusal(validator(), passthru(token=None)).reason == "missing"


@pytest.mark.parametrize("token", ["wrong", TOKEN + "x", TOKEN[:-1], "%C3%A9", f"{TOKEN}&token={TOKEN}"])
def test_a_wrong_token_is_refused(token: str):
    assert refusal(validator(), passthru(token=token)).reason == "wrong"


def test_the_password_of_basic_authentication_counts_as_the_token():
    """What Exotel sends for `wss://key:token@host`."""

    def handshake(credentials: str) -> WebhookRequest:
        encoded = base64.b64encode(credentials.encode()).decode()
        return passthru(token=None, headers={"Authorization": f"Basic {encoded}"})

    validator().check(handshake(f"key:{TOKEN}"), now=NOW)
    assert refusal(validator(), handshake("key:wrong")).reason == "wrong"
    assert refusal(validator(), handshake(TOKEN)).reason == "wrong"
    assert refusal(validator(), passthru(token=None, headers={"Authorization": "Basic é"})).reason == "wrong"
    assert (
        refusal(validator(), passthru(token=None, headers={"Authorization": f"Bearer {TOKEN}"})).reason
        == "missing"
    )


def test_a_token_that_was_replaced_is_stale():
    old = passthru(token="the-old-one")
    validator(token=("the-old-one", TOKEN)).check(old, now=NOW)
    assert refusal(validator(), old).reason == "wrong"


def test_the_same_request_comes_once():
    check = validator()
    check.check(passthru(), now=NOW)
    assert refusal(check, passthru(), now=NOW + 60).reason == "replayed"
    check.check(passthru(sid="2"), now=NOW + 60)


@pytest.mark.parametrize("networks", [[], "203.0.113.7", ["exotel.com"]])
def test_networks_that_are_none_are_refused_at_the_start(networks: object):
    with pytest.raises(ConfigError, match="networks must be"):
        validator(networks=networks)
