"""The SIP messages of a call, as rows of its trace."""

from __future__ import annotations

from tuner_sipbridge.call.events import CallEvent
from tuner_sipbridge.call.inbound import InboundCall
from tuner_sipbridge.sip.message import Message
from tuner_sipbridge.sip.routing import Hop
from tuner_sipbridge.sip.uri import without_password
from tuner_sipbridge.trace import Trace


def note_message(trace: Trace, message: Message, peer: Hop, *, sent: bool, now: float) -> None:
    """Note a SIP message in a trace, without its secrets."""
    host, port = peer.flow or peer.address
    trace.note(
        "sip.sent" if sent else "sip.received",
        at=now,
        summary=without_password(message.start_line),
        message=message.redacted(),
        peer=f"{host}:{port}",
        transport=peer.transport,
    )


def note_nat(trace: Trace, machine: InboundCall, *, now: float) -> None:
    """Note that a caller is reached elsewhere than its Contact says."""
    if machine.nat is not None:
        host, port = machine.nat.address
        contact = machine.invite.contacts[0].uri
        trace.note(
            "call.behind_nat",
            at=now,
            contact=f"{contact.host}:{contact.port or 5060}",
            source=f"{host}:{port}",
        )


class FormerLeg:
    """Observes a leg that the call has left: its messages are noted, its end is not that of the call."""

    def __init__(self, trace: Trace) -> None:
        self._trace = trace

    def on_message(self, message: Message, peer: Hop, *, sent: bool, now: float) -> None:
        """Note a message."""
        note_message(self._trace, message, peer, sent=sent, now=now)

    def on_event(self, event: CallEvent, *, now: float) -> None:
        """Nothing of it matters to the call."""
