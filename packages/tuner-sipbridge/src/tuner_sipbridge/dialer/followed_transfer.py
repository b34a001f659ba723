"""The call to the party that the agent transfers our caller to, until it stands (RFC 3515, RFC 5589 §6)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from tuner_sipbridge.call import events as signalling
from tuner_sipbridge.call.outbound import OutboundCall
from tuner_sipbridge.dialer.leg_terms import LegTerms
from tuner_sipbridge.dialer.message_notes import note_message
from tuner_sipbridge.dialer.outcome import outcome_of
from tuner_sipbridge.dialer.placed_call import PlacedCall
from tuner_sipbridge.dialer.signalling_notes import is_closing
from tuner_sipbridge.dialer.ways import Way
from tuner_sipbridge.errors import NetworkError, SipBridgeError
from tuner_sipbridge.net import clock
from tuner_sipbridge.net.driver import Leg, SipDriver
from tuner_sipbridge.net.ids import new_sip_call_id
from tuner_sipbridge.sip.message import Message
from tuner_sipbridge.sip.routing import Address, Hop
from tuner_sipbridge.sip.uri import Uri
from tuner_sipbridge.trace import Trace


class FollowedTransfer:
    """Observes the leg to the new party: reports to the agent, and moves the call once the party answers.

    Media before the answer is not heard: the agent that transfers still has the stream.
    """

    def __init__(self, call: PlacedCall, machine: OutboundCall, target: str) -> None:
        """Prepare.

        Args:
            call: the call that is transferred.
            machine: of the call to the new party.
            target: its URI.
        """
        self._call, self._machine, self._target = call, machine, target
        self._leg: Leg[signalling.CallEvent] | None = None

    def start(self, driver: SipDriver) -> None:
        """Send the INVITE."""
        self._leg = driver.add(self._machine, self)
        self._leg.act(lambda now: self._machine.start(now=now))

    def give_up(self) -> None:
        """The caller hangs up: CANCEL."""
        if self._leg is not None:
            self._leg.act(lambda now: self._machine.cancel(now=now, why="the caller hung up"))

    def on_message(self, message: Message, peer: Hop, *, sent: bool, now: float) -> None:
        """Note a message of the leg."""
        note_message(self._call.trace, message, peer, sent=sent, now=now)

    def on_event(self, event: signalling.CallEvent, *, now: float) -> None:
        """Tell the agent how far its transfer is."""
        match event:
            case signalling.Ringing(status=status):
                self._call.report_transfer(status, now=now)
            case signalling.Answered():
                assert self._leg is not None
                self._call.move_to(self._leg, self._machine, event, target=self._target, now=now)
            case _ if is_closing(event):
                outcome = outcome_of(event, Trace(), completed=False)
                self._call.stay(outcome.status or _status_of(event), outcome.detail, now=now)
            case _:
                pass


async def follow(
    call: PlacedCall,
    asked: signalling.TransferRequested,
    *,
    first: Uri,
    terms: LegTerms,
    media: Address,
    routed: bool,
    reach: Callable[[str], Awaitable[tuple[Uri, list[Way], SipDriver]]],
) -> None:
    """Call whom the agent transfers `call` to, with its media at the same port; the call is told what came of it.

    The user's credentials and headers are for the host that was dialled: another host does not get them.

    Args:
        call: the call that is transferred.
        asked: what the agent asks for.
        first: whom the user dialled.
        terms: how the call was made.
        media: our RTP port.
        routed: calls go through a trunk.
        reach: reads a URI, and gives the ways to it and the sockets for the first.
    """
    try:
        uri, [way, *_], driver = await reach(asked.target)
        if driver.local[0] != media[0]:
            raise NetworkError("the new party is reached from another interface than the media of the call")
        local = driver.shown(driver.local[0])
        known = routed or uri.host == first.host
        machine = (terms if known else terms.for_strangers()).machine(
            uri,
            way,
            local=local,
            offer=terms.offer(local[0], media[1], way),
            sip_call_id=new_sip_call_id(),
            ring_timeout_s=terms.ring_timeout_s,
            headers=asked.headers,
        )
    except SipBridgeError as error:
        call.stay(503 if isinstance(error, NetworkError) else 400, str(error), now=clock.now())
        return
    transfer = FollowedTransfer(call, machine, asked.target)
    if call.move_by(transfer):
        transfer.start(driver)


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
