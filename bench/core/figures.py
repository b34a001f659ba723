"""The figures of the core: what each is, ours beside the published package's, and their ratio."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from bench.core.run import PUBLISHED, Measured, Samples

HELD_AT_MOST_MS = 1.0
"""Longest that a checkpoint or a hand-over may hold the application's event loop."""

DISTURBED = 0.10
"""Share of the machine in others' hands from which on times by the clock are only indicative."""

NO_OUTBOX = "has no outbox"
NO_REDACTION = "has no redaction"
NO_REPAIR = "repairs nothing"

_Value: TypeAlias = Callable[[Samples], float]


@dataclass(frozen=True, slots=True)
class Figure:
    """One line of the table.

    Attributes:
        key: what it is called in bench.json.
        group: the heading it stands under.
        name: what it is, in the table.
        unit: of both values.
        ours: median over the rounds.
        peer: the same of the published package, None when it cannot do the work.
        why_not: why the peer has none; empty when it could not be had at all.
        bound: what ours must stay below.
    """

    key: str
    group: str
    name: str
    unit: str
    ours: float
    peer: float | None
    why_not: str = ""
    bound: float | None = None

    @property
    def ratio(self) -> float | None:
        """Ours for one of the peer's."""
        return self.ours / self.peer if self.peer else None

    @property
    def holds(self) -> bool:
        """Whether ours is below its bound, if it has one."""
        return self.bound is None or self.ours < self.bound

    def to_json(self, peer: str = "published") -> dict[str, Any]:
        """All of it, the peer's value under the peer's name."""
        return {
            "key": self.key,
            "what": f"{self.group}: {self.name}",
            "unit": self.unit,
            "ours": round(self.ours, 4),
            peer: None if self.peer is None else round(self.peer, 4),
            "ratio": None if self.ratio is None else round(self.ratio, 4),
            **({"why_not": self.why_not} if self.why_not else {}),
            **({} if self.bound is None else {"bound": self.bound, "holds": self.holds}),
        }


def figures_of(measured: Measured) -> list[Figure]:
    """All figures, in the order of the table."""
    return [*_imports(measured), *_building(measured), *_loop(measured), *_delivering(measured)]


def _imports(measured: Measured) -> list[Figure]:
    sheet = _Sheet(measured, "Import in a fresh process")
    ready = "all that a delivered call needs"
    return [
        sheet.figure("import_ms", "import tuner_core, CPU", "ms", _median("import", "cpu_ms")),
        sheet.figure("ready_ms", f"{ready}, CPU", "ms", _median("ready", "cpu_ms")),
        sheet.figure("import_mb", "import tuner_core, peak RSS", "MB", _median("import", "peak_mb")),
        sheet.figure("ready_mb", f"{ready}, peak RSS", "MB", _median("ready", "peak_mb")),
    ]


def _building(measured: Measured) -> list[Figure]:
    turns = measured.sizes.long_turns
    sheet = _Sheet(measured, f"A call of an hour: {turns:,} turns, {turns // 4:,} tools")

    def built(*names: str) -> _Value:
        return lambda samples: sum(_median("build", name)(samples) for name in names)

    flush = built("flush_ms")
    whole = built("record_ms", "conform_ms")
    return [
        sheet.figure("tell_ms", "telling all of it, CPU", "ms", built("apply_ms")),
        sheet.figure("build_ms", "building the record to its bytes, CPU", "ms", whole, theirs=flush),
        sheet.figure("on_loop_ms", "… of it on the event loop", "ms", built("record_ms"), theirs=flush),
        sheet.ours_only("conform_ms", "… of it in a thread: repair", "ms", built("conform_ms"), NO_REPAIR),
        sheet.ours_only("redact_ms", "… the same with redaction", "ms", built("redact_ms"), NO_REDACTION),
        sheet.figure("peak_mb", "telling and building, peak memory", "MB", built("peak_mb")),
        sheet.ours_only(
            "redact_peak_mb", "… the same with redaction", "MB", built("redact_peak_mb"), NO_REDACTION
        ),
        sheet.figure("body_kb", "the body", "kB", built("body_kb")),
    ]


def _loop(measured: Measured) -> list[Figure]:
    sheet = _Sheet(measured, "What the application's event loop pays")

    def loop(sample: str, share: float) -> _Value:
        return _quantile_ms("loop", sample, share)

    telling, handing = "telling an event (ours: with its checkpoint)", "handing over a call, longest step"
    most = HELD_AT_MOST_MS
    return [
        sheet.figure(
            "checkpoint_cpu_p50_ms", f"{telling}, CPU, p50", "ms", loop("told_cpu_s", 0.5), bound=most
        ),
        sheet.figure("checkpoint_cpu_p99_ms", "… CPU, p99", "ms", loop("told_cpu_s", 0.99), bound=most),
        sheet.figure("checkpoint_p99_ms", "… by the clock, p99", "ms", loop("told_s", 0.99)),
        sheet.figure(
            "hand_over_cpu_p50_ms", f"{handing}, CPU, p50", "ms", loop("step_cpu_s", 0.5), bound=most
        ),
        sheet.figure("hand_over_cpu_p99_ms", "… CPU, p99", "ms", loop("step_cpu_s", 0.99), bound=most),
        sheet.figure("hand_over_p99_ms", "… by the clock, p99", "ms", loop("step_s", 0.99)),
        sheet.figure(
            "long_late_ms", "a call of an hour: latest tick of a clock", "ms", loop("long_late_s", 0.5)
        ),
    ]


