from __future__ import annotations

import pytest

from tuner_sipbridge.errors import LocalProtocolError, RemoteProtocolError
from tuner_sipbridge.sip.uri import Uri, escape_user


@pytest.mark.parametrize(
    "text",
    [
        "sip:agent.example",
        "sip:bob@agent1:5060",
        "sip:bob@a.b2c",
        "sip:bob@voice_agent",
        "sip:+1555@x.example;user=phone?X-Foo=bar",
        "sip:+1555;phone-context=+1@x.example;transport=tcp;lr",
        "sip:alice:secret%20word@192.0.2.4:5070",
        "sips:[2001:db8::9:1]:5061;maddr=239.255.255.1;ttl=15",
        "sip:sips%3Auser%40example.com@example.net",
        "sip:#31#4930@gw.example",
        "sip:@10.0.0.1:5060",
        "sip:x@10.0.0.1:5060;alias=10.0.0.1~5060~1;ob;fs-conn-id=a:b/c==",
        "sip:atlanta.example?subject=project%20x&priority=urgent&empty=",
        "tel:+1-201-555-0123;phone-context=example.com",
        "urn:service:sos",
        "http://www.example.com",
    ],
)
def test_a_uri_is_written_as_it_was_read(text: str):
    assert str(Uri.parse(text)) == text


def test_the_parts_of_a_uri():
    uri = Uri.parse("SIP:+1555;isub=1:pw@[2001:DB8::1]:5070;Transport=TCP;lr?X-Foo=b%20r")
    assert (uri.scheme, uri.user, uri.password) == ("sip", "+1555;isub=1", "pw")
    assert (uri.host, uri.port, uri.host_port) == ("2001:DB8::1", 5070, ("2001:DB8::1", 5070))
    assert uri.params == (("Transport", "TCP"), ("lr", None))
    assert uri.transport == "tcp"
    assert (uri.param("LR"), uri.param("user")) == ("", None)
    assert uri.headers == (("X-Foo", "b%20r"),)


@pytest.mark.parametrize(
    ("text", "port"),
    [
        ("sip:h", 5060),
        ("sip:h;transport=udp", 5060),
        ("sip:h;transport=TLS", 5061),
        ("sips:h", 5061),
        ("sips:h:5080", 5080),
    ],
)
def test_the_port_that_holds_when_none_is_given(text: str, port: int):
    assert Uri.parse(text).host_port == ("h", port)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "position 0: no scheme"),
        ("bob@example.com", "position 0: no scheme"),
        ("sip:", "not a host"),
        ("sip:bob@", "not a host"),
        ("sip:b b@host", "must be escaped"),
        ("sip:b%4@host", "must be escaped"),
        ("sip:bob@host:0", "position 8: not a host with an optional port"),
        ("sip:bob@host:65536", "position 8: not a host with an optional port"),
        ("sip:bob@host:５０６０", "not a host"),
        ("sip:bob@ho st", "not a host"),
        ("sip:bob@-host", "not a host"),
        ("sip:bob@[::1", "not a host"),
        ("sip:bob@[1.2.3.4]", "not a host"),
        ("sip:bob@[fe80::1%eth0]", "not a host"),
        ("sip:bob@::1", "not a host"),
        ("sip:bob@host :5060", "not a host"),
        ("sip:bob@[::1]5060", "not a host"),
        ("sip:bob@host;", "no name or no value"),
        ("sip:bob@host;a=", "no name or no value"),
        ("sip:bob@host; lr", "must be escaped"),
        ("sip:bob@host?x", "name=value"),
        ("sip:bob@one@two", "must be escaped"),
        ("sip:bob@host\r\nVia: x", "not a host"),
        ("tel:", "not a telephone number"),
        ("tel:home", "not a telephone number"),
        ("urn:a b", "space"),
    ],
)
def test_what_is_no_uri_is_refused_with_place_and_reason(text: str, reason: str):
    with pytest.raises(RemoteProtocolError, match=reason):
        Uri.parse(text)


def test_a_uri_the_user_gave_is_the_users_fault():
    with pytest.raises(LocalProtocolError, match="no scheme"):
        Uri.parse("agent.example", error=LocalProtocolError)


@pytest.mark.parametrize(
    "parts",
    [
        {"host": "h", "user": "a\r\nVia: x"},
        {"host": "h", "port": 65536},
        {"host": "h", "password": "only"},
        {"host": "h", "params": (("a b", None),)},
        {"host": "h", "params": (("a", "x\r\n"),)},
        {"host": "h", "headers": (("a", "x&y"),)},
        {"host": ""},
        {"scheme": "SIP", "host": "h"},
    ],
)
def test_a_uri_cannot_be_made_of_parts_that_would_be_read_otherwise(parts: dict[str, object]):
    with pytest.raises(LocalProtocolError):
        Uri(**parts)  # pyright: ignore[reportArgumentType]


def test_parameters_change_in_place_and_join_at_the_end():
    uri = Uri.parse("sip:h;Transport=udp;x=1")
    assert str(uri.with_params(transport="tcp", lr=None)) == "sip:h;Transport=tcp;x=1;lr"
    assert str(uri.without_params("TRANSPORT")) == "sip:h;x=1"


def test_a_request_uri_loses_what_it_may_not_have():
    assert str(Uri.parse("sip:a@h;method=REGISTER;lr?Route=x").as_request_uri()) == "sip:a@h;lr"


def test_a_user_goes_into_a_uri_and_comes_out_again():
    uri = Uri(user=escape_user("Jäsøn @ home;x"), host="h")
    assert str(uri) == "sip:J%C3%A4s%C3%B8n%20%40%20home;x@h"
    assert uri.unescaped_user == "Jäsøn @ home;x"


def test_a_repr_shows_neither_number_nor_password():
    assert "4930" not in repr(Uri.parse("sip:4930:4930@h?X=4930"))
