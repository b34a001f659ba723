"""The transaction layer of one call: finds the transaction of a message, or makes it (RFC 3261 §17)."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from typing import TypeAlias

from tuner_sipbridge.sip.client_transaction import InviteClient, NonInviteClient
from tuner_sipbridge.sip.layer_events import (
    LayerEvent,
    NoAck,
    NoResponse,
    NotSent,
    RequestArrived,
    ResponseArrived,
)
from tuner_sipbridge.sip.message import Message, Request, Response, response_to
from tuner_sipbridge.sip.next_target import copy_of, onwards, set_next_branch, set_transport
from tuner_sipbridge.sip.routing import (
    Hop,
    is_too_long_for_udp,
    next_hop,
    note_source,
    sent_by,
    way_back,
)
from tuner_sipbridge.sip.server_transaction import InviteServer, NonInviteServer
from tuner_sipbridge.sip.targets import DEFAULT_PENALTY_S, penalty_of
from tuner_sipbridge.sip.timers import DEFAULT_TIMERS, Timers, earliest
from tuner_sipbridge.sip.transaction import PeerSilent, ResponseReceived
from tuner_sipbridge.sip.uri import Uri

Key: TypeAlias = tuple[str, ...]
Client: TypeAlias = InviteClient | NonInviteClient
Server: TypeAlias = InviteServer | NonInviteServer


@dataclass(slots=True)
class _Sent:
    """A request of ours, with what a broken transport is answered by."""

    transaction: Client
    hop: Hop
    may_repeat: bool = True
    """Whether it may go once more on a new connection."""
    may_shrink: bool = False
    """Whether it goes over TCP only for its length, and may go over UDP after all."""
    name: Hop | None = None
    """The name whose target `hop` is, with the targets that failed before; None when it went to no name."""


MOST_REQUESTS = 64
"""Requests of the far end that one call has in hand at a time; more are answered 503 (RFC 3261 §21.5.4)."""


class TransactionLayer:
    """All transactions of one call, each with where it sends to.

    A transaction repeats its messages over UDP and not over TCP and TLS (RFC 3261 §17); the topmost Via of its
    request says which.
    """

    def __init__(self, timers: Timers = DEFAULT_TIMERS, *, refused: Counter[str] | None = None) -> None:
        """Start with none.

        Args:
            timers: base values of RFC 3261 §17.
            refused: where requests that got 503, because `MOST_REQUESTS` of the far end were in hand, are counted as
                `transactions`; others may count there too.
        """
        self._timers = timers
        self._clients: dict[Key, _Sent] = {}
        self._servers: dict[Key, tuple[Server, Hop]] = {}
        self._flows: dict[Hop, Hop] = {}
        self._flow: Hop | None = None
        self._only_udp: set[Hop] = set()
        self._seeking: dict[Key, tuple[Hop, LayerEvent]] = {}
        self._seeking_alone: dict[Key, Hop] = {}
        self._alone: dict[Hop, tuple[Request, Hop | None]] = {}
        self._outgoing: list[tuple[Message, Hop]] = []
        self._events: list[LayerEvent] = []
        self.refused: Counter[str] = Counter() if refused is None else refused

    @property
    def idle(self) -> bool:
        """True when no transaction is left."""
        return not self._clients and not self._servers and not self._seeking

    def send(
        self, request: Request, *, now: float, to: Hop | None = None, towards: Uri | None = None
    ) -> None:
        """Send a request in a transaction of its own.

        One that is too long for UDP goes over TCP, and its Via is changed to say so (RFC 3261 §18.1.1). An INVITE
        that goes over a flow keeps the dialogs that come of it there. A request to a name is given out with what the
        name is to be located by: see `located`.

        Args:
            request: what to send.
            now: Unix time in seconds.
            to: overrides the next hop.
            towards: the strict router that its route set begins with, as for `next_hop`.
        """
        invite = self._clients.get(_client_key(request, "INVITE")) if request.method == "CANCEL" else None
        if invite is not None:
            # A CANCEL goes exactly where its INVITE went (RFC 3261 §9.1).
            self._begin(request, invite.hop, now)
            return
        hop = to or next_hop(request, towards)
        if request.method == "INVITE" and request.to.tag is None:
            self._flow = None if hop.flow is None else Hop(hop.transport, *hop.flow)
        self._send_to(hop, request, now)

    def keep_to(self, flow: Hop) -> None:
        """Send what follows in the dialog over a flow, whatever the Contact: the only way to a far end behind a NAT."""
        self._flow = Hop(flow.transport, *flow.address)

    def send_alone(self, request: Request, *, towards: Uri | None = None) -> None:
        """Send a request outside any transaction: the ACK to a 2xx; `towards` as for `send`."""
        self._send_alone_to(next_hop(request, towards), request)

    def located(self, request: Request, target: Hop | None, *, now: float) -> None:
        """The name that a request was given out for leads to `target`; it goes there, and its Via says by what.

        When it fails there (no response, 503, no connection), it is given out again under a branch of its own,
        with that target among those that failed (RFC 3263 §4.3).

        Args:
            request: as `outgoing` gave it.
            target: where to; None when all that the name leads to have failed.
            now: Unix time in seconds.
        """
        key = _client_key(request)
        if key in self._seeking:
            name, event = self._seeking.pop(key)
            if target is None:
                self._events.append(event)
                return
        elif key in self._clients:
            name = self._clients[key].hop
            if target is None or name.sought is None:
                return
            del self._clients[key]
        elif key in self._seeking_alone:
            name = self._seeking_alone.pop(key)
            if target is not None:
                set_transport(request, target.transport)
                self._send_alone_to(target, request, name)
            return
        else:
            return
        set_transport(request, target.transport)
        self._send_to(target, request, now, name=name)

    def unheard(self, branch: str, method: str, why: str, *, now: float) -> None:
        """Wait no longer for a response to a request of ours, unless one came."""
        sent = self._clients.get((branch, method))
        if sent is not None and sent.transaction.unheard:
            self._fail((branch, method), sent, why, now, again=False)

    def unreachable(self, hop: Hop, why: str, *, now: float, again: bool = False) -> None:
        """The transport cannot reach `hop`, or lost the connection to it: no waiting for time-outs.

        Requests that were answered provisionally wait on: their responses may come over another connection.

        Args:
            hop: as it was given with the message.
            why: the cause in plain words.
            now: Unix time in seconds.
            again: the connection was in use before, so a new one may do: requests go once more.
        """
        for key, sent in list(self._clients.items()):
            if sent.hop == hop and sent.transaction.unheard:
                self._fail(key, sent, why, now, again=again)
        if hop in self._alone and not again:
            self._send_alone_elsewhere(*self._alone.pop(hop), hop, why)

    def respond(self, response: Response, *, now: float) -> None:
        """Send a response in the transaction of its request; absorbed when that is over."""
        key = _server_key(response)
        if key in self._servers:
            self._servers[key][0].respond(response, now=now)
            self._settle_server(key)

    def abandon(self, invite: Request, *, now: float) -> None:
        """Give up waiting for the final response to an INVITE that was cancelled (RFC 3261 §9.1)."""
        key = _client_key(invite)
        sent = self._clients.get(key)
        if sent is not None and isinstance(sent.transaction, InviteClient):
            sent.transaction.abandon(now=now)
            self._settle_client(key)
        self._seeking.pop(key, None)

    def invite_of(self, cancel: Request) -> Request | None:
        """The INVITE that a CANCEL is for, None when there is none (RFC 3261 §9.2)."""
        server = self._servers.get(_server_key(cancel, method="INVITE"))
        return server[0].request if server else None

    def receive(self, message: Message, *, now: float, source: Hop | None = None) -> None:
        """Take one message; see `events` for what is new in it.

        A response that belongs to no transaction is dropped, as is an ACK that ends one.
        """
        if isinstance(message, Response):
            self._receive_response(message, now)
            return
        if source is not None:
            self._note(message, source)
        self._receive_request(message, now, source)

    def handle_timer(self, *, now: float) -> None:
        """Let every transaction do what is due."""
        for key, sent in list(self._clients.items()):
            sent.transaction.handle_timer(now=now)
            self._settle_client(key)
        for key, (server, _) in list(self._servers.items()):
            server.handle_timer(now=now)
            self._settle_server(key)

    def next_deadline(self) -> float | None:
        """The earliest deadline of them all."""
        deadlines = [sent.transaction.next_deadline() for sent in self._clients.values()]
        deadlines += [server.next_deadline() for server, _ in self._servers.values()]
        return earliest(deadlines)

    def outgoing(self) -> list[tuple[Message, Hop]]:
        """The messages to send, in order, each with where it goes; drained."""
        messages, self._outgoing = self._outgoing, []
        return messages

    def events(self) -> list[LayerEvent]:
        """What the layer's user must see, in order; drained."""
        events, self._events = self._events, []
        return events

    def _receive_response(self, response: Response, now: float) -> None:
        key = _client_key(response)
        if key in self._clients:
            self._clients[key].transaction.receive(response, now=now)
            self._settle_client(key)

    def _send_to(self, hop: Hop, request: Request, now: float, *, name: Hop | None = None) -> None:
        over = self._over(hop, request)
        self._begin(request, self._on_its_flow(request, over), now, may_shrink=over.for_length, name=name)

    def _over(self, hop: Hop, request: Request) -> Hop:
        """The hop, over TCP when the request is too long for UDP; no connection leads in through a NAT."""
        by_nat = request.to.tag is not None and self._flow is not None and not self._flow.is_stream
        if hop.is_stream or by_nat or hop in self._only_udp or not is_too_long_for_udp(request):
            return hop
        set_transport(request, "tcp")
        return replace(hop, transport="tcp", for_length=True)

    def _send_alone_to(self, hop: Hop, request: Request, name: Hop | None = None) -> None:
        over = self._on_its_flow(request, self._over(hop, request))
        if over.sought is not None:
            self._seeking_alone[_client_key(request)] = over
        elif over.is_stream:
            self._alone[over] = request, name
        self._outgoing.append((request, over))

    def _send_alone_elsewhere(self, request: Request, name: Hop | None, hop: Hop, why: str) -> None:
        """An ACK that could not be sent: over UDP when only its length forbade that, else to the next target."""
        if hop.for_length:
            self._send_alone_to(self._without_tcp(hop, request), request, name)
        elif name is not None and name.sought is not None:
            onward = self._seeking_alone[_client_key(request)] = onwards(name, hop, why)
            self._outgoing.append((request, onward))

    def _without_tcp(self, hop: Hop, request: Request) -> Hop:
        """A far end without TCP: the request goes over UDP whatever its length (RFC 3261 §18.1.1)."""
        set_transport(request, "udp")
        udp = replace(hop, transport="udp", flow=None, for_length=False)
        self._only_udp.add(udp)
        return udp

    def _begin(
        self, request: Request, hop: Hop, now: float, *, may_shrink: bool = False, name: Hop | None = None
    ) -> None:
        kind = InviteClient if request.method == "INVITE" else NonInviteClient
        transaction = kind(request, now=now, timers=self._timers.over(hop.transport))
        key = _client_key(request)
        self._clients[key] = _Sent(transaction, hop, may_shrink=may_shrink, name=name)
        self._settle_client(key)

    def _fail(self, key: Key, sent: _Sent, why: str, now: float, *, again: bool) -> None:
        request = sent.transaction.request
        if again and sent.may_repeat:
            sent.may_repeat = False
            self._outgoing.append((request, sent.hop))
            return
        del self._clients[key]
        if sent.may_shrink:
            self._begin(request, self._without_tcp(sent.hop, request), now, name=sent.name)
        else:
            self._conclude(sent, NotSent(request, why), why)

    def _conclude(
        self, sent: _Sent, event: LayerEvent, why: str, *, for_s: float = DEFAULT_PENALTY_S
    ) -> None:
        """A target failed: tell of it only when the name that led to it leads to no other."""
        if sent.name is None:
            self._events.append(event)
            return
        request = sent.transaction.request
        # Repeats of a 503 to an INVITE are still acknowledged under the branch that they are for.
        sent.transaction.request = copy_of(request)
        name = onwards(sent.name, sent.hop, why, for_s)
        set_next_branch(request, len(name.sought.failed) if name.sought is not None else 0)
        self._seeking[_client_key(request)] = name, event
        self._outgoing.append((request, name))

    def _note(self, request: Request, source: Hop) -> None:
        """Write down where a request came from, and which connection leads back to its sender."""
        if source.is_stream:
            self._flows[sent_by(request, source.transport)] = source
        note_source(request, source)

    def _on_its_flow(self, request: Request, hop: Hop) -> Hop:
        """The hop, with the connection that its owner opened to us: it may be the only way there (RFC 5923).

        What a call that went over a flow says in its dialogs goes there too, whatever the Contact (RFC 5626 §5.3):
        over UDP to the address that a NAT shows, over a stream by the connection, as long as it stands.
        """
        flow = self._flow
        if request.to.tag is not None and flow is not None and flow.transport == hop.transport:
            return replace(hop, flow=flow.address) if hop.is_stream else flow
        flow = self._flows.get(hop)
        return hop if flow is None else replace(hop, flow=flow.address)

    def _receive_request(self, request: Request, now: float, source: Hop | None) -> None:
        key = _server_key(request)
        known = self._servers.get(key)
        if known is not None and not (request.method == "ACK" and known[0].answered_ok):
            known[0].receive(request, now=now)
            self._settle_server(key)
            return
        if request.method != "ACK":
            kind = InviteServer if request.method == "INVITE" else NonInviteServer
            hop = way_back(request, source)
            if len(self._servers) >= MOST_REQUESTS:
                self.refused["transactions"] += 1
                retry = [("Retry-After", str(max(1, round(self._timers.patience))))]
                self._outgoing.append((response_to(request, 503, to_tag=request.to.tag, headers=retry), hop))
                return
            transaction = kind(request, now=now, timers=self._timers.over(hop.transport))
            self._servers[key] = (transaction, hop)
        self._events.append(RequestArrived(request))

    def _settle_client(self, key: Key) -> None:
        sent = self._clients[key]
        transaction = sent.transaction
        self._outgoing.extend((message, sent.hop) for message in transaction.outgoing())
        for event in transaction.events():
            if not isinstance(event, ResponseReceived):
                why = f"no response in {self._timers.patience:g} s"
                self._conclude(sent, NoResponse(transaction.request), why)
            elif event.response.status == 503:
                told = ResponseArrived(transaction.request, event.response)
                self._conclude(sent, told, "503", for_s=penalty_of(event.response))
            else:
                self._events.append(ResponseArrived(transaction.request, event.response))
        if transaction.terminated:
            del self._clients[key]

    def _settle_server(self, key: Key) -> None:
        transaction, hop = self._servers[key]
        self._outgoing.extend((message, hop) for message in transaction.outgoing())
        self._events.extend(
            NoAck(transaction.request) for event in transaction.events() if isinstance(event, PeerSilent)
        )
        if transaction.terminated:
            del self._servers[key]


def _client_key(message: Message, method: str = "") -> Key:
    """Branch and method (§17.1.3)."""
    return message.via.branch or "", method or message.cseq.method


def _server_key(message: Message, *, method: str = "") -> Key:
    """Branch, sent-by and method (§17.2.3); an ACK is filed under its INVITE."""
    via = message.via
    method = method or message.cseq.method
    method = "INVITE" if method == "ACK" else method
    branch = via.branch or ""
    sent_by = f"{via.host.lower()}:{via.port or ''}"
    if branch.startswith("z9hG4bK"):
        return branch, sent_by, method
    # A peer of RFC 2543 has no unique branch; what then tells requests apart is in §17.2.3.
    return branch, sent_by, method, message.from_.tag or "", str(message.cseq.number)
