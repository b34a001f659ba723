"""A registration as a pure machine, against a registrar that says exactly what a test wants."""

from __future__ import annotations

from typing import Any

import pytest

from tuner_sipbridge.call.ids import Credentials
from tuner_sipbridge.call.registration import Registered, Registration, RegistrationFailed, Unregistered
from tuner_sipbridge.errors import LocalProtocolError
from tuner_sipbridge.sip.digest import authorization_fields, verify
from tuner_sipbridge.sip.message import Request, response_to
from tuner_sipbridge.sip.routing import Hop
from tuner_sipbridge.sip.uri import Uri
from tuner_sipbridge.testing.network import CountedIds


class Edge:
    """Runs a registration by hand; what it sends and tells is kept."""

    def __init__(self, **options: Any) -> None:
        self.registration = Registration(
            Uri.parse("sip:edge.example"),
            address_of_record=Uri.parse("sip:probe@edge.example"),
            local=("10.0.0.1", 5060),
            ids=CountedIds("us"),
            sip_call_id="reg-1",
            **{"credentials": Credentials("probe", "s3cret"), **options},
        )
        self.now = 0.0
        self.sent: list[Request] = []
        self.happened: list[Any] = []
        self.registration.start(now=0.0)
        self.collect()

    def collect(self) -> None:
        self.sent += [message for message, _ in self.registration.outgoing() if isinstance(message, Request)]
        self.happened += self.registration.events()

    def reply(self, status: int, *headers: tuple[str, str]) -> None:
        response = response_to(self.sent[-1], status, to_tag="edge", headers=headers)
        self.registration.receive(response, now=self.now)
        self.collect()

    def wait(self, seconds: float) -> None:
        end = self.now + seconds
        while (deadline := self.registration.next_deadline()) is not None and deadline <= end:
            self.now = max(self.now, deadline)
            self.registration.handle_timer(now=self.now)
            self.collect()
        self.now = end

    def lose(self, hop: Hop) -> None:
        self.registration.unreachable(hop, "the far end closed the connection", now=self.now, again=True)
        self.collect()

    def stop(self) -> None:
        self.registration.stop(now=self.now)
        self.collect()

    @property
    def tries(self) -> int:
        """How many requests went out, repeats not counted."""
        return len({request.cseq.number for request in self.sent})


def grant(edge: Edge, seconds: int = 600) -> None:
    edge.reply(200, ("Contact", f"<sip:probe@10.0.0.1:5060>;expires={seconds}"))


def test_asks_and_is_registered():
    edge = Edge()
    [request] = edge.sent
    assert request.start_line == "REGISTER sip:edge.example SIP/2.0"
    assert str(request.to) == "<sip:probe@edge.example>"
    assert str(request.contact) == "<sip:probe@10.0.0.1:5060>"
    assert request.headers.get("Expires") == "3600"
    grant(edge)
    assert edge.happened == [Registered(600)]
    assert edge.registration.registered


def test_answers_the_challenge_and_goes_on_with_the_nonce():
    edge = Edge()
    edge.reply(401, ("WWW-Authenticate", 'Digest realm="edge", nonce="n1", qop="auth"'))
    value = edge.sent[-1].headers.get("Authorization") or ""
    assert verify(value, username="probe", password="s3cret", method="REGISTER", nonce="n1")
    assert (edge.sent[-1].call_id, edge.sent[-1].cseq.number) == ("reg-1", 2)
    grant(edge)
    edge.wait(541.0)
    again = edge.sent[-1]
    assert again.cseq.number == 3
    assert authorization_fields(again.headers.get("Authorization") or "")["nc"] == "00000002"
    edge.reply(401, ("WWW-Authenticate", 'Digest realm="edge", nonce="n2", qop="auth", stale=true'))
    grant(edge)
    assert edge.happened == [Registered(600), Registered(600)]


def test_refreshes_before_the_time_is_over():
    edge = Edge()
    grant(edge, 600)
    edge.wait(539.0)
    assert edge.tries == 1
    edge.wait(2.0)
    assert edge.tries == 2
    grant(edge, 20)
    edge.wait(10.0)
    assert edge.tries == 3


def test_the_registrars_own_word_for_our_contact_counts():
    edge = Edge()
    edge.reply(
        200,
        ("Contact", "<sip:other@10.9.9.9>;expires=7200, <sip:probe@10.0.0.1:5060;ob>;expires=120"),
        ("Expires", "3600"),
    )
    assert edge.happened == [Registered(120)]
    plain = Edge()
    plain.reply(200, ("Expires", "300"))
    assert plain.happened == [Registered(300)]


