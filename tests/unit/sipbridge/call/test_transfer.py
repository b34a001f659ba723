"""REFER and NOTIFY: asked and asking, blind and attended (RFC 3515, RFC 3891, RFC 4488)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tuner_sipbridge.call.events import TransferProgress, TransferRequested
from tuner_sipbridge.call.extensions import Extensions
from tuner_sipbridge.errors import LocalProtocolError
from tuner_sipbridge.sip.replaces import Replaces
from tuner_sipbridge.sip.uri import Uri

Dial = Callable[..., Any]
Receive = Callable[..., Any]
Invite = Callable[..., Any]

THIRD = Uri.parse("sip:third@x.example")


@pytest.fixture
def standing(dial: Dial) -> Any:
    bench = dial()
    bench.answer()
    bench.happened.clear()
    return bench


def report(bench: Any, line: str, *, state: str = "active;expires=60", event: str = "refer") -> int:
    """A NOTIFY of the far end; gives the status of our answer."""
    bench.ask(
        "NOTIFY",
        f"Event: {event}",
        f"Subscription-State: {state}",
        "Content-Type: message/sipfrag;version=2.0",
        body=line.encode(),
    )
    return bench.responses[-1].status


class TestAsked:
    @pytest.mark.parametrize("status", [405, 480, 481, 489, 501])
    def test_a_report_that_nobody_takes_is_the_last(self, standing: Any, status: int):
        standing.ask("REFER", "Refer-To: <sip:third@x.example>")
        standing.reply(status, to=standing.requests[-1])
        standing.call.report_transfer(200, now=1.0)
        standing.collect()
        assert standing.names.count("NOTIFY") == 1
        standing.ask("REFER", "Refer-To: <sip:fourth@x.example>")
        assert standing.responses[-1].status == 202

    def test_a_blind_transfer_is_accepted_told_and_reported(self, standing: Any):
        standing.ask("REFER", "Refer-To: <sip:third@x.example>", "Referred-By: <sip:agent@far.example>")
        assert standing.responses[-1].status == 202
        [asked] = standing.happened
        assert asked == TransferRequested(
            "sip:third@x.example", (("Referred-By", "<sip:agent@far.example>"),), reports=True
        )
        first = standing.requests[-1]
        assert first.method == "NOTIFY"
        assert first.headers.get("Event") == "refer"
        assert (first.headers.get("Subscription-State") or "").startswith("active;expires=")
        assert first.content_type == "message/sipfrag"
        assert first.body == b"SIP/2.0 100 Trying\r\n"
        standing.reply(200, to=first)
        standing.call.report_transfer(180, now=1.0)
        standing.call.report_transfer(200, now=2.0)
        standing.call.report_transfer(200, now=3.0)
        standing.collect()
        later = [request for request in standing.requests if request.method == "NOTIFY"][1:]
        assert [one.body for one in later] == [b"SIP/2.0 180 Ringing\r\n", b"SIP/2.0 200 OK\r\n"]
        assert later[-1].headers.get("Subscription-State") == "terminated;reason=noresource"

    def test_the_202_goes_before_the_first_notify(self, standing: Any):
        standing.ask("REFER", "Refer-To: <sip:third@x.example>")
        assert standing.names[-2:] == ["202", "NOTIFY"]

    def test_an_attended_one_brings_the_call_that_is_replaced(self, standing: Any):
        escaped = "c-9%40x%3Bto-tag%3Da%3Bfrom-tag%3Db"
        standing.ask("REFER", f"Refer-To: <sip:third@x.example?Replaces={escaped}&Via=evil>")
        [asked] = standing.happened
        assert asked.headers == (("Replaces", "c-9@x;to-tag=a;from-tag=b"),)
        assert Replaces.parse(asked.headers[0][1]) == Replaces("c-9@x", "a", "b")

    def test_without_reports(self, standing: Any):
        standing.ask("REFER", "Refer-To: <sip:third@x.example>", "Refer-Sub: false")
        assert standing.responses[-1].status == 200
        assert standing.responses[-1].headers.get("Refer-Sub") == "false"
        assert not standing.happened[-1].reports
        standing.call.report_transfer(200, now=1.0)
        standing.collect()
        assert "NOTIFY" not in standing.names

    def test_a_second_one_names_the_first_by_its_number(self, standing: Any):
        standing.ask("REFER", "Refer-To: <sip:third@x.example>")
        standing.ask("REFER", "Refer-To: <sip:fourth@x.example>")
        assert standing.responses[-1].status == 491
        standing.call.report_transfer(486, now=1.0)
        standing.collect()
        standing.ask("REFER", "Refer-To: <sip:fourth@x.example>")
        assert standing.requests[-1].headers.get("Event") == f"refer;id={standing.number}"

    @pytest.mark.parametrize(
        ("headers", "status"),
        [
            ([], 400),
            (["Refer-To: <sip:a@x>", "Refer-To: <sip:b@x>"], 400),
            (["Refer-To: nonsense"], 400),
            (["Refer-To: <tel:+1555>"], 416),
            (["Refer-To: <sip:a@x;method=BYE>"], 501),
        ],
    )
    def test_what_cannot_be_followed_is_refused(self, standing: Any, headers: list[str], status: int):
        standing.ask("REFER", *headers)
        assert standing.responses[-1].status == status
        assert standing.happened == []
        assert "NOTIFY" not in standing.names

    def test_not_allowed(self, dial: Dial):
        bench = dial(extensions=Extensions(refer=False))
        bench.answer()
        bench.ask("REFER", "Refer-To: <sip:third@x.example>")
        assert bench.responses[-1].status == 603

    def test_a_subscription_that_the_far_end_forgot_is_not_the_call(self, standing: Any):
        standing.ask("REFER", "Refer-To: <sip:third@x.example>")
        standing.reply(481, to=standing.requests[-1])
        standing.ask("OPTIONS")
        assert standing.responses[-1].status == 200


class TestAsking:
    def test_a_blind_transfer_goes_through_to_the_end(self, standing: Any):
        standing.call.transfer(THIRD, now=1.0)
        standing.collect()
        refer = standing.requests[-1]
        assert (refer.method, refer.headers.get("Refer-To")) == ("REFER", "<sip:third@x.example>")
        assert refer.headers.get("Referred-By") == "<sip:caller@10.0.0.1>"
        assert refer.headers.get("Contact")
        standing.reply(202, to=refer)
        assert report(standing, "SIP/2.0 100 Trying\r\n") == 200
        assert report(standing, "SIP/2.0 180 Ringing\r\n") == 200
        assert report(standing, "SIP/2.0 200 OK\r\n", state="terminated;reason=noresource") == 200
        assert standing.happened == [
            TransferProgress(100, "Trying", final=False),
            TransferProgress(180, "Ringing", final=False),
            TransferProgress(200, "OK", final=True),
        ]
        assert report(standing, "SIP/2.0 200 OK\r\n") == 481

    def test_a_report_may_come_before_the_202(self, standing: Any):
        standing.call.transfer(THIRD, now=1.0)
        standing.collect()
        refer = standing.requests[-1]
        assert report(standing, "SIP/2.0 200 OK\r\n", state="terminated") == 200
        standing.reply(202, to=refer)
        assert standing.happened == [TransferProgress(200, "OK", final=True)]

    def test_refused(self, standing: Any):
        standing.call.transfer(THIRD, now=1.0)
        standing.collect()
        standing.reply(603, to=standing.requests[-1])
        assert standing.happened == [TransferProgress(603, "Decline", final=True)]
        standing.call.transfer(THIRD, now=2.0)

    def test_without_reports(self, standing: Any):
        standing.call.transfer(THIRD, now=1.0, reported=False)
        standing.collect()
        refer = standing.requests[-1]
        assert refer.headers.get("Refer-Sub") == "false"
        standing.reply(200, ("Refer-Sub", "false"), to=refer)
        assert standing.happened == [TransferProgress(200, "accepted, without reports", final=True)]

    def test_a_far_end_that_reports_nothing_is_not_waited_for(self, standing: Any):
        standing.call.transfer(THIRD, now=1.0)
        standing.collect()
        standing.reply(202, to=standing.requests[-1])
        standing.wait(121.0)
        assert standing.happened[-1].final

    def test_two_at_once_are_refused(self, standing: Any):
        standing.call.transfer(THIRD, now=1.0)
        with pytest.raises(LocalProtocolError, match="under way"):
            standing.call.transfer(THIRD, now=1.1)

    def test_goes_to_sip_only(self, standing: Any):
        with pytest.raises(LocalProtocolError, match="SIP URI"):
            standing.call.transfer(Uri.parse("tel:+1555"), now=1.0)

    def test_the_end_of_the_call_ends_it(self, standing: Any):
        standing.call.transfer(THIRD, now=1.0)
        standing.collect()
        standing.reply(202, to=standing.requests[-1])
        standing.ask("BYE")
        assert standing.happened[0].final
        standing.assert_at_rest()

    def test_an_attended_one_names_the_other_call_as_its_far_end_knows_it(self, standing: Any, dial: Dial):
        other = dial(sip_call_id="call-2")
        other.answer(tag="third")
        replaces = other.call.replaces_for_peer
        assert replaces == Replaces("call-2", "third", other.invite.from_.tag)
        standing.call.transfer(other.call.peer_uri, now=1.0, replaces=replaces)
        standing.collect()
        refer_to = standing.requests[-1].headers.get("Refer-To")
        assert refer_to == (
            f"<sip:bot@198.51.100.7:5080?Replaces=call-2%3Bto-tag%3Dthird%3Bfrom-tag%3D{replaces.from_tag}>"
        )


class TestReplaced:
    def test_an_invite_names_the_call_it_takes_the_place_of(self, receive: Receive, invite: Invite):
        held = receive()
        held.call.accept(now=0.0, address="10.0.0.1", port=40000)
        held.collect()
        replaces = f"call-1;to-tag={held.our_tag};from-tag=far"
        new = receive(invite(f"Replaces: {replaces}", "Require: replaces", branch="z9hG4bK-new"))
        assert new.call.replaces is not None
        objection = held.call.objection_to_replacement
        assert objection(new.call.replaces) is None
        assert objection(Replaces.parse("call-1;to-tag=x;from-tag=far")) == 481
        assert objection(Replaces.parse(f"{replaces};early-only")) == 486
        held.call.hang_up(now=1.0)
        assert objection(new.call.replaces) == 603

    def test_one_that_we_have_not_answered_is_not_replaced(self, receive: Receive):
        held = receive()
        held.call.ring(now=0.0)
        held.collect()
        replaces = Replaces("call-1", held.our_tag, "far", early_only=True)
        assert held.call.objection_to_replacement(replaces) == 481

    @pytest.mark.parametrize("value", ["call-1", "call-1;to-tag=a", ";to-tag=a;from-tag=b"])
    def test_one_that_cannot_be_read_is_refused(self, receive: Receive, invite: Invite, value: str):
        assert receive(invite(f"Replaces: {value}")).names == ["400"]