def _delivering(measured: Measured) -> list[Figure]:
    sizes = measured.sizes
    sheet = _Sheet(measured, f"Delivery on loopback, calls of {sizes.turns} turns, {sizes.turns // 4} tools")

    def loop(sample: str, share: float) -> _Value:
        return _quantile_ms("loop", sample, share)

    many, left = f"{sizes.many} handed over at once", f"{sizes.left} left by another process"
    return [
        sheet.ours_only("durable_p50_ms", "time to durable, p50", "ms", loop("durable_s", 0.5), NO_OUTBOX),
        sheet.ours_only("durable_p99_ms", "… p99", "ms", loop("durable_s", 0.99), NO_OUTBOX),
        sheet.ours_only("disk_p50_ms", "… a bare write and fsync, p50", "ms", loop("disk_s", 0.5), NO_OUTBOX),
        sheet.figure("delivered_p50_ms", "time to delivered, p50", "ms", loop("delivered_s", 0.5)),
        sheet.figure("delivered_p99_ms", "… p99", "ms", loop("delivered_s", 0.99)),
        sheet.figure("many_per_s", f"{many}, delivered", "calls/s", _rate("many")),
        sheet.figure("many_cpu_ms", "… CPU for one", "ms", _cost("many")),
        sheet.ours_only("drain_per_s", f"drain rate, {left}", "records/s", _rate("drain"), NO_OUTBOX),
        sheet.ours_only("drain_cpu_ms", "… CPU for one", "ms", _cost("drain"), NO_OUTBOX),
    ]


@dataclass(frozen=True, slots=True)
class _Sheet:
    """The figures of one group."""

    measured: Measured
    group: str

    def figure(
        self,
        key: str,
        name: str,
        unit: str,
        value: _Value,
        *,
        theirs: _Value | None = None,
        bound: float | None = None,
    ) -> Figure:
        """A figure of both, the peer's by `theirs` where it differs."""
        ours, peer = self.measured.ours, self.measured.peer
        other = None if peer.absent else (theirs or value)(peer)
        return Figure(key, self.group, name, unit, value(ours), other, "", bound)

    def ours_only(self, key: str, name: str, unit: str, value: _Value, why_not: str) -> Figure:
        """A figure of what the peer cannot do."""
        return Figure(key, self.group, name, unit, value(self.measured.ours), None, why_not)


def _median(task: str, sample: str) -> _Value:
    return lambda samples: statistics.median(document[sample] for document in samples.said[task])


def _quantile_ms(task: str, sample: str, share: float) -> _Value:
    """Median over the rounds of a quantile over one round's samples, in milliseconds."""
    return lambda samples: statistics.median(
        quantile(document[sample], share) * 1e3 for document in samples.said[task]
    )


def quantile(values: Sequence[float], share: float) -> float:
    """The smallest value that at least this share of all values do not exceed."""
    ordered = sorted(values)
    return ordered[max(math.ceil(share * len(ordered)) - 1, 0)]


def _rate(task: str) -> _Value:
    return lambda samples: statistics.median(one["delivered"] / one["took_s"] for one in samples.said[task])


def _cost(task: str) -> _Value:
    return lambda samples: statistics.median(
        one["cpu_s"] / max(one["delivered"], 1) * 1e3 for one in samples.said[task]
    )


def notes_of(measured: Measured) -> list[str]:
    """What must be known to read the table rightly."""
    absent = measured.peer.absent
    texts = [
        *([f"tuner-core {PUBLISHED} could not be measured: {absent}"] if absent else []),
        f"Published: tuner-core {PUBLISHED} of the package index, in an environment of its own. "
        "Ratio: ours for one of its.",
        "All that a delivered call needs: ours loads most of it in the delivery's thread, while the first call is "
        "being stored; the published package all of it on import.",
        "Building: the published package checks types and encodes, on the event loop. Ours also writes the plain "
        "transcript, repairs what the API would refuse and cuts to bounds, in the delivery's thread.",
        "An event told to the published package is in memory only and lost with the process; ours is on disk a moment "
        "later. Ours has a call on disk before it is sent; the published package never.",
        "The published package builds, opens an HTTP client with its certificates for each call, and sends in the "
        "event loop; many at once means 8 at once, as many as ours sends.",
        "By the clock a step also waits for the interpreter and the machine; its bound is held against its CPU time. "
        "The clock in the loop ticks every 2 ms, as audio would.",
    ]
    if measured.others > DISTURBED:
        texts.append(
            f"Other processes had {measured.others:.0%} of the machine meanwhile: CPU times and their ratios can be "
            "trusted, 99th percentiles by the clock least."
        )
    return texts
