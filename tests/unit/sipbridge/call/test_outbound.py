from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tuner_sipbridge.call.events import (
    Answered,
    Cancelled,
    EarlyMedia,
    Ended,
    NegotiationFailed,
    Redirected,
    Rejected,
    Ringing,
    TimedOut,
    Unreachable,
)
from tuner_sipbridge.call.ids import Credentials
from tuner_sipbridge.errors import LocalProtocolError
from tuner_sipbridge.sip.message import Request
from tuner_sipbridge.sip.reason import Reason
from tuner_sipbridge.sip.uri import Uri

Dial = Callable[..., Any]
Sdp = Callable[..., bytes]


class TestInvite:
    def test_says_who_where_and_what(self, dial: Dial):
        bench = dial(headers=[("X-CID", "call-1"), ("X-Custom", "a, b")])
        invite, address = bench.sent[0]
        assert address == ("far.example", 5060)
        assert invite.start_line == "INVITE sip:agent@far.example SIP/2.0"
        assert (invite.call_id, str(invite.cseq)) == ("call-1", "1 INVITE")
        assert invite.via.branch.startswith("z9hG4bK")
        assert invite.via.param("rport") == ""
        assert str(invite.contact) == "<sip:caller@10.0.0.1:5060>"
        assert invite.to.tag is None
        assert invite.from_.tag
        assert invite.headers.get("Max-Forwards") == "70"
        assert invite.headers.get("X-Custom") == "a, b"
        assert invite.content_type == "application/sdp"
        assert invite.body.startswith(b"v=0")

    @pytest.mark.parametrize("name", ["Via", "cseq", "Call-ID", "i", "Content-Length", "Contact", "m", "To"])
    def test_refuses_headers_that_are_not_the_users(self, dial: Dial, name: str):
        with pytest.raises(LocalProtocolError, match="written by the call itself"):
            dial(headers=[(name, "x")])

    def test_has_the_headers_behind_the_question_mark_of_the_uri(self, dial: Dial):
        target = Uri.parse("sip:agent@far.example;user=phone?X-Tenant=a%20b&X-Other=1")
        invite, _ = dial(target=target, headers=[("X-CID", "call-1")]).sent[0]
        assert invite.start_line == "INVITE sip:agent@far.example;user=phone SIP/2.0"
        assert invite.headers.get("To") == "<sip:agent@far.example;user=phone>"
        assert (invite.headers.get("X-Tenant"), invite.headers.get("X-Other")) == ("a b", "1")

    @pytest.mark.parametrize(
        "headers", ["Route=%3Csip%3Ax%3E", "from=x", "Call-ID=x", "Authorization=Digest"]
    )
    def test_refuses_headers_in_the_uri_that_are_not_the_users(self, dial: Dial, headers: str):
        with pytest.raises(LocalProtocolError, match="written by the call itself"):
            dial(target=Uri.parse(f"sip:agent@far.example?{headers}"))

    def test_refuses_a_header_that_stands_in_the_uri_and_beside_it(self, dial: Dial):
        with pytest.raises(LocalProtocolError, match="x-cid is given twice"):
            dial(target=Uri.parse("sip:agent@far.example?x-cid=2"), headers=[("X-CID", "call-1")])

    def test_refuses_line_breaks(self, dial: Dial):
        with pytest.raises(LocalProtocolError, match="line break"):
            dial(headers=[("X-Custom", "x\r\nVia: y")])

    @pytest.mark.parametrize("sip_call_id", ["", "a b", "a\r\nb", "ä"])
    def test_refuses_a_call_id_that_is_none(self, dial: Dial, sip_call_id: str):
        with pytest.raises(LocalProtocolError, match="Call-ID"):
            dial(sip_call_id=sip_call_id)

    def test_a_telephone_number_needs_a_route(self, dial: Dial):
        number = Uri.parse("tel:+15551234")
        with pytest.raises(LocalProtocolError, match="route"):
            dial(target=number)
        bench = dial(target=number, route=[Uri.parse("sip:trunk.example;lr")])
        invite, address = bench.sent[0]
        assert (str(invite.uri), address) == ("tel:+15551234", ("trunk.example", 5060))

    def test_goes_through_an_outbound_proxy(self, dial: Dial):
        bench = dial(route=[Uri.parse("sip:proxy.example:5070;lr")])
        invite, address = bench.sent[0]
        assert address == ("proxy.example", 5070)
        assert str(invite.uri) == "sip:agent@far.example"
        assert invite.headers.get("Route") == "<sip:proxy.example:5070;lr>"
        bench.reply(180)
        bench.call.cancel(now=1.0)
        bench.collect()
        cancel, address = bench.sent[-1]
        assert (cancel.method, address) == ("CANCEL", ("proxy.example", 5070))

    def test_is_sent_once(self, dial: Dial):
        bench = dial()
        bench.call.start(now=0.1)
        bench.collect()
        assert bench.names == ["INVITE"]


