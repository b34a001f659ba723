"""A jitter buffer for one stream of one octet a sample: packets in as they come, equal frames out on a grid.

Octets lie in a ring by timestamp, so order, duplicates and packet length (ptime) need no rules of their own: an octet
can be given out only at its timestamp's place, only once, and what did not come is silence.
"""

from __future__ import annotations

from tuner_sipbridge.rtp.sequence import distance


class JitterBuffer:
    """Gives out one frame at each `pop`; pure, bounded, never reorders, never invents.

    The playout delay starts at `delay_s`. An adaptive buffer moves the playout back for a packet that came too late
    for its place, so that it is still heard, and gives the added delay back frame by frame when it is not needed.
    Never are more than `max_delay_s` held: older audio makes room. A stream whose timestamps jump goes on
    behind what is buffered.

    Attributes:
        late: packets that were dropped: they came too late, or far off the others' timestamps.
        skipped_samples: octets dropped to keep the delay within its bound or to bring it back.
    """

    def __init__(
        self,
        *,
        silence: int,
        delay_s: float = 0.04,
        max_delay_s: float = 0.4,
        adaptive: bool = True,
        sample_rate: int = 8000,
        frame_samples: int = 160,
    ) -> None:
        """`silence` is the octet that stands for what did not come."""
        self.late = 0
        self.skipped_samples = 0
        self._silence = bytes([silence])
        self._frame = frame_samples
        self._delay = round(delay_s * sample_rate)
        self._max_delay = max(round(max_delay_s * sample_rate), self._delay + frame_samples)
        self._adaptive = adaptive
        self._size = self._max_delay + sample_rate
        self._ring = bytearray(self._silence * self._size)
        self._window = max(1, sample_rate // (2 * frame_samples))
        self._started = self._anew = False
        self._jump: int | None = None
        self._timestamp = self._position = 0
        self._play = 0
        self._end = 0
        self._floor = 0
        self._excess = self._size
        self._pops = 0

    @property
    def depth_samples(self) -> int:
        """How much lies between the next octet to give out and the last one that came."""
        return max(0, self._end - self._play)

    def restart(self) -> None:
        """The next packet begins a stream of its own (a new SSRC); it follows what is buffered."""
        self._anew = True

    def insert(self, timestamp: int, payload: bytes | memoryview) -> None:
        """Take one packet in; `timestamp` is that of its header, `payload` one octet a sample."""
        length = len(payload)
        if not length or length > self._max_delay:
            return
        position = self._place(timestamp, length)
        if position is None:
            self.late += 1
            return
        self._timestamp, self._position = timestamp, position
        if self._floor <= position < self._play:
            self._make_room(position, length)
        passed = max(self._floor, self._play) - position
        if passed >= length:
            self.late += 1
            return
        if passed > 0:
            position, payload = position + passed, payload[passed:]
        self._write(position, payload)
        self._end = max(self._end, position + len(payload))
        surplus = self._end - self._play - self._max_delay
        if surplus > 0:
            self._skip(surplus)

    def pop(self) -> bytes:
        """The next frame: what the far end sent for it, silence where nothing came."""
        if not self._started:
            return self._silence * self._frame
        frame = self._take(self._frame)
        self._excess = min(self._excess, self._end - self._play - self._delay)
        self._pops += 1
        if self._pops >= self._window:
            if self._adaptive and self._excess > self._frame:
                self._skip(self._frame)
            self._pops, self._excess = 0, self._size
        return frame

    def _place(self, timestamp: int, length: int) -> int | None:
        """Position of a packet on the buffer's own line, None for a stray one.

        A jump of the timestamps continues the line, once a second packet confirms it: a single one far off may be a
        straggler.
        """
        if not self._started:
            self._started = True
            self._anew = False
            return self._play + self._delay
        position = self._position + distance(self._timestamp, timestamp, 32)
        ahead = position + length - self._play > self._size
        behind = position < self._floor - self._size
        if not (self._anew or ahead or behind):
            self._jump = None
            return position
        if not self._anew and (
            self._jump is None or not 0 < distance(self._jump, timestamp, 32) < self._size
        ):
            self._jump = timestamp
            return None
        self._anew, self._jump = False, None
        return max(self._end, self._play + self._delay)

    def _make_room(self, position: int, length: int) -> None:
        """Move the playout back to a late packet, unless that would hold too much."""
        if not self._adaptive:
            return
        if position >= self._end:
            self._play = position - min(self._delay, self._play - position)
        elif max(self._end, position + length) - position <= self._max_delay:
            self._play = position

    def _write(self, position: int, payload: bytes | memoryview) -> None:
        at = position % self._size
        fits = min(len(payload), self._size - at)
        self._ring[at : at + fits] = payload[:fits]
        if fits < len(payload):
            self._ring[: len(payload) - fits] = payload[fits:]

    def _take(self, samples: int) -> bytes:
        at = self._play % self._size
        fits = min(samples, self._size - at)
        taken = bytes(self._ring[at : at + fits])
        self._ring[at : at + fits] = self._silence * fits
        if fits < samples:
            rest = samples - fits
            taken += bytes(self._ring[:rest])
            self._ring[:rest] = self._silence * rest
        self._play += samples
        if self._end > self._floor:
            self._floor = max(self._floor, min(self._end, self._play))
        return taken

    def _skip(self, samples: int) -> None:
        self._take(samples)
        self.skipped_samples += samples
