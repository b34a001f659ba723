"""One inbound call: the UAS half (RFC 3261 §8.2, §9.2, §13.3, §15), without socket, clock or randomness."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tuner_sipbridge.call.challenge import Challenger
from tuner_sipbridge.call.events import CallEvent
from tuner_sipbridge.call.ids import Ids
from tuner_sipbridge.sdp.session import SessionDescription
from tuner_sipbridge.sip.message import Message, Request
from tuner_sipbridge.sip.timers import Timers

Address = tuple[str, int]


class InboundCall:
    """Answers one Call-ID: challenges where asked to, rings, accepts or rejects, holds the call, ends it in order.

    Make one for the first INVITE of an unknown Call-ID without a To tag, and give every later message of that
    Call-ID to it, the authenticated INVITE included. Feed and drain it as `OutboundCall`. The first event is
    `Incoming`; with a challenger it comes only when the credentials are verified, and a caller that never sends
    them leaves a machine that finishes without any event.
    """

    def __init__(
        self,
        invite: Request,
        *,
        now: float,
        local: Address,
        ids: Ids,
        source: Address | None = None,
        challenger: Challenger | None = None,
        timers: Timers = Timers(),
    ) -> None:
        """Take the INVITE.

        Args:
            invite: the request as it came.
            now: Unix time in seconds.
            local: host and port on which we are reached, for the Contact.
            ids: source of tags, branches and nonces.
            source: where the datagram came from; received and rport of the Via are set from it (RFC 3581 §4).
            challenger: asks for credentials and verifies them; None lets everybody in.
            timers: the base values of RFC 3261 §17.
        """
        raise NotImplementedError

    @property
    def sip_call_id(self) -> str:
        """Call-ID of the call."""
        raise NotImplementedError

    @property
    def invite(self) -> Request:
        """The INVITE that is decided on: the authenticated one where there was a challenge."""
        raise NotImplementedError

    @property
    def headers(self) -> Mapping[str, str]:
        """Headers of the INVITE, names in lower case, the first value of each."""
        raise NotImplementedError

    @property
    def offer(self) -> SessionDescription | None:
        """The INVITE's session description, None when it has none."""
        raise NotImplementedError

    @property
    def finished(self) -> bool:
        """True when the call is over and no transaction and no timer is left: forget the call."""
        raise NotImplementedError

    def ring(self, *, now: float, status: int = 180) -> None:
        """Send a provisional response above 100; nothing when the call was decided already."""
        raise NotImplementedError

    def accept(
        self, *, now: float, address: str, port: int, codecs: Sequence[str] = ("PCMU", "PCMA")
    ) -> None:
        """Answer the call: send 200 with our SDP, again and again until the ACK comes (RFC 3261 §13.3.1.4).

        Gives `Answered` at once, or at the ACK when the INVITE had no offer. When the offer has nothing for us, 488 is
        sent and `NegotiationFailed` given. Does nothing when the call was decided already (a CANCEL came first).

        Args:
            now: Unix time in seconds.
            address: where our RTP port is.
            port: our RTP port.
            codecs: what we speak, best first.
        """
        raise NotImplementedError

    def reject(
        self, status: int, *, now: float, reason: str | None = None, headers: Sequence[tuple[str, str]] = ()
    ) -> None:
        """Send a final response of 300 or above; gives `Rejected`. Nothing when the call was decided already."""
        raise NotImplementedError

    def hang_up(self, *, now: float) -> None:
        """End the call: BYE when it stands (after the ACK, RFC 3261 §15), 480 before it was decided."""
        raise NotImplementedError

    def receive(self, message: Message, *, now: float, source: Address | None = None) -> None:
        """Take one message of this Call-ID; `source` is where the datagram came from."""
        raise NotImplementedError

    def handle_timer(self, *, now: float) -> None:
        """Do what is due at `now`; harmless when nothing is."""
        raise NotImplementedError

    def next_deadline(self) -> float | None:
        """When `handle_timer` must run next, None when only a message can move the call."""
        raise NotImplementedError

    def outgoing(self) -> list[tuple[Message, Address]]:
        """The messages to send, in order, each with host (name or address) and port; drained."""
        raise NotImplementedError

    def events(self) -> list[CallEvent]:
        """What happened since the last call; drained."""
        raise NotImplementedError