class TestRinging:
    def test_is_told_once_for_each_status_in_a_row(self, dial: Dial):
        bench = dial()
        for status in (100, 180, 180, 183, 183, 180):
            bench.reply(status)
        assert bench.happened == [Ringing(180), Ringing(183), Ringing(180)]

    def test_early_media_is_told_once(self, dial: Dial, their_sdp: Sdp):
        bench = dial()
        bench.reply(183, body=their_sdp())
        bench.reply(183, body=their_sdp())
        assert [type(event) for event in bench.happened] == [Ringing, EarlyMedia]
        assert bench.happened[1].negotiated.remote == ("198.51.100.7", 50000)

    def test_an_early_answer_holds_when_the_200_has_none(self, dial: Dial, their_sdp: Sdp):
        bench = dial()
        bench.reply(183, body=their_sdp())
        bench.answer(body=b"")
        assert isinstance(bench.happened[-1], Answered)

    def test_early_media_that_cannot_be_read_is_passed_over(self, dial: Dial):
        bench = dial()
        bench.reply(183, body=b"rubbish")
        bench.answer()
        assert [type(event) for event in bench.happened] == [Ringing, Answered]


class TestAnswer:
    def test_ack_and_bye_go_to_the_contact_through_the_route_set(self, dial: Dial):
        bench = dial()
        bench.answer(("Record-Route", "<sip:p2.example;lr>, <sip:p1.example:5066;lr>"))
        bench.call.hang_up(now=1.0)
        bench.collect()
        for message, address in bench.sent[1:]:
            assert address == ("p1.example", 5066)
            assert str(message.uri) == "sip:bot@198.51.100.7:5080"
            assert [str(route.uri) for route in message.routes] == [
                "sip:p1.example:5066;lr",
                "sip:p2.example;lr",
            ]
            assert message.to.tag == "far"
        assert [str(message.cseq) for message, _ in bench.sent[1:]] == ["1 ACK", "2 BYE"]
        assert bench.happened[-1] == Ended("caller")

    def test_the_answer_moves_target_and_route_set_of_its_early_dialog(self, dial: Dial):
        bench = dial()
        bench.reply(180, ("Contact", "<sip:early@192.0.2.1:7000>"), ("Record-Route", "<sip:p0.example;lr>"))
        bench.answer(("Record-Route", "<sip:p1.example:5066;lr>"))
        ack, address = bench.sent[-1]
        assert (str(ack.uri), address) == ("sip:bot@198.51.100.7:5080", ("p1.example", 5066))
        assert [str(route.uri) for route in ack.routes] == ["sip:p1.example:5066;lr"]

    def test_through_a_strict_router_the_contact_is_the_last_route(self, dial: Dial):
        bench = dial(credentials=Credentials("probe", "s3cret"))
        bench.answer(("Record-Route", "<sip:p2.example;lr>, <sip:p1.example:5066>"))
        ack, address = bench.sent[-1]
        assert (str(ack.uri), address) == ("sip:p1.example:5066", ("p1.example", 5066))
        assert [str(route.uri) for route in ack.routes] == [
            "sip:p2.example;lr",
            "sip:bot@198.51.100.7:5080",
        ]
        bench.call.hang_up(now=1.0)
        bench.collect()
        assert bench.sent[-1][1] == ("p1.example", 5066)
        bench.reply(407, ("Proxy-Authenticate", 'Digest realm="r", nonce="n"'), to=bench.requests[-1])
        bench.answer(("Record-Route", "<sip:p2.example;lr>, <sip:p1.example:5066>"))
        later = [(message.method, address) for message, address in bench.sent[3:]]
        assert later == [("BYE", ("p1.example", 5066)), ("ACK", ("p1.example", 5066))]

    def test_without_routes_they_go_to_the_contact_itself(self, dial: Dial):
        bench = dial()
        bench.answer()
        assert bench.sent[-1][1] == ("198.51.100.7", 5080)

    def test_a_repeated_200_gets_the_same_ack_for_64_t1(self, dial: Dial):
        bench = dial()
        ok = bench.answer()
        bench.wait(31.0)
        bench.hear(ok)
        acks = [request for request in bench.requests if request.method == "ACK"]
        assert acks[0] == acks[1]
        assert bench.happened == [bench.happened[0]]

    def test_a_forked_200_is_acknowledged_and_hung_up_and_the_first_stands(self, dial: Dial):
        bench = dial()
        bench.answer()
        bench.answer(tag="fork")
        bench.answer(tag="fork")
        ack, bye, ack_again = bench.requests[2:]
        assert (ack.method, bye.method, ack_again) == ("ACK", "BYE", ack)
        assert ack.to.tag == bye.to.tag == "fork"
        bench.reply(200, to=bye)
        assert len(bench.happened) == 1
        bench.ask("BYE")
        assert bench.happened[-1] == Ended("agent")
        bench.assert_at_rest()

    @pytest.mark.parametrize("body", [b"", b"rubbish"])
    def test_an_answer_without_a_session_is_acknowledged_and_hung_up(self, dial: Dial, body: bytes):
        bench = dial()
        bench.answer(body=body)
        assert bench.names == ["INVITE", "ACK", "BYE"]
        assert [type(event) for event in bench.happened] == [NegotiationFailed]
        bench.reply(200, to=bench.requests[-1])
        bench.assert_at_rest()

    def test_an_answer_that_refuses_the_stream_says_so(self, dial: Dial):
        bench = dial()
        bench.answer(body=b"v=0\r\no=- 1 1 IN IP4 198.51.100.7\r\ns=-\r\nt=0 0\r\nm=audio 0 RTP/AVP 0\r\n")
        assert bench.happened == [NegotiationFailed("the far end refuses the audio stream (its port is 0)")]


