"""What is left of one call: the trace, the recording, the measures, and how it went."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Self

from tuner_sipbridge.audio.wav import write_stereo
from tuner_sipbridge.dialer.outcome import Outcome
from tuner_sipbridge.dialer.placed_call import PlacedCall
from tuner_sipbridge.measure.measures import Measures, measures_of
from tuner_sipbridge.media.engine import MediaStatistics
from tuner_sipbridge.media.recording import Recording
from tuner_sipbridge.sip.uri import without_password
from tuner_sipbridge.trace import Trace


@dataclass(frozen=True)
class CallRun:
    """One scenario played on one call, or a call that could not be made.

    Attributes:
        target: SIP URI that was dialled, without a password in it.
        scenario: name of the scenario.
        sip_call_id: Call-ID of the INVITE.
        correlation_id: value of X-Correlation-Id.
        outcome: how it went.
        trace: what happened, in order.
        recording: both sides, None when there was no media.
        statistics: packets of the stream.
    """

    target: str
    scenario: str
    sip_call_id: str
    correlation_id: str
    outcome: Outcome
    trace: Trace
    recording: Recording | None
    statistics: MediaStatistics

    @cached_property
    def measures(self) -> Measures:
        """Computed from trace and recording at first use: a call that ends must not keep the others waiting."""
        return measures_of(self.trace, self.recording)

    @classmethod
    def of(cls, call: PlacedCall, *, scenario: str, outcome: Outcome) -> Self:
        """The run of a closed call."""
        return cls(
            target=call.target,
            scenario=scenario,
            sip_call_id=call.sip_call_id,
            correlation_id=call.correlation_id,
            outcome=outcome,
            trace=call.trace,
            recording=call.media.recording if call.media is not None else None,
            statistics=call.media.statistics if call.media is not None else MediaStatistics(),
        )

    @classmethod
    def undialled(
        cls,
        target: str,
        sip_call_id: str,
        correlation_id: str,
        *,
        scenario: str,
        outcome: Outcome,
        trace: Trace,
    ) -> Self:
        """The run of a call for which no INVITE could be sent."""
        return cls(
            target=without_password(target),
            scenario=scenario,
            sip_call_id=sip_call_id,
            correlation_id=correlation_id,
            outcome=outcome,
            trace=trace,
            recording=None,
            statistics=MediaStatistics(),
        )

    def write(self, directory: Path) -> tuple[Path, Path | None]:
        """Write `trace.jsonl` and, when there is a recording, `call.wav` into `directory`; blocking.

        Returns:
            The paths of the trace and of the recording (stereo, caller left, agent right).
        """
        directory.mkdir(parents=True, exist_ok=True)
        trace = directory / "trace.jsonl"
        self.trace.write(trace)
        if self.recording is None:
            return trace, None
        wav = directory / "call.wav"
        write_stereo(wav, self.recording)
        return trace, wav