def test_a_time_that_is_too_short_is_lengthened_once():
    edge = Edge(expires_s=60)
    edge.reply(423, ("Min-Expires", "1800"))
    assert edge.sent[-1].headers.get("Expires") == "1800"
    edge.reply(423, ("Min-Expires", "1800"))
    [failed] = edge.happened
    assert failed.status == 423
    assert failed.retried_in_s is None


def test_wrong_credentials_are_told_from_none():
    edge, without = Edge(), Edge(credentials=None)
    challenge = ("WWW-Authenticate", 'Digest realm="edge", nonce="n1"')
    edge.reply(401, challenge)
    edge.reply(401, challenge)
    without.reply(401, challenge)
    assert edge.happened[-1].problem == "wrong credentials"
    assert without.happened[-1].problem == "no credentials"
    for one in (edge, without):
        assert one.happened[-1].retried_in_s is None
        one.wait(4000.0)
    assert (edge.tries, without.tries) == (2, 1)


@pytest.mark.parametrize(("status", "again"), [(503, True), (408, True), (403, False), (404, False)])
def test_what_may_pass_is_tried_again(status: int, again: bool):
    edge = Edge()
    edge.reply(status)
    [failed] = edge.happened
    assert isinstance(failed, RegistrationFailed)
    edge.wait(60.0)
    assert edge.tries == (2 if again else 1)


def test_the_pause_is_the_registrars_and_else_grows():
    edge = Edge()
    edge.reply(503, ("Retry-After", "7"))
    assert edge.happened[-1].retried_in_s == 7
    edge.wait(7.0)
    edge.reply(503)
    assert 60.0 <= edge.happened[-1].retried_in_s <= 120.0


def test_a_silent_registrar_is_tried_again():
    edge = Edge()
    edge.wait(32.0)
    [failed] = edge.happened
    assert (failed.status, failed.text) == (0, "the registrar did not answer")
    assert 30.0 <= failed.retried_in_s <= 60.0
    edge.wait(failed.retried_in_s)
    assert edge.tries == 2


def test_a_lost_connection_is_made_anew_at_once_and_then_more_slowly():
    to = Hop("tcp", "192.0.2.1", 5060)
    edge = Edge(transport="tcp", to=to)
    grant(edge)
    edge.wait(40.0)
    edge.lose(Hop("tcp", "192.0.2.2", 5060))
    edge.wait(1.0)
    assert edge.tries == 1
    edge.lose(to)
    edge.wait(0.0)
    assert edge.tries == 2
    grant(edge)
    edge.wait(1.0)
    edge.lose(to)
    edge.wait(29.0)
    assert edge.tries == 2
    edge.wait(31.0)
    assert edge.tries == 3


def test_over_udp_no_connection_is_lost():
    edge = Edge()
    grant(edge)
    edge.lose(Hop("udp", "edge.example", 5060))
    edge.wait(100.0)
    assert edge.tries == 1


class TestTheEnd:
    def test_the_contact_is_withdrawn(self):
        edge = Edge()
        grant(edge)
        edge.stop()
        assert edge.sent[-1].headers.get("Expires") == "0"
        assert edge.sent[-1].contact is not None
        edge.reply(200)
        assert edge.happened[-1] == Unregistered()
        edge.wait(100.0)
        assert edge.registration.finished
        assert edge.registration.next_deadline() is None

    def test_while_a_request_is_under_way_it_is_waited_for(self):
        edge = Edge()
        edge.stop()
        assert edge.tries == 1
        grant(edge)
        assert edge.sent[-1].headers.get("Expires") == "0"
        edge.reply(200)
        assert edge.happened[-1] == Unregistered()

    def test_without_a_registration_there_is_nothing_to_withdraw(self):
        edge = Edge()
        edge.reply(403)
        edge.stop()
        assert edge.happened[-1] == Unregistered()
        assert edge.tries == 1

    def test_a_registrar_that_is_gone_is_not_waited_for_long(self):
        edge = Edge()
        grant(edge)
        edge.stop()
        edge.wait(40.0)
        assert edge.happened[-1] == Unregistered(confirmed=False)
        assert edge.registration.finished


def test_what_cannot_be_registered_is_refused():
    with pytest.raises(LocalProtocolError, match="two SIP URIs"):
        Edge(expires_s=0)