class TestRefusals:
    def test_the_cause_is_in_plain_words_with_the_far_ends_own(self, dial: Dial):
        bench = dial()
        bench.reply(503, ("Retry-After", "30"), ("Warning", '399 edge "no trunk free"'))
        assert bench.happened == [
            Rejected(
                503,
                "Service Unavailable",
                "503 Service Unavailable: the far end is overloaded or down"
                " (edge warns: no trunk free (399); Retry-After: 30)",
            )
        ]
        assert bench.names == ["INVITE", "ACK"]
        bench.assert_at_rest()

    def test_the_headers_that_say_why_are_read(self, dial: Dial):
        bench = dial()
        bench.reply(
            503,
            ("Reason", 'Q.850;cause=34;text="no circuit"'),
            ("Warning", '399 edge.example "trunk 7 is full"'),
            ("Server", "edge/1.2"),
        )
        failure = bench.happened[-1].failure
        assert failure.q850 == 34
        assert [warning.text for warning in failure.warnings] == ["trunk 7 is full"]
        assert failure.said_by == "edge/1.2"
        assert "no circuit is free: no circuit (Q.850 34)" in bench.happened[-1].text

    @pytest.mark.parametrize("status", [300, 399, 400, 499, 500, 599, 600, 699])
    def test_any_status_has_a_cause(self, dial: Dial, status: int):
        bench = dial()
        bench.reply(status)
        assert bench.happened[-1].text.startswith(f"{status} ")
        bench.assert_at_rest()


