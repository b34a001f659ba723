from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tuner_sipbridge.call.events import Incoming, PartiesNamed
from tuner_sipbridge.call.parties import NOBODY, Diversion, parties_of

Dial = Callable[..., Any]
Receive = Callable[..., Any]
Invite = Callable[..., Any]

HEADERS = (
    'P-Asserted-Identity: "Cullen Jennings" <sip:fluffy@cisco.example>, tel:+14085264000',
    "Privacy: id; critical",
    "Diversion: <sip:first@x.example>;reason=unconditional;counter=1, <sip:zero@x.example>;reason=no-answer",
    "History-Info: <sip:bob@x.example?Reason=SIP%3Bcause%3D302>;index=1, <sip:office@x.example;cause=486>;index=1.1",
    "User-to-User: 56a390f3d2b7310023a2;encoding=hex",
)


def test_all_that_is_named_is_read(receive: Receive, invite: Invite):
    bench = receive(invite(*HEADERS))
    incoming, named = bench.happened
    assert isinstance(incoming, Incoming)
    assert isinstance(named, PartiesNamed)
    parties = named.parties
    assert parties.asserted == ("sip:fluffy@cisco.example", "tel:+14085264000")
    assert parties.privacy == ("id", "critical")
    assert parties.diversions == (
        Diversion("sip:first@x.example", "unconditional"),
        Diversion("sip:zero@x.example", "no-answer"),
    )
    assert parties.history == (
        Diversion("sip:bob@x.example", "SIP;cause=302", "1"),
        Diversion("sip:office@x.example;cause=486", "486", "1.1"),
    )
    assert parties.user_to_user == ("56a390f3d2b7310023a2;encoding=hex",)
    assert set(parties.to_fields()) == {"asserted", "privacy", "diversions", "history", "user_to_user"}


def test_what_is_malformed_is_left_out(invite: Invite):
    odd = invite("P-Asserted-Identity: <sip:a", "Diversion: nonsense, <sip:b@x.example>", "Privacy: ;;")
    assert parties_of(odd).diversions == (Diversion("sip:b@x.example"),)
    assert parties_of(invite()) == NOBODY
    assert NOBODY.to_fields() == {}


def test_the_answering_party_is_told_once(dial: Dial):
    bench = dial(headers=[("Privacy", "id"), ("P-Asserted-Identity", "<sip:probe@x.example>")])
    assert bench.invite.headers.get("Privacy") == "id"
    asserted = ("P-Asserted-Identity", "<sip:desk@x.example>")
    bench.reply(180, asserted)
    bench.answer(asserted)
    named = [event for event in bench.happened if isinstance(event, PartiesNamed)]
    assert [event.parties.asserted for event in named] == [("sip:desk@x.example",)]


def test_nothing_of_it_shows_in_a_repr(receive: Receive, invite: Invite):
    named = receive(invite(*HEADERS)).happened[-1]
    assert "x.example" not in repr(named)
    assert "14085264000" not in repr(named)
