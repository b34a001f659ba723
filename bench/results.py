"""What came out: medians over the runs of each subject, under which conditions, and as JSON."""

from __future__ import annotations

import os
import platform
import statistics
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from bench.run import Run
from bench.subjects import Subject

DISTURBED = 0.10
"""Share of the machine in others' hands from which on the figures are only indicative."""


@dataclass
class Row:
    """One subject and its runs."""

    subject: Subject
    runs: list[Run] = field(default_factory=list)
    failure: str = ""

    def median(self, of: Callable[[Run], float]) -> float:
        """Median over the runs; only when there are any."""
        return statistics.median(of(run) for run in self.runs)

    @property
    def cpu_us(self) -> float:
        """CPU microseconds for one second of one call."""
        return self.median(lambda run: run.cpu_us)

    @property
    def calls_per_core(self) -> int:
        """Calls that one core could hold at that cost."""
        return round(1e6 / self.cpu_us)

    @property
    def p50_ms(self) -> float:
        """Pacing error, median."""
        return self.median(lambda run: run.p50_ms)

    @property
    def p99_ms(self) -> float:
        """Pacing error, 99th percentile."""
        return self.median(lambda run: run.p99_ms)

    @property
    def loss(self) -> float:
        """Share of packets lost."""
        return self.median(lambda run: run.loss)

    @property
    def rate(self) -> float:
        """Packets a second and call."""
        return self.median(lambda run: run.rate)

    @property
    def calls(self) -> str:
        """Calls that stood; of how many, when not all did."""
        stood = round(self.median(lambda run: run.calls))
        return str(stood) if stood == self.subject.calls else f"{stood} of {self.subject.calls}"

    def to_json(self) -> dict[str, Any]:
        """Medians and every run."""
        about = {"key": self.subject.key, "name": self.subject.name, "work": self.subject.work}
        if not self.runs:
            return {**about, "calls_asked": self.subject.calls, "failure": self.failure}
        return {
            **about,
            "calls_asked": self.subject.calls,
            "calls": round(self.median(lambda run: run.calls)),
            "cpu_us_per_call_second": round(self.cpu_us, 1),
            "calls_per_core": self.calls_per_core,
            "pacing_p50_ms": round(self.p50_ms, 4),
            "pacing_p99_ms": round(self.p99_ms, 4),
            "loss": round(self.loss, 6),
            "packets_per_second": round(self.rate, 3),
            "runs": [asdict(run) for run in self.runs],
        }


@dataclass(frozen=True, slots=True)
class Conditions:
    """Where and how it was measured."""

    cores: int
    processor: str
    kernel: str
    python: str
    rounds: int
    seconds: float
    pinned: bool

    @classmethod
    def of_this_machine(cls, *, rounds: int, seconds: float, pinned: bool) -> Conditions:
        """Ask the machine."""
        processor = platform.processor() or platform.machine()
        try:
            with open("/proc/cpuinfo", encoding="utf-8") as lines:
                names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
            processor = names[0] if names else processor
        except OSError:
            pass
        cores = len(os.sched_getaffinity(0))
        return cls(cores, processor, platform.release(), platform.python_version(), rounds, seconds, pinned)

    @property
    def where(self) -> str:
        """The machine in a line."""
        return f"{self.cores} cores ({self.processor}), Linux {self.kernel}, Python {self.python}, loopback"

    @property
    def sentence(self) -> str:
        """All of it in a line."""
        often = "one run" if self.rounds == 1 else f"medians of {self.rounds} alternating runs"
        kept = "; the far end on a core of its own" if self.pinned else ""
        return f"{self.where}; {often} of {self.seconds:g} s each{kept}"


def disturbance(rows: Sequence[Row]) -> float:
    """Share of the machine that other processes had during the runs, at the median."""
    shares = [run.others for row in rows for run in row.runs]
    return statistics.median(shares) if shares else 0.0


def notes(rows: Sequence[Row]) -> list[str]:
    """What must be known to read the table rightly."""
    keys = {row.subject.key for row in rows if row.runs}
    texts = [
        "CPU is that of the dialer's whole process tree, kernel time included, over the steady middle of a run. "
        "Pacing is how far packets arrive from their call's own 20 ms grid, by the receiver's kernel timestamps.",
    ]
    if "tuner-busy" in keys:
        texts.append(
            "Busy application: a thread of the dialer's process runs pure Python half of the time; "
            "its own CPU is not counted."
        )
    if "agent-transport" in keys:
        texts.append(
            "agent-transport announces a port that it does not listen on and hears only a far end that answers to "
            "where packets come from, as ours does. Every few seconds it sends two packets in one tick, "
            "which moves its grid."
        )
    if any(row.runs and "sending only" in row.subject.name for row in rows):
        texts.append(
            "SIPp before 3.7, as Debian builds it, announces and uses one RTP port for all calls and never reads it: "
            "what it is sent is dropped in the kernel. Its figures are for sending alone, half of the others' work."
        )
    disturbed = disturbance(rows)
    if disturbed > DISTURBED:
        texts.append(
            f"Other processes had {disturbed:.0%} of the machine meanwhile: the figures are only indicative, "
            "the 99th percentiles least of all to be trusted."
        )
    return texts
