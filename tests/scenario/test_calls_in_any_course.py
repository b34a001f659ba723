"""Whatever users and a network do in whatever order: calls end once, agree on how, and leave nothing behind."""

from __future__ import annotations

import contextlib
import os

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from tuner_sipbridge.call.challenge import Challenger
from tuner_sipbridge.call.events import (
    CLOSING_EVENTS,
    Answered,
    CallEvent,
    EarlyMedia,
    Ended,
    Renegotiated,
    TransferProgress,
    TransferRequested,
)
from tuner_sipbridge.call.extensions import Extensions, Reliability, Side
from tuner_sipbridge.call.ids import Credentials
from tuner_sipbridge.call.inbound import InboundCall
from tuner_sipbridge.call.outbound import OutboundCall
from tuner_sipbridge.errors import LocalProtocolError
from tuner_sipbridge.sdp.negotiation import Negotiated, make_offer
from tuner_sipbridge.sip.message import Request
from tuner_sipbridge.sip.routing import Hop, Transport
from tuner_sipbridge.sip.uri import Uri
from tuner_sipbridge.testing.network import Conditions, CountedIds, Fate, Machine, Node, VirtualNetwork

from .challenging_gate import ChallengingGate
from .third_party import Manner, ThirdParty, add_in_order

GOOD = Credentials("probe", "s3cret")
SHARES = st.sampled_from([0.0, 0.0, 0.1, 0.3])
WAITS_S = st.sampled_from([0.0, 0.005, 0.03, 0.3, 1.0, 5.0, 31.0, 100.0])
SIDES: st.SearchStrategy[Side | None] = st.sampled_from([None, "us", "peer"])
INTERVALS_S = st.sampled_from([(None, 90), (90, 90), (90, 90), (300, 200), (1800, 90), (1800, 600)])
"""Session interval, and the least that is agreed to: 422 where those of the ends do not fit."""


def terms(
    intervals_s: tuple[int | None, int], refresher: Side | None, reliable: Reliability, refer: bool
) -> Extensions:
    interval_s, least_s = intervals_s
    return Extensions(interval_s, least_s, refresher if interval_s else None, reliable, refer)


TERMS = st.builds(
    terms,
    intervals_s=INTERVALS_S,
    refresher=SIDES,
    reliable=st.sampled_from(["supported", "supported", "supported", "no", "required"]),
    refer=st.sampled_from([True, True, False]),
)
"""Mostly what leaves both ends something to do; `reliable` of both may not fit, and the call is refused."""
CALLERS = st.sampled_from([True, False])


