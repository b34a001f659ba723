from __future__ import annotations

import pytest

from tuner_sipbridge.errors import LocalProtocolError, RemoteProtocolError
from tuner_sipbridge.sip.uri import Uri, escape_user


@pytest.mark.parametrize(
    "text",
    [
        "sip:agent.example",
        "sip:Agent@Edge.Example.COM;Transport=TCP",
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
        "sip:+1-201-555-0123;ext=12;user=phone@gw.example;user=phone;transport=TLS",
        "sip:4930%23%2A@gw.example",
        "sip:192.0.2.4",
        "sip:[::ffff:192.0.2.10]",
        "sip:[2001:db8::10]:5070;transport=udp",
        "sip:[2001:db8::10:5070]",
        "sip:user;par=u%40example.net@example.com",
        "sip:agent@host.example.;lr",
        "sip:agent@h;unknown=%41%42;ROUTE=x",
        "sips:agent@h?X-Tenant=a%20b&X-Empty=&Replaces=1%40h%3Bto-tag%3D2",
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
    ("text", "position", "reason"),
    [
        ("", 0, "no scheme"),
        ("bob@example.com", 0, "no scheme"),
        ("<sip:bob@host>", 0, 'take the "<" and ">" off'),
        (" sip:bob@host", 0, "a space stands there"),
        ("sip:", 4, "no host"),
        ("sip:bob@", 8, "no host"),
        ("sip:;transport=tcp", 4, "no host"),
        ("sip:b b@host", 5, '" " in the user must be escaped'),
        ("sip:b\x00b@host", 5, r"U\+0000 in the user must be escaped"),
        ("sip:jäsøn@host", 5, '"ä" in the user must be escaped'),
        ("sip:b%4@host", 5, '"%" in the user is no escape of two hexadecimal digits'),
        ("sip:b%zz@host", 5, "no escape"),
        ("sip:bob:pass word@host", 12, '" " in the password must be escaped'),
        ("sip:bob@host:0", 13, "not a port from 1 to 65535"),
        ("sip:bob@host:65536", 13, "not a port from 1 to 65535"),
        ("sip:bob@host:", 13, "not a port"),
        ("sip:bob@host:sip", 13, "not a port"),
        ("sip:bob@host:５０６０", 13, "not a port"),
        ("sip:bob@ho st", 8, "not a host"),
        ("sip:bob@-host", 8, "not a host"),
        ("sip:bob@host-", 8, "not a host"),
        ("sip:bob@[::1", 8, "not an IPv6 address"),
        ("sip:bob@[1.2.3.4]", 8, "not an IPv6 address"),
        ("sip:bob@[fe80::1%eth0]", 8, "not an IPv6 address"),
        ("sip:bob@[2001:db8:::192.0.2.1]", 8, "not an IPv6 address"),
        ("sip:bob@::1", 8, r"stands in .*, as in \[::1\]"),
        ("sip:2001:db8::10", 4, r"stands in .*, as in \[2001:db8::10\]"),
        ("sip:bob@host :5060", 8, "not a host"),
        ("sip:bob@[::1]5060", 8, "not an IPv6 address"),
        ("sip:bob@host;", 13, "the name of a parameter is empty"),
        ("sip:bob@host;;lr", 13, "the name of a parameter is empty"),
        ("sip:bob@host;a=", 15, "the value of a parameter is empty"),
        ("sip:bob@host; lr", 13, "must be escaped"),
        ("sip:bob@host;a=b c", 16, "must be escaped"),
        ("sip:bob@host?", 13, "name=value"),
        ("sip:bob@host?x", 13, "name=value"),
        ("sip:bob@host?a=1&=2", 17, "name=value"),
        ("sip:bob@host?X-Who=a<b", 20, '"<" in the value of a header must be escaped'),
        ("sip:bob@one@two", 7, '"@" in the user must be escaped'),
        ("sip:bob@host\r\nVia: x", 8, "not a host"),
        ("tel:", 4, "the telephone number is empty"),
        ("tel:home", 4, "in the telephone number"),
        ("tel:+1555;", 10, "the name of a parameter is empty"),
        ("urn:a b", 5, '" " in the URI'),
        ("urn:", 4, "empty"),
    ],
)
def test_what_is_no_uri_is_refused_with_place_and_reason(text: str, position: int, reason: str):
    with pytest.raises(RemoteProtocolError, match=f"position {position}: .*{reason}"):
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


def test_the_headers_of_a_uri_are_fields_of_a_request():
    uri = Uri.parse("sip:agent@h?X-Tenant=a%20%26%20b&x%2dempty=&X-Name=J%C3%A4s%C3%B8n")
    assert uri.request_headers() == [("X-Tenant", "a & b"), ("x-empty", ""), ("X-Name", "Jäsøn")]


@pytest.mark.parametrize(
    ("headers", "reason"),
    [
        ("X-A=b%0D%0AVia:x", "the value of X-A .* line break"),
        ("X-A=%00", "control character"),
        ("X%20A=b", "no header name"),
        ("BODY=v%3D0", "a body"),
    ],
)
def test_a_header_of_a_uri_cannot_smuggle_anything_in(headers: str, reason: str):
    with pytest.raises(LocalProtocolError, match=reason):
        Uri.parse(f"sip:agent@h?{headers}").request_headers()
