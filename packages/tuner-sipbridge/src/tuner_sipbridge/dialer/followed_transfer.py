"""The call to the party that the agent transfers our caller to, until it stands (RFC 3515, RFC 5589 §6)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from tuner_sipbridge.call import events as signalling
from tuner_sipbridge.call.outbound import OutboundCall
from tuner_sipbridge.dialer.attempts import Attempts
from tuner_sipbridge.dialer.failover import Failover, Footing
from tuner_sipbridge.dialer.leg_terms import LegTerms
from tuner_sipbridge.dialer.message_notes import note_message
from tuner_sipbridge.dialer.outcome import outcome_of
from tuner_sipbridge.dialer.placed_call import Follow, PlacedCall
from tuner_sipbridge.dialer.signalling_notes import is_closing
from tuner_sipbridge.dialer.sockets import SocketsAt
from tuner_sipbridge.dialer.ways import Way, WaysTo
from tuner_sipbridge.errors import NetworkError, SipBridgeError
from tuner_sipbridge.net import clock
from tuner_sipbridge.net.driver import Leg
from tuner_sipbridge.net.ids import new_sip_call_id
from tuner_sipbridge.sip.message import Message
from tuner_sipbridge.sip.routing import Hop
from tuner_sipbridge.sip.uri import Uri
from tuner_sipbridge.trace import Trace


class FollowedTransfer:
    """Observes the leg to the new party: reports to the agent, and moves the call once the party answers.

    Media before the answer is not heard: the agent that transfers still has the stream.
    """

    def __init__(self, call: PlacedCall, failover: Failover, target: str, *, patience_s: float) -> None:
        """Prepare.

        Args:
            call: the call that is transferred.
            failover: the ways to the new party, all from the sockets that the call has.
            target: its URI.
            patience_s: seconds without any response after which its next way is tried, when there is one.

        Raises:
            LocalProtocolError: the call cannot be made as asked.
        """
        self._call, self._target = call, target
        self._leg: Leg[signalling.CallEvent] | None = None
        self._attempts = Attempts(
            failover,
            self,
            call.trace,
            patience_s=patience_s,
            on_leg=self._lead,
            on_other_footing=lambda: None,
        )

    def start(self) -> None:
        """Send the INVITE."""
        self._attempts.start(now=clock.now())

    def give_up(self) -> None:
        """The caller hangs up: CANCEL."""
        machine = self._attempts.machine
        if self._leg is not None:
            self._leg.act(lambda now: machine.cancel(now=now, why="the caller hung up"))

    def on_message(self, message: Message, peer: Hop, *, sent: bool, now: float) -> None:
        """Note a message of the leg."""
        note_message(self._call.trace, message, peer, sent=sent, now=now)
        if not sent:
            self._attempts.note(message, now=now)

    def _lead(self, leg: Leg[signalling.CallEvent], machine: OutboundCall) -> None:
        self._leg = leg

    def on_event(self, event: signalling.CallEvent, *, now: float) -> None:
        """Tell the agent how far its transfer is."""
        match event:
            case signalling.Ringing(status=status):
                self._call.report_transfer(status, now=now)
            case signalling.Answered():
                assert self._leg is not None
                machine = self._attempts.machine
                self._call.move_to(self._leg, machine, event, target=self._target, now=now)
            case _ if is_closing(event):
                if self._attempts.goes_on(event, now=now):
                    return
                event = self._attempts.told(event)
                outcome = outcome_of(event, Trace(), completed=False)
                self._call.stay(outcome.status or _status_of(event), outcome.detail, now=now)
            case _:
                pass


class Follower:
    """Makes the calls that far ends ask for, over the ways of a dialer."""

    def __init__(
        self,
        ways: WaysTo,
        sockets: SocketsAt,
        reach: Callable[[str], Awaitable[tuple[Uri, list[Way]]]],
        *,
        routed: bool,
        patience_s: float,
    ) -> None:
        """Prepare.

        Args:
            ways: is told which ways to a new party fail and which work.
            sockets: those to send from.
            reach: reads a URI, and gives the ways to it.
            routed: calls go through a trunk.
            patience_s: seconds without any response after which the next way is tried.
        """
        self._ways, self._sockets, self._reach = ways, sockets, reach
        self._routed, self._patience_s = routed, patience_s

    def of(self, first: Uri, terms: LegTerms) -> Follow:
        """How one call is transferred; it goes on with its media at the same port.

        The user's credentials and headers are for the host that was dialled: another host does not get them.

        Args:
            first: whom the call was with at first.
            terms: how it was made.
        """

        async def follow(call: PlacedCall, asked: signalling.TransferRequested) -> None:
            try:
                failover = await self._failover(call, asked, first, terms)
                transfer = FollowedTransfer(call, failover, asked.target, patience_s=self._patience_s)
            except SipBridgeError as error:
                call.stay(503 if isinstance(error, NetworkError) else 400, str(error), now=clock.now())
                return
            if call.move_by(transfer):
                transfer.start()

        return follow

    async def _failover(
        self, call: PlacedCall, asked: signalling.TransferRequested, first: Uri, terms: LegTerms
    ) -> Failover:
        """The ways to the new party that leave from the address of the call's media."""
        uri, ways = await self._reach(asked.target)
        host = call.stream.local[0]
        candidates = [
            way for way in ways if (await self._sockets.at(way.local)).host_towards(way.hop) == host
        ]
        if not candidates:
            raise NetworkError("the new party is reached from another interface than the media of the call")
        terms = terms if self._routed or uri.host == first.host else terms.for_strangers()
        call_id = new_sip_call_id()

        def machine_for(way: Way, stands: Footing, ring_timeout_s: float) -> OutboundCall:
            local = stands.driver.shown(host, way.hop.transport)
            return terms.machine(
                uri,
                way,
                local=local,
                offer=terms.offer(stands.driver.media_shown(call.stream), way),
                sip_call_id=call_id,
                ring_timeout_s=ring_timeout_s,
                headers=asked.headers,
            )

        async def footing(way: Way) -> Footing:
            return Footing(way.local, await self._sockets.at(way.local), call.stream)

        begun = await footing(candidates[0])
        return Failover(
            self._ways, candidates, begun, footing, machine_for, ring_timeout_s=terms.ring_timeout_s
        )


def _status_of(event: signalling.CallEvent) -> int:
    """What a call that ended without a refusal is reported as."""
    match event:
        case signalling.Cancelled():
            return 487
        case signalling.TimedOut():
            return 408
        case signalling.NegotiationFailed():
            return 488
        case _:
            return 503
