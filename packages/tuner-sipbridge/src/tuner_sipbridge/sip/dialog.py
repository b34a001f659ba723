"""A dialog: what two user agents must remember of each other to speak within a call (RFC 3261 §12)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tuner_sipbridge.sip.headers import Headers, NameAddr, Via
from tuner_sipbridge.sip.message import Message, Request, Response
from tuner_sipbridge.sip.routing import is_loose
from tuner_sipbridge.sip.uri import Uri


@dataclass(slots=True)
class Dialog:
    """The state of one dialog; `request` builds what is sent within it.

    Attributes:
        call_id: Call-ID.
        local: our From in requests that we send, with our tag.
        remote: our To, with the peer's tag.
        target: the peer's Contact: Request-URI of what we send.
        routes: route set, nearest hop first.
        local_cseq: number of the last request we sent.
        remote_cseq: number of the last request the peer sent, None before the first.
    """

    call_id: str
    local: NameAddr
    remote: NameAddr
    target: Uri
    routes: tuple[NameAddr, ...]
    local_cseq: int
    remote_cseq: int | None = None

    @classmethod
    def of_caller(cls, invite: Request, response: Response) -> Dialog:
        """The dialog that a response to our INVITE makes (§12.1.2); its Record-Route is turned round."""
        return cls(
            call_id=invite.call_id,
            local=invite.from_,
            remote=response.to,
            # A 2xx without Contact breaks the standard; the INVITE's own target is then the best that is
            # known.
            target=_target_of(response) or invite.uri,
            routes=tuple(reversed(response.record_routes)),
            local_cseq=invite.cseq.number,
        )

    @classmethod
    def of_answerer(cls, invite: Request, tag: str) -> Dialog:
        """The dialog that our response with this To tag makes (§12.1.1)."""
        return cls(
            call_id=invite.call_id,
            local=invite.to.with_tag(tag),
            remote=invite.from_,
            target=_target_of(invite) or invite.from_.uri,
            routes=tuple(invite.record_routes),
            local_cseq=0,
            remote_cseq=invite.cseq.number,
        )

    @property
    def hop(self) -> Uri:
        """The URI that says where requests within the dialog are sent."""
        return self.routes[0].uri if self.routes else self.target

    @property
    def strict_router(self) -> Uri | None:
        """The first of the route set when it knows no loose routing: requests go there, whatever Route says."""
        return None if not self.routes or is_loose(self.routes[0]) else self.routes[0].uri

    @property
    def local_tag(self) -> str:
        """Our tag."""
        return self.local.tag or ""

    @property
    def remote_tag(self) -> str:
        """The peer's tag, empty for a peer of RFC 2543 that gives none (§12.2.1.1)."""
        return self.remote.tag or ""

    def request(
        self,
        method: str,
        *,
        via: Via,
        cseq: int | None = None,
        headers: Sequence[tuple[str, str]] = (),
        body: bytes = b"",
    ) -> Request:
        """A request within the dialog (§12.2.1.1): to the peer's Contact, through the route set.

        Args:
            method: its method.
            via: the topmost Via, with a branch of its own.
            cseq: the number of the INVITE for its ACK; None takes the next one.
            headers: further headers.
            body: message body.
        """
        if cseq is None:
            self.local_cseq += 1
            cseq = self.local_cseq
        uri, routes = self._path()
        fields = Headers()
        fields.set_via(via)
        for route in routes:
            fields.add("Route", str(route))
        fields.add("Max-Forwards", "70")
        fields.add("From", str(self.local))
        fields.add("To", str(self.remote))
        fields.add("Call-ID", self.call_id)
        fields.add("CSeq", f"{cseq} {method}")
        for name, value in headers:
            fields.add(name, value)
        return Request(method, uri, fields, body)

    def confirm(self, response: Response) -> None:
        """Take the 2xx to our INVITE into an early dialog: it gives the route set anew (§13.2.2.4)."""
        self.routes = tuple(reversed(response.record_routes))
        self.refresh_target(response)

    def refresh_target(self, message: Message) -> None:
        """Take the Contact of a target refresh: re-INVITE, UPDATE and their 2xx (§12.2)."""
        self.target = _target_of(message) or self.target

    def takes(self, request: Request) -> bool:
        """Note the number of a request of the peer; False when it is older than one seen before (§12.2.2)."""
        number = request.cseq.number
        if self.remote_cseq is not None and number < self.remote_cseq:
            return False
        self.remote_cseq = number
        return True

    def _path(self) -> tuple[Uri, tuple[NameAddr, ...]]:
        """Request-URI and Route: a strict router's URI and the target change places (§12.2.1.1)."""
        if not self.routes or is_loose(self.routes[0]):
            return self.target, self.routes
        return self.routes[0].uri.as_request_uri(), (*self.routes[1:], NameAddr(self.target))


def _target_of(message: Message) -> Uri | None:
    """The Contact as a Request-URI; None when there is none that SIP can reach."""
    contact = message.contact
    return contact.uri.as_request_uri() if contact is not None and contact.uri.is_sip else None
