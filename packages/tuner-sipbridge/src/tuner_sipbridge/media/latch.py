"""Which source a stream listens to: the first valid one, until another one takes over for a reason.

Agents and session border controllers send from ports their SDP does not name, so the announced address cannot be
demanded; once a source is found, what others send to the port must not get into the call.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

Source: TypeAlias = tuple[Any, ...]
"""A socket address as the kernel gives it."""

Verdict: TypeAlias = Literal["same", "first", "moved", "restarted", "foreign"]
"""The stream goes on; is new; goes on from another address; starts anew with another SSRC; is not this one."""

_SILENT_S = 1.0
"""A source that has sent nothing for so long may be replaced by a stranger."""
_PROBATION = 2
"""Packets in sequence that a stranger has to show (MIN_SEQUENTIAL of RFC 3550 §A.1)."""


@dataclass(slots=True)
class _Candidate:
    source: Source
    ssrc: int
    sequence: int
    seen: int


class SourceLatch:
    """Decides packet by packet; pure.

    Attributes:
        source: address latched onto, None before the first packet.
        ssrc: synchronisation source latched onto, -1 before the first packet.
    """

    def __init__(self) -> None:
        self.source: Source | None = None
        self.ssrc = -1
        self._candidate: _Candidate | None = None

    def judge(
        self,
        source: Source,
        ssrc: int,
        sequence: int,
        *,
        at: float,
        last_at: float,
        announced: tuple[str, int] | None,
    ) -> Verdict:
        """Judge one valid RTP packet.

        A packet from the latched address, or from the one the SDP announces, is the far end's whatever its SSRC; so
        is one with the latched SSRC from anywhere (the far end moved, or a NAT rebound). Any other is a stranger's,
        and gets in only when the latched source is silent and the stranger shows two packets in sequence.

        Args:
            source: where it came from.
            ssrc: its synchronisation source.
            sequence: its sequence number.
            at: when it arrived.
            last_at: when the last packet of the stream arrived.
            announced: address of the SDP.
        """
        if self.source is None:
            return self._take(source, ssrc, "first")
        if ssrc == self.ssrc:
            return "same" if source == self.source else self._take(source, ssrc, "moved")
        if source == self.source or source[:2] == announced:
            return self._take(source, ssrc, "restarted")
        if at - last_at > _SILENT_S and self._proven(source, ssrc, sequence):
            return self._take(source, ssrc, "restarted")
        return "foreign"

    def _take(self, source: Source, ssrc: int, verdict: Verdict) -> Verdict:
        self.source, self.ssrc, self._candidate = source, ssrc, None
        return verdict

    def _proven(self, source: Source, ssrc: int, sequence: int) -> bool:
        known = self._candidate
        if known is None or (known.source, known.ssrc) != (source, ssrc):
            self._candidate = _Candidate(source, ssrc, sequence, 1)
            return False
        known.seen = known.seen + 1 if sequence == (known.sequence + 1) & 0xFFFF else 1
        known.sequence = sequence
        return known.seen >= _PROBATION
