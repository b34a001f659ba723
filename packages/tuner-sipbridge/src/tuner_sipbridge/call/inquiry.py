"""OPTIONS outside a dialog: asks a SIP element whether it is there and what it can do (RFC 3261 §11)."""

from __future__ import annotations

from tuner_sipbridge.call.events import CallEvent, TimedOut, Unreachable
from tuner_sipbridge.call.ids import Ids
from tuner_sipbridge.call.requests import PRODUCT, SDP, Reach
from tuner_sipbridge.call.transacting import Transacting
from tuner_sipbridge.sip.headers import Headers, NameAddr
from tuner_sipbridge.sip.layer_events import NoResponse, NotSent
from tuner_sipbridge.sip.message import Request
from tuner_sipbridge.sip.routing import Address, Hop
from tuner_sipbridge.sip.timers import DEFAULT_TIMERS, Timers
from tuner_sipbridge.sip.transaction_layer import TransactionLayer
from tuner_sipbridge.sip.uri import Uri


class Inquiry(Transacting):
    """One OPTIONS; a machine as `OutboundCall` is. Its answer is for who observes the messages."""

    def __init__(
        self,
        target: Uri,
        *,
        to: Hop,
        local: Address,
        sip_call_id: str,
        from_uri: Uri,
        ids: Ids,
        timers: Timers = DEFAULT_TIMERS,
    ) -> None:
        """Prepare; nothing is sent before `start`.

        Args:
            target: whom to ask.
            to: where the request goes.
            local: host and port on which we are reached.
            sip_call_id: Call-ID of the request.
            from_uri: who asks.
            ids: source of branches and tags.
            timers: the base values of RFC 3261 §17.
        """
        reach = Reach(local, from_uri.user, to.transport, secure=target.scheme == "sips")
        self._to = to
        self._request = Request(
            "OPTIONS",
            target.as_request_uri(),
            Headers(
                [
                    ("Via", str(reach.via(ids.branch(), towards=target))),
                    ("Max-Forwards", "70"),
                    ("From", str(NameAddr(from_uri).with_tag(ids.tag()))),
                    ("To", str(NameAddr(target.as_request_uri()))),
                    ("Call-ID", sip_call_id),
                    ("CSeq", "1 OPTIONS"),
                    reach.contact,
                    ("Accept", SDP),
                    ("User-Agent", PRODUCT),
                ]
            ),
        )
        self._layer = TransactionLayer(timers)
        self._timers = timers
        self._events: list[CallEvent] = []
        self._begun = False

    @property
    def sip_call_id(self) -> str:
        """Call-ID of the request."""
        return self._request.call_id

    @property
    def finished(self) -> bool:
        """True when no transaction is left."""
        return self._begun and self._layer.idle

    def start(self, *, now: float) -> None:
        """Send the request."""
        self._begun = True
        self._layer.send(self._request, now=now, to=self._to)

    def handle_timer(self, *, now: float) -> None:
        """Do what is due at `now`."""
        self._layer.handle_timer(now=now)
        self._pump(now)

    def next_deadline(self) -> float | None:
        """When `handle_timer` must run next."""
        return self._layer.next_deadline()

    def events(self) -> list[CallEvent]:
        """`TimedOut` or `Unreachable` when there is no answer; drained."""
        events, self._events = self._events, []
        return events

    def _pump(self, now: float) -> None:
        for event in self._layer.events():
            match event:
                case NoResponse():
                    self._events.append(TimedOut("no response", f"no response in {self._timers.f:g} s"))
                case NotSent(why=why):
                    self._events.append(Unreachable(why))
                case _:
                    pass
