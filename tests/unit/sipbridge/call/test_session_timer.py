"""RFC 4028: who refreshes, when, by what, and what happens when nobody does."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tuner_sipbridge.call.events import Answered, Ended, Incoming, Rejected
from tuner_sipbridge.call.extensions import Extensions
from tuner_sipbridge.errors import LocalProtocolError

Dial = Callable[..., Any]
Receive = Callable[..., Any]
Invite = Callable[..., Any]
Sdp = Callable[..., bytes]


def expires(message: Any) -> str | None:
    return message.headers.get("Session-Expires")


class TestCaller:
    def test_asks_for_one(self, dial: Dial):
        invite = dial().invite
        assert expires(invite) == "1800"
        assert "timer" in invite.headers.get("Supported")

    def test_does_without(self, dial: Dial, their_sdp: Sdp):
        bench = dial(extensions=Extensions(session_interval_s=None))
        assert expires(bench.invite) is None
        assert "timer" not in bench.invite.headers.get("Supported")
        bench.answer(("Session-Expires", "90;refresher=uac"))
        bench.wait(100.0)
        assert bench.names == ["INVITE", "ACK"]
        bench.ask("UPDATE", "Require: timer", "Session-Expires: 90")
        assert bench.responses[-1].status == 420

    def test_of_a_far_end_without_it_runs_none(self, dial: Dial):
        bench = dial()
        bench.answer()
        bench.wait(4000.0)
        assert bench.names == ["INVITE", "ACK"]
        assert bench.call.session_interval_s is None

    def test_of_a_far_end_without_it_runs_where_we_are_to_refresh(self, dial: Dial, their_sdp: Sdp):
        # As if the 2xx had the interval of the request, with refresher=uac (RFC 4028 §7.2).
        bench = dial(extensions=Extensions(session_interval_s=100, refresher="us"))
        bench.answer(("Allow", "INVITE, ACK, BYE"))
        assert bench.call.session_interval_s == 100
        for moment in (50.0, 100.0):
            bench.wait(moment - bench.now)
            refresh = bench.requests[-1]
            assert (refresh.method, expires(refresh)) == ("INVITE", "100;refresher=uac")
            bench.reply(200, to=refresh, body=their_sdp())
        bench.wait(50.0)
        bench.reply(481, to=bench.requests[-1])
        assert isinstance(bench.happened[-1], Ended)

    def test_of_a_far_end_without_it_keeps_what_a_422_on_the_way_asked_for(self, dial: Dial):
        bench = dial(extensions=Extensions(session_interval_s=100, refresher="us"))
        bench.reply(422, ("Min-SE", "300"))
        bench.answer()
        assert bench.call.session_interval_s == 300

    def test_two_ends_that_each_raise_it_settle(self, dial: Dial):
        bench = dial(extensions=Extensions(session_interval_s=90))
        for least in ("120", "400"):
            bench.reply(422, ("Min-SE", least))
            assert (expires(bench.invite), bench.invite.headers.get("Min-SE")) == (least, least)
        bench.answer(("Session-Expires", "400;refresher=uac"), ("Allow", "UPDATE"))
        bench.wait(200.0)
        bench.reply(422, ("Min-SE", "500"), to=bench.requests[-1])
        again = bench.requests[-1]
        assert (again.method, expires(again)) == ("UPDATE", "500;refresher=uac")
        bench.reply(200, ("Session-Expires", "500;refresher=uac"), to=again)
        assert bench.call.session_interval_s == 500

    def test_a_refresh_refused_with_422_for_ever_is_not_sent_for_ever(self, dial: Dial):
        bench = dial(extensions=Extensions(session_interval_s=100))
        bench.answer(("Session-Expires", "100;refresher=uac"), ("Allow", "UPDATE"))
        bench.wait(50.0)
        while isinstance(bench.happened[-1], Answered):
            if bench.requests[-1].method == "UPDATE":
                bench.reply(422, ("Min-SE", "90"), to=bench.requests[-1])
            bench.wait(0.5)
        assert isinstance(bench.happened[-1], Ended)
        assert bench.names.count("UPDATE") < 10

    def test_says_who_is_to_refresh(self, dial: Dial):
        assert expires(dial(extensions=Extensions(refresher="us")).invite) == "1800;refresher=uac"
        assert expires(dial(extensions=Extensions(refresher="peer")).invite) == "1800;refresher=uas"

    def test_refreshes_by_update_at_half_time(self, dial: Dial):
        bench = dial()
        bench.answer(("Session-Expires", "100;refresher=uac"), ("Allow", "INVITE, UPDATE"))
        assert bench.call.session_interval_s == 100
        for moment in (50.0, 100.0):
            bench.wait(moment - bench.now - 0.1)
            count = bench.names.count("UPDATE")
            bench.wait(0.1)
            assert bench.names.count("UPDATE") == count + 1
            update = bench.requests[-1]
            assert update.body == b""
            assert expires(update) == "100;refresher=uac"
            bench.reply(200, ("Session-Expires", "100;refresher=uac"), to=update)
        assert isinstance(bench.happened[-1], Answered)

    def test_refreshes_by_re_invite_where_update_is_not_allowed(self, dial: Dial, their_sdp: Sdp):
        bench = dial()
        bench.answer(("Session-Expires", "100;refresher=uac"), ("Allow", "INVITE, BYE"))
        bench.wait(50.0)
        refresh = bench.requests[-1]
        assert (refresh.method, refresh.cseq.number, refresh.body) == ("INVITE", 2, bench.requests[0].body)
        bench.reply(200, ("Session-Expires", "100;refresher=uac"), body=their_sdp())
        assert bench.requests[-1].method == "ACK"
        assert [type(event) for event in bench.happened] == [Answered]

    def test_falls_back_when_update_is_not_known_after_all(self, dial: Dial):
        bench = dial()
        bench.answer(("Session-Expires", "100;refresher=uac"), ("Allow", "UPDATE"))
        bench.wait(50.0)
        bench.reply(501, to=bench.requests[-1])
        assert bench.requests[-1].method == "INVITE"
        assert bench.requests[-1].to.tag == "far"

    def test_hangs_up_when_the_far_end_does_not_refresh(self, dial: Dial):
        bench = dial()
        bench.answer(("Session-Expires", "90;refresher=uas"))
        bench.wait(59.9)
        assert bench.names == ["INVITE", "ACK"]
        bench.wait(0.1)
        bye = bench.requests[-1]
        assert (bye.method, bye.headers.get("Reason")) == ("BYE", 'SIP;cause=408;text="session expired"')
        assert bench.happened[-1].by == "network"
        assert "refresh" in bench.happened[-1].reason
        bench.assert_at_rest()

    def test_a_refresh_of_the_far_end_starts_it_again(self, dial: Dial, their_sdp: Sdp):
        bench = dial()
        bench.answer(("Session-Expires", "90;refresher=uas"))
        for _ in range(5):
            bench.wait(45.0)
            bench.ask("UPDATE", "Supported: timer", "Session-Expires: 90;refresher=uac")
            response = bench.responses[-1]
            assert (response.status, expires(response)) == (200, "90;refresher=uac")
            assert response.headers.get("Require") == "timer"
        assert isinstance(bench.happened[-1], Answered)
        bench.wait(60.0)
        assert isinstance(bench.happened[-1], Ended)

    def test_a_refresh_that_fails_is_tried_again_and_ends_at_the_end(self, dial: Dial):
        bench = dial()
        bench.answer(("Session-Expires", "100;refresher=uac"), ("Allow", "UPDATE"))
        bench.wait(50.0)
        bench.reply(503, to=bench.requests[-1])
        assert isinstance(bench.happened[-1], Answered)
        bench.wait(10.0)
        assert bench.names.count("UPDATE") >= 2
        bench.reply(503, to=bench.requests[-1])
        bench.wait(10.0)
        assert isinstance(bench.happened[-1], Ended)

    def test_comes_again_with_the_interval_that_is_long_enough(self, dial: Dial):
        bench = dial(extensions=Extensions(session_interval_s=600), headers=[("X-CID", "call-1")])
        bench.reply(422, ("Min-SE", "3600"))
        invite = bench.invite
        assert (expires(invite), invite.headers.get("Min-SE")) == ("3600", "3600")
        assert (invite.cseq.number, invite.headers.get("X-CID")) == (2, "call-1")
        assert invite.from_.tag == bench.requests[0].from_.tag
        bench.answer(("Session-Expires", "3600;refresher=uac"))
        assert bench.call.session_interval_s == 3600

    @pytest.mark.parametrize("header", [("Min-SE", "10"), ("Min-SE", "long"), ("X", "y")])
    def test_a_422_that_asks_for_nothing_longer_is_a_refusal(self, dial: Dial, header: tuple[str, str]):
        bench = dial()
        bench.reply(422, header)
        assert isinstance(bench.happened[-1], Rejected)
        assert bench.names.count("INVITE") == 1

    def test_nobody_raises_it_for_ever(self, dial: Dial):
        bench = dial()
        for number in range(10):
            bench.reply(422, ("Min-SE", str(2000 + number)))
        assert bench.names.count("INVITE") == 4


class TestAnswerer:
    @staticmethod
    def answered(receive: Receive, invite: Invite, *headers: str, **options: Any) -> Any:
        bench = receive(invite(*headers), **options)
        bench.call.accept(now=0.0, address="10.0.0.1", port=40000)
        bench.collect()
        bench.ask("ACK", number=1)
        return bench

    def test_takes_the_callers_interval_and_role(self, receive: Receive, invite: Invite):
        bench = self.answered(receive, invite, "Supported: timer", "Session-Expires: 300;refresher=uas")
        assert expires(bench.responses[-1]) == "300;refresher=uas"
        bench.wait(150.0)
        assert bench.requests[-1].method == "INVITE"
        assert expires(bench.requests[-1]) == "300;refresher=uac"

    def test_lowers_it_but_not_below_the_callers_minimum(self, receive: Receive, invite: Invite):
        terms = Extensions(session_interval_s=120)
        low = self.answered(receive, invite, "Supported: timer", "Session-Expires: 300", extensions=terms)
        assert expires(low.responses[-1]) == "120;refresher=uac"
        kept = self.answered(
            receive, invite, "Supported: timer", "Session-Expires: 300", "Min-SE: 200", extensions=terms
        )
        assert expires(kept.responses[-1]) == "200;refresher=uac"

    def test_refreshes_itself_for_a_caller_that_cannot(self, receive: Receive, invite: Invite):
        # A proxy on the way asked for the timer (RFC 4028 §8.1).
        bench = self.answered(receive, invite, "Session-Expires: 300")
        assert expires(bench.responses[-1]) == "300;refresher=uas"
        assert "Require" not in bench.responses[-1].headers

    def test_asks_for_one_where_the_caller_did_not(self, receive: Receive, invite: Invite):
        bench = self.answered(receive, invite, "Supported: timer")
        assert expires(bench.responses[-1]) == "1800;refresher=uac"
        assert bench.responses[-1].headers.get("Require") == "timer"

    def test_of_a_caller_without_it_runs_where_we_are_to_refresh(self, receive: Receive, invite: Invite):
        # The caller is told, and nothing is required of it (RFC 4028 §9, table 2).
        terms = Extensions(session_interval_s=100, refresher="us")
        bench = self.answered(receive, invite, extensions=terms)
        assert expires(bench.responses[-1]) == "100;refresher=uas"
        assert "Require" not in bench.responses[-1].headers
        bench.wait(50.0)
        assert (bench.requests[-1].method, expires(bench.requests[-1])) == ("INVITE", "100;refresher=uac")

    def test_of_a_caller_without_it_runs_none(self, receive: Receive, invite: Invite):
        bench = self.answered(receive, invite)
        assert expires(bench.responses[-1]) is None
        assert bench.call.session_interval_s is None

    def test_refuses_an_interval_that_is_too_short(self, receive: Receive, invite: Invite):
        terms = Extensions(least_session_interval_s=300)
        bench = receive(invite("k: timer", "x: 120"), extensions=terms)
        assert bench.names == ["422"]
        assert bench.responses[-1].headers.get("Min-SE") == "300"
        bench.hear(invite("k: timer", "x: 300", number=2, branch="z9hG4bK-far-2"))
        assert isinstance(bench.happened[-1], Incoming)

    def test_ends_a_call_whose_caller_is_gone(self, receive: Receive, invite: Invite):
        bench = self.answered(receive, invite, "Supported: timer", "Session-Expires: 90;refresher=uac")
        bench.wait(60.0)
        assert bench.requests[-1].method == "BYE"
        assert bench.happened[-1].by == "network"
        bench.assert_at_rest()


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        ({"session_interval_s": 60}, "interval is 60 s: give 90 s"),
        ({"session_interval_s": 200, "least_session_interval_s": 300}, "interval is 200 s: give 300 s"),
        ({"least_session_interval_s": 10}, "least session interval is 10 s: give 90 s"),
        ({"session_interval_s": 2**31}, "2147483648 s"),
        ({"session_interval_s": None, "refresher": "us"}, "without a session timer"),
        ({"refresher": "uac"}, "one of us, peer"),
        ({"reliable": "maybe"}, "one of no, supported, required"),
    ],
)
def test_terms_that_cannot_be_are_refused(given: dict[str, Any], problem: str):
    with pytest.raises(LocalProtocolError, match=problem):
        Extensions(**given)
