"""The call to the party that the agent transfers our caller to, until it stands (RFC 3515, RFC 5589 §6)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial

from tuner_sipbridge.call import events as signalling
from tuner_sipbridge.call.outbound import OutboundCall
from tuner_sipbridge.dialer.attempts import Attempts
from tuner_sipbridge.dialer.failover import Failover
from tuner_sipbridge.dialer.leg_terms import LegTerms
from tuner_sipbridge.dialer.message_notes import note_message
from tuner_sipbridge.dialer.outcome import outcome_of
from tuner_sipbridge.dialer.placed_call import Follow, PlacedCall
from tuner_sipbridge.dialer.signalling_notes import is_closing
from tuner_sipbridge.dialer.ways import Way, Ways
from tuner_sipbridge.errors import NetworkError, SipBridgeError
from tuner_sipbridge.net import clock
from tuner_sipbridge.net.driver import Leg, SipDriver
from tuner_sipbridge.net.ids import new_sip_call_id
from tuner_sipbridge.sip.message import Message
from tuner_sipbridge.sip.routing import Address, Hop
from tuner_sipbridge.sip.uri import Uri


class FollowedTransfer:
    """Observes the leg to the new party: reports to the agent, and moves the call once the party answers.

    Media before the answer is not heard: the agent that transfers still has the stream.
    """

    def __init__(
        self, call: PlacedCall, failover: Failover, driver: SipDriver, target: str, *, patience_s: float
    ) -> None:
        """Prepare.

        Args:
            call: the call that is transferred.
            failover: the ways to the new party.
            driver: runs the call to it.
            target: its URI.
            patience_s: seconds without any response after which its next way is tried, when there is one.

        Raises:
            LocalProtocolError: the call cannot be made as asked.
        """
        self._call, self._target = call, target
        self._leg: Leg[signalling.CallEvent] | None = None
        self._attempts = Attempts(
            failover, driver, self, call.trace, patience_s=patience_s, on_leg=self._lead
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
                outcome = outcome_of(event, completed=False)
                self._call.stay(outcome.status or _status_of(event), outcome.detail, now=now)
            case _:
                pass


class Follower:
    """Makes the calls that far ends ask for, over the ways of a dialer."""

    def __init__(
        self,
        ways: Ways,
        reach: Callable[[str], Awaitable[tuple[Uri, list[Way], SipDriver]]],
        *,
        routed: bool,
        patience_s: float,
    ) -> None:
        """Prepare.

        Args:
            ways: is told which ways to a new party fail and which work.
            reach: reads a URI, and gives the ways to it and the sockets for the first.
            routed: calls go through a trunk.
            patience_s: seconds without any response after which the next way is tried.
        """
        self._ways, self._reach, self._routed, self._patience_s = ways, reach, routed, patience_s

    def of(self, first: Uri, terms: LegTerms, media: Address) -> Follow:
        """How one call is transferred.

        The user's credentials and headers are for the host that was dialled: another host does not get them.

        Args:
            first: whom the call was with at first.
            terms: how it was made.
            media: our RTP port, at which it goes on.
        """

        async def follow(call: PlacedCall, asked: signalling.TransferRequested) -> None:
            try:
                transfer = await self._prepare(call, asked, first, terms, media)
            except SipBridgeError as error:
                call.stay(503 if isinstance(error, NetworkError) else 400, str(error), now=clock.now())
                return
            if call.move_by(transfer):
                transfer.start()

        return follow

    async def _prepare(
        self,
        call: PlacedCall,
        asked: signalling.TransferRequested,
        first: Uri,
        terms: LegTerms,
        media: Address,
    ) -> FollowedTransfer:
        uri, candidates, driver = await self._reach(asked.target)
        if driver.local[0] != media[0]:
            raise NetworkError("the new party is reached from another interface than the media of the call")
        local = driver.shown(driver.local[0])
        known = self._routed or uri.host == first.host
        machine_for = partial(
            (terms if known else terms.for_strangers()).machine,
            uri,
            local=local,
            offer=terms.offer(local[0], media[1], candidates[0]),
            sip_call_id=new_sip_call_id(),
            headers=asked.headers,
        )
        failover = Failover(
            self._ways,
            candidates,
            lambda way, ring_timeout_s: machine_for(way, ring_timeout_s=ring_timeout_s),
            ring_timeout_s=terms.ring_timeout_s,
        )
        return FollowedTransfer(call, failover, driver, asked.target, patience_s=self._patience_s)


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
