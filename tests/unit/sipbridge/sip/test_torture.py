"""The messages of RFC 4475, read from beside the tree where somebody has put them there.

Each says what this parser makes of it; where RFC 4475 leaves a choice, the reason stands beside. `test_parser.py`
has messages of our own for every class of fault.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tuner_sipbridge.errors import RemoteProtocolError
from tuner_sipbridge.sip.message import Request
from tuner_sipbridge.sip.parser import parse_datagram

FOLDER = Path(__file__).resolve().parents[5] / "shared" / "torture" / "rfc4475"
WINDING = b"""\
INVITE sip:agent@chair.example;unknown SIP/2.0\r
TO :\r
 sip:agent@chair.example ;   tag    = 19n\r
from   : "J \\\\\\""       <sip:probe@a.example>\r
  ;\r
  tag = 98\r
MaX-fOrWaRdS: 0068\r
i: winding@192.0.2.1\r
cseq: 0009\r
  INVITE\r
Via  : SIP  /   2.0\r
 /UDP\r
    192.0.2.2;branch=390\r
s :\r
Odd: ;;,,;,;\r
Route:\r
 <sip:p.example;lr;unknown=value;bare>\r
v:  SIP  / 2.0  / TCP     spindle.example   ;\r
  branch  =   z9hG4bK9  ,\r
 SIP  /    2.0   / UDP  192.0.2.9   ; branch=\r
 z9hG4bK3\r
m:"Quoted \\"\\"" <sip:probe@a.example> ; new =\r
      value ;\r
  second ; q = 0.33\r
Content-Length   : 4\r
\r
v=0\r
"""
TWO_LENGTHS = WINDING.replace(b"s :", b"l: 5")

VALID = {"winding": WINDING} | {path.stem: path.read_bytes() for path in sorted(FOLDER.glob("valid/*.dat"))}
INVALID = {"two_lengths": TWO_LENGTHS} | {
    path.stem: path.read_bytes() for path in sorted(FOLDER.glob("invalid/*.dat"))
}

REFUSED = {
    "baddn": "no empty line",
    "badinv01": "Via: empty parameter",
    "badvers": "version",
    "bigcode": "status code",
    "clerr": "Content-Length says 9999",
    "escruri": "Request-URI has headers",
    "insuf": "is missing",
    "ltgtruri": "no scheme",
    "lwsruri": "start line",
    "lwsstart": "start line",
    "mcl01": "Content-Length stands more than once",
    "mismatch01": "CSeq",
    "mismatch02": "CSeq",
    "multi01": "stands more than once",
    "ncl": "Content-Length",
    "quotbal": "To: .*quote",
    "regbadct": "Contact",
    "scalar02": "CSeq",
    "scalarlg": "CSeq",
    "test": "start line",
    "trws": "start line",
    "two_lengths": "Content-Length stands more than once",
}
PASSED_ON = {
    "badaspec": "space inside the brackets has one meaning only",
    "badbranch": "matching by RFC 2543 rules is the transaction layer's",
    "baddate": "Date is not read here",
    "bcast": "a response with two Vias is dropped by the transaction layer",
    "bext01": "420 is the UAS's answer",
    "cparam01": "a parameter that nobody knows is no fault",
    "cparam02": "a parameter that nobody knows is no fault",
    "inv2543": "an element of RFC 2543 puts neither tag nor branch",
    "invut": "415 is the UAS's answer",
    "novelsc": "416 is the UAS's answer",
    "regaut01": "an unknown scheme of credentials is as good as none",
    "regescrt": "headers in a Contact matter to a registrar only",
    "sdp01": "406 is the UAS's answer",
    "unkscm": "416 is the UAS's answer",
    "unksm2": "unknown schemes in From and To are legal",
    "zeromf": "483 is a proxy's answer",
}


@pytest.mark.parametrize("name", VALID)
def test_a_valid_message_is_read_and_written_again(name: str):
    message = parse_datagram(VALID[name])
    again = parse_datagram(message.to_bytes())
    assert again == message
    assert again.to_bytes() == message.to_bytes()
    assert message.call_id
    assert message.vias
    assert message.from_.tag
    message.redacted()


@pytest.mark.parametrize("name", INVALID)
def test_an_invalid_message_is_refused_by_name_or_passed_on_for_a_reason(name: str):
    if name in PASSED_ON:
        message = parse_datagram(INVALID[name])
        assert parse_datagram(message.to_bytes()) == message
        return
    with pytest.raises(RemoteProtocolError, match=REFUSED[name]):
        parse_datagram(INVALID[name])


def test_a_message_as_winding_as_the_grammar_allows():
    message = parse_datagram(WINDING)
    assert isinstance(message, Request)
    assert [(via.transport, via.branch) for via in message.vias] == [
        ("UDP", "390"),
        ("TCP", "z9hG4bK9"),
        ("UDP", "z9hG4bK3"),
    ]
    assert (message.from_.display, message.from_.tag, message.to.tag) == ('J \\"', "98", "19n")
    assert message.contact is not None
    assert (message.contact.display, message.contact.param("new")) == ('Quoted ""', "value")
    assert (message.contact.param("second"), message.contact.param("q")) == ("", "0.33")
    assert message.routes[0].uri.param("unknown") == "value"
    assert (message.headers.get("Subject"), message.headers.get("odd")) == ("", ";;,,;,;")
    assert message.body == b"v=0\r"
    assert parse_datagram(message.to_bytes()) == message
