import pytest

from tuner_sipbridge.errors import LocalProtocolError
from tuner_sipbridge.sip.headers import Headers
from tuner_sipbridge.sip.message import Request
from tuner_sipbridge.sip.routing import Hop, address_of, next_hop, note_source, transport_of, way_back
from tuner_sipbridge.sip.uri import Uri


@pytest.mark.parametrize(
    ("uri", "address"),
    [
        ("sip:agent@far.example", ("far.example", 5060)),
        ("sip:agent@far.example:5080;transport=UDP", ("far.example", 5080)),
        ("sip:agent@[2001:db8::1]:5070", ("2001:db8::1", 5070)),
        ("sip:agent@far.example;maddr=10.0.0.9", ("10.0.0.9", 5060)),
    ],
)
def test_address_of_a_uri(uri: str, address: tuple[str, int]):
    assert address_of(Uri.parse(uri)) == address


def invite(*routes: str, via: str = "SIP/2.0/UDP 10.0.0.1:5060;branch=z9hG4bK-1") -> Request:
    headers = Headers([("Via", via), *(("Route", route) for route in routes)])
    return Request("INVITE", Uri.parse("sip:agent@far.example:5070"), headers)


@pytest.mark.parametrize(
    ("uri", "transport"),
    [
        ("sip:far.example", None),
        ("sip:far.example;transport=UDP", "udp"),
        ("sip:far.example;transport=Tcp", "tcp"),
        ("sip:far.example;transport=tls", "tls"),
        ("sips:far.example", "tls"),
        ("sips:far.example;transport=tcp", "tls"),
    ],
)
def test_transport_of_a_uri(uri: str, transport: str | None):
    assert transport_of(Uri.parse(uri)) == transport


@pytest.mark.parametrize(
    ("uri", "reason"),
    [
        ("sips:far.example;transport=udp", "transport=udp cannot carry"),
        ("sip:far.example;transport=sctp", "transport=sctp is not spoken"),
        ("tel:+15550100", "only sip and sips URIs"),
    ],
)
def test_a_transport_that_is_not_spoken_is_refused(uri: str, reason: str):
    with pytest.raises(LocalProtocolError, match=reason):
        transport_of(Uri.parse(uri))


@pytest.mark.parametrize(("name", "port"), [("UDP", 5060), ("TCP", 5060), ("TLS", 5061)])
def test_the_port_that_holds_is_that_of_the_transport_in_via(name: str, port: int):
    request = invite("<sip:p1.example;lr>", via=f"SIP/2.0/{name} 10.0.0.1:5060;branch=z9hG4bK-1")
    assert next_hop(request).address == ("p1.example", port)


def test_over_a_stream_a_response_goes_back_on_its_connection_or_else_to_sent_by():
    request = invite(via="SIP/2.0/TLS private.example;rport;branch=z9hG4bK-1")
    source = Hop("tls", "192.0.2.7", 40123)
    note_source(request, source)
    assert way_back(request, source) == Hop("tls", "192.0.2.7", 5061, flow=("192.0.2.7", 40123))


def test_over_udp_a_response_goes_back_to_where_its_request_came_from():
    request = invite(via="SIP/2.0/UDP 10.0.0.1;rport;branch=z9hG4bK-1")
    source = Hop("udp", "192.0.2.7", 6000)
    note_source(request, source)
    assert way_back(request, source) == source


def test_a_request_goes_to_its_uri():
    assert next_hop(invite()) == Hop("udp", "far.example", 5070)


def test_a_loose_router_comes_first_also_in_a_comma_separated_route():
    assert next_hop(invite("<sip:p1.example;lr>, <sip:p2.example;lr>")) == Hop("udp", "p1.example", 5060)


def test_with_a_strict_router_the_request_uri_is_the_next_hop():
    assert next_hop(invite("<sip:agent@behind.example>")) == Hop("udp", "far.example", 5070)


def test_the_source_is_noted_when_rport_asks_for_it():
    request = invite(via="SIP/2.0/UDP 10.0.0.1:5060;rport;branch=z9hG4bK-1")
    note_source(request, Hop("udp", "10.0.0.1", 6000))
    assert request.via.response_address == ("10.0.0.1", 6000)


def test_the_source_is_noted_when_it_is_not_what_via_says():
    request = invite(via="SIP/2.0/UDP private.example;branch=z9hG4bK-1")
    note_source(request, Hop("udp", "192.0.2.7", 6000))
    assert request.via.response_address == ("192.0.2.7", 5060)


def test_the_other_hops_of_a_via_list_stay():
    request = invite(via="SIP/2.0/UDP p.example;branch=z9hG4bK-2, SIP/2.0/UDP 10.0.0.1;branch=z9hG4bK-1")
    note_source(request, Hop("udp", "192.0.2.7", 5060))
    assert [via.host for via in request.vias] == ["p.example", "10.0.0.1"]
    assert request.vias[0].received == "192.0.2.7"
