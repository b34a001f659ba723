"""One call that LiveKit makes for us: the request, the callee's participant, the caller's voice, and their trace."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine
from typing import Any, Literal

from livekit.protocol import sip

from tuner_sipbridge.call import events as signalling
from tuner_sipbridge.caller import events as turns
from tuner_sipbridge.dialer.call_speech import CallSpeech
from tuner_sipbridge.dialer.outcome import Outcome, located, outcome_of
from tuner_sipbridge.dialer.signalling_notes import note
from tuner_sipbridge.errors import CallUnreachable, MediaError
from tuner_sipbridge.media import engine as media
from tuner_sipbridge.net import clock
from tuner_sipbridge.trace import Trace
from tuner_sipbridge.via_livekit.departures import ended_by, room_lost, unanswered_by
from tuner_sipbridge.via_livekit.refusals import Refused, TwirpFailure, refused, unanswered, unreachable
from tuner_sipbridge.via_livekit.room import CalleeLeft, CalleeShown, DigitHeard, Room, RoomEvent, RoomLost
from tuner_sipbridge.via_livekit.room_stream import RoomStream
from tuner_sipbridge.via_livekit.service import RINGING_MARGIN_S, LiveKitService

logger = logging.getLogger("tuner_sipbridge.via_livekit")

GOODBYE_S = 2.0
"""How long closing a call waits until LiveKit has ended it."""

NOT_KNOWN = {
    "SIP messages": "LiveKit's SIP service exchanges them with the trunk and does not show them",
    "RTP statistics": "the packets run between LiveKit and the trunk; here they are a room's audio",
}
"""What a call through LiveKit cannot tell, and why."""
NO_CALL_ID = (
    "the callee's participant showed no sip.callIDFull: the call can be linked by X-Correlation-Id only"
)


class TrunkCall(CallSpeech):
    """A call from the request on. Made by `LiveKitDialer`; also the observer of its requests."""

    def __init__(
        self,
        room: Room,
        service: LiveKitService,
        request: sip.CreateSIPParticipantRequest,
        *,
        trace: Trace,
    ) -> None:
        self._stream = RoomStream(room)
        super().__init__(self._stream, trace)
        self._room, self._service, self._request = room, service, request
        self.sip_call_id = ""
        """Call-ID of LiveKit's INVITE, once the callee's participant has shown it."""
        self.media: media.MediaResult | None = None
        """The recording, once the call is closed."""
        self._closing: Refused | None = None
        self._ended: signalling.Ended | None = None
        self._failed = self._gone = ""
        self._leaving = False
        self._ring_s = float(request.ringing_timeout.seconds)
        self._answered, self._over = asyncio.Event(), asyncio.Event()
        self._placing: asyncio.Task[None] | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Join the room and let LiveKit call.

        Raises:
            MediaError: the room cannot be joined; nobody was called.
        """
        try:
            await self._room.join()
        except MediaError:
            await self._room.leave()
            raise
        self.trace.note("room.joined", at=clock.now(), room=self._request.room_name)
        self._stream.start()
        self._spawn(self._watch_media())
        self._spawn(self._watch_room())
        self._placing = self._spawn(self._place())

    async def answered(self) -> bool:
        """Wait until the callee picks up; False when it does not."""
        try:
            async with asyncio.timeout(self._ring_s + 2 * RINGING_MARGIN_S):
                await self._answered.wait()
        except TimeoutError:
            self._refuse(unanswered(self._ring_s))
            self._leave()
        return not self._over.is_set()

    def hang_up(self) -> None:
        """Let LiveKit end the call; nothing when it is over."""
        if not self._over.is_set() and not self._leaving:
            self._leave()

    async def close(self) -> None:
        """Hang up if need be, wait shortly until LiveKit has, leave the room, and take the recording."""
        if self.media is not None:
            return
        self.hang_up()
        try:
            async with asyncio.timeout(GOODBYE_S):
                await self._over.wait()
        except TimeoutError:
            logger.info("LiveKit did not confirm the end of the call")
            self._on_left("UNKNOWN_REASON")
        self.media = await self._stream.close()
        goodbyes = [task for task in self._tasks if task.get_name() == "goodbye"]
        await asyncio.gather(*goodbyes, return_exceptions=True)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._room.leave()
        now = clock.now()
        if not self.sip_call_id:
            self.trace.note("call.not_known", at=now, what="Call-ID", why=NO_CALL_ID)
        for what, why in NOT_KNOWN.items():
            self.trace.note("call.not_known", at=now, what=what, why=why)

    def outcome(self, *, completed: bool) -> Outcome:
        """Class and plain words of how the call went; `completed`: every step of the scenario was played."""
        if self._failed:
            return Outcome("indeterminate", self._failed)
        if self._closing is not None:
            return located(self._closing.outcome, self.trace)
        return outcome_of(self._ended, self.trace, completed=completed)

    def on_exchange(
        self, way: Literal["sent", "received"], method: str, summary: str, text: str, *, at: float
    ) -> None:
        """Note a request to LiveKit's API or the answer to it."""
        account = self._service.account
        self.trace.note(
            f"livekit.{way}",
            at=at,
            method=method,
            summary=summary,
            message=text,
            peer=account.host,
            transport=account.http_scheme,
        )

    async def _place(self) -> None:
        try:
            made = await self._service.call(self._request, self)
        except TwirpFailure as failure:
            self._refuse(refused(failure, ring_timeout_s=self._ring_s))
        except CallUnreachable as error:
            self._refuse(unreachable(str(error)))
        except TimeoutError:
            waited = self._request.wait_until_answered
            self._refuse(
                unanswered(self._ring_s) if waited else unreachable("LiveKit did not answer in time")
            )
            self._leave()
        else:
            self.trace.note("livekit.placed", at=clock.now(), livekit_call_id=made.sip_call_id)
            if self._request.wait_until_answered:
                self._pick_up()

    async def _watch_room(self) -> None:
        async for event in self._room.events():
            self._on_room(event)

    def _on_room(self, event: RoomEvent) -> None:
        match event:
            case CalleeShown(attributes=attributes):
                self._on_attributes(dict(attributes))
            case CalleeLeft(reason=reason):
                self.trace.note("room.callee_left", at=clock.now(), reason=reason)
                self._on_left(reason)
            case RoomLost(reason=reason):
                self.trace.note("room.lost", at=clock.now(), reason=reason)
                self._refuse(room_lost(reason, answered=self._answered.is_set()))
            case DigitHeard(digit=digit):
                self.trace.note("agent.digit", at=clock.now(), digit=digit)

    def _on_attributes(self, attributes: dict[str, str]) -> None:
        now = clock.now()
        status = attributes.pop("sip.callStatus", "")
        if attributes:
            self.trace.note("room.callee", at=now, attributes=attributes)
        call_id = attributes.get("sip.callIDFull", "")
        if call_id and not self.sip_call_id:
            self.sip_call_id = call_id
            self.trace.note("call.identified", at=now, sip_call_id=call_id)
        if status:
            self.trace.note("room.status", at=now, status=status)
        if status == "ringing":
            self.trace.note("call.ringing", at=now, status=180)
        elif status == "active":
            self._pick_up()

    def _on_left(self, reason: str) -> None:
        if self._leaving:
            event = signalling.Ended("caller") if self._answered.is_set() else signalling.Cancelled()
            self._end(event)
        elif self._answered.is_set():
            self._end(ended_by(reason))
        elif not self._request.wait_until_answered:
            self._refuse(unanswered_by(reason))
        else:
            # The request that waits for the answer says why, with the SIP status; or that it was answered before.
            self._gone = reason

    def _pick_up(self) -> None:
        if not self._answered.is_set() and not self._over.is_set():
            self.trace.note("call.answered", at=clock.now(), status=200)
            self._answered.set()
            if self._gone:
                self._end(ended_by(self._gone))

    def _leave(self) -> None:
        self._leaving = True
        if self._placing is not None and not self._answered.is_set():
            self._placing.cancel()
        self._spawn(self._say_goodbye()).set_name("goodbye")

    async def _say_goodbye(self) -> None:
        room, identity = self._request.room_name, self._request.participant_identity
        try:
            await self._service.hang_up(room, identity, self)
        except (TwirpFailure, CallUnreachable, TimeoutError) as error:
            logger.warning("LiveKit did not end the call: %s", type(error).__name__)
        self._on_left("PARTICIPANT_REMOVED")

    def _refuse(self, why: Refused) -> None:
        if not self._over.is_set():
            self._closing = why
            note(self.trace, why.event, at=clock.now())
            self._conclude()

    def _end(self, event: signalling.Ended | signalling.Cancelled) -> None:
        if self._over.is_set():
            return
        if isinstance(event, signalling.Ended):
            self._ended = event
        else:
            self._closing = Refused(event, outcome_of(event, Trace(), completed=False))
        note(self.trace, event, at=clock.now())
        self._conclude()

    def _conclude(self) -> None:
        self._over.set()
        self._answered.set()
        self.inputs.put_nowait(turns.RemoteHungUp())

    def _on_media(self, event: media.MediaEvent) -> None:
        if isinstance(event, media.FirstPacket):
            self.trace.note("room.audio", at=event.at)
        else:
            super()._on_media(event)

    def _fail(self, error: MediaError) -> None:
        self._failed = str(error)
        self.inputs.put_nowait(turns.RemoteHungUp())
        self.hang_up()

    def _spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        return task
