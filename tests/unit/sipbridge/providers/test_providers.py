from __future__ import annotations

import pytest
from typer.testing import CliRunner

from tuner_sipbridge.cli import app
from tuner_sipbridge.errors import LocalProtocolError
from tuner_sipbridge.providers import find_provider, known_providers, provider_of
from tuner_sipbridge.sip.uri import Uri

NAMES = (
    "asterisk daily exotel freeswitch jambonz kamailio livekit plivo retell telnyx twilio vapi vobiz wavix"
).split()


def completed(name: str, uri: str) -> str:
    return str(find_provider(name).completed(Uri.parse(uri)))


def test_each_provider_that_tuner_tests_is_described_with_its_sources() -> None:
    assert [provider.name for provider in known_providers()] == NAMES
    for provider in known_providers():
        sources = [provider.documentation, *(quirk.source for quirk in provider.quirks)]
        sources += [meaning.source for meaning in provider.meanings.values()]
        assert 404 in provider.meanings or 403 in provider.meanings
        assert provider.quirks
        assert all(source.startswith(("https://", "http://")) for source in sources)


@pytest.mark.parametrize(
    ("uri", "name"),
    [
        ("sip:agent@example.sip.twilio.com", "twilio"),
        ("sip:agent@EXAMPLE.sip.ie1.TWILIO.com;transport=tls", "twilio"),
        ("sip:+15550100@k2j4.sip.livekit.cloud", "livekit"),
        ("sip:desk@sip.vapi.ai", "vapi"),
        ("sip:desk@sip.eu.vapi.ai", "vapi"),
        ("sip:+15550100@acme.pstn.twilio.com", "twilio"),
        ("sip:x@sip.telnyx.com", "telnyx"),
        ("sip:x@sip.plivo.com", "plivo"),
        ("sip:c1@sip.retellai.com", "retell"),
        ("sip:x@notsip.vapi.ai", None),
        ("sip:x@sip.vapi.ai.example", None),
        ("sip:x@192.0.2.7", None),
    ],
)
def test_a_uri_is_recognised_by_the_end_of_its_host(uri: str, name: str | None) -> None:
    provider = provider_of(Uri.parse(uri))
    assert (provider and provider.name) == name


def test_a_uri_gets_the_transport_and_port_it_leaves_open_and_keeps_its_own() -> None:
    assert completed("retell", "sip:c1@sip.retellai.com") == "sip:c1@sip.retellai.com;transport=tcp"
    assert (
        completed("retell", "sip:c1@sip.retellai.com;transport=udp")
        == "sip:c1@sip.retellai.com;transport=udp"
    )
    assert completed("exotel", "sip:1@e.exotel.com") == "sip:1@e.exotel.com:5070;transport=tcp"
    assert completed("exotel", "sip:1@e.exotel.com;transport=tls") == "sip:1@e.exotel.com:443;transport=tls"
    assert (
        completed("exotel", "sip:1@e.exotel.com:5099;transport=tcp")
        == "sip:1@e.exotel.com:5099;transport=tcp"
    )
    assert completed("twilio", "sip:a@d.sip.twilio.com") == "sip:a@d.sip.twilio.com"
    assert completed("retell", "sips:c1@sip.retellai.com") == "sips:c1@sip.retellai.com"
    assert completed("asterisk", "sip:100@pbx.example") == "sip:100@pbx.example"


def test_media_is_encrypted_where_the_provider_demands_it() -> None:
    exotel = find_provider("exotel")
    assert (exotel.srtp_over("TLS"), exotel.srtp_over("tcp")) == ("required", "off")


def test_a_status_is_told_in_the_providers_terms_with_what_to_change() -> None:
    advice = find_provider("livekit").advice(486)
    assert advice.startswith("at LiveKit SIP this means: no trunk or no dispatch rule")
    assert "numbers" in advice
    assert find_provider("livekit").advice(501) == ""
    # Its pages tell of the limit, and of no status.
    assert (
        find_provider("daily").advice(486).startswith("at Daily this most likely means: the room has as many")
    )


def test_an_unknown_name_is_told_with_the_known_ones() -> None:
    with pytest.raises(LocalProtocolError, match=r"'twillio' is not known; known are asterisk, daily"):
        find_provider("twillio")
    assert find_provider(" Twilio ").name == "twilio"


def test_the_command_shows_all_and_one() -> None:
    everything = CliRunner().invoke(app, ["providers"])
    assert all(name in everything.output for name in NAMES)
    one = CliRunner().invoke(app, ["providers", "exotel"])
    assert "tcp 5070, tls 443" in one.output
    assert "developer.exotel.com" in one.output
    assert CliRunner().invoke(app, ["providers", "nobody"]).exit_code == 2
