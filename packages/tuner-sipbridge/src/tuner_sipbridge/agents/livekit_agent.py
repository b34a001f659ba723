"""The reference agent on LiveKit: a real `AgentSession` whose audio ends are a SIP call's media stream.

Import this module on the main thread: LiveKit's plugins register themselves on import, and only there.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import secrets
from typing import Any

from livekit import rtc
from livekit.agents import Agent, AgentSession, JobContext, function_tool, vad
from livekit.agents.voice.room_io import RoomOptions
from livekit.agents.voice.transcription import TranscriptSynchronizer
from livekit.plugins import silero

from tuner_core.config import TunerConfig
from tuner_core.delivery.sink import CallSink
from tuner_livekit import TunerPlugin
from tuner_sipbridge.agents import frontdesk
from tuner_sipbridge.agents.hearing import shared_hearing
from tuner_sipbridge.agents.line import Line
from tuner_sipbridge.agents.livekit_io import SipAudioInput, SipAudioOutput
from tuner_sipbridge.agents.livekit_job import run_job
from tuner_sipbridge.agents.livekit_models import FrontDeskLLM, HearingSTT, VoiceTTS
from tuner_sipbridge.agents.livekit_room import SipRoom, attributes_after_join, attributes_at_join
from tuner_sipbridge.agents.voice import shared_voice
from tuner_sipbridge.media.engine import (
    SAMPLE_RATE,
    DigitReceived,
    PlayoutEnded,
    PlayoutStarted,
    StreamFailed,
)

_LEFT = {
    "caller": rtc.DisconnectReason.CLIENT_INITIATED,
    "agent": rtc.DisconnectReason.ROOM_DELETED,
}
"""Why livekit-sip lets the caller's participant leave, by who hung up; anything else is a lost connection."""
ATTRIBUTES_LATE_S = 0.15
"""How long after the join the Call-ID and the mapped headers arrive."""
KEYPAD_PAUSE_S = 2.0
"""Keys count as one entry until this pause, or the hash key."""


async def livekit_agent(
    line: Line, *, sink: CallSink | None = None, config: TunerConfig | None = None
) -> None:
    """Serve one call as the front desk and post its record.

    The plugin is given neither Call-ID nor correlation id: it reads them from the attributes of the room's
    SIP participant, part of which arrive after the participant.

    Args:
        line: the answered call.
        sink: takes the record instead of Tuner's delivery.
        config: where the record goes; from the environment when omitted.
    """
    await asyncio.to_thread(shared_vad)
    room = SipRoom(f"call-{secrets.token_hex(4)}")
    room.caller_joins(f"sip_{line.caller}", attributes_at_join(line))
    call = _FrontDeskCall(line, room, sink=sink, config=config)
    tasks = [asyncio.create_task(call.follow_line()), asyncio.create_task(call.follow_stream())]
    late = asyncio.get_running_loop().call_later(
        ATTRIBUTES_LATE_S, room.caller_shows, attributes_after_join(line)
    )
    try:
        await run_job(call.entrypoint, room=room, job_id=f"AJ_{secrets.token_hex(8)}")
    finally:
        late.cancel()
        line.hang_up()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, call.aclose(), return_exceptions=True)


@functools.cache
def shared_vad() -> vad.VAD:
    """The voice activity detector of this process, loaded at first use."""
    return silero.VAD.load(sample_rate=SAMPLE_RATE, min_silence_duration=0.4)


async def warm_up() -> None:
    """Load recogniser, voice and detector, so that the first caller does not wait for them."""
    await asyncio.gather(
        asyncio.to_thread(shared_vad), shared_hearing().warm_up(), shared_voice().warm_up(frontdesk.GREETING)
    )


class FrontDesk(Agent):
    """The front desk: greets, and looks up orders with its one tool."""

    def __init__(self) -> None:
        instructions = "You are the front desk of a small bookshop."
        super().__init__(instructions=instructions)  # pyright: ignore[reportUnknownMemberType]

    async def on_enter(self) -> None:
        """Greet the caller."""
        self.session.say(frontdesk.GREETING)  # pyright: ignore[reportUnknownMemberType]

    @function_tool
    async def look_up_order(self, order_number: str) -> dict[str, Any]:
        """Look up where an order is.

        Args:
            order_number: three digits.
        """
        return frontdesk.look_up_order(order_number)


