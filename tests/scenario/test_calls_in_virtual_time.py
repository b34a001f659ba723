"""Whole calls between the two halves, one thing at a time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tuner_sipbridge.call.events import (
    Answered,
    AuthenticationRefused,
    Cancelled,
    Ended,
    Incoming,
    Parted,
    Rejected,
    Ringing,
    TimedOut,
)
from tuner_sipbridge.call.ids import Credentials
from tuner_sipbridge.sip.message import Message, Request, Response
from tuner_sipbridge.testing.network import Conditions

Make = Callable[..., Any]
GOOD = Credentials("probe", "s3cret")


def is_response(status: int, method: str = "INVITE") -> Callable[[Message], bool]:
    return lambda message: (
        isinstance(message, Response) and (message.status, message.cseq.method) == (status, method)
    )


def is_request(method: str) -> Callable[[Message], bool]:
    return lambda message: isinstance(message, Request) and message.method == method


class TestAnsweredCalls:
    def test_the_caller_hangs_up(self, world: Make):
        call = world().dial()
        assert call.ladder == ["INVITE", "180 INVITE", "200 INVITE", "ACK", "BYE", "200 BYE"]
        assert [type(event) for event in call.caller.happened] == [Ringing, Answered, Ended, Parted]
        assert [type(event) for event in call.agent.happened] == [Incoming, Answered, Ended]
        assert call.outcome == call.agent_outcome == Ended("caller")
        call.assert_at_rest()

    def test_the_agent_hangs_up(self, world: Make):
        call = world(agent_hangs_up_after_s=3.0, caller_hangs_up_after_s=None).dial()
        assert call.outcome == call.agent_outcome == Ended("agent")
        assert call.sent(by_caller=True) == ["INVITE", "ACK", "200 BYE"]
        call.assert_at_rest()

    def test_both_hang_up_at_once(self, world: Make):
        call = world(agent_hangs_up_after_s=3.0, caller_hangs_up_after_s=2.97).dial()
        assert call.ladder[-4:] == ["BYE", "BYE", "200 BYE", "200 BYE"]
        assert (call.outcome, call.agent_outcome) == (Ended("caller"), Ended("agent"))
        call.assert_at_rest()

    def test_a_slow_agent_says_trying(self, world: Make):
        call = world(ring_after_s=None, answer_after_s=40.0).dial()
        assert call.ladder[:3] == ["INVITE", "100 INVITE", "200 INVITE"]
        assert isinstance(call.outcome, Ended)
        call.assert_at_rest()

    def test_media_is_agreed_on_by_both(self, world: Make):
        call = world().dial()
        caller_side = next(event for event in call.caller.happened if isinstance(event, Answered))
        agent_side = next(event for event in call.agent.happened if isinstance(event, Answered))
        assert caller_side.negotiated.remote == ("192.0.2.2", 50000)
        assert agent_side.negotiated.remote == ("192.0.2.1", 40000)
        assert caller_side.negotiated.codec == agent_side.negotiated.codec == "PCMU"


class TestLostMessages:
    def test_a_lost_200_is_repeated_and_each_copy_acknowledged(self, world: Make):
        call = world()
        call.network.lose(is_response(200), times=2)
        call.dial()
        assert call.sent(by_caller=False).count("200 INVITE") == 3
        assert call.sent(by_caller=True).count("ACK") == 1
        assert call.outcome == Ended("caller")
        call.assert_at_rest()

    def test_a_lost_ack_is_sent_again_for_each_repeated_200(self, world: Make):
        call = world()
        call.network.lose(is_request("ACK"), times=2)
        call.dial()
        acks = call.requests("ACK")
        assert len(acks) == 3
        assert len({ack.via.branch for ack in acks}) == 1
        assert acks[0].via.branch != call.requests("INVITE")[0].via.branch
        call.assert_at_rest()

    def test_an_agent_that_never_sees_an_ack_gives_up(self, world: Make):
        call = world(caller_hangs_up_after_s=None)
        call.network.lose(is_request("ACK"), times=100)
        call.dial()
        assert isinstance(call.agent_outcome, Ended)
        assert call.agent_outcome.by == "network"
        assert call.outcome == Ended("agent")
        call.assert_at_rest()

    def test_an_agent_that_hangs_up_before_the_ack_waits_for_it(self, world: Make):
        call = world(agent_hangs_up_after_s=0.001, caller_hangs_up_after_s=None)
        call.network.lose(is_request("ACK"), times=1)
        call.dial()
        names = call.ladder
        assert names.index("BYE") > len(names) - 1 - names[::-1].index("ACK")
        assert call.outcome == Ended("agent")
        call.assert_at_rest()

    def test_a_peer_that_is_gone_does_not_keep_the_hang_up_open(self, world: Make):
        call = world()
        call.network.lose(is_request("BYE"), times=100)
        call.dial()
        assert call.sent(by_caller=True).count("BYE") == 11
        assert call.call.finished
        assert call.outcome == Ended("caller")


class TestAuthentication:
    @pytest.mark.parametrize("algorithm", ["MD5", "SHA-256"])
    def test_a_challenge_is_answered_and_nothing_else_changes(self, world: Make, algorithm: str):
        call = world(password_asked=GOOD, credentials=GOOD, algorithm=algorithm).dial()
        assert call.ladder[:4] == ["INVITE", "407 INVITE", "ACK", "INVITE"]
        first, second = call.requests("INVITE")
        assert first.call_id == second.call_id
        assert first.from_.tag == second.from_.tag
        assert first.body == second.body
        assert (first.cseq.number, second.cseq.number) == (1, 2)
        assert first.via.branch != second.via.branch
        assert "Proxy-Authorization" in second.headers
        for name in ("X-Correlation-Id", "X-CID"):
            assert first.headers.get(name) == second.headers.get(name)
        ack = call.requests("ACK")[-1]
        assert ack.headers.get("Proxy-Authorization") == second.headers.get("Proxy-Authorization")
        assert call.outcome == Ended("caller")
        call.assert_at_rest()

    def test_a_wrong_password_is_refused_in_plain_words(self, world: Make):
        call = world(password_asked=GOOD, credentials=Credentials("probe", "wrong")).dial()
        assert call.outcome == AuthenticationRefused(
            407,
            "agents",
            '407 again after credentials were sent (realm "agents"):'
            " the far end does not accept this user name and password",
            "Proxy Authentication Required",
        )
        assert call.agent.happened == []
        assert call.sent(by_caller=True) == ["INVITE", "ACK", "INVITE", "ACK"]
        call.assert_at_rest()

    def test_without_credentials_the_challenge_is_explained(self, world: Make):
        call = world(password_asked=GOOD).dial()
        assert isinstance(call.outcome, AuthenticationRefused)
        assert "give it credentials" in call.outcome.text
        assert call.sent(by_caller=True) == ["INVITE", "ACK"]
        call.assert_at_rest()

    def test_lost_challenges_and_acks_are_repaired(self, world: Make):
        call = world(password_asked=GOOD, credentials=GOOD)
        call.network.lose(is_response(407), times=2)
        call.network.lose(is_request("ACK"), times=1)
        call.dial()
        assert call.outcome == Ended("caller")
        call.assert_at_rest()


class TestGivingUp:
    def test_cancel_while_it_rings(self, world: Make):
        call = world(answer_after_s=None, caller_cancels_after_s=3.0).dial()
        assert call.ladder == ["INVITE", "180 INVITE", "CANCEL", "200 CANCEL", "487 INVITE", "ACK"]
        cancel, invite = call.requests("CANCEL")[0], call.requests("INVITE")[0]
        assert (cancel.via, cancel.uri, cancel.cseq.number) == (invite.via, invite.uri, 1)
        assert (call.outcome, call.agent_outcome) == (Cancelled(), Cancelled())
        call.assert_at_rest()

    def test_cancel_waits_for_a_provisional_response(self, world: Make):
        call = world(ring_after_s=0.3, answer_after_s=None, caller_cancels_after_s=0.01).dial()
        names = call.ladder
        assert names.index("CANCEL") > names.index("100 INVITE")
        assert call.outcome == Cancelled()
        call.assert_at_rest()

    def test_a_200_that_crosses_the_cancel_is_acknowledged_and_hung_up(self, world: Make):
        # One way takes 20 ms: the 200 leaves at 1.02 s, the CANCEL at 1.03 s.
        call = world(answer_after_s=1.0, caller_cancels_after_s=1.03).dial()
        assert call.sent(by_caller=True) == ["INVITE", "CANCEL", "ACK", "BYE"]
        assert call.outcome == Cancelled()
        assert call.agent_outcome == Ended("caller")
        call.assert_at_rest()

    def test_the_ring_timeout_cancels(self, world: Make):
        call = world(answer_after_s=None, ring_timeout_s=20.0).dial()
        assert isinstance(call.outcome, TimedOut)
        assert call.outcome.stage == "ringing"
        assert call.caller.events[-1][0] == pytest.approx(1020.0)
        assert call.agent_outcome == Cancelled('SIP;cause=408;text="nobody answered in time"')
        call.assert_at_rest()

    def test_an_agent_that_ignores_the_cancel_is_not_waited_for(self, world: Make):
        call = world(answer_after_s=None, ring_timeout_s=20.0)
        call.network.lose(is_request("CANCEL"), times=100)
        call.dial()
        assert call.call.finished
        assert isinstance(call.outcome, TimedOut)

    def test_nobody_there(self, world: Make):
        call = world()
        call.network.lose(is_request("INVITE"), times=100)
        call.dial()
        assert isinstance(call.outcome, TimedOut)
        assert call.outcome.stage == "no response"
        assert call.ladder == ["INVITE"] * 7
        assert call.caller.events[-1][0] == 1032.0
        call.assert_at_rest()

    def test_a_short_ring_timeout_tells_silence_from_ringing(self, world: Make):
        call = world(ring_timeout_s=5.0)
        call.network.lose(is_request("INVITE"), times=100)
        call.dial()
        assert isinstance(call.outcome, TimedOut)
        assert call.outcome.stage == "no response"
        assert call.caller.events[-1][0] == 1005.0
        assert call.requests("CANCEL") == []
        call.assert_at_rest()

    def test_busy(self, world: Make):
        call = world(reject_with=486).dial()
        assert call.outcome == Rejected(486, "Busy Here", "486 Busy Here: the far end is busy")
        assert call.ladder == ["INVITE", "180 INVITE", "486 INVITE", "ACK"]
        call.assert_at_rest()


class TestOverTcp:
    def test_nothing_is_repeated_and_both_are_done_at_once(self, world: Make):
        call = world(
            transport="tcp", password_asked=GOOD, credentials=GOOD, conditions=Conditions(loss=0.9)
        ).dial()
        assert call.ladder == [
            *("INVITE", "407 INVITE", "ACK", "INVITE", "180 INVITE", "200 INVITE", "ACK"),
            *("BYE", "200 BYE"),
        ]
        assert {sent.destination.transport for sent in call.network.sent} == {"tcp"}
        call.assert_at_rest()

    def test_a_call_with_a_long_invite_goes_over_tcp_as_a_whole(self, world: Make):
        call = world(headers=(("X-Context", "x" * 1300),), conditions=Conditions(loss=0.9)).dial()
        assert call.outcome == call.agent_outcome == Ended("caller")
        assert {sent.destination.transport for sent in call.network.sent} == {"tcp"}
        call.assert_at_rest()
