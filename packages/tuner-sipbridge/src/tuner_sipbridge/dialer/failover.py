"""One call and its ways: when a target is silent, cannot be reached or says 503, the next is tried (RFC 3263 §4.3)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

from tuner_sipbridge.call import events as signalling
from tuner_sipbridge.call.outbound import OutboundCall
from tuner_sipbridge.dialer.ways import Way, WaysTo
from tuner_sipbridge.media.engine import MediaStream
from tuner_sipbridge.net.driver import SipDriver
from tuner_sipbridge.sip.message import Message, Response
from tuner_sipbridge.sip.targets import DEFAULT_PENALTY_S, penalty_of


@dataclass(frozen=True, slots=True)
class Footing:
    """The sockets of a call at one local address.

    Attributes:
        host: that address, as the ways name it.
        driver: of its SIP.
        stream: of its media.
    """

    host: str
    driver: SipDriver
    stream: MediaStream


FootingFor: TypeAlias = Callable[[Way], Awaitable[Footing]]
"""Opens the sockets that a way leaves from."""
MachineFor: TypeAlias = Callable[[Way, Footing, float], OutboundCall]
"""Makes the machine of a call for a way, its sockets and a ring time-out in seconds, with branches of its own."""


class Failover:
    """The ways of one call: which is in use, which failed and why."""

    def __init__(
        self,
        ways: WaysTo,
        candidates: Sequence[Way],
        footing: Footing,
        footing_for: FootingFor,
        machine_for: MachineFor,
        *,
        ring_timeout_s: float,
    ) -> None:
        """Begin with the first of the candidates.

        Args:
            ways: is told which ways fail and which work.
            candidates: the ways, best first; at least one.
            footing: the sockets of the first.
            footing_for: opens those of a way that leaves from another address.
            machine_for: makes the machine of the call.
            ring_timeout_s: for all tries together.
        """
        self._ways, self._machine_for, self._ring_timeout_s = ways, machine_for, ring_timeout_s
        self._left, self._left_s = list(candidates), ring_timeout_s
        self._footing_for, self.footing = footing_for, footing
        self._began: float | None = None
        self._penalty_s = DEFAULT_PENALTY_S
        self.heard = False
        """Whether anything was heard over the way in use."""
        self.failed: list[tuple[Way, str]] = []
        """The ways that failed, in order, each with why."""

    @property
    def way(self) -> Way:
        """The way in use."""
        return self._left[0]

    @property
    def has_another(self) -> bool:
        """Whether there is a way left to try."""
        return len(self._left) > 1

    @property
    def stands(self) -> bool:
        """Whether the way in use leaves from the sockets that are open."""
        return self.way.local == self.footing.host

    async def change_footing(self) -> None:
        """Open the sockets of the way in use; those of the way before are the caller's to close.

        Raises:
            SipBridgeError: they cannot be had.
        """
        self.footing = await self._footing_for(self.way)

    def machine(self) -> OutboundCall:
        """The machine of the call for the way in use.

        Raises:
            LocalProtocolError: the call cannot be made as asked.
        """
        return self._machine_for(self.way, self.footing, self._left_s)

    def note(self, message: Message, *, now: float) -> None:
        """A message came over the way in use."""
        self.heard = True
        if isinstance(message, Response) and message.cseq.method == "INVITE":
            if message.status == 503:
                self._penalty_s = penalty_of(message)
            elif message.status > 100:
                self._ways.note_success(self.way)

    def begin(self, *, now: float) -> None:
        """The first INVITE is sent."""
        self._began = now

    def next(self, event: signalling.CallEvent, *, now: float) -> bool:
        """Use the next way when `event` says that the one in use failed.

        Returns:
            False when it says something else, when no way is left, or when the ring time-out is over.
        """
        why = why_elsewhere(event)
        if why is None:
            return False
        self._ways.note_failure(self.way, why, for_s=self._penalty_s)
        self.failed.append((self.way, why))
        self._left_s = self._ring_timeout_s - (now - (now if self._began is None else self._began))
        if not self.has_another or self._left_s <= 0:
            return False
        self._left.pop(0)
        self.heard, self._penalty_s = False, DEFAULT_PENALTY_S
        return True

    def told(self, event: signalling.CallEvent) -> signalling.CallEvent:
        """The closing event of the call, with the ways that failed before the last in its words."""
        before = self.failed[:-1] if self.failed and self.failed[-1][0] is self.way else self.failed
        if not before or not isinstance(
            event, signalling.Rejected | signalling.TimedOut | signalling.Unreachable
        ):
            return event
        tried = "; ".join(f"{way}: {why}" for way, why in before)
        return replace(event, text=f"{event.text} (tried before: {tried})")


def why_elsewhere(event: signalling.CallEvent) -> str | None:
    """Why a call should be tried at its next target, None when it should not (RFC 3263 §4.3)."""
    match event:
        case signalling.TimedOut(stage="no response", text=text) | signalling.Unreachable(text=text):
            return text
        case signalling.Rejected(status=503, text=text):
            return text
        case _:
            return None
