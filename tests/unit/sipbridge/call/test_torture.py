"""Hard messages and what our answering side says to them: our own of every class, and those of RFC 4475.

The golden files are ours and restate RFC 4475 and RFC 5118. The messages of RFC 4475 themselves are read from
beside the tree where somebody has put them there.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tuner_sipbridge.call import replies
from tuner_sipbridge.call.inbound import InboundCall
from tuner_sipbridge.errors import RemoteProtocolError
from tuner_sipbridge.sip.message import Request, Response
from tuner_sipbridge.sip.parser import parse_datagram
from tuner_sipbridge.sip.refusal import refusal_of
from tuner_sipbridge.sip.routing import Hop
from tuner_sipbridge.testing.network import CountedIds

OURS = ("Allow", "Contact", "Server", "Supported")
SOURCE = ("192.0.2.200", 5099)
GOLDEN = Path(__file__).resolve().parents[3] / "golden"
FOLDER = Path(__file__).resolve().parents[5] / "shared" / "torture" / "rfc4475"
CASES = {
    f"{path.stem.rpartition('_')[2]}-{case['name']}": case
    for path in sorted(GOLDEN.glob("sip_torture_*.json"))
    for case in json.loads(path.read_text(encoding="utf-8"))
}

# Message of RFC 4475: its section, the layer that decides, the status of the answer (None: none is due).
ACCEPTED, DROPPED = 180, None
DEMANDED: dict[str, tuple[str, str, int | None]] = {
    "wsinv": ("3.1.1.1", "user agent", 481),  # it has a To tag, and there is no such call
    "intmeth": ("3.1.1.2", "user agent", 501),
    "esc01": ("3.1.1.3", "call", ACCEPTED),
    "escnull": ("3.1.1.4", "user agent", 405),
    "esc02": ("3.1.1.5", "user agent", 501),
    "lwsdisp": ("3.1.1.6", "user agent", 200),
    "longreq": ("3.1.1.7", "call", ACCEPTED),
    "dblreq": ("3.1.1.8", "user agent", 405),
    "semiuri": ("3.1.1.9", "user agent", 200),
    "transports": ("3.1.1.10", "user agent", 200),
    "mpart01": ("3.1.1.11", "user agent", 405),
    "unreason": ("3.1.1.12", "transaction", DROPPED),
    "noreason": ("3.1.1.13", "transaction", DROPPED),
    "badinv01": ("3.1.2.1", "parser", 400),
    "clerr": ("3.1.2.2", "parser", 400),
    "ncl": ("3.1.2.3", "parser", 400),
    "scalar02": ("3.1.2.4", "parser", 400),
    "scalarlg": ("3.1.2.5", "parser", DROPPED),
    "quotbal": ("3.1.2.6", "parser", 400),
    "ltgtruri": ("3.1.2.7", "parser", 400),
    "lwsruri": ("3.1.2.8", "parser", 400),
    "lwsstart": ("3.1.2.9", "parser", 400),
    "trws": ("3.1.2.10", "parser", 400),
    "escruri": ("3.1.2.11", "parser", 400),
    "baddate": ("3.1.2.12", "call", ACCEPTED),  # Date is not read by a call
    "regbadct": ("3.1.2.13", "parser", 400),
    "badaspec": ("3.1.2.14", "user agent", 200),  # the RFC leaves it open; there is one way to read it
    "baddn": ("3.1.2.15", "parser", 400),  # the file has no empty line at its end
    "badvers": ("3.1.2.16", "parser", 505),
    "mismatch01": ("3.1.2.17", "parser", 400),
    "mismatch02": ("3.1.2.18", "parser", 400),
    "bigcode": ("3.1.2.19", "parser", DROPPED),
    "badbranch": ("3.2.1", "user agent", 200),
    "insuf": ("3.3.1", "parser", 400),
    "unkscm": ("3.3.2", "user agent", 416),
    "novelsc": ("3.3.3", "user agent", 416),
    "unksm2": ("3.3.4", "user agent", 405),
    "bext01": ("3.3.5", "user agent", 420),
    "invut": ("3.3.6", "user agent", 415),
    "regaut01": ("3.3.7", "user agent", 405),
    "multi01": ("3.3.8", "parser", 400),
    "mcl01": ("3.3.9", "parser", 400),
    "bcast": ("3.3.10", "transaction", DROPPED),
    "zeromf": ("3.3.11", "user agent", 200),  # 483 is a proxy's answer
    "cparam01": ("3.3.12", "user agent", 405),
    "cparam02": ("3.3.13", "user agent", 405),
    "regescrt": ("3.3.14", "user agent", 405),
    "sdp01": ("3.3.15", "user agent", 406),
    "inv2543": ("3.4.1", "user agent", 400),  # no Contact, which only RFC 2543 allowed: no dialog can be made
    "test": ("none", "parser", DROPPED),  # of an older draft: no Via, so no way back
}


def answer_to(data: bytes) -> tuple[str, Response | None]:
    """The layer that decides, and its answer.

    `parser`: the octets are refused. `user agent`: a request of ours to answer, and a new INVITE that is refused.
    `call`: the INVITE is let in; it rings. `transaction`: a response or an ACK, which belongs to no transaction.
    """
    try:
        message = parse_datagram(data)
    except RemoteProtocolError as fault:
        return "parser", refusal_of(data, fault, source=SOURCE, to_tag="refused")
    if isinstance(message, Response) or message.method == "ACK":
        return "transaction", None
    if message.method == "INVITE" and message.to.tag is None:
        return _answer_to_invite(message)
    reply = replies.stray_reply(message)
    return "user agent", None if reply is None else reply.to(message, tag="stray")


def told(answer: Response | None) -> list[str] | None:
    """An answer without what another release may say in another way: our name, and what else we can do."""
    if answer is None:
        return None
    fields = (f"{name}: {value}" for name, value in answer.headers.items() if name not in OURS)
    return [answer.start_line, *fields]


def _answer_to_invite(invite: Request) -> tuple[str, Response | None]:
    call = InboundCall(
        invite, now=0.0, local=("192.0.2.1", 5060), ids=CountedIds("agent"), source=Hop("udp", *SOURCE)
    )
    call.ring(now=0.0)
    ((response, _),) = call.outgoing()
    assert isinstance(response, Response)
    return "call" if response.status < 200 else "user agent", response


@pytest.mark.parametrize("name", CASES)
def test_a_message_of_ours_is_answered_as_the_standard_demands(name: str):
    case: dict[str, Any] = CASES[name]
    layer, answer = answer_to("\r\n".join(case["message"]).encode())
    assert (layer, told(answer)) == (case["layer"], case["answer"]), case["demand"]


def test_the_messages_of_rfc_4475_are_answered_as_it_demands():
    for path in sorted(FOLDER.glob("*/*.dat")):
        section, demanded_layer, status = DEMANDED[path.stem]
        layer, answer = answer_to(path.read_bytes())
        assert (layer, answer and answer.status) == (demanded_layer, status), f"{path.stem}, {section}"


def test_an_extension_that_is_not_there_is_named_in_the_answer():
    _, answer = answer_to("\r\n".join(CASES["rfc4475-two-extensions-required"]["message"]).encode())
    assert answer is not None
    assert answer.headers.elements("Unsupported") == ["nothingSupportsThis", "nothingSupportsThisEither"]
