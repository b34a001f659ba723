"""A Pipecat transport over a SIP call, so that any Pipecat pipeline can be dialled."""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
# Pipecat leaves the **kwargs of its base classes untyped.
from __future__ import annotations

import asyncio
import logging

import numpy as np
from pipecat.audio.dtmf.types import KeypadEntry
from pipecat.audio.utils import create_stream_resampler
from pipecat.frames.frames import (
    BotStoppedSpeakingFrame,
    CancelFrame,
    ClientConnectedFrame,
    EndFrame,
    Frame,
    InputAudioRawFrame,
    InputDTMFFrame,
    InterruptionFrame,
    OutputAudioRawFrame,
    OutputDTMFFrame,
    OutputDTMFUrgentFrame,
    StartFrame,
)
from pipecat.processors.frame_processor import FrameDirection
from pipecat.transports.base_input import BaseInputTransport
from pipecat.transports.base_output import BaseOutputTransport
from pipecat.transports.base_transport import BaseTransport, TransportParams

from tuner_sipbridge.agents.line import Line
from tuner_sipbridge.audio import g711
from tuner_sipbridge.media.engine import SAMPLE_RATE, DigitReceived, StreamFailed

logger = logging.getLogger("tuner_sipbridge.agents")

_LEAD_S = 0.10
"""How far ahead of its playout audio is handed to the media engine: covers a busy event loop."""
_KEYS = {entry.value: entry for entry in KeypadEntry}


def telephone_parameters() -> TransportParams:
    """Audio both ways at the telephone's own 8000 Hz, and no silence after the end."""
    return TransportParams(
        audio_in_enabled=True,
        audio_in_sample_rate=SAMPLE_RATE,
        audio_out_enabled=True,
        audio_out_sample_rate=SAMPLE_RATE,
        audio_out_end_silence_secs=0,
    )


class SipTransport(BaseTransport):
    """Audio and keys of one SIP call as a Pipecat transport.

    Event handlers: `on_client_connected(transport, line)` when the pipeline is ready for the caller,
    `on_client_disconnected(transport, by)` once when the call is over, with who ended it: `caller`, `agent` or
    `network`.

    The call is hung up when the pipeline ends, after the last audio has left.

    Args:
        line: the answered call; the transport is the one reader of its stream.
        params: `telephone_parameters()` when omitted. Audio comes in at `audio_in_sample_rate`, or at the pipeline's
            own rate when that is None; audio of any rate goes out.
    """

    def __init__(self, line: Line, params: TransportParams | None = None) -> None:
        super().__init__()
        parameters = params or telephone_parameters()
        # The engine takes G.711, so whatever the pipeline's rate is, Pipecat resamples to this one.
        parameters = parameters.model_copy(update={"audio_out_sample_rate": SAMPLE_RATE})
        self._line = line
        self._input = SipInput(self, line, parameters)
        self._output = SipOutput(line, parameters)
        self._over = False
        self._register_event_handler("on_client_connected")
        self._register_event_handler("on_client_disconnected")

    def input(self) -> SipInput:
        """The processor that gives the caller's audio and keys."""
        return self._input

    def output(self) -> SipOutput:
        """The processor that plays to the caller."""
        return self._output

    async def connected(self) -> None:
        """Tell the application that the caller can be talked to."""
        await self._call_event_handler("on_client_connected", self._line)

    async def disconnected(self, by: str) -> None:
        """Tell the application once that the call is over."""
        if not self._over:
            self._over = True
            await self._call_event_handler("on_client_disconnected", by)


