"""The leg of a dialled call until it stands: its INVITE, and the ways that are tried one after the other."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

from tuner_sipbridge.call import events as signalling
from tuner_sipbridge.call.inbound import InboundCall
from tuner_sipbridge.call.outbound import OutboundCall
from tuner_sipbridge.dialer.attempts import Attempts
from tuner_sipbridge.dialer.call_speech import CallSpeech
from tuner_sipbridge.dialer.failover import Failover
from tuner_sipbridge.errors import SipBridgeError
from tuner_sipbridge.media import engine as media
from tuner_sipbridge.net import clock
from tuner_sipbridge.net.driver import Leg
from tuner_sipbridge.sip.message import Message
from tuner_sipbridge.sip.routing import Hop
from tuner_sipbridge.trace import Trace


class DialledLeg(CallSpeech):
    """Signalling on top of the media of a call. `PlacedCall` says what its events lead to."""

    def __init__(self, stream: media.MediaStream, trace: Trace) -> None:
        super().__init__(stream, trace)
        self._stream = stream
        self.target = self.correlation_id = self.sip_call_id = ""
        self._leg: Leg[signalling.CallEvent] | None = None
        self._attempts: Attempts | None = None
        self._between_ways = False
        self._machine: OutboundCall | InboundCall | None = None
        self._over = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def stream(self) -> media.MediaStream:
        """The media of the call."""
        return self._stream

    def on_event(self, event: signalling.CallEvent, *, now: float) -> None:
        """Something happened to the leg."""
        raise NotImplementedError

    def on_message(self, message: Message, peer: Hop, *, sent: bool, now: float) -> None:
        """A message of the leg was sent or came."""
        raise NotImplementedError

    def start(self, failover: Failover, *, patience_s: float, scenario: str, agent: str) -> None:
        """Send the INVITE.

        Args:
            failover: the ways of the call.
            patience_s: seconds without any response after which the next way is tried, when there is one.
            scenario: for the trace.
            agent: for the trace.

        Raises:
            LocalProtocolError: the call cannot be made as asked; nothing was sent.
        """
        self._attempts = attempts = Attempts(
            failover,
            self,
            self.trace,
            patience_s=patience_s,
            on_leg=self._lead,
            on_other_footing=self._leave_footing,
        )
        self.sip_call_id = attempts.machine.sip_call_id
        now = clock.now()
        self.trace.note(
            "call.dialled",
            at=now,
            target=self.target,
            sip_call_id=self.sip_call_id,
            correlation_id=self.correlation_id,
            scenario=scenario,
            agent=agent,
        )
        self._spawn(self._watch_media())
        attempts.start(now=now)

    def _lead(self, leg: Leg[signalling.CallEvent], machine: OutboundCall) -> None:
        self._leg, self._machine = leg, machine

    def _leave_footing(self) -> None:
        assert self._attempts is not None
        self._between_ways = True
        self._spawn(self._step_over(self._attempts))

    async def _step_over(self, attempts: Attempts) -> None:
        """Go on from another local address: with sockets, a media port and an offer of its own."""
        failover, former = attempts.failover, attempts.failover.footing.stream
        try:
            await failover.change_footing()
        except SipBridgeError as error:
            self._between_ways = False
            if not self._over.is_set():
                self.on_event(signalling.Unreachable(str(error)), now=clock.now())
            return
        if not self._between_ways:
            await failover.footing.stream.close()
            return
        self._between_ways = False
        self._stream = self._spoken = failover.footing.stream
        self._spawn(self._watch_media())
        attempts.resume()
        await former.close()

    def _spawn(self, coroutine: Coroutine[Any, Any, None]) -> None:
        self._tasks.add(asyncio.get_running_loop().create_task(coroutine))