class _FrontDeskCall:
    """One call: the session, its ends, and who hangs up."""

    def __init__(
        self, line: Line, room: SipRoom, *, sink: CallSink | None, config: TunerConfig | None
    ) -> None:
        law = "PCMA" if line.codec == "PCMA" else "PCMU"
        self._line, self._room, self._sink, self._config = line, room, sink, config
        self._input, self._output = SipAudioInput(line.stream, law), SipAudioOutput(line.stream, law)
        self._synchronizer = TranscriptSynchronizer(next_in_chain_audio=self._output, next_in_chain_text=None)
        self._brain = FrontDeskLLM()
        self._session: AgentSession[None] = AgentSession(
            vad=shared_vad(),
            stt=HearingSTT(shared_hearing()),
            llm=self._brain,
            tts=VoiceTTS(shared_voice()),
            aec_warmup_duration=None,
            session_close_transcript_timeout=1.0,
            turn_handling={
                "turn_detection": "vad",
                "endpointing": {"min_delay": 0.1, "max_delay": 1.0},
                "interruption": {"mode": "vad", "min_duration": 0.3, "false_interruption_timeout": 1.5},
            },
        )
        self._keypad = _Keypad(self._session)

    async def entrypoint(self, ctx: JobContext) -> None:
        """What an application would write, with our audio in place of the room's tracks."""
        session: Any = self._session
        TunerPlugin(session, ctx, sink=self._sink, config=self._config)
        session.on("agent_state_changed", self._on_agent_state)
        session.on("close", self._on_close)
        room: Any = self._room
        room.on("sip_dtmf_received", self._keypad.pressed)
        session.input.audio = self._input
        session.output.audio = self._synchronizer.audio_output
        session.output.transcription = self._synchronizer.text_output
        options = RoomOptions(audio_input=False, audio_output=False, text_input=False, text_output=False)
        await session.start(FrontDesk(), room=room, room_options=options, session_host=False, record=False)

    async def follow_line(self) -> None:
        """Take the caller out of the room when the call ends."""
        by = await self._line.ended()
        self._leave(_LEFT.get(by, rtc.DisconnectReason.CONNECTION_TIMEOUT))

    async def follow_stream(self) -> None:
        """Hand on what happens on the media stream, until it is closed."""
        async for event in self._line.stream.events():
            match event:
                case PlayoutStarted():
                    self._output.playout_started(event)
                case PlayoutEnded():
                    self._output.playout_ended(event)
                case DigitReceived():
                    self._room.digit(event.digit)
                case StreamFailed():
                    self._leave(rtc.DisconnectReason.MEDIA_FAILURE)
                case _:
                    pass
        self._output.close()

    async def aclose(self) -> None:
        """Let go of what the session does not own."""
        self._keypad.close()
        self._output.close()
        await self._synchronizer.aclose()

    def _leave(self, reason: rtc.DisconnectReason.ValueType) -> None:
        self._room.caller_leaves(reason)
        if reason not in _LEFT.values():
            # The session closes by itself only for callers who left on purpose.
            self._session.shutdown(drain=False)

    def _on_agent_state(self, event: Any) -> None:
        """Hang up when the goodbye has been spoken, unless the caller has something more to say."""
        if event.new_state == "listening" and self._brain.farewell and self._session.user_state != "speaking":
            self._line.hang_up()

    def _on_close(self, _event: Any) -> None:
        """The agent is done: end the call, and with it the room, as `ctx.delete_room` does."""
        self._line.hang_up()
        asyncio.get_running_loop().call_soon(self._room.end, rtc.DisconnectReason.ROOM_DELETED)


class _Keypad:
    """Collects keys and hands an entry to the model as text."""

    def __init__(self, session: AgentSession[None]) -> None:
        self._session = session
        self._digits = ""
        self._timer: asyncio.TimerHandle | None = None
        self._entries: set[asyncio.Task[None]] = set()

    def pressed(self, event: rtc.SipDTMF) -> None:
        """One key."""
        self._digits += event.digit
        self.close()
        delay = 0.0 if event.digit == "#" else KEYPAD_PAUSE_S
        self._timer = asyncio.get_running_loop().call_later(delay, self._enter)

    def close(self) -> None:
        """Wait for no more keys."""
        if self._timer is not None:
            self._timer.cancel()

    def _enter(self) -> None:
        digits, self._digits = self._digits, ""
        task = asyncio.create_task(self._answer(digits))
        self._entries.add(task)
        task.add_done_callback(self._entries.discard)

    async def _answer(self, digits: str) -> None:
        with contextlib.suppress(RuntimeError):
            # Raised when the session closed meanwhile.
            await self._session.interrupt()
            self._session.generate_reply(user_input=f"DTMF: {digits}")
