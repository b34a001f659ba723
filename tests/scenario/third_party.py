"""A third user agent, whom calls are transferred to, and the calls that both ends place to it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from tuner_sipbridge.call.challenge import Challenger
from tuner_sipbridge.call.events import (
    CLOSING_EVENTS,
    Answered,
    CallEvent,
    Ended,
    Incoming,
    Parted,
    Rejected,
    Ringing,
    TransferRequested,
)
from tuner_sipbridge.call.extensions import Extensions
from tuner_sipbridge.call.ids import Credentials
from tuner_sipbridge.call.inbound import InboundCall
from tuner_sipbridge.call.outbound import OutboundCall
from tuner_sipbridge.sdp.negotiation import make_offer
from tuner_sipbridge.sip.message import Request
from tuner_sipbridge.sip.routing import Hop, Transport
from tuner_sipbridge.sip.uri import Uri
from tuner_sipbridge.testing.network import CountedIds, Machine, Node, VirtualNetwork

Manner: TypeAlias = Literal["answers", "rings", "is busy"]
Call: TypeAlias = "OutboundCall | InboundCall"


def add_in_order(happened: list[CallEvent], event: CallEvent) -> None:
    """Note an event; nothing follows the end of a call but, once, what became of our BYE."""
    if isinstance(event, Parted):
        assert isinstance(happened[-1], Ended), (happened, event)
    else:
        assert not any(isinstance(before, CLOSING_EVENTS) for before in happened), (happened, event)
    happened.append(event)


@dataclass
class Placed:
    """A call to the third party; `asked_by` is the call over which its placer was asked to place it."""

    node: Node
    call: OutboundCall
    asked_by: Call | None = None


@dataclass
class ThirdParty:
    """Takes calls in one manner, and puts those with Replaces in the place of the call that they name.

    Attributes:
        happened: what happened to each call, by its `id`.
        placed: the calls to it, in order.
        taken: its ends of them.
    """

    network: VirtualNetwork
    terms: Extensions
    transport: Transport
    manner: Manner
    credentials: Credentials
    asks: bool
    happened: dict[int, list[CallEvent]] = field(default_factory=dict[int, list[CallEvent]])
    placed: list[Placed] = field(default_factory=list[Placed])
    taken: list[InboundCall] = field(default_factory=list[InboundCall])

    def __post_init__(self) -> None:
        self.node = self.network.node("third.example", answer=self._take, react=self.see)

    @property
    def uri(self) -> Uri:
        return Uri.parse(f"sip:third@third.example:5060;transport={self.transport}")

    @property
    def ends(self) -> list[tuple[Node, Call]]:
        """Both ends of all calls with it."""
        return [*((one.node, one.call) for one in self.placed), *((self.node, call) for call in self.taken)]

    def knows(self, machine: Machine) -> bool:
        return id(machine) in self.happened

    def place(
        self, node: Node, headers: Iterable[tuple[str, str]] = (), *, asked_by: Call | None = None
    ) -> OutboundCall:
        """Let a node call the third party."""
        number = len(self.placed)
        call = OutboundCall(
            self.uri,
            local=node.address,
            offer=make_offer("192.0.2.3", 41000 + 2 * number, 70 + number),
            sip_call_id=f"call-to-third-{number}",
            from_uri=Uri.parse(f"sip:{node.address[0]}@{node.address[0]}"),
            ids=CountedIds(f"placed{number}"),
            headers=list(headers),
            credentials=self.credentials,
            transport=self.transport,
            ring_timeout_s=20.0,
            extensions=self.terms,
        )
        self.happened[id(call)] = []
        self.placed.append(Placed(node, call, asked_by))
        call.start(now=self.network.now)
        self.network.add(node, call)
        return call

    def follow(self, node: Node, call: Call, asked: TransferRequested) -> None:
        """`call`, which `node` is an end of, was asked to be transferred: do so."""
        self.place(node, asked.headers, asked_by=call)

    def see(self, machine: Machine, event: CallEvent, now: float) -> None:
        happened = self.happened[id(machine)]
        add_in_order(happened, event)
        if isinstance(machine, InboundCall):
            if isinstance(event, Incoming):
                self._decide(machine, now)
            return
        for placed in self.placed:
            if placed.call is machine and placed.asked_by is not None:
                self._report(placed.node, placed.asked_by, happened, now)

    def _report(self, node: Node, asked_by: Call, happened: list[CallEvent], now: float) -> None:
        """Tell who asked for the transfer; once the new call stands, the old one is left."""
        answered = any(isinstance(event, Answered) for event in happened)
        match happened[-1]:
            case Ringing(status=status) if not answered:
                asked_by.report_transfer(status, now=now)
            case Answered():
                asked_by.report_transfer(200, now=now)
                asked_by.hang_up(now=now)
            case Rejected(status=status) if not answered:
                asked_by.report_transfer(status, now=now)
            case event if isinstance(event, CLOSING_EVENTS) and not answered:
                asked_by.report_transfer(503, now=now)
            case _:
                return
        self.network.drain(node, asked_by)

    def _take(self, invite: Request, now: float, source: Hop) -> Machine:
        call = InboundCall(
            invite,
            now=now,
            local=self.node.address,
            ids=CountedIds(f"third{len(self.taken)}"),
            source=source,
            challenger=Challenger(self.credentials, realm="third") if self.asks else None,
            extensions=self.terms,
            credentials=self.credentials,
        )
        self.taken.append(call)
        self.happened[id(call)] = []
        return call

    def _decide(self, call: InboundCall, now: float) -> None:
        if call.replaces is not None:
            self._replace(call, now)
        elif self.manner == "is busy":
            call.reject(486, now=now)
        elif self.manner == "rings":
            call.ring(now=now)
            # Nobody rings for ever: a caller that is gone may never have been able to cancel.
            self.network.after(90.0, lambda: self._give_up(call))
        else:
            call.accept(now=now, address="192.0.2.4", port=52000)

    def _give_up(self, call: InboundCall) -> None:
        call.reject(480, now=self.network.now)
        self.network.drain(self.node, call)

    def _replace(self, call: InboundCall, now: float) -> None:
        replaces = call.replaces
        assert replaces is not None
        former = next((one for one in self.taken if one.sip_call_id == replaces.call_id), None)
        objection = 481 if former is None else former.objection_to_replacement(replaces)
        if former is None or objection is not None:
            call.reject(objection or 481, now=now)
            return
        call.accept(now=now, address="192.0.2.4", port=52000)
        former.hang_up(now=now)
        self.network.drain(self.node, former)