class Calls(RuleBasedStateMachine):
    """One call from a caller to an agent, who may send it on to a second agent."""

    @initialize(
        loss=st.sampled_from([0.0, 0.0, 0.1, 0.2, 0.3]),
        begun=st.sampled_from(
            ["answered", "answered", "transferring", "consulting", "early media", "dialled"]
        ),
        duplication=SHARES,
        reordering=SHARES,
        seed=st.integers(0, 2**16),
        transport=st.sampled_from(["udp", "udp", "udp", "tcp", "tls"]),
        terms=st.tuples(TERMS, TERMS),
        asked=st.tuples(CALLERS, CALLERS),
        late_offer=CALLERS,
        ring_timeout_s=st.sampled_from([10.0, 60.0]),
        third=st.sampled_from(["answers", "answers", "rings", "is busy"]),
        follows=CALLERS,
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
        third: Manner,
        follows: bool,
    ) -> None:
        self.network = VirtualNetwork(Conditions(loss, duplication, reordering), seed=seed)
        self.network.gate = ChallengingGate(GOOD) if asked[0] else None
        self.asks, self.agent_terms, self.transport = asked[1], terms[1], transport
        self.both_know_timers = all(each.session_interval_s for each in terms)
        self.cut, self.follows = False, follows
        self.third = ThirdParty(self.network, terms[1], transport, third, GOOD, asked[1])
        self.consults: dict[bool, OutboundCall] = {}
        self.transfers: dict[int, int] = {}
        self.happened: dict[int, list[CallEvent]] = {}
        self.taken: list[tuple[Node, InboundCall]] = []
        self.agents = [
            self.network.node(host, answer=self._taker(number), react=self._see)
            for number, host in enumerate(("agent.example", "second.example"))
        ]
        self.caller = self.network.node("caller.example", react=self._see)
        self.call = OutboundCall(
            Uri.parse(f"sip:agent@agent.example:5060;transport={transport}"),
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
        elif begun != "dialled" and self.undecided:
            self.accept()
            self.network.run(for_s=2.0)
        if begun in ("consulting", "transferring") and self.open and self.answered:
            self.consult(by_caller=late_offer)
            self.network.run(for_s=1.0)
            if begun == "transferring":
                self.transfer(by_caller=late_offer, reported=True, attended=follows)

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
        if self.third.knows(machine):
            self.third.see(machine, event, now)
            return
        happened = self.happened[id(machine)]
        add_in_order(happened, event)
        if self.follows and isinstance(event, TransferRequested):
            assert isinstance(machine, OutboundCall | InboundCall)
            node = self.caller if machine is self.call else self.taken[-1][0]
            self.third.follow(node, machine, event)

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
        contact = ("Contact", f"<sip:agent@second.example:5060;transport={self.transport}>")
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

    @rule(by_caller=CALLERS)
    @precondition(lambda self: self.open and self.answered and len(self.consults) < 2)
    def consult(self, by_caller: bool) -> None:
        node, _ = self._end(by_caller)
        self.consults[by_caller] = self.third.place(node)

    @rule(by_caller=CALLERS)
    @precondition(lambda self: self.consults)
    def end_consultation(self, by_caller: bool) -> None:
        if (consult := self.consults.get(by_caller)) is not None:
            consult.hang_up(now=self.network.now)
            self.network.drain(self._end(by_caller)[0], consult)

    @rule(by_caller=CALLERS, reported=CALLERS, attended=CALLERS)
    @precondition(lambda self: self.open and self.answered)
    def transfer(self, by_caller: bool, reported: bool, attended: bool) -> None:
        node, call = self._end(by_caller)
        consult = self.consults.get(by_caller) if attended else None
        replaces = consult.replaces_for_peer if consult is not None else None
        count = len(self.network.sent)
        with contextlib.suppress(LocalProtocolError):
            call.transfer(self.third.uri, now=self.network.now, replaces=replaces, reported=reported)
        self.network.drain(node, call)
        asked = any(
            isinstance(sent.message, Request) and sent.message.method == "REFER"
            for sent in self.network.sent[count:]
        )
        self.transfers[id(call)] = self.transfers.get(id(call), 0) + asked

    @rule(by_caller=CALLERS, status=st.sampled_from([180, 200, 486]))
    @precondition(lambda self: self.open and self._has(TransferRequested) and not self.follows)
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
        for call, events in self._all_ends():
            assert call.finished, self._story()
            assert call.next_deadline() is None, self._story()
            assert call.outgoing() == [], self._story()
            closings = sum(isinstance(event, CLOSING_EVENTS) for event in events)
            # A caller that never came back with credentials is nobody's call.
            assert closings == (1 if events else 0), self._story()
            told = sum(isinstance(event, TransferProgress) and event.final for event in events)
            assert told == self.transfers.get(id(call), 0), self._story()
        assert self.happened[id(self.call)], self._story()
        if spared:
            self._assert_same_end()

    def _hang_up_all(self) -> None:
        ends: list[tuple[Node, OutboundCall | InboundCall]] = [(self.caller, self.call), *self.taken]
        for node, call in [*ends, *self.third.ends]:
            if not call.finished:
                call.hang_up(now=self.network.now)
                self.network.drain(node, call)
                self.network.run(for_s=200.0)
        for node, call in [*self.taken, *self.third.ends]:
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
            if self.both_know_timers:
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
        # An agent that hangs up before the answer to its late offer has stood for its caller alone.
        stood = [events for events in agents if any(isinstance(event, Answered | Ended) for event in events)]
        assert len(stood) <= 1, self._story()
        if any(isinstance(event, Answered) for event in caller):
            assert len(stood) == 1, self._story()
            ends = [event.by for event in (*caller, *stood[0]) if isinstance(event, Ended)]
            # Also where the 481 to what came after a BYE overtook the BYE (RFC 5407 §3.3).
            assert ends in (["caller", "caller"], ["agent", "agent"], ["caller", "agent"]), self._story()

    def _ends(self) -> list[tuple[OutboundCall | InboundCall, list[CallEvent]]]:
        calls = [self.call, *(call for _, call in self.taken)]
        return [(call, self.happened[id(call)]) for call in calls]

    def _all_ends(self) -> list[tuple[OutboundCall | InboundCall, list[CallEvent]]]:
        return [*self._ends(), *((call, self.third.happened[id(call)]) for _, call in self.third.ends)]

    def _story(self) -> str:
        ladder = [str(sent) for sent in self.network.sent]
        events = [
            f"{at:9.3f} {node.address[0]} {event}"
            for node in (self.caller, *self.agents, self.third.node)
            for at, event in node.events
        ]
        return "\n".join([*ladder, *events])


TestCalls = Calls.TestCase
EXAMPLES = int(os.environ.get("TUNER_SCENARIO_EXAMPLES", "0"))
"""For a long run by hand: so many courses, others each time."""
TestCalls.settings = settings(
    max_examples=EXAMPLES or 100, stateful_step_count=20, deadline=None, derandomize=not EXAMPLES
)
