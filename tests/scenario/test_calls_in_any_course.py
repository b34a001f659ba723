"""Whatever users and a network do in whatever order: calls end once, agree on how, and leave nothing behind."""

from __future__ import annotations

import contextlib

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from tuner_sipbridge.call.challenge import Challenged, Challenger
from tuner_sipbridge.call.events import (
    CLOSING_EVENTS,
    Answered,
    CallEvent,
    EarlyMedia,
    Ended,
    Renegotiated,
    TransferRequested,
)
from tuner_sipbridge.call.extensions import Extensions, Side
from tuner_sipbridge.call.ids import Credentials
from tuner_sipbridge.call.inbound import InboundCall
from tuner_sipbridge.call.outbound import OutboundCall
from tuner_sipbridge.call.replies import Reply
from tuner_sipbridge.errors import LocalProtocolError
from tuner_sipbridge.sdp.negotiation import Negotiated, make_offer
from tuner_sipbridge.sip.message import Request, Response
from tuner_sipbridge.sip.routing import Hop, Transport
from tuner_sipbridge.sip.uri import Uri
from tuner_sipbridge.testing.network import Conditions, CountedIds, Fate, Machine, Node, VirtualNetwork

GOOD = Credentials("probe", "s3cret")
THIRD = Uri.parse("sip:third@elsewhere.example")
SHARES = st.sampled_from([0.0, 0.0, 0.1, 0.3])
WAITS_S = st.sampled_from([0.0, 0.005, 0.03, 0.3, 1.0, 5.0, 31.0, 100.0])
SIDES: st.SearchStrategy[Side | None] = st.sampled_from([None, "us", "peer"])
TERMS = st.builds(
    Extensions,
    session_interval_s=st.sampled_from([None, 90, 90, 1800]),
    refresher=SIDES,
    reliable=st.sampled_from(["supported", "supported", "supported", "no", "required"]),
    refer=st.sampled_from([True, True, False]),
)
"""Mostly what leaves both ends something to do; `reliable` of both may not fit, and the call is refused."""
CALLERS = st.sampled_from([True, False])


class ChallengingGate:
    """A proxy that asks for credentials in every request that may be challenged (RFC 3261 §22.3)."""

    def __init__(self) -> None:
        self._challenger = Challenger(GOOD, realm="gate")
        self._ids = CountedIds("gate")
        self._answers: dict[tuple[str | None, str], Response | None] = {}

    def __call__(self, request: Request) -> list[Response] | None:
        if request.method == "CANCEL":
            return None
        method = "INVITE" if request.method == "ACK" else request.method
        key = (request.via.branch, method)
        if request.method == "ACK":
            return [] if self._answers.get(key) else None
        if key not in self._answers:
            verdict = self._challenger.judge(request, nonce=self._ids.cnonce())
            asked = Reply(verdict.status, (verdict.header,)) if isinstance(verdict, Challenged) else None
            self._answers[key] = asked.to(request, tag="gate") if asked else None
        answer = self._answers[key]
        return None if answer is None else [answer]


