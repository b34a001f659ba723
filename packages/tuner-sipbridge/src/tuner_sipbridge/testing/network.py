"""A network in virtual time: call machines joined by datagrams that are lost, doubled, delayed and overtaken.

What goes over TCP or TLS is delayed, and nothing else happens to it, but that its connection may be cut.

Messages cross it as bytes, written and parsed as on a socket. Time jumps from one thing that is due to the
next, so a 32-second time-out takes microseconds, and one seed always gives one course of events.
"""

from __future__ import annotations

import heapq
import itertools
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal, Protocol, TypeAlias

from tuner_sipbridge.call.events import CallEvent
from tuner_sipbridge.call.replies import NO_SUCH_CALL
from tuner_sipbridge.sip.message import Message, Request, Response
from tuner_sipbridge.sip.parser import parse_datagram
from tuner_sipbridge.sip.routing import Address, Hop, note_source, way_back
from tuner_sipbridge.sip.timers import earliest

_MOST_STEPS = 100_000


class Machine(Protocol):
    """What `OutboundCall` and `InboundCall` have in common."""

    @property
    def sip_call_id(self) -> str:
        """Call-ID of the call."""
        ...

    @property
    def finished(self) -> bool:
        """True when nothing is left to do."""
        ...

    def receive(self, message: Message, *, now: float, source: Hop | None = None) -> None:
        """Take a message."""
        ...

    def unreachable(self, hop: Hop, why: str, *, now: float, again: bool = False) -> None:
        """Hear that a hop cannot be reached, or that the connection to it is lost."""
        ...

    def handle_timer(self, *, now: float) -> None:
        """Do what is due."""
        ...

    def next_deadline(self) -> float | None:
        """When something is due next."""
        ...

    def outgoing(self) -> list[tuple[Message, Hop]]:
        """Messages to send; drained."""
        ...

    def events(self) -> list[CallEvent]:
        """What happened; drained."""
        ...


Answer: TypeAlias = "Callable[[Request, float, Hop], Machine]"
"""Makes the machine for an INVITE of an unknown Call-ID, given the time and where the INVITE came from."""
Reaction: TypeAlias = "Callable[[Machine, CallEvent, float], None]"
"""Sees every event of a node's machines, and may act on the machine."""
Gate: TypeAlias = "Callable[[Request], list[Response] | None]"
"""Stands before every node as a proxy would: None lets a request through, a list is what it is answered with."""
Fate: TypeAlias = Literal["lost", "doubled", "late"]
"""What can happen to one datagram."""


@dataclass(frozen=True, slots=True)
class Conditions:
    """How bad the network is.

    Attributes:
        loss: share of datagrams that never arrive.
        duplication: share that arrives twice.
        reordering: share that takes `detour_s` longer, and is overtaken by what follows.
        delay_s: time on the way.
        detour_s: how much longer a datagram takes that is overtaken.
    """

    loss: float = 0.0
    duplication: float = 0.0
    reordering: float = 0.0
    delay_s: float = 0.02
    detour_s: float = 0.3


@dataclass(frozen=True, slots=True)
class Sent:
    """One message as it left; `lost` when it does not arrive."""

    at: float
    source: Address
    destination: Hop
    message: Message
    lost: bool

    def __str__(self) -> str:
        cross = " LOST" if self.lost else ""
        return f"{self.at:9.3f} {self.source[0]} > {self.destination.host}  {self.message.start_line}{cross}"


