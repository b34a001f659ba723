"""What is queued to be said on one stream, cut into frames, with the beginning and end of each mark."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from tuner_sipbridge.media.engine import FRAME_SAMPLES, SAMPLE_RATE, MediaEvent, PlayoutEnded, PlayoutStarted


class _Playout:
    """What was queued under one mark: its pieces, and how far it has gone."""

    __slots__ = ("ended_at", "finished", "mark", "offset", "pieces", "samples")

    def __init__(self, mark: str) -> None:
        self.mark = mark
        self.pieces: deque[bytes] = deque()
        self.offset = 0
        self.samples = 0
        self.finished = False
        self.ended_at: float | None = None


class PlayoutQueue:
    """A queue of coded audio; pure, told the time of each frame when it is taken."""

    def __init__(self) -> None:
        self._playouts: deque[_Playout] = deque()
        self._events: list[MediaEvent] = []

    @property
    def has_audio(self) -> bool:
        """Whether the next frame would carry audio."""
        for playout in self._playouts:
            if playout.pieces:
                return True
        return False

    @property
    def has_events(self) -> bool:
        """Whether `events` would give any."""
        return bool(self._events)

    def events(self) -> list[MediaEvent]:
        """What happened since the last call."""
        events, self._events = self._events, []
        return events

    def play(self, payload: bytes, mark: str, *, now: float) -> None:
        """Queue octets behind all others; under the mark of the last ones they are one playout with them."""
        last = self._playouts[-1] if self._playouts else None
        if last is None or last.finished or last.mark != mark:
            if last is not None:
                last.finished = True
            self._playouts.append(last := _Playout(mark))
        if payload:
            last.pieces.append(payload)
        self._settle(now)

    def finish(self, mark: str, *, now: float) -> None:
        """Nothing more follows under `mark`; unknown marks are ignored."""
        for playout in self._playouts:
            if playout.mark == mark:
                playout.finished = True
        self._settle(now)

    def clear(self, *, now: float) -> None:
        """Drop all that is queued."""
        for playout in self._playouts:
            cut = bool(playout.pieces) or not playout.finished
            ended_at = now if playout.ended_at is None else playout.ended_at
            self._events.append(PlayoutEnded(ended_at, playout.mark, playout.samples, interrupted=cut))
        self._playouts.clear()

    def convert(self, change: Callable[[bytes], bytes]) -> None:
        """Replace all queued octets by `change` of them, which keeps their number."""
        for playout in self._playouts:
            playout.pieces = deque(change(piece) for piece in playout.pieces)

    def next_frame(self, at: float) -> bytes:
        """Take up to one frame of octets that begins at `at` (Unix seconds); fewer when the queue runs dry."""
        playouts = self._playouts
        if playouts:
            playout = playouts[0]
            if playout.pieces and playout.samples:
                piece, offset = playout.pieces[0], playout.offset
                if len(piece) - offset > FRAME_SAMPLES:
                    playout.offset = offset + FRAME_SAMPLES
                    playout.samples += FRAME_SAMPLES
                    playout.ended_at = at + FRAME_SAMPLES / SAMPLE_RATE
                    return piece[offset : offset + FRAME_SAMPLES]
        return self._gather(at)

    def _gather(self, at: float) -> bytes:
        """The general way: over the ends of pieces and marks."""
        frame = b""
        while len(frame) < FRAME_SAMPLES and self._playouts:
            playout = self._playouts[0]
            if not playout.pieces:
                if not playout.finished:
                    break
                self._end(at + len(frame) / SAMPLE_RATE)
                continue
            piece = playout.pieces[0]
            if playout.samples == 0:
                self._events.append(PlayoutStarted(at + len(frame) / SAMPLE_RATE, playout.mark))
            taken = piece[playout.offset : playout.offset + FRAME_SAMPLES - len(frame)]
            frame += taken
            playout.samples += len(taken)
            playout.offset += len(taken)
            playout.ended_at = at + len(frame) / SAMPLE_RATE
            if playout.offset >= len(piece):
                playout.pieces.popleft()
                playout.offset = 0
        self._settle(at)
        return frame

    def _settle(self, now: float) -> None:
        """End the playouts at the head that are finished and dry."""
        while self._playouts and self._playouts[0].finished and not self._playouts[0].pieces:
            self._end(now)

    def _end(self, now: float) -> None:
        playout = self._playouts.popleft()
        ended_at = now if playout.ended_at is None else playout.ended_at
        self._events.append(PlayoutEnded(ended_at, playout.mark, playout.samples, interrupted=False))
