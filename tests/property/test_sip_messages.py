"""Any message written is read as the same; any octets are read or refused, never anything else."""

from __future__ import annotations

import contextlib

from hypothesis import given
from hypothesis import strategies as st

from tuner_sipbridge.errors import RemoteProtocolError
from tuner_sipbridge.sip.digest import Challenge, challenges_of, strongest, verify
from tuner_sipbridge.sip.headers import CSeq, Headers, NameAddr, Via
from tuner_sipbridge.sip.message import Message, Request, Response
from tuner_sipbridge.sip.parser import parse_datagram
from tuner_sipbridge.sip.uri import Uri, escape_user

TOKEN = st.text("ABCXYZabcxyz0189-.!%*_+`'~", min_size=1, max_size=12)
TEXT = st.text(st.characters(exclude_characters="\r\n", exclude_categories=["Cs"]), max_size=20)
HOST = st.sampled_from(["h", "a.b2c", "voice_agent", "192.0.2.1", "2001:db8::9", "::1"])
PORT = st.none() | st.integers(1, 65535)
URI_PARAM = st.tuples(
    st.text("abcXYZ019-_", min_size=1, max_size=6),
    st.none() | st.text("aZ09-_.!~*'()[]/:&+$=", min_size=1, max_size=6),
)
PARAM_VALUE = (
    st.none() | TOKEN | TEXT.map(lambda text: '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"')
)
PARAMS = st.lists(st.tuples(TOKEN, PARAM_VALUE), max_size=3).map(tuple)

USERS = st.none() | st.text(min_size=1, max_size=8).filter(lambda text: text.isprintable()).map(escape_user)
URIS = st.builds(
    Uri,
    scheme=st.sampled_from(["sip", "sips"]),
    user=USERS,
    host=HOST,
    port=PORT,
    params=st.lists(URI_PARAM, max_size=3).map(tuple),
    headers=st.lists(
        st.tuples(st.text("aZ-", min_size=1, max_size=4), st.text("aZ09/?:=", max_size=4)), max_size=2
    ).map(tuple),
)
ADDRESSES = st.builds(NameAddr, URIS, TEXT, PARAMS)
VIAS = st.builds(Via, TOKEN.map(str.upper), HOST, PORT, PARAMS)
METHODS = st.sampled_from(["INVITE", "BYE", "invite", "x%!"])


@st.composite
def messages(draw: st.DrawFn) -> Message:
    method = draw(METHODS)
    headers = Headers(("Via", str(via)) for via in draw(st.lists(VIAS, min_size=1, max_size=3)))
    headers.add("From", str(draw(ADDRESSES)))
    headers.add("To", str(draw(ADDRESSES)))
    headers.add("Call-ID", draw(st.text("aZ09@.-", min_size=1, max_size=27)))
    headers.add("CSeq", str(CSeq(draw(st.integers(0, 2**31 - 1)), method)))
    for address in draw(st.lists(ADDRESSES, max_size=2)):
        headers.add("Contact", str(address))
    for name, value in draw(st.lists(st.tuples(TOKEN, TEXT), max_size=4)):
        headers.add("X-" + name, value)
    body = draw(st.binary(max_size=40))
    if draw(st.booleans()):
        return Request(method, draw(URIS).as_request_uri(), headers, body)
    return Response(draw(st.integers(100, 699)), draw(TEXT), headers, body)


def read_all(message: Message) -> None:
    """Everything that a user agent may ask of a message that was let pass."""
    again = parse_datagram(message.to_bytes())
    assert again == message
    assert (message.call_id, message.cseq, message.via) == (again.call_id, again.cseq, again.via)
    assert message.from_ == again.from_
    message.redacted().encode()
    assert message.to == again.to
    if isinstance(message, Response) and message.status >= 400:
        strongest(challenges_of(message))
        return
    assert [message.contact, *message.record_routes, *message.routes] == [
        again.contact,
        *again.record_routes,
        *again.routes,
    ]


@given(URIS)
def test_a_uri_is_read_as_it_was_written(uri: Uri):
    assert Uri.parse(str(uri)) == uri


@given(ADDRESSES)
def test_an_address_is_read_as_it_was_written(address: NameAddr):
    assert NameAddr.parse(str(address)) == address
    assert Headers([("Contact", f"{address}, {address}")]).elements("Contact") == [str(address)] * 2


@given(VIAS)
def test_a_via_is_read_as_it_was_written(via: Via):
    assert Via.parse(str(via)) == via


@given(messages())
def test_a_message_is_read_as_it_was_written(message: Message):
    read_all(message)


@given(st.binary(max_size=200))
def test_any_octets_are_a_message_or_a_refusal(data: bytes):
    with contextlib.suppress(RemoteProtocolError):
        read_all(parse_datagram(data))


MARKS = [bytes([octet]) for octet in b'\r\n"<>;,:\\\0\xff%@[]=?'] + [b"\r\n "]
CUTS = st.tuples(st.floats(0, 1), st.integers(0, 6), st.binary(max_size=4) | st.sampled_from(MARKS))
SEED = b"""\
SIP/2.0 407 Proxy Authentication Required\r
Via: SIP/2.0/UDP [2001:db8::9]:5060;branch=z9hG4bK1;received=192.0.2.1;rport=4, SIP/2.0/TLS h\r
f: "J \\"R\\"" <sip:probe:pw@a.b2c:5060;transport=tcp?X=1>;tag=f1\r
t: sip:agent@h;tag=t1\r
i: c81\r
CSeq: 7 INVITE\r
m: <sips:+1;phone-context=x@h>;q=0.3, <tel:+15550100>\r
Record-Route: <sip:p1;lr>,\r
 <sip:p2>\r
Proxy-Authenticate: Digest realm="a,b", nonce="x", qop="auth,auth-int", algorithm=SHA-256\r
Authorization: Digest username="u", response="00"\r
l: 4\r
\r
v=0\r
"""


@given(st.lists(CUTS, min_size=1, max_size=3))
def test_a_damaged_message_is_a_message_or_a_refusal(cuts: list[tuple[float, int, bytes]]):
    data = SEED
    for place, length, new in cuts:
        start = int(place * len(data))
        data = data[:start] + new + data[start + length :]
    with contextlib.suppress(RemoteProtocolError):
        read_all(parse_datagram(data))


@given(st.text(max_size=60).map("Digest ".__add__) | st.text(max_size=60))
def test_any_text_is_a_challenge_or_a_refusal_and_never_credentials(text: str):
    with contextlib.suppress(RemoteProtocolError):
        Challenge.parse(text)
    assert not verify(text, username="u", password="p", method="INVITE", nonce="n")
