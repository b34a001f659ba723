from __future__ import annotations

import sys

import pytest

from tuner_core import webhooks
from tuner_core.errors import ConfigError
from tuner_core.webhooks import SeenInMemory, WebhookRefused, WebhookRequest
from tuner_core.webhooks.seen import digest


def test_a_key_is_new_once_for_as_long_as_it_is_kept():
    seen = SeenInMemory()
    assert seen.first_sight("a", keep_s=10, now=100)
    assert not seen.first_sight("a", keep_s=10, now=109.9)
    assert seen.first_sight("a", keep_s=10, now=110)


def test_memory_is_bounded():
    seen = SeenInMemory(max_keys=2)
    for number in range(5):
        assert seen.first_sight(str(number), keep_s=10, now=0)
    assert len(seen) == 2
    assert not seen.first_sight("4", keep_s=10, now=0)


def test_what_is_over_is_forgotten():
    seen = SeenInMemory()
    seen.first_sight("a", keep_s=10, now=0)
    seen.first_sight("b", keep_s=10, now=11)
    assert len(seen) == 1


def test_a_digest_keeps_its_parts_apart():
    assert digest("ab", "c") != digest("a", "bc")


def test_two_providers_may_share_a_store():
    """What Exotel's requests are known by says nothing of another's."""

    class Cousin(webhooks.exotel):
        provider = "cousin"

    seen = SeenInMemory()
    request = WebhookRequest("GET", "/?token=t", {}, client_ip="192.0.2.1")
    for kind in (webhooks.exotel, Cousin):
        kind(networks=["192.0.2.1"], token="t", seen=seen).check(request, now=0)


def test_a_refusal_says_whose_and_why_and_can_be_counted():
    check = webhooks.exotel(networks=["192.0.2.1"], token="t")
    with pytest.raises(
        WebhookRefused, match="exotel webhook refused, missing: no query parameter token"
    ) as caught:
        check.check(WebhookRequest("GET", "/", {}, client_ip="192.0.2.1"))
    assert (caught.value.provider, caught.value.reason, caught.value.retryable) == (
        "exotel",
        "missing",
        False,
    )


@pytest.mark.parametrize(
    ("name", "package", "settings"),
    [
        ("twilio", "twilio", {"auth_token": "t", "public_url": "https://a.example.com"}),
        ("plivo", "plivo", {"auth_token": "t", "public_url": "https://a.example.com"}),
        ("telnyx", "telnyx", {"public_key": "t"}),
        ("telnyx", "nacl", {"public_key": "t"}),
        ("vonage", "vonage_jwt", {"signature_secret": "t"}),
    ],
)
def test_without_the_vendors_package_the_extra_is_named(
    name: str, package: str, settings: dict[str, str], monkeypatch: pytest.MonkeyPatch
):
    for module in [module for module in sys.modules if module.partition(".")[0] == package]:
        monkeypatch.setitem(sys.modules, module, None)
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(ConfigError, match=rf"pip install 'tuner-core\[{name}\]'"):
        getattr(webhooks, name)(**settings)


def test_nothing_of_a_vendor_is_imported_before_it_is_used():
    code = "import sys, tuner_core.webhooks; print({'twilio', 'plivo', 'telnyx', 'jwt', 'redis'} & set(sys.modules))"
    import subprocess

    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "set()"