class CountedIds:
    """Identifiers that count: the same ones in every run."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._numbers = itertools.count(1)

    def branch(self) -> str:
        """A Via branch."""
        return f"z9hG4bK-{self._name}-{next(self._numbers)}"

    def tag(self) -> str:
        """A tag."""
        return f"{self._name}-tag-{next(self._numbers)}"

    def cnonce(self) -> str:
        """A nonce."""
        return f"{self._name}-nonce-{next(self._numbers)}"

    def session_id(self) -> int:
        """A session id."""
        return next(self._numbers)

    def share(self) -> float:
        """A number from 0 up to 1 that walks through the span in uneven steps."""
        return next(self._numbers) * 0.618 % 1.0


@dataclass(slots=True)
class Node:
    """A user agent at one address: its machines by Call-ID, and what happened to them.

    Attributes:
        address: where it is reached.
        answer: takes INVITEs of unknown Call-IDs; None refuses them with 481.
        react: is told each event.
        machines: all that were ever run, by Call-ID.
        events: (time, event) of all machines, in order.
    """

    address: Address
    answer: Answer | None = None
    react: Reaction | None = None
    machines: dict[str, Machine] = field(default_factory=dict[str, Machine])
    events: list[tuple[float, CallEvent]] = field(default_factory=list[tuple[float, CallEvent]])

    @property
    def happened(self) -> list[CallEvent]:
        """The events without their times."""
        return [event for _, event in self.events]


class VirtualNetwork:
    """Nodes, the datagrams between them, and a clock that only `run` moves."""

    def __init__(self, conditions: Conditions | None = None, *, seed: int = 0, start: float = 1000.0) -> None:
        """Begin at `start` seconds with no node."""
        self.now = start
        self.sent: list[Sent] = []
        self._conditions = conditions or Conditions()
        self._chance = random.Random(seed)
        self._nodes: dict[Address, Node] = {}
        self._due: list[tuple[float, int, Callable[[], None]]] = []
        self._order = itertools.count()
        self._losses: list[tuple[Callable[[Message], bool], list[int]]] = []
        self._fates: list[Fate] = []
        self._dark_until = start
        self._connections = 0
        self._streams: set[tuple[Address, Hop]] = set()
        self.gate: Gate | None = None

    def node(self, host: str, *, answer: Answer | None = None, react: Reaction | None = None) -> Node:
        """Add a node at port 5060 of `host`."""
        node = Node((host, 5060), answer, react)
        self._nodes[node.address] = node
        return node

    def lose(self, which: Callable[[Message], bool], *, times: int = 1) -> None:
        """Lose the next `times` datagrams of which `which` is true, whatever the conditions."""
        self._losses.append((which, [times]))

    def disturb(self, fate: Fate, *, times: int = 1) -> None:
        """Let this happen to the next `times` datagrams, besides the conditions."""
        self._fates = [fate] * times

    def interrupt(self, *, for_s: float = 0.0) -> None:
        """Cut all connections, and let nothing through for `for_s` seconds: no datagram and no new connection."""
        self._connections += 1
        self._dark_until = self.now + for_s
        streams, self._streams = sorted(self._streams, key=str), set()
        for address, hop in streams:
            self._tell_unreachable(address, hop, "the connection was cut", again=True)

    def at(self, when: float, action: Callable[[], None]) -> None:
        """Run `action` when the clock reads `when`."""
        heapq.heappush(self._due, (when, next(self._order), action))

    def after(self, delay_s: float, action: Callable[[], None]) -> None:
        """Run `action` in `delay_s` seconds."""
        self.at(self.now + delay_s, action)

    def add(self, node: Node, machine: Machine) -> None:
        """Run a machine at a node."""
        node.machines[machine.sip_call_id] = machine
        self.drain(node, machine)

    def drain(self, node: Node, machine: Machine) -> None:
        """Send what a machine gives out and tell its events; needed after acting on it from outside."""
        while True:
            messages, events = machine.outgoing(), machine.events()
            for message, destination in messages:
                self.send(message, source=node.address, destination=destination)
            for event in events:
                node.events.append((self.now, event))
                if node.react is not None:
                    node.react(machine, event, self.now)
            if not messages and not events:
                return

    def send(self, message: Message, *, source: Address, destination: Hop) -> None:
        """Put a message on its way."""
        fate = self._fates.pop() if self._fates and not destination.is_stream else None
        lost = fate == "lost" or self._is_lost(message, destination)
        # The record keeps the message as it left: a machine may go on using the object.
        data = message.to_bytes()
        self.sent.append(Sent(self.now, source, destination, parse_datagram(data), lost))
        if lost:
            if destination.is_stream:
                tell = self._tell_unreachable
                self.after(self._conditions.delay_s, lambda: tell(source, destination, "no connection"))
            return
        conditions = self._conditions
        if destination.is_stream:
            self._streams.add((source, destination))
            conditions = Conditions(delay_s=conditions.delay_s)
        connection = self._connections
        for _ in range(1 + (fate == "doubled" or self._chance.random() < conditions.duplication)):
            late = fate == "late" or self._chance.random() < conditions.reordering
            delay_s = conditions.delay_s + (conditions.detour_s * self._chance.random() if late else 0.0)
            self.after(delay_s, lambda: self._arrive(data, source, destination, connection))

    def run(self, *, for_s: float | None = None) -> None:
        """Let time pass until nothing is due any more, or for `for_s` seconds.

        Raises:
            RuntimeError: the machines keep each other busy without end.
        """
        end = None if for_s is None else self.now + for_s
        for _ in range(_MOST_STEPS):
            due = self._next_due()
            if due is None or (end is not None and due > end):
                self.now = self.now if end is None else end
                return
            self.now = max(self.now, due)
            self._step()
        raise RuntimeError(f"still busy after {_MOST_STEPS} steps")

    def _next_due(self) -> float | None:
        deadlines = [machine.next_deadline() for _, machine in self._running()]
        deadlines += [self._due[0][0]] if self._due else []
        return earliest(deadlines)

    def _running(self) -> list[tuple[Node, Machine]]:
        return [(node, machine) for node in self._nodes.values() for machine in node.machines.values()]

    def _step(self) -> None:
        if self._due and self._due[0][0] <= self.now:
            heapq.heappop(self._due)[2]()
            return
        for node, machine in self._running():
            deadline = machine.next_deadline()
            if deadline is not None and deadline <= self.now:
                machine.handle_timer(now=self.now)
                self.drain(node, machine)

    def _is_lost(self, message: Message, destination: Hop) -> bool:
        for which, left in self._losses:
            if left[0] and which(message):
                left[0] -= 1
                return True
        nobody = destination.is_stream and (destination.flow or destination.address) not in self._nodes
        if nobody or self.now < self._dark_until:
            return True
        return not destination.is_stream and self._chance.random() < self._conditions.loss

    def _tell_unreachable(self, address: Address, hop: Hop, why: str, *, again: bool = False) -> None:
        node = self._nodes[address]
        for machine in list(node.machines.values()):
            if not machine.finished:
                machine.unreachable(hop, why, now=self.now, again=again)
                self.drain(node, machine)

    def _arrive(self, data: bytes, sender: Address, destination: Hop, connection: int) -> None:
        """End of the way, unless the connection was cut meanwhile; the gate first."""
        if destination.is_stream and connection != self._connections:
            return
        message = parse_datagram(data)
        if self.gate is not None and isinstance(message, Request):
            note_source(message, Hop(destination.transport, *sender))
            answers = self.gate(message)
            if answers is not None:
                for answer in answers:
                    self.send(answer, source=destination.address, destination=way_back(message, None))
                return
        self._deliver(data, sender, destination)

    def _deliver(self, data: bytes, sender: Address, destination: Hop) -> None:
        node = self._nodes.get(destination.flow or destination.address)
        source = Hop(destination.transport, *sender)
        if node is None:
            return
        message = parse_datagram(data)
        machine = node.machines.get(message.call_id)
        if machine is not None and not machine.finished:
            machine.receive(message, now=self.now, source=source)
            self.drain(node, machine)
        elif isinstance(message, Request):
            self._deliver_stray(node, message, source)

    def _deliver_stray(self, node: Node, request: Request, source: Hop) -> None:
        if request.method == "INVITE" and request.to.tag is None and node.answer is not None:
            self.add(node, node.answer(request, self.now, source))
        elif request.method != "ACK":
            note_source(request, source)
            self.send(NO_SUCH_CALL.to(request, tag="stray"), source=node.address, destination=source)
