"""A call's audio over a room: what a media engine's stream is over RTP, without packets.

Every 20 ms a frame goes to the room, silence when nothing is queued; what comes back is watched for speech. Both
sides are kept in G.711, as all recordings are. Times are those at our end of the room, before and behind whatever
the real-time library and LiveKit hold back.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable

import numpy as np

from tuner_sipbridge.audio import g711
from tuner_sipbridge.audio.activity import ActivityTable, SpeechThresholds
from tuner_sipbridge.errors import MediaError
from tuner_sipbridge.media.engine import (
    FRAME_S,
    FRAME_SAMPLES,
    SAMPLE_RATE,
    DigitsSent,
    FirstPacket,
    MediaEvent,
    MediaResult,
    MediaStatistics,
    SpeechStarted,
    SpeechStopped,
    StreamFailed,
)
from tuner_sipbridge.media.playout import PlayoutQueue
from tuner_sipbridge.media.recording import Recording
from tuner_sipbridge.net import clock
from tuner_sipbridge.rtp.dtmf import DIGITS
from tuner_sipbridge.via_livekit.room import Room, Samples

LAW: g711.Law = "PCMU"
"""In which both sides are kept; the room itself carries Opus."""
DIGIT_S = 0.2
"""From one digit to the next: 100 ms and as much again, as over RTP."""
REANCHOR_SAMPLES = 960
"""120 ms: audio that comes so far off its place was not held up by jitter, the sender paused."""


class RoomStream:
    """A `SpokenStream` over a joined room.

    Args:
        room: is joined, and left, by who made it.
        now: the clock, Unix seconds.
    """

    def __init__(self, room: Room, *, now: Callable[[], float] = clock.now) -> None:
        self._room, self._now = room, now
        self._queue = PlayoutQueue()
        self._events: asyncio.Queue[MediaEvent | None] = asyncio.Queue()
        self._activity = ActivityTable(SpeechThresholds(), 1)
        self._tasks: set[asyncio.Task[None]] = set()
        self._digits: asyncio.Queue[tuple[str, str]] = asyncio.Queue()
        self._began = 0.0
        self._sent = 0
        self._heard: list[tuple[int, bytes, float]] = []
        self._expected: int | None = None
        self._result: MediaResult | None = None

    def start(self) -> None:
        """Speak and hear from now on."""
        self._began = self._now()
        for work in (self._speak(), self._hear(), self._press()):
            task = asyncio.get_running_loop().create_task(work)
            self._tasks.add(task)
            task.add_done_callback(self._ended)

    def play(self, payload: bytes, *, mark: str = "") -> None:
        """Queue PCMU octets; see `SpokenStream.play`."""
        self._queue.play(payload, mark, now=self._now())
        self._tell()

    def finish(self, mark: str) -> None:
        """Nothing more follows under `mark`."""
        self._queue.finish(mark, now=self._now())
        self._tell()

    def clear(self) -> None:
        """Drop all audio that is queued."""
        self._queue.clear(now=self._now())
        self._tell()

    def send_digits(self, digits: str, *, mark: str = "") -> None:
        """Send digits through LiveKit, one every 200 ms.

        Raises:
            ValueError: not digits of a keypad.
        """
        digits = digits.upper()
        if not digits or not set(digits) <= set(DIGITS):
            raise ValueError(f"not digits of a keypad: {digits!r}")
        self._digits.put_nowait((digits, mark))

    async def events(self) -> AsyncIterator[MediaEvent]:
        """What happens, in order; ends when the stream is closed."""
        while (event := await self._events.get()) is not None:
            yield event

    async def close(self) -> MediaResult:
        """Stop, and give back the recording; statistics of packets there are none."""
        if self._result is None:
            tasks, self._tasks = self._tasks, set()
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            self._events.put_nowait(None)
            self._result = MediaResult(self._recording(), MediaStatistics())
        return self._result

    async def _speak(self) -> None:
        """One frame every 20 ms on an absolute grid; what is late is made up for."""
        while True:
            at = self._began + self._sent * FRAME_S
            await asyncio.sleep(max(0.0, at - self._now()))
            octets = self._queue.next_frame(at, self._sent * FRAME_SAMPLES)
            self._sent += 1
            octets += g711.silence(FRAME_SAMPLES - len(octets), LAW)
            self._tell()
            for _, stopped_at in self._activity.settle(self._now()):
                self._events.put_nowait(SpeechStopped(stopped_at))
            await self._room.send(g711.decode(octets, LAW))

    async def _hear(self) -> None:
        async for samples in self._room.frames():
            if len(samples):
                self._take(samples, self._now())

    def _take(self, samples: Samples, at: float) -> None:
        octets = g711.encode(samples, LAW)
        arrived = round((at - self._began) * SAMPLE_RATE)
        if self._expected is None:
            self._events.put_nowait(FirstPacket(at, ("room", 0)))
            self._expected = arrived
        elif abs(arrived - self._expected) > REANCHOR_SAMPLES:
            self._expected = arrived
        self._heard.append((self._expected, octets, at))
        self._expected += len(octets)
        row, moment = np.zeros(1, np.intp), np.array([at])
        coded = np.frombuffer(octets, np.uint8).reshape(1, -1)
        for _, started_at in self._activity.hear(row, coded, LAW, moment):
            self._events.put_nowait(SpeechStarted(started_at))

    async def _press(self) -> None:
        while True:
            digits, mark = await self._digits.get()
            for digit in digits:
                await self._room.press(digit)
                await asyncio.sleep(DIGIT_S)
            self._events.put_nowait(DigitsSent(self._now(), mark))

    def _tell(self) -> None:
        for event in self._queue.events():
            self._events.put_nowait(event)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        error = None if task.cancelled() else task.exception()
        if error is not None:
            words = str(error) if isinstance(error, MediaError) else type(error).__name__
            self._events.put_nowait(
                StreamFailed(self._now(), f"the room takes or gives no more audio: {words}")
            )

    def _recording(self) -> Recording | None:
        if not self._sent:
            return None
        size = self._sent * FRAME_SAMPLES
        caller, agent = (np.full(size, g711.SILENCE[LAW], np.uint8) for _ in range(2))
        arrivals = np.zeros(self._sent + 1, np.int64)
        for position, octets in self._queue.taken():
            _lay(caller, position, octets)
        for position, octets, at in self._heard:
            _lay(agent, position, octets)
            if 0 <= position < size and not arrivals[position // FRAME_SAMPLES]:
                arrivals[position // FRAME_SAMPLES] = round(at * 1e9)
        return Recording(self._began, LAW, caller, agent, arrivals)


def _lay(side: np.ndarray[tuple[int], np.dtype[np.uint8]], position: int, octets: bytes | bytearray) -> None:
    begin, end = max(position, 0), min(position + len(octets), len(side))
    if begin < end:
        side[begin:end] = np.frombuffer(octets, np.uint8)[begin - position : end - position]
