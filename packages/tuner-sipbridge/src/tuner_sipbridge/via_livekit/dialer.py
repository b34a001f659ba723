"""Calls through LiveKit, with the surface of `Dialer.run`: for whose only way out is a LiveKit trunk."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Self, TypeAlias

from tuner_sipbridge.caller.scenario import Scenario
from tuner_sipbridge.caller.speech import SpeechSource, render_scenario
from tuner_sipbridge.caller.utterance import Utterance
from tuner_sipbridge.dialer.outcome import Outcome
from tuner_sipbridge.dialer.outcome_class import class_of_error
from tuner_sipbridge.dialer.play import play, unless
from tuner_sipbridge.dialer.run import CallRun
from tuner_sipbridge.errors import LocalProtocolError, MediaError
from tuner_sipbridge.media.engine import MediaStatistics
from tuner_sipbridge.media.recording import Recording
from tuner_sipbridge.net import clock
from tuner_sipbridge.net.ids import new_correlation_id, new_sip_call_id
from tuner_sipbridge.sdp.crypto import SrtpPolicy
from tuner_sipbridge.sip.uri import without_password
from tuner_sipbridge.trace import Trace
from tuner_sipbridge.via_livekit.account import LiveKitAccount
from tuner_sipbridge.via_livekit.callee import callee_of
from tuner_sipbridge.via_livekit.request import CallOrder, request_for
from tuner_sipbridge.via_livekit.room import Room
from tuner_sipbridge.via_livekit.rtc_room import RtcRoom
from tuner_sipbridge.via_livekit.service import LiveKitService
from tuner_sipbridge.via_livekit.terms import TrunkTerms
from tuner_sipbridge.via_livekit.trunk_call import TrunkCall

RoomFactory: TypeAlias = Callable[[str, str, str], Room]
"""Makes a room out of its server's address, a token and the callee's identity."""


@dataclass(frozen=True, slots=True)
class _Played:
    """How one call went, and what was recorded of it."""

    outcome: Outcome
    recording: Recording | None = None


class LiveKitDialer:
    """Places calls through LiveKit's SIP service and speaks in the room. An async context manager.

    ```python
    account = LiveKitAccount.from_environ(os.environ)
    async with LiveKitDialer(account, TrunkTerms(trunk_id="ST_…")) as dialer:
        run = await dialer.run("+15551234567", Scenario.load("refund.yaml"))
    ```
    """

    def __init__(
        self,
        account: LiveKitAccount,
        terms: TrunkTerms,
        *,
        speech: SpeechSource | None = None,
        room: RoomFactory = RtcRoom,
    ) -> None:
        """Prepare; nothing is opened before `async with`.

        Args:
            account: whose project.
            terms: how LiveKit is to call.
            speech: voice of the caller; the one each scenario's persona names when not given.
            room: how rooms are joined.
        """
        self._account, self._terms, self._speech, self._make_room = account, terms, speech, room
        self._service = LiveKitService(account)

    async def __aenter__(self) -> Self:
        """Open the connection pool."""
        await self._service.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Close the connections."""
        await self._service.__aexit__(kind, error, traceback)

    async def render(self, scenario: Scenario) -> dict[int, Utterance]:
        """What the caller will say; see `Dialer.render`.

        Raises:
            SpeechError: a sentence cannot be rendered.
        """
        return await asyncio.to_thread(render_scenario, scenario, self._speech)

    async def run(
        self,
        target: str,
        scenario: Scenario,
        *,
        agent: str = "",
        ring_timeout: float = 30.0,
        sip_call_id: str | None = None,
        correlation_id: str | None = None,
        headers: Mapping[str, str] | None = None,
        username: str | None = None,
        password: str | None = None,
        srtp: SrtpPolicy | None = None,
        utterances: Mapping[int, Utterance] | None = None,
        stop: asyncio.Event | None = None,
    ) -> CallRun:
        """Call, play, hang up. A call that fails is a run with its outcome, never an exception.

        LiveKit gives the INVITE its Call-ID: the run has it where the callee's participant showed it.

        Args:
            target: phone number, tel URI, or, without a stored trunk, SIP URI.
            scenario: what to play.
            agent: name of the agent, for the trace.
            ring_timeout: how long the callee may ring, in seconds.
            sip_call_id: stands in the run for the Call-ID while that is not known.
            correlation_id: value of X-Correlation-Id; 32 hexadecimal digits of our making when not given.
            headers: further headers of the INVITE.
            username: for the far end's challenge, without a stored trunk.
            password: the same.
            srtp: between LiveKit and the far end; the trunk's own setting when `off` or not given.
            utterances: the scenario's speech from `render`; rendered now when not given.
            stop: once it is set the call is hung up, and is `indeterminate`.

        Raises:
            SpeechError: the scenario's speech cannot be rendered; nobody was called.
        """
        speech = await self.render(scenario) if utterances is None else utterances
        call_id, correlation = sip_call_id or new_sip_call_id(), correlation_id or new_correlation_id()
        trace = Trace()
        order = CallOrder(
            room=self._terms.room or f"tuner-{secrets.token_hex(6)}",
            identity=f"tuner-callee-{secrets.token_hex(4)}",
            ring_timeout_s=ring_timeout,
            headers={"X-Correlation-Id": correlation, **(headers or {})},
            srtp=srtp or "off",
            username=username or "",
            password=password or "",
        )
        played = await self._play(target, order, scenario, speech, trace, agent=agent, stop=stop)
        identified = trace.first("call.identified")
        return CallRun(
            target=without_password(target),
            scenario=scenario.name,
            sip_call_id=call_id if identified is None else str(identified.fields["sip_call_id"]),
            correlation_id=correlation,
            outcome=played.outcome,
            trace=trace,
            recording=played.recording,
            statistics=MediaStatistics(),
        )

    async def _play(
        self,
        target: str,
        order: CallOrder,
        scenario: Scenario,
        speech: Mapping[int, Utterance],
        trace: Trace,
        *,
        agent: str,
        stop: asyncio.Event | None,
    ) -> _Played:
        """Make one call; what it was is in `trace`."""
        try:
            call = self._place(target, order, trace)
            trace.note(
                "call.dialled",
                at=clock.now(),
                target=without_password(target),
                sip_call_id="",
                correlation_id=order.headers["X-Correlation-Id"],
                scenario=scenario.name,
                agent=agent,
            )
            await call.start()
        except LocalProtocolError as error:
            return _Played(Outcome(class_of_error(error), str(error)))
        except MediaError as error:
            trace.note("call.unreachable", at=clock.now(), why=str(error))
            return _Played(_no_room(error))
        completed = None
        try:
            if await unless(stop, call.answered()):
                completed = await unless(stop, play(call, scenario, speech))
        finally:
            await call.close()
        recording = call.media.recording if call.media is not None else None
        return _Played(call.outcome(completed=bool(completed)), recording)

    def _place(self, target: str, order: CallOrder, trace: Trace) -> TrunkCall:
        callee = callee_of(target, self._terms)
        request = request_for(callee, self._terms, order)
        token = self._service.token(order.room, f"tuner-caller-{secrets.token_hex(4)}")
        room = self._make_room(self._account.websocket_url, token, order.identity)
        return TrunkCall(room, self._service, request, trace=trace)


def _no_room(error: MediaError) -> Outcome:
    """A room that cannot be joined: by the key, or because LiveKit is not reached."""
    words = str(error)
    if "401" in words or "403" in words:
        return Outcome(
            "client_error",
            f"LiveKit does not accept the API key: check LIVEKIT_API_KEY and LIVEKIT_API_SECRET ({words})",
        )
    return Outcome("upstream_error", f"{words}: check LIVEKIT_URL")
