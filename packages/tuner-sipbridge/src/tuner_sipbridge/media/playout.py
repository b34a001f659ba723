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


class Run:
    """Whole frames of one piece, to be taken one a tick without asking the queue.

    Whoever takes a frame moves `offset` on by its length, as far as `end`. The queue finds out when it is asked next.

    Attributes:
        octets: the piece.
        offset: where the next frame begins.
        end: where the run ends; nothing but a next frame happens before.
    """

    __slots__ = ("at", "begin", "end", "octets", "offset", "position")

    def __init__(self, octets: bytes, begin: int, end: int, *, at: float, position: int) -> None:
        self.octets, self.begin, self.offset, self.end = octets, begin, begin, end
        self.at, self.position = at, position


class PlayoutQueue:
    """A queue of coded audio; pure, told the time and place of each frame when it is taken."""

    def __init__(self, *, keep: bool = True) -> None:
        """With `keep`, what was taken is remembered for the recording."""
        self._keep = keep
        self._playouts: deque[_Playout] = deque()
        self._events: list[MediaEvent] = []
        self._run: Run | None = None
        self._taken: list[tuple[int, bytearray]] = []

    @property
    def has_audio(self) -> bool:
        """Whether the next frame would carry audio."""
        return any(playout.pieces for playout in self._playouts)

    @property
    def has_events(self) -> bool:
        """Whether `events` would give any."""
        return bool(self._events)

    def events(self) -> list[MediaEvent]:
        """What happened since the last call."""
        events, self._events = self._events, []
        return events

    def taken(self) -> list[tuple[int, bytearray]]:
        """Position and octets of each stretch taken since the last call."""
        self.end_run()
        taken, self._taken = self._taken, []
        return taken

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
        self.end_run()
        for playout in self._playouts:
            cut = bool(playout.pieces) or not playout.finished
            ended_at = now if playout.ended_at is None else playout.ended_at
            self._events.append(PlayoutEnded(ended_at, playout.mark, playout.samples, interrupted=cut))
        self._playouts.clear()

    def convert(self, change: Callable[[bytes], bytes]) -> None:
        """Replace all queued octets by `change` of them, which keeps their number."""
        self.end_run()
        for playout in self._playouts:
            playout.pieces = deque(change(piece) for piece in playout.pieces)

    def next_frame(self, at: float, position: int) -> bytes:
        """Take up to one frame; fewer octets when the queue runs dry.

        Args:
            at: when the frame begins, Unix seconds.
            position: the same in samples from the beginning of the recording.
        """
        self.end_run()
        frame = b""
        while len(frame) < FRAME_SAMPLES and self._playouts:
            playout = self._playouts[0]
            if not playout.pieces:
                if not playout.finished:
                    break
                self._end(at)
                continue
            piece = playout.pieces[0]
            if playout.samples == 0:
                self._events.append(PlayoutStarted(at + len(frame) / SAMPLE_RATE, playout.mark))
            taken = piece[playout.offset : playout.offset + FRAME_SAMPLES - len(frame)]
            frame += taken
            self._advance(playout, len(taken), at + len(frame) / SAMPLE_RATE)
        self._note_taken(position, frame)
        self._settle(at)
        return frame

    def begin_run(self, at: float, position: int) -> Run | None:
        """Hand out the whole frames ahead, the first of which begins at `at`; None when there is no more than one.

        The frames must be taken on consecutive ticks; before anything else happens to the stream `end_run` is due.
        """
        playout = self._playouts[0] if self._playouts else None
        if playout is None or not playout.pieces or not playout.samples:
            return None
        begin, piece = playout.offset, playout.pieces[0]
        frames = (len(piece) - begin - 1) // FRAME_SAMPLES
        if frames > 1:
            end = begin + frames * FRAME_SAMPLES
            self._run = Run(piece, begin, end, at=at, position=position)
        return self._run

    def end_run(self) -> None:
        """Count what was taken out of a run that was handed out."""
        run, self._run = self._run, None
        if run is None or run.offset == run.begin:
            return
        samples = run.offset - run.begin
        self._advance(self._playouts[0], samples, run.at + samples / SAMPLE_RATE)
        self._note_taken(run.position, run.octets[run.begin : run.offset])
        run.end = run.offset

    def _advance(self, playout: _Playout, samples: int, ended_at: float) -> None:
        playout.samples += samples
        playout.offset += samples
        playout.ended_at = ended_at
        if playout.offset >= len(playout.pieces[0]):
            playout.pieces.popleft()
            playout.offset = 0

    def _note_taken(self, position: int, octets: bytes) -> None:
        if not self._keep or not octets:
            return
        if self._taken:
            begin, stretch = self._taken[-1]
            if begin + len(stretch) == position:
                stretch += octets
                return
        self._taken.append((position, bytearray(octets)))

    def _settle(self, now: float) -> None:
        """End the playouts at the head that are finished and dry."""
        while self._playouts and self._playouts[0].finished and not self._playouts[0].pieces:
            self._end(now)

    def _end(self, now: float) -> None:
        playout = self._playouts.popleft()
        ended_at = now if playout.ended_at is None else playout.ended_at
        self._events.append(PlayoutEnded(ended_at, playout.mark, playout.samples, interrupted=False))