class SipInput(BaseInputTransport):
    """Gives the caller's audio as frames of 20 ms and keys as `InputDTMFFrame`."""

    def __init__(self, transport: SipTransport, line: Line, params: TransportParams) -> None:
        super().__init__(params)
        self._owner = transport
        self._line = line
        self._law: g711.Law = "PCMA" if line.codec == "PCMA" else "PCMU"
        self._resampler = create_stream_resampler(clear_after_secs=None)
        self._readers: list[asyncio.Task[None]] = []

    async def start(self, frame: StartFrame) -> None:
        """Begin to read the line."""
        await super().start(frame)
        if self._readers:
            return
        await self.set_transport_ready(frame)
        await self.push_frame(ClientConnectedFrame())
        await self._owner.connected()
        for reader in (self._read_audio(), self._read_events(), self._wait_for_end()):
            self._readers.append(self.create_task(reader))

    async def stop(self, frame: EndFrame) -> None:
        """Stop reading."""
        await super().stop(frame)
        await self._stop_readers()

    async def cancel(self, frame: CancelFrame) -> None:
        """Stop reading."""
        await super().cancel(frame)
        await self._stop_readers()

    async def cleanup(self) -> None:
        """Let go of the line."""
        await super().cleanup()
        await self._stop_readers()

    async def _stop_readers(self) -> None:
        readers, self._readers = self._readers, []
        for reader in readers:
            await self.cancel_task(reader)

    async def _read_audio(self) -> None:
        async for octets in self._line.stream.frames():
            pcm = g711.decode(octets, self._law).tobytes()
            if self.sample_rate != SAMPLE_RATE:
                pcm = await self._resampler.resample(pcm, SAMPLE_RATE, self.sample_rate)
            if pcm:
                await self.push_audio_frame(InputAudioRawFrame(pcm, self.sample_rate, 1))

    async def _read_events(self) -> None:
        async for event in self._line.stream.events():
            match event:
                case DigitReceived() if event.digit in _KEYS:
                    await self.push_frame(InputDTMFFrame(_KEYS[event.digit]))
                case StreamFailed():
                    await self._owner.disconnected("network")
                case _:
                    pass

    async def _wait_for_end(self) -> None:
        await self._owner.disconnected(await self._line.ended())


class SipOutput(BaseOutputTransport):
    """Plays to the caller at the pace of the line; an interruption takes effect with the next packet."""

    def __init__(self, line: Line, params: TransportParams) -> None:
        super().__init__(params)
        self._line = line
        self._law: g711.Law = "PCMA" if line.codec == "PCMA" else "PCMU"
        self._played_until = 0.0
        self._utterances = 0
        self._playing = False
        self._interruptible = True

    async def start(self, frame: StartFrame) -> None:
        """Begin to take audio."""
        await super().start(frame)
        await self.set_transport_ready(frame)

    async def stop(self, frame: EndFrame) -> None:
        """Let the last audio leave, then hang up."""
        await super().stop(frame)
        await asyncio.sleep(max(0.0, self._played_until - _now()))
        self._line.hang_up()

    async def cancel(self, frame: CancelFrame) -> None:
        """Fall silent and hang up."""
        await super().cancel(frame)
        self._silence()
        self._line.hang_up()

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        """Handle one frame; an interruption empties the engine's queue before anything else happens."""
        if isinstance(frame, InterruptionFrame) and self._interruptible:
            self._silence()
        await super().process_frame(frame, direction)

    async def push_frame(self, frame: Frame, direction: FrameDirection = FrameDirection.DOWNSTREAM) -> None:
        """Push one frame on; when the agent has stopped speaking its playout is complete."""
        if isinstance(frame, BotStoppedSpeakingFrame) and self._playing:
            self._playing = False
            self._line.stream.finish(self._mark)
        await super().push_frame(frame, direction)

    async def write_audio_frame(self, frame: OutputAudioRawFrame) -> bool:
        """Hand a piece of audio to the media engine and wait until about the time that it leaves."""
        samples = np.frombuffer(frame.audio, dtype="<i2")
        if not self._playing:
            self._playing = True
            self._utterances += 1
        self._interruptible = frame.interruptible
        self._line.stream.play(g711.encode(samples, self._law), mark=self._mark)
        now = _now()
        self._played_until = max(self._played_until, now) + len(samples) / SAMPLE_RATE
        await asyncio.sleep(max(0.0, self._played_until - now - _LEAD_S))
        return True

    def _supports_native_dtmf(self) -> bool:
        return True

    async def _write_dtmf_native(self, frame: OutputDTMFFrame | OutputDTMFUrgentFrame) -> None:
        keys = frame.buttons or ([frame.button] if frame.button else [])
        self._line.stream.send_digits("".join(key.value for key in keys))

    @property
    def _mark(self) -> str:
        return f"agent-{self._utterances}"

    def _silence(self) -> None:
        self._line.stream.clear()
        self._played_until = 0.0
        if self._playing:
            self._playing = False
            self._line.stream.finish(self._mark)


def _now() -> float:
    return asyncio.get_running_loop().time()
