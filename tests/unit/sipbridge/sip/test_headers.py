from __future__ import annotations

import pytest

from tuner_sipbridge.errors import LocalProtocolError, RemoteProtocolError
from tuner_sipbridge.sip.grammar import split_outside
from tuner_sipbridge.sip.headers import CSeq, Headers, NameAddr, Via
from tuner_sipbridge.sip.uri import Uri


def test_names_compare_without_case_and_compact_forms_are_the_long_ones():
    headers = Headers([("i", "81"), ("M", "<sip:h>"), ("x-cid", "81")])
    assert headers.get("CALL-ID") == "81"
    assert headers.get("I") == "81"
    assert headers.get("contact") == "<sip:h>"
    assert "X-CID" in headers
    assert headers.get("To") is None
    assert list(headers.items()) == [("Call-ID", "81"), ("Contact", "<sip:h>"), ("x-cid", "81")]


def test_set_takes_the_place_of_the_first_and_drops_the_rest():
    headers = Headers([("Route", "<sip:a>"), ("To", "x"), ("route", "<sip:b>")])
    headers.set("ROUTE", "<sip:c>")
    headers.set("CSeq", "1 BYE")
    assert list(headers.items()) == [("ROUTE", "<sip:c>"), ("To", "x"), ("CSeq", "1 BYE")]
    headers.remove("route")
    headers.remove("route")
    headers.insert_first("v", "SIP/2.0/UDP h")
    assert list(headers.items()) == [("Via", "SIP/2.0/UDP h"), ("To", "x"), ("CSeq", "1 BYE")]


def test_a_copy_is_on_its_own():
    headers = Headers([("To", "x")])
    twin = headers.copy()
    twin.set("To", "y")
    assert headers.get("To") == "x"
    assert twin != headers


def test_elements_run_over_all_occurrences_and_leave_quoted_commas():
    headers = Headers([("Route", '"a, b" <sip:a;x=1,2>, <sip:b>'), ("Supported", ""), ("Route", "<sip:c>")])
    assert headers.elements("Route") == ['"a, b" <sip:a;x=1,2>', "<sip:b>", "<sip:c>"]
    assert headers.elements("Supported") == []
    assert headers.get_all("Route") == ['"a, b" <sip:a;x=1,2>, <sip:b>', "<sip:c>"]


@pytest.mark.parametrize(
    ("name", "value"), [("X-A", "1\r\nVia: x"), ("X-A", "1\n"), ("X A", "1"), ("", "1"), ("X:", "1")]
)
def test_no_header_smuggles_a_second_one_in(name: str, value: str):
    headers = Headers()
    for put in (headers.add, headers.set, headers.insert_first):
        with pytest.raises(LocalProtocolError):
            put(name, value)


def test_a_repr_shows_no_value():
    assert repr(Headers([("From", "<sip:4930@h>")])) == "Headers(From)"


@pytest.mark.parametrize("text", ['a"b', "<sip:a", 'x;"a\\"'])
def test_what_is_never_closed_is_refused(text: str):
    with pytest.raises(RemoteProtocolError, match="never closed"):
        split_outside(text + ",;", ";")


@pytest.mark.parametrize(
    ("text", "display", "uri", "params"),
    [
        ("<sip:a@h>", "", "sip:a@h", ()),
        ("sip:a@h;tag=1", "", "sip:a@h", (("tag", "1"),)),
        ("caller<sip:a@h>;tag=323", "caller", "sip:a@h", (("tag", "323"),)),
        ('"J \\"R\\" \\\\" <sip:a@h>  ;  tag = 98', 'J "R" \\', "sip:a@h", (("tag", "98"),)),
        ('"a <b>, c" <sip:a@h;x=1>;q=0.3;y', "a <b>, c", "sip:a@h;x=1", (("q", "0.3"), ("y", None))),
        ('<sip:x@y>;p="a;b";tag=2', "", "sip:x@y", (("p", '"a;b"'), ("tag", "2"))),
        ("Bell, Alexander <sip:a.g.bell@h>;tag=43", "Bell, Alexander", "sip:a.g.bell@h", (("tag", "43"),)),
        ("< sip:a@h >", "", "sip:a@h", ()),
        ("Empty Words <sip:a@h?X=1>", "Empty Words", "sip:a@h?X=1", ()),
        ("<tel:+15550100>;tag=a/b==", "", "tel:+15550100", (("tag", "a/b=="),)),
    ],
)
def test_addresses_as_they_are_met(
    text: str, display: str, uri: str, params: tuple[tuple[str, str | None], ...]
):
    address = NameAddr.parse(text)
    assert (address.display, str(address.uri), address.params) == (display, uri, params)
    assert NameAddr.parse(str(address)) == address


