"""What a provider's description adds to the calls of the dialer."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tuner_sipbridge.call.extensions import Extensions
from tuner_sipbridge.dialer import provided
from tuner_sipbridge.dialer.provided import (
    addressed,
    advised,
    codecs_for,
    extensions_for,
    own_headers,
    srtp_for,
)
from tuner_sipbridge.errors import LocalProtocolError
from tuner_sipbridge.providers import find_provider
from tuner_sipbridge.providers.model import SessionTimer
from tuner_sipbridge.sip.uri import Uri


def test_the_transport_that_the_user_asks_for_stands_before_the_provider_s() -> None:
    exotel, uri = find_provider("exotel"), Uri.parse("sip:1@e.exotel.com")
    assert str(addressed(uri, exotel, "udp")) == "sip:1@e.exotel.com:5070;transport=tcp"
    assert str(addressed(uri, exotel, "tls")) == "sip:1@e.exotel.com:443;transport=tls"
    assert addressed(uri, None, "tls") == uri
    secure = Uri.parse("sips:c1@sip.retellai.com")
    assert addressed(secure, find_provider("retell"), "tcp") == secure


def test_headers_of_the_user_stand_before_the_provider_s() -> None:
    described = replace(find_provider("telnyx"), headers={"X-Token": "theirs", "X-Edge": "1"})
    assert own_headers(described, {"x-token": "mine"}) == {"X-Edge": "1", "x-token": "mine"}
    assert own_headers(None, None) == {}


def test_advice_is_added_where_the_status_means_something_there() -> None:
    assert "there is no SIP Domain" in advised("404 Not Found: nobody", 404, find_provider("twilio"))
    assert advised("404 Not Found: nobody", 404, None) == "404 Not Found: nobody"
    assert advised("599: x", 599, find_provider("twilio")) == "599: x"


def test_srtp_is_offered_where_the_provider_demands_it_or_the_user_asks() -> None:
    exotel = find_provider("exotel")
    assert srtp_for("off", exotel, "tls") == "required"
    assert srtp_for("off", exotel, "tcp") == "off"
    assert srtp_for("optional", exotel, "tls") == "optional"
    assert srtp_for("off", None, "tls") == "off"


def test_the_session_timer_is_the_provider_s_unless_the_user_gives_one() -> None:
    assert extensions_for(None, find_provider("livekit")).session_interval_s is None
    timer = SessionTimer(600, "us", "https://edge.example/timers")
    described = replace(find_provider("telnyx"), session_timer=timer, reliable="no")
    assert extensions_for(None, described) == Extensions(600, refresher="us", reliable="no")
    assert extensions_for(Extensions(900), described) == Extensions(900)
    assert extensions_for(None, None) == extensions_for(None, find_provider("vapi")) == Extensions()


def test_a_providers_codecs_are_offered_where_the_user_names_none(monkeypatch: pytest.MonkeyPatch):
    livekit = find_provider("livekit")
    assert codecs_for(None, livekit) == ("G722", "PCMU", "PCMA")
    assert codecs_for(("PCMA",), livekit) == ("PCMA",)
    assert codecs_for(None, find_provider("vapi")) == codecs_for(None, None) == ("PCMU", "PCMA")
    monkeypatch.setattr(provided, "installed", lambda codec: codec != "G722")
    assert codecs_for(None, livekit) == ("PCMU", "PCMA")


def test_a_codec_that_is_not_known_is_refused_with_those_that_are():
    with pytest.raises(LocalProtocolError, match=r"no such codec: G729 \(known: PCMU, PCMA, G722, opus\)"):
        codecs_for(("G729",), None)