class Calls(RuleBasedStateMachine):
    """One call from a caller to an agent, who may send it on to a second agent."""

    @initialize(
        loss=st.sampled_from([0.0, 0.0, 0.1, 0.2, 0.3]),
        begun=st.sampled_from(["answered", "answered", "answered", "early media", "dialled"]),
        duplication=SHARES,
        reordering=SHARES,
        seed=st.integers(0, 2**16),
        transport=st.sampled_from(["udp", "udp", "tcp"]),
        terms=st.tuples(TERMS, TERMS),
        asked=st.tuples(CALLERS, CALLERS),
        late_offer=CALLERS,
        ring_timeout_s=st.sampled_from([10.0, 60.0]),
    )
    def dial(
        self,
        loss: float,
        begun: str,
        duplication: float,
        reordering: float,
        seed: int,
        transport: Transport,
        terms: tuple[Extensions, Extensions],
        asked: tuple[bool, bool],
        late_offer: bool,
        ring_timeout_s: float,
    ) -> None:
        self.network = VirtualNetwork(Conditions(loss, duplication, reordering), seed=seed)
        self.network.gate = ChallengingGate() if asked[0] else None
        self.asks, self.agent_terms, self.transport = asked[1], terms[1], transport
        self.cut = False
        self.happened: dict[int, list[CallEvent]] = {}
        self.taken: list[tuple[Node, InboundCall]] = []
        self.agents = [
            self.network.node(host, answer=self._taker(number), react=self._see)
            for number, host in enumerate(("agent.example", "second.example"))
        ]
        self.caller = self.network.node("caller.example", react=self._see)
        self.call = OutboundCall(
            Uri.parse(f"sip:agent@agent.example;transport={transport}"),
            local=("caller.example", 5060),
            offer=make_offer("192.0.2.1", 40000, 7),
            sip_call_id="call-1",
            from_uri=Uri.parse("sip:caller@caller.example"),
            ids=CountedIds("caller"),
            credentials=GOOD,
            ring_timeout_s=ring_timeout_s,
            transport=transport,
            extensions=terms[0],
            late_offer=late_offer,
        )
        self.happened[id(self.call)] = []
        self.call.start(now=self.network.now)
        self.network.add(self.caller, self.call)
        if begun != "dialled":
            self.network.run(for_s=2.0)
        if begun == "early media" and self.undecided:
            self.send_early_media()
        elif begun == "answered" and self.undecided:
            self.accept()
            self.network.run(for_s=2.0)

    def _taker(self, number: int):
        def take(invite: Request, now: float, source: Hop) -> Machine:
            node = self.agents[number]
            call = InboundCall(
                invite,
                now=now,
                local=node.address,
                ids=CountedIds(f"agent{len(self.taken)}"),
                source=source,
                challenger=Challenger(GOOD, realm="agents") if self.asks else None,
                extensions=self.agent_terms,
                credentials=GOOD,
            )
            self.taken.append((node, call))
            self.happened[id(call)] = []
            return call

        return take

    def _see(self, machine: Machine, event: CallEvent, now: float) -> None:
        del now
        happened = self.happened[id(machine)]
        assert not any(isinstance(before, CLOSING_EVENTS) for before in happened), (happened, event)
        happened.append(event)

    @rule(status=st.sampled_from([180, 180, 183]))
    @precondition(lambda self: self.undecided)
    def ring(self, status: int) -> None:
        node, call = self.taken[-1]
        call.ring(now=self.network.now, status=status)
        self.network.drain(node, call)

    @rule()
    @precondition(lambda self: self.undecided)
    def send_early_media(self) -> None:
        node, call = self.taken[-1]
        call.begin_media(now=self.network.now, address="192.0.2.2", port=50000)
        self.network.drain(node, call)

    @rule()
    @precondition(lambda self: self.undecided)
    def accept(self) -> None:
        node, call = self.taken[-1]
        call.accept(now=self.network.now, address="192.0.2.2", port=50000)
        self.network.drain(node, call)

    @rule(status=st.sampled_from([486, 503, 603]), redirect=CALLERS)
    @precondition(lambda self: self.undecided)
    def reject(self, status: int, redirect: bool) -> None:
        node, call = self.taken[-1]
        contact = ("Contact", f"<sip:agent@second.example;transport={self.transport}>")
        call.reject(302 if redirect else status, now=self.network.now, headers=[contact] if redirect else [])
        self.network.drain(node, call)

    @rule()
    @precondition(lambda self: self.open and not self.answered)
    def cancel(self) -> None:
        self.call.cancel(now=self.network.now)
        self.network.drain(self.caller, self.call)

    @rule(by_caller=CALLERS)
    @precondition(lambda self: self.open and self.taken)
    def hang_up(self, by_caller: bool) -> None:
        node, call = self._end(by_caller)
        call.hang_up(now=self.network.now)
        self.network.drain(node, call)

    @rule(by_caller=CALLERS, what=st.sampled_from(["hold", "resume", "refresh"]))
    @precondition(lambda self: self.open and self.answered)
    def change(self, by_caller: bool, what: str) -> None:
        node, call = self._end(by_caller)
        {"hold": call.hold, "resume": call.resume, "refresh": call.refresh}[what](now=self.network.now)
        self.network.drain(node, call)

    @rule(by_caller=CALLERS, digit=st.sampled_from("0#D"))
    @precondition(lambda self: self.open and self.answered)
    def press(self, by_caller: bool, digit: str) -> None:
        node, call = self._end(by_caller)
        call.send_digit_by_info(digit, now=self.network.now)
        self.network.drain(node, call)

    @rule(by_caller=CALLERS, reported=CALLERS)
    @precondition(lambda self: self.open and self.answered)
    def transfer(self, by_caller: bool, reported: bool) -> None:
        node, call = self._end(by_caller)
        with contextlib.suppress(LocalProtocolError):
            call.transfer(THIRD, now=self.network.now, reported=reported)
        self.network.drain(node, call)

    @rule(by_caller=CALLERS, status=st.sampled_from([180, 200, 486]))
    @precondition(lambda self: self.open and self._has(TransferRequested))
    def report(self, by_caller: bool, status: int) -> None:
        node, call = self._end(by_caller)
        call.report_transfer(status, now=self.network.now)
        self.network.drain(node, call)

    @rule(fate=st.sampled_from(["lost", "doubled", "late"]), times=st.integers(1, 8))
    def disturb(self, fate: Fate, times: int) -> None:
        self.network.disturb(fate, times=times)

    @rule(for_s=st.sampled_from([0.0, 1.0, 10.0, 40.0, 200.0]))
    def interrupt(self, for_s: float) -> None:
        self.cut = True
        self.network.interrupt(for_s=for_s)

    @rule(for_s=WAITS_S)
    def wait(self, for_s: float) -> None:
        self.network.run(for_s=for_s)

    def _end(self, by_caller: bool) -> tuple[Node, OutboundCall | InboundCall]:
        return (self.caller, self.call) if by_caller else self.taken[-1]

    def _has(self, kind: type) -> bool:
        return any(isinstance(event, kind) for events in self.happened.values() for event in events)

    @property
    def open(self) -> bool:
        return not any(isinstance(event, CLOSING_EVENTS) for event in self.happened[id(self.call)])

    @property
    def answered(self) -> bool:
        return self._has(Answered)

    @property
    def undecided(self) -> bool:
        return bool(self.taken) and not any(
            isinstance(event, (Answered, *CLOSING_EVENTS)) for event in self.happened[id(self.taken[-1][1])]
        )

    def teardown(self) -> None:
        if not hasattr(self, "network"):
            return
        self.network.disturb("lost", times=0)
        self.network.run(for_s=400.0)
        spared = not self.cut and not any(sent.lost for sent in self.network.sent)
        if spared:
            self._assert_same_state()
        self._hang_up_all()
        for call, events in self._ends():
            assert call.finished, self._story()
            assert call.next_deadline() is None, self._story()
            assert call.outgoing() == [], self._story()
            closings = sum(isinstance(event, CLOSING_EVENTS) for event in events)
            # A caller that never came back with credentials is nobody's call.
            assert closings == (1 if events else 0), self._story()
        assert self.happened[id(self.call)], self._story()
        if spared:
            self._assert_same_end()

    def _hang_up_all(self) -> None:
        ends: list[tuple[Node, OutboundCall | InboundCall]] = [(self.caller, self.call), *self.taken]
        for node, call in ends:
            if not call.finished:
                call.hang_up(now=self.network.now)
                self.network.drain(node, call)
                self.network.run(for_s=200.0)
        for node, call in self.taken:
            if not call.finished:
                call.hang_up(now=self.network.now)
                self.network.drain(node, call)
        self.network.run()

    def _assert_same_state(self) -> None:
        """No packet was lost: both stand, or none, and what one sends is what the other takes."""
        caller = self._state(self.call)
        agent = self._state(self.taken[-1][1]) if self.taken else None
        assert (caller is None) == (agent is None), self._story()
        if caller is not None and agent is not None:
            assert (caller.send, caller.receive) == (agent.receive, agent.send), self._story()
            assert self.call.session_interval_s == self.taken[-1][1].session_interval_s, self._story()
            assert caller.remote == ("192.0.2.2", 50000), self._story()
            assert agent.remote == ("192.0.2.1", 40000), self._story()
            assert caller.codec == agent.codec, self._story()

    def _state(self, call: OutboundCall | InboundCall) -> Negotiated | None:
        """The session that stands; None when none does."""
        events = self.happened[id(call)]
        if any(isinstance(event, CLOSING_EVENTS) for event in events):
            return None
        if not any(isinstance(event, Answered) for event in events):
            return None
        agreed = [one.negotiated for one in events if isinstance(one, Answered | EarlyMedia | Renegotiated)]
        return agreed[-1]

    def _assert_same_end(self) -> None:
        """No packet was lost: both name who hung up, which both may have done at once."""
        caller = self.happened[id(self.call)]
        agents = [events for call, events in self._ends() if call is not self.call and events]
        stood = [events for events in agents if any(isinstance(event, Answered) for event in events)]
        assert len(stood) <= 1, self._story()
        if any(isinstance(event, Answered) for event in caller):
            assert len(stood) == 1, self._story()
            ends = [event.by for event in (caller[-1], stood[0][-1]) if isinstance(event, Ended)]
            # Also where the 481 to what came after a BYE overtook the BYE (RFC 5407 §3.3).
            assert ends in (["caller", "caller"], ["agent", "agent"], ["caller", "agent"]), self._story()

    def _ends(self) -> list[tuple[OutboundCall | InboundCall, list[CallEvent]]]:
        calls = [self.call, *(call for _, call in self.taken)]
        return [(call, self.happened[id(call)]) for call in calls]

    def _story(self) -> str:
        ladder = [str(sent) for sent in self.network.sent]
        events = [
            f"{at:9.3f} {node.address[0]} {event}"
            for node in (self.caller, *self.agents)
            for at, event in node.events
        ]
        return "\n".join([*ladder, *events])


TestCalls = Calls.TestCase
TestCalls.settings = settings(max_examples=100, stateful_step_count=20, deadline=None, derandomize=True)
