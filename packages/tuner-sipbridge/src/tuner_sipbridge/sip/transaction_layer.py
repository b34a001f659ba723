"""The transaction layer of one call: finds the transaction of a message, or makes it (RFC 3261 §17)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from tuner_sipbridge.sip.client_transaction import InviteClient, NonInviteClient
from tuner_sipbridge.sip.message import Message, Request, Response
from tuner_sipbridge.sip.routing import Address, next_hop, note_source
from tuner_sipbridge.sip.server_transaction import InviteServer, NonInviteServer
from tuner_sipbridge.sip.timers import DEFAULT_TIMERS, Timers
from tuner_sipbridge.sip.transaction import PeerSilent, ResponseReceived

Key: TypeAlias = tuple[str, ...]
Client: TypeAlias = InviteClient | NonInviteClient
Server: TypeAlias = InviteServer | NonInviteServer


@dataclass(frozen=True, slots=True)
class RequestArrived:
    """A new request, or the ACK to a 2xx. All but ACK wait for `respond`."""

    request: Request


@dataclass(frozen=True, slots=True)
class ResponseArrived:
    """A response to a request of ours."""

    request: Request
    response: Response


@dataclass(frozen=True, slots=True)
class NoResponse:
    """A request of ours was not answered in time (Timer B or F)."""

    request: Request


@dataclass(frozen=True, slots=True)
class NoAck:
    """Our final response to an INVITE was not acknowledged in time (Timer H)."""

    request: Request


LayerEvent: TypeAlias = RequestArrived | ResponseArrived | NoResponse | NoAck


class TransactionLayer:
    """All transactions of one call, each with the address it sends to."""

    def __init__(self, timers: Timers = DEFAULT_TIMERS) -> None:
        """Start with none."""
        self._timers = timers
        self._clients: dict[Key, tuple[Client, Address]] = {}
        self._servers: dict[Key, tuple[Server, Address]] = {}
        self._outgoing: list[tuple[Message, Address]] = []
        self._events: list[LayerEvent] = []

    @property
    def idle(self) -> bool:
        """True when no transaction is left."""
        return not self._clients and not self._servers

    def send(self, request: Request, *, now: float, to: Address | None = None) -> None:
        """Send a request in a transaction of its own; `to` overrides the next hop."""
        kind = InviteClient if request.method == "INVITE" else NonInviteClient
        transaction = kind(request, now=now, timers=self._timers)
        key = _client_key(request)
        self._clients[key] = (transaction, to or next_hop(request))
        self._settle_client(key)

    def send_alone(self, message: Message, to: Address) -> None:
        """Send a message outside any transaction: the ACK to a 2xx."""
        self._outgoing.append((message, to))

    def respond(self, response: Response, *, now: float) -> None:
        """Send a response in the transaction of its request; absorbed when that is over."""
        key = _server_key(response)
        if key in self._servers:
            self._servers[key][0].respond(response, now=now)
            self._settle_server(key)

    def abandon(self, invite: Request, *, now: float) -> None:
        """Give up waiting for the final response to an INVITE that was cancelled (RFC 3261 §9.1)."""
        key = _client_key(invite)
        transaction = self._clients.get(key, (None,))[0]
        if isinstance(transaction, InviteClient):
            transaction.abandon(now=now)
            self._settle_client(key)

    def invite_of(self, cancel: Request) -> Request | None:
        """The INVITE that a CANCEL is for, None when there is none (RFC 3261 §9.2)."""
        server = self._servers.get(_server_key(cancel, method="INVITE"))
        return server[0].request if server else None

    def receive(self, message: Message, *, now: float, source: Address | None = None) -> None:
        """Take one message; see `events` for what is new in it.

        A response that belongs to no transaction is dropped, as is an ACK that ends one.
        """
        if isinstance(message, Response):
            self._receive_response(message, now)
            return
        if source is not None:
            note_source(message, source)
        self._receive_request(message, now)

    def handle_timer(self, *, now: float) -> None:
        """Let every transaction do what is due."""
        for key, (client, _) in list(self._clients.items()):
            client.handle_timer(now=now)
            self._settle_client(key)
        for key, (server, _) in list(self._servers.items()):
            server.handle_timer(now=now)
            self._settle_server(key)

    def next_deadline(self) -> float | None:
        """The earliest deadline of them all."""
        transactions = [*self._clients.values(), *self._servers.values()]
        deadlines = (transaction.next_deadline() for transaction, _ in transactions)
        return min((at for at in deadlines if at is not None), default=None)

    def outgoing(self) -> list[tuple[Message, Address]]:
        """The messages to send, in order; drained."""
        messages, self._outgoing = self._outgoing, []
        return messages

    def events(self) -> list[LayerEvent]:
        """What the layer's user must see, in order; drained."""
        events, self._events = self._events, []
        return events

    def _receive_response(self, response: Response, now: float) -> None:
        key = _client_key(response)
        if key in self._clients:
            self._clients[key][0].receive(response, now=now)
            self._settle_client(key)

    def _receive_request(self, request: Request, now: float) -> None:
        key = _server_key(request)
        known = self._servers.get(key)
        if known is not None and not (request.method == "ACK" and known[0].answered_ok):
            known[0].receive(request, now=now)
            self._settle_server(key)
            return
        if request.method != "ACK":
            kind = InviteServer if request.method == "INVITE" else NonInviteServer
            transaction = kind(request, now=now, timers=self._timers)
            self._servers[key] = (transaction, request.via.response_address)
        self._events.append(RequestArrived(request))

    def _settle_client(self, key: Key) -> None:
        transaction, address = self._clients[key]
        self._outgoing.extend((message, address) for message in transaction.outgoing())
        for event in transaction.events():
            if isinstance(event, ResponseReceived):
                self._events.append(ResponseArrived(transaction.request, event.response))
            else:
                self._events.append(NoResponse(transaction.request))
        if transaction.terminated:
            del self._clients[key]

    def _settle_server(self, key: Key) -> None:
        transaction, address = self._servers[key]
        self._outgoing.extend((message, address) for message in transaction.outgoing())
        self._events.extend(
            NoAck(transaction.request) for event in transaction.events() if isinstance(event, PeerSilent)
        )
        if transaction.terminated:
            del self._servers[key]


def _client_key(message: Message) -> Key:
    """Branch and method (§17.1.3)."""
    return message.via.branch or "", message.cseq.method


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