class TestRedirection:
    def test_the_call_goes_on_at_the_contact(self, dial: Dial):
        bench = dial(headers=[("X-CID", "call-1")])
        bench.reply(302, ("Contact", "<sip:agent@other.example:5090>"))
        invite, address = bench.sent[-1]
        assert address == ("other.example", 5090)
        assert str(invite.uri) == "sip:agent@other.example:5090"
        assert (invite.call_id, str(invite.cseq)) == ("call-1", "2 INVITE")
        assert invite.headers.get("X-CID") == "call-1"
        assert str(invite.to.uri) == "sip:agent@far.example"
        bench.answer()
        assert isinstance(bench.happened[-1], Answered)

    def test_the_contact_with_the_highest_q_comes_first(self, dial: Dial):
        bench = dial()
        contacts = (
            "<sip:low@x.example>;q=0.1, <tel:+1555>, <sip:high@x.example>;q=0.9, <sip:odd@x.example>;q=0.5"
        )
        bench.reply(300, ("Contact", contacts))
        assert str(bench.invite.uri) == "sip:high@x.example"
        bench.reply(300, ("Contact", contacts))
        assert str(bench.invite.uri) == "sip:odd@x.example"

    def test_the_next_is_tried_when_one_refuses_but_not_after_a_603(self, dial: Dial):
        contacts = (
            "Contact",
            "<sip:low@x.example>;q=0.1, <sip:high@x.example>;q=0.9, <sip:odd@x.example>;q=0.5",
        )
        bench = dial()
        bench.reply(302, contacts)
        bench.reply(480)
        assert str(bench.invite.uri) == "sip:odd@x.example"
        bench.reply(503)
        assert str(bench.invite.uri) == "sip:low@x.example"
        bench.reply(404)
        assert isinstance(bench.happened[-1], Rejected)
        assert bench.happened[-1].status == 404
        declined = dial()
        declined.reply(302, contacts)
        declined.reply(603)
        assert declined.names.count("INVITE") == 2
        assert [type(event) for event in declined.happened] == [Redirected, Rejected]

    def test_each_is_told(self, dial: Dial):
        bench = dial()
        bench.reply(302, ("Contact", "<sip:agent@other.example>"))
        assert bench.happened == [Redirected(302, "sip:agent@other.example")]
        assert "other" not in repr(bench.happened[0])

    def test_nobody_sends_us_in_a_circle(self, dial: Dial):
        bench = dial()
        bench.reply(302, ("Contact", "<sip:agent@far.example>"))
        assert isinstance(bench.happened[-1], Rejected)
        endless = dial()
        for number in range(20):
            endless.reply(302, ("Contact", f"<sip:agent@n{number}.example>"))
        assert endless.names.count("INVITE") == 8
        assert isinstance(endless.happened[-1], Rejected)


