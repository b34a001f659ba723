"""One outbound call: the UAC half (RFC 3261 §8.1, §9.1, §13.2, §15), without socket, clock or randomness."""

from __future__ import annotations

from collections.abc import Sequence

from tuner_sipbridge.call.events import CallEvent
from tuner_sipbridge.call.ids import Credentials, Ids
from tuner_sipbridge.sdp.session import SessionDescription
from tuner_sipbridge.sip.message import Message
from tuner_sipbridge.sip.timers import Timers
from tuner_sipbridge.sip.uri import Uri

Address = tuple[str, int]


class OutboundCall:
    """Dials one URI, authenticates when asked, holds the call, and ends it in order.

    Feed it with `receive` and `handle_timer`; after each call drain `outgoing` and `events`, and come back at
    `next_deadline`. It gives one closing event (see `call.events`) and then works on until `finished`.
    """

    def __init__(
        self,
        target: Uri,
        *,
        local: Address,
        offer: SessionDescription,
        sip_call_id: str,
        from_uri: Uri,
        ids: Ids,
        headers: Sequence[tuple[str, str]] = (),
        credentials: Credentials | None = None,
        ring_timeout_s: float = 60.0,
        timers: Timers = Timers(),
        route: Sequence[Uri] = (),
    ) -> None:
        """Prepare the call; nothing is sent before `start`.

        Args:
            target: whom to call; Request-URI and To.
            local: host and port on which we are reached, for Via and Contact.
            offer: our session description.
            sip_call_id: Call-ID of every message of the call.
            from_uri: who calls.
            ids: source of branches, tags and cnonces.
            headers: headers of our own, put on every INVITE of the call, retries included.
            credentials: for 401 and 407; without them a challenge refuses the call.
            ring_timeout_s: how long after `start` to wait for the answer.
            timers: the base values of RFC 3261 §17.
            route: an outbound proxy, or more than one, as a preloaded route set (RFC 3261 §8.1.2).

        Raises:
            LocalProtocolError: a header is ours to write (Via, CSeq, Call-ID ...) or has a line break.
        """
        raise NotImplementedError

    @property
    def sip_call_id(self) -> str:
        """Call-ID of the call."""
        raise NotImplementedError

    @property
    def finished(self) -> bool:
        """True when the closing event was given and no transaction and no timer is left: forget the call."""
        raise NotImplementedError

    def start(self, *, now: float) -> None:
        """Send the INVITE."""
        raise NotImplementedError

    def hang_up(self, *, now: float) -> None:
        """End the call: BYE when it stands, CANCEL before that, nothing when it is over."""
        raise NotImplementedError

    def cancel(self, *, now: float, why: str = "") -> None:
        """Give up before the answer: CANCEL as soon as RFC 3261 §9.1 allows; as `hang_up` once it stands."""
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
