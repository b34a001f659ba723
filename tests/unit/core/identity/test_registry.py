import threading
from collections.abc import Iterator

import pytest

from tuner_core import ConfigError, register_provider, resolve
from tuner_core.identity import OwnId, Provider, Shape
from tuner_core.identity.carrier_ids import advice_for
from tuner_core.identity.registry import find_provider, providers, unregister_provider

CALL_SID = "CA4d1f0b7e93c25a68d0e4b1f7a92c3658"


def acme(name: str = "acme", **fields: object) -> Provider:
    described = {
        "shapes": (Shape("call event", {"acme_call": ""}),),
        "own_ids": (OwnId("Acme's acme_call", ("acme_call",), r"acme-\d+", certain=True),),
        "call_id": ("sip.id",),
        "fix": "switch on SIP details in Acme's console",
        "send_instead": "sip.id",
        **fields,
    }
    return Provider(name=name, **described)  # pyright: ignore[reportArgumentType]


@pytest.fixture(autouse=True)
def _forgotten() -> Iterator[None]:
    yield
    for name in ("acme", "twilio", "other"):
        unregister_provider(name)


def test_an_own_provider_is_recognised_and_its_ids_are_known_everywhere() -> None:
    register_provider(acme())
    identity = resolve({"acme_call": "acme-81", "sip": {"id": "abc@host"}})
    assert (identity.provider, identity.sip_call_id, identity.provider_call_id) == (
        "acme",
        "abc@host",
        "acme-81",
    )
    assert identity.found_at == {"sip_call_id": "sip.id", "provider_call_id": "acme_call"}
    assert resolve({"acme_call": "acme-81"}).warnings == (
        "no SIP Call-ID in acme's call event: switch on SIP details in Acme's console",
    )
    assert resolve({"SipCallId": "acme-81"}).sip_call_id is None
    assert (
        advice_for("acme-81") == "Acme's acme_call is a provider's own id, not the SIP Call-ID; send sip.id"
    )


def test_a_registered_provider_wins_over_a_better_match_that_is_built_in() -> None:
    payload = {"CallSid": CALL_SID, "AccountSid": "AC" + "0a" * 16, "SipCallId": "a@b", "acme_call": "1"}
    assert resolve(payload).provider == "twilio"
    register_provider(acme())
    assert resolve(payload).provider == "acme"


def test_a_built_in_provider_can_be_replaced() -> None:
    register_provider(acme("twilio"))
    assert [provider.name for provider in providers()].count("twilio") == 1
    assert resolve({"acme_call": "acme-1"}).provider == "twilio"
    unregister_provider("twilio")
    assert resolve({"CallSid": CALL_SID}).provider == "twilio"


def test_a_name_taken_twice_is_a_clear_error() -> None:
    register_provider(acme())
    with pytest.raises(ConfigError, match="replace=True"):
        register_provider(acme())
    with pytest.raises(ConfigError, match="another provider's"):
        register_provider(acme("other", aliases=("acme",)))
    register_provider(acme(fix="other words"), replace=True)
    assert find_provider("ACME") == acme(fix="other words")


@pytest.mark.parametrize(
    ("provider", "said"),
    [
        (acme("Acme Corp"), "lower-case"),
        (acme("auto"), "not 'auto'"),
        (acme(shapes=(Shape("event", {"a": "("}),)), "pattern"),
        (acme(shapes=(Shape("event", {}),)), "needs at least one place"),
        (acme(own_ids=(OwnId("x", (), "["),)), "pattern"),
    ],
)
def test_a_description_that_cannot_work_is_refused_when_registered(provider: Provider, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        register_provider(provider)
    assert provider not in providers()


def test_every_built_in_description_can_work() -> None:
    names = [name for provider in providers() for name in (provider.name, *provider.aliases)]
    assert len(names) == len(set(names))
    for provider in providers():
        provider.check()
        for text in (
            provider.fix,
            provider.end_to_end_fix,
            *(shape.fix for shape in provider.shapes if shape.fix),
        ):
            assert not text.endswith(".")
            assert "\n" not in text


def test_threads_may_register_and_resolve_at_once() -> None:
    barrier = threading.Barrier(8)
    failures: list[Exception] = []

    def work(number: int) -> None:
        barrier.wait()
        for _ in range(30):
            try:
                register_provider(acme(f"own{number}"), replace=True)
                assert resolve({"acme_call": "1"}).provider.startswith("own")
            except Exception as error:
                failures.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    registered = sum(provider.name.startswith("own") for provider in providers())
    for number in range(8):
        unregister_provider(f"own{number}")
    assert (failures, registered) == ([], 8)