@pytest.mark.parametrize(
    "text",
    [
        "",
        "*",
        "sip:a@h?Route=x",
        "sip:a,b@h",
        '"Joe sip:a@h',
        '"Joe" sip:a@h',
        '"Joe" x <sip:a@h>',
        'Jo"e <sip:a@h>',
        "<sip:a@h",
        "<sip:a@h> tag=1",
        "<sip:a@h>;;",
        "<sip:a@h>;=1",
        "<sip:a@h>;tag=",
        '<sip:a@h>;tag="1',
        "<sip:a@h>;tag=1, <sip:b@h>",
    ],
)
def test_what_is_no_address_is_refused(text: str):
    with pytest.raises(RemoteProtocolError):
        NameAddr.parse(text)


def test_a_tag_is_put_on_once():
    address = NameAddr(Uri(host="h"), "A").with_tag("1").with_tag("2")
    assert str(address) == '"A" <sip:h>;tag=2'
    assert address.tag == "2"
    assert NameAddr(Uri(host="h")).tag is None


def test_a_display_name_with_a_line_break_cannot_be_written():
    with pytest.raises(LocalProtocolError):
        str(NameAddr(Uri(host="h"), "A\r\nVia: x"))


def test_via_with_space_wherever_the_grammar_allows_it():
    via = Via.parse("SIP  / 2.0  / udp     [2001:db8::9] : 5070 ;  branch  =  z9hG4bK9ikj8  ; rport")
    assert (via.transport, via.host, via.port) == ("UDP", "2001:db8::9", 5070)
    assert (via.branch, via.rport, via.param("rport")) == ("z9hG4bK9ikj8", None, "")
    assert str(via) == "SIP/2.0/UDP [2001:db8::9]:5070;branch=z9hG4bK9ikj8;rport"


def test_a_tab_in_quotes_is_no_space():
    assert Via.parse('SIP/2.0/UDP\th;x="a\tb/c"').params == (("x", '"a\tb/c"'),)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "SIP/2.0/UDP",
        "SIP/2.0 h",
        "SIP/7.0/UDP h",
        "HTTP/2.0/UDP h",
        "SIP/2.0/UDP h:99999",
        "SIP/2.0/UDP h;;",
    ],
)
def test_what_is_no_via_is_refused(text: str):
    with pytest.raises(RemoteProtocolError):
        Via.parse(text)


@pytest.mark.parametrize(
    ("sent", "source", "noted", "back_to"),
    [
        ("h:5070", ("192.0.2.1", 4000), "h:5070;received=192.0.2.1", ("192.0.2.1", 5070)),
        ("h", ("192.0.2.1", 4000), "h;received=192.0.2.1", ("192.0.2.1", 5060)),
        ("192.0.2.1:5070", ("192.0.2.1", 4000), "192.0.2.1:5070", ("192.0.2.1", 5070)),
        (
            "192.0.2.1;rport",
            ("192.0.2.1", 4000),
            "192.0.2.1;rport=4000;received=192.0.2.1",
            ("192.0.2.1", 4000),
        ),
        ("h;received=9.9.9.9", ("2001:db8::1", 4), "h;received=2001:db8::1", ("2001:db8::1", 5060)),
        (
            "192.0.2.1;maddr=239.255.0.1",
            ("192.0.2.1", 4),
            "192.0.2.1;maddr=239.255.0.1",
            ("239.255.0.1", 5060),
        ),
    ],
)
def test_a_server_notes_where_a_request_came_from_and_answers_there(
    sent: str, source: tuple[str, int], noted: str, back_to: tuple[str, int]
):
    via = Via.parse(f"SIP/2.0/UDP {sent}").received_from(*source)
    assert sorted(str(via).split(";")) == sorted(f"SIP/2.0/UDP {noted}".split(";"))
    assert via.response_address == back_to
    assert Via.parse(str(via)) == via


def test_a_source_is_read_back_by_the_client():
    via = Via.parse("SIP/2.0/TLS h;received=[2001:db8::1];rport=4000")
    assert (via.received, via.rport) == ("2001:db8::1", 4000)


@pytest.mark.parametrize(
    ("text", "cseq"), [("0009  INVITE", CSeq(9, "INVITE")), ("2147483647\tx%", CSeq(2**31 - 1, "x%"))]
)
def test_cseq(text: str, cseq: CSeq):
    assert CSeq.parse(text) == cseq
    assert CSeq.parse(str(cseq)) == cseq


@pytest.mark.parametrize(
    "text", ["", "1", "INVITE", "2147483648 INVITE", "-1 INVITE", "١ INVITE", "1_0 INVITE", "1 IN VITE"]
)
def test_what_is_no_cseq_is_refused(text: str):
    with pytest.raises(RemoteProtocolError):
        CSeq.parse(text)
