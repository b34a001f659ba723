"""Whole calls between our own two halves over a virtual network."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

import pytest

from tuner_sipbridge.call.challenge import Challenger
from tuner_sipbridge.call.events import CLOSING_EVENTS, Answered, CallEvent, Incoming
from tuner_sipbridge.call.ids import Credentials
from tuner_sipbridge.call.inbound import InboundCall
from tuner_sipbridge.call.outbound import OutboundCall
from tuner_sipbridge.sdp.negotiation import make_offer
from tuner_sipbridge.sip.message import Message, Request, Response
from tuner_sipbridge.sip.routing import Hop, Transport
from tuner_sipbridge.sip.uri import Uri
from tuner_sipbridge.testing.network import Conditions, CountedIds, Machine, VirtualNetwork

GOOD = Credentials("probe", "s3cret")


@dataclass(frozen=True)
class Script:
    """What the two parties do; None is never."""

    ring_after_s: float | None = 0.1
    answer_after_s: float | None = 1.0
    reject_with: int | None = None
    agent_hangs_up_after_s: float | None = None
    caller_hangs_up_after_s: float | None = 5.0
    caller_cancels_after_s: float | None = None
    ring_timeout_s: float = 60.0
    password_asked: Credentials | None = None
    credentials: Credentials | None = None
    algorithm: Literal["SHA-256", "MD5"] = "SHA-256"
    transport: Transport = "udp"
    headers: tuple[tuple[str, str], ...] = ()


@dataclass
class World:
    """One call, its network, and what came of it."""

    script: Script = field(default_factory=Script)
    conditions: Conditions = field(default_factory=Conditions)
    seed: int = 0

    def __post_init__(self) -> None:
        self.network = VirtualNetwork(self.conditions, seed=self.seed)
        self.agent = self.network.node("agent.example", answer=self._take, react=self._agent_reacts)
        self.caller = self.network.node("caller.example", react=self._caller_reacts)
        self.call = OutboundCall(
            Uri.parse(f"sip:agent@agent.example;transport={self.script.transport}"),
            local=("caller.example", 5060),
            offer=make_offer("192.0.2.1", 40000, 7),
            sip_call_id="call-1",
            from_uri=Uri.parse("sip:caller@caller.example"),
            ids=CountedIds("caller"),
            headers=[("X-Correlation-Id", "corr-1"), ("X-CID", "call-1"), *self.script.headers],
            credentials=self.script.credentials,
            ring_timeout_s=self.script.ring_timeout_s,
            transport=self.script.transport,
        )
        self.taken: list[InboundCall] = []

    def dial(self) -> World:
        """Run the whole call until nothing is due any more."""
        self.call.start(now=self.network.now)
        self.network.add(self.caller, self.call)
        if self.script.caller_cancels_after_s is not None:
            self.later(
                self.script.caller_cancels_after_s, self.caller_does(lambda now: self.call.cancel(now=now))
            )
        self.network.run()
        return self

    def later(self, delay_s: float | None, action: Callable[[], None]) -> None:
        if delay_s is not None:
            self.network.after(delay_s, action)

    def caller_does(self, step: Callable[[float], None]) -> Callable[[], None]:
        def act() -> None:
            step(self.network.now)
            self.network.drain(self.caller, self.call)

        return act

    def agent_does(self, call: InboundCall, step: Callable[[float], None]) -> Callable[[], None]:
        def act() -> None:
            step(self.network.now)
            self.network.drain(self.agent, call)

        return act

    def _take(self, invite: Request, now: float, source: Hop) -> Machine:
        asked = self.script.password_asked
        challenger = Challenger(asked, realm="agents", algorithm=self.script.algorithm) if asked else None
        call = InboundCall(
            invite,
            now=now,
            local=("agent.example", 5060),
            ids=CountedIds(f"agent{len(self.taken)}"),
            source=source,
            challenger=challenger,
        )
        self.taken.append(call)
        return call

    def _agent_reacts(self, machine: Machine, event: CallEvent, now: float) -> None:
        assert isinstance(machine, InboundCall)
        call, script = machine, self.script
        if isinstance(event, Incoming):
            self.later(script.ring_after_s, self.agent_does(call, lambda now: call.ring(now=now)))
            if script.answer_after_s is None:
                # Nobody rings for ever: a caller that is gone may never have been able to cancel.
                self.later(90.0, self.agent_does(call, lambda now: call.reject(480, now=now)))
            elif (status := script.reject_with) is not None:
                self.later(
                    script.answer_after_s, self.agent_does(call, lambda now: call.reject(status, now=now))
                )
            else:
                self.later(script.answer_after_s, self.agent_does(call, lambda now: accept(call, now)))
        elif isinstance(event, Answered):
            self.later(
                script.agent_hangs_up_after_s, self.agent_does(call, lambda now: call.hang_up(now=now))
            )

    def _caller_reacts(self, machine: Machine, event: CallEvent, now: float) -> None:
        if isinstance(event, Answered):
            hang_up = self.caller_does(lambda now: self.call.hang_up(now=now))
            self.later(self.script.caller_hangs_up_after_s, hang_up)

    @property
    def outcome(self) -> CallEvent:
        """The one closing event of the caller."""
        [closing] = [event for event in self.caller.happened if isinstance(event, CLOSING_EVENTS)]
        return closing

    @property
    def agent_outcome(self) -> CallEvent:
        """The one closing event of the agent."""
        [closing] = [event for event in self.agent.happened if isinstance(event, CLOSING_EVENTS)]
        return closing

    def sent(self, *, by_caller: bool) -> list[str]:
        """Methods and statuses one party sent, in order."""
        host = "caller.example" if by_caller else "agent.example"
        return [name_of(sent.message) for sent in self.network.sent if sent.source[0] == host]

    @property
    def ladder(self) -> list[str]:
        """Methods and statuses of all datagrams in the order in which they left."""
        return [name_of(sent.message) for sent in self.network.sent]

    def requests(self, method: str) -> list[Request]:
        """All requests with this method as they left."""
        messages = [sent.message for sent in self.network.sent]
        return [one for one in messages if isinstance(one, Request) and one.method == method]

    def assert_at_rest(self) -> None:
        """Nothing is left on either side, and every call that began has ended exactly once."""
        for node in (self.caller, self.agent):
            for machine in node.machines.values():
                assert machine.finished, "\n".join(map(str, self.network.sent))
                assert machine.next_deadline() is None
                assert machine.outgoing() == []
        assert self.outcome
        if any(isinstance(event, Incoming) for event in self.agent.happened):
            assert self.agent_outcome


def accept(call: InboundCall, now: float) -> None:
    call.accept(now=now, address="192.0.2.2", port=50000)


def name_of(message: Message) -> str:
    return f"{message.status} {message.cseq.method}" if isinstance(message, Response) else message.method


@pytest.fixture
def world() -> Callable[..., World]:
    """Makes a world out of the fields of `Script`, `conditions` and `seed`."""

    def make(*, conditions: Conditions | None = None, seed: int = 0, **script: object) -> World:
        return World(Script(**script), conditions or Conditions(), seed)  # type: ignore[arg-type]

    return make