class TestGivingUp:
    def test_the_ring_timeout_holds_over_a_challenge(self, dial: Dial):
        bench = dial(credentials=Credentials("probe", "s3cret"), ring_timeout_s=20.0)
        bench.reply(407, ("Proxy-Authenticate", 'Digest realm="r", nonce="n"'))
        bench.reply(180)
        bench.wait(20.0)
        assert bench.names[-1] == "CANCEL"
        assert bench.requests[-1].cseq.number == 2
        assert isinstance(bench.happened[-1], TimedOut)

    def test_a_transport_that_cannot_send_ends_the_call_at_once(self, dial: Dial):
        bench = dial()
        bench.call.unreachable(bench.hops[-1], "far.example has no address", now=0.1)
        bench.collect()
        assert bench.happened == [Unreachable("far.example has no address")]
        assert bench.call.finished

    def test_a_transport_that_fails_later_is_left_to_the_timers(self, dial: Dial):
        bench = dial()
        bench.reply(100)
        bench.call.unreachable(bench.hops[-1], "no route", now=0.1)
        assert bench.call.events() == []

    def test_before_the_start_nothing_is_sent(self, dial: Dial):
        bench = dial()
        fresh = type(bench)(bench.call)
        fresh.call.cancel(now=0.0, why="no time")
        fresh.collect()
        assert fresh.happened == [Cancelled("no time")]

    def test_a_challenge_after_the_cancel_is_not_answered(self, dial: Dial):
        bench = dial()
        bench.reply(100, tag=None)
        bench.call.cancel(now=0.1)
        bench.reply(407, ("Proxy-Authenticate", 'Digest realm="r", nonce="n"'))
        assert bench.names == ["INVITE", "CANCEL", "ACK"]
        bench.reply(200, to=bench.requests[1])
        bench.assert_at_rest()

    def test_hanging_up_twice_sends_one_bye(self, dial: Dial):
        bench = dial()
        bench.answer()
        bench.call.hang_up(now=1.0)
        bench.call.hang_up(now=1.1)
        bench.call.cancel(now=1.2)
        bench.collect()
        assert bench.names == ["INVITE", "ACK", "BYE"]
        assert bench.happened[1:] == [Ended("caller")]

    def test_an_invite_that_was_cancelled_too_early_is_cancelled_when_it_can_be(self, dial: Dial):
        bench = dial()
        bench.call.cancel(now=0.1)
        bench.collect()
        assert bench.names == ["INVITE"]
        bench.reply(180)
        bench.reply(180)
        assert bench.names == ["INVITE", "CANCEL"]
        assert bench.happened == [Cancelled()]

    def test_a_200_long_after_the_cancel_is_still_hung_up(self, dial: Dial):
        bench = dial()
        bench.reply(180)
        bench.call.cancel(now=0.1)
        bench.wait(20.0)
        bench.answer()
        assert bench.names[-2:] == ["ACK", "BYE"]
        assert bench.happened == [Ringing(180), Cancelled()]


class TestStrays:
    def test_unknown_dialogs_get_481_and_stray_acks_nothing(self, dial: Dial):
        bench = dial()
        bench.answer()
        before = len(bench.sent)
        bench.ask("ACK", tag="stranger")
        assert len(bench.sent) == before
        bench.ask("BYE", tag="stranger")
        assert bench.responses[-1].status == 481
        bench.ask("OPTIONS")
        assert isinstance(bench.happened[-1], Answered)

    def test_an_early_dialog_answers_but_changes_nothing(self, dial: Dial):
        bench = dial()
        bench.reply(180)
        for method, status in (
            ("OPTIONS", 200),
            ("INFO", 200),
            ("INVITE", 491),
            ("BYE", 481),
            ("PRACK", 481),
        ):
            bench.ask(method)
            assert bench.responses[-1].status == status

    def test_our_own_invite_that_came_back_is_a_loop(self, dial: Dial):
        bench = dial()
        looped = bench.invite
        bench.hear(Request(looped.method, looped.uri, looped.headers.copy(), looped.body))
        assert bench.responses[-1].status == 482


class TestReasonsOfOurs:
    def test_go_with_bye_and_cancel(self, dial: Dial):
        why = Reason("Q.850", 16, "done")
        bench, ringing = dial(), dial()
        bench.answer()
        bench.call.hang_up(now=1.0, why=why)
        bench.collect()
        assert bench.requests[-1].headers.get("Reason") == 'Q.850;cause=16;text="done"'
        ringing.reply(180)
        ringing.call.hang_up(now=1.0, why=why)
        ringing.collect()
        assert ringing.requests[-1].headers.get("Reason") == 'Q.850;cause=16;text="done"'

    def test_say_what_became_of_forks_and_answers_that_do_not_fit(self, dial: Dial):
        bench, odd = dial(), dial()
        bench.answer()
        bench.answer(tag="fork")
        assert bench.requests[-1].headers.get("Reason") == 'SIP;cause=200;text="Call completed elsewhere"'
        odd.answer(body=b"rubbish")
        assert (odd.requests[-1].headers.get("Reason") or "").startswith("SIP;cause=488")

    def test_say_that_nobody_answered(self, dial: Dial):
        bench = dial(ring_timeout_s=5.0)
        bench.reply(180)
        bench.wait(5.0)
        cancel = bench.requests[-1]
        assert (cancel.method, cancel.headers.get("Reason")) == (
            "CANCEL",
            'SIP;cause=408;text="nobody answered in time"',
        )
