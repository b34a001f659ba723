"""A room in memory: what a LiveKit room is to the caller, with the callee's part in the test's hands."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import numpy as np

from tuner_sipbridge.errors import MediaError
from tuner_sipbridge.via_livekit.room import CalleeLeft, CalleeShown, DigitHeard, RoomEvent, RoomLost, Samples

FRAME = 160
TONE: Samples = (6000 * np.sin(2 * np.pi * 440 * np.arange(FRAME) / 8000)).astype(np.int16)


class MemoryRoom:
    """A `Room`; the methods below `leave` are the callee's and LiveKit's."""

    def __init__(self, *, closed_to_us: str = "") -> None:
        self.url = self.token = self.callee = ""
        self.said: list[Samples] = []
        self.pressed: list[str] = []
        self.left = False
        self._closed_to_us = closed_to_us
        self._events: asyncio.Queue[RoomEvent] = asyncio.Queue()
        self._frames: asyncio.Queue[Samples | None] = asyncio.Queue()

    def at(self, url: str, token: str, callee: str) -> MemoryRoom:
        """The room for these; what a dialer calls to make one."""
        self.url, self.token, self.callee = url, token, callee
        return self

    async def join(self) -> None:
        if self._closed_to_us:
            raise MediaError(self._closed_to_us)

    async def events(self) -> AsyncIterator[RoomEvent]:
        while True:
            yield await self._events.get()

    async def send(self, samples: Samples) -> None:
        self.said.append(samples)

    async def frames(self) -> AsyncIterator[Samples]:
        while (samples := await self._frames.get()) is not None:
            yield samples

    async def press(self, digit: str) -> None:
        self.pressed.append(digit)

    async def leave(self) -> None:
        self.left = True
        self._frames.put_nowait(None)

    def shows(self, **attributes: str) -> None:
        """The callee's participant has these attributes; `callStatus` stands for `sip.callStatus`."""
        self._events.put_nowait(CalleeShown({f"sip.{name}": value for name, value in attributes.items()}))

    def callee_leaves(self, reason: str) -> None:
        self._events.put_nowait(CalleeLeft(reason))

    def is_lost(self, reason: str) -> None:
        self._events.put_nowait(RoomLost(reason))

    def digit(self, digit: str) -> None:
        self._events.put_nowait(DigitHeard(digit))

    async def sounds(self, seconds: float) -> None:
        """The callee speaks, in real time."""
        began = asyncio.get_running_loop().time()
        for frame in range(round(seconds / 0.02)):
            await asyncio.sleep(began + frame * 0.02 - asyncio.get_running_loop().time())
            self._frames.put_nowait(TONE)

    @property
    def voiced_frames(self) -> int:
        """Frames of the caller that were not silence."""
        return sum(int(np.abs(samples.astype(np.int32)).max()) > 500 for samples in self.said)
