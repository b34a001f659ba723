"""The figures of signalling: what each is, ours beside SIPp's, and their ratio."""

from __future__ import annotations

import statistics
from collections.abc import Callable
from typing import Any, TypeAlias

from bench.core.figures import DISTURBED, Figure, quantile
from bench.core.run import Samples
from bench.signalling.run import AT_ONCE, Measured

NOT_AT_ONCE = "ends calls one by one"

_Value: TypeAlias = Callable[[Samples], float]


def figures_of(measured: Measured) -> list[Figure]:
    """All figures, in the order of the table."""
    sizes = measured.sizes
    ours, peer = measured.ours, measured.peer

    def both(key: str, group: str, name: str, unit: str, value: _Value) -> Figure:
        return Figure(key, group, name, unit, value(ours), value(peer))

    def ours_only(key: str, group: str, name: str, unit: str, value: _Value) -> Figure:
        return Figure(key, group, name, unit, value(ours), None, NOT_AT_ONCE)

    fast = f"INVITE, 407, INVITE, 200, ACK, BYE, 200: {AT_ONCE} at once, as fast as they go"
    paced, held = f"The same, {sizes.rate} begun a second", f"{sizes.held:,} calls that stand at once"
    return [
        both("cycles_per_core", fast, "cycles for a second of one core", "cycles/s", _cycles_per_core),
        both("cycle_cpu_us", fast, "… CPU for one", "µs", lambda samples: 1e6 / _cycles_per_core(samples)),
        both("cycles_failed", fast, "… failed", "calls", _worst("fast", "failed")),
        both("set_up_p50_ms", paced, "first INVITE to 200, p50", "ms", _set_up_ms(0.5)),
        both("set_up_p99_ms", paced, "… p99", "ms", _set_up_ms(0.99)),
        both("paced_failed", paced, "… failed", "calls", _worst("paced", "failed")),
        both("dialog_kb", held, "memory of one", "kB", _median("held", "call_octets", 1e-3)),
        ours_only(
            "hang_up_s", held, "hung up at once: until the last 200 to BYE", "s", _median("held", "hang_up_s")
        ),
        ours_only("hang_up_cpu_s", held, "… CPU", "s", _median("held", "hang_up_cpu_s")),
        both("held_failed", held, "… failed", "calls", _worst("held", "failed")),
    ]


def _median(task: str, sample: str, scale: float = 1.0) -> _Value:
    return lambda samples: statistics.median(one[sample] for one in samples.said[task]) * scale


def _worst(task: str, sample: str) -> _Value:
    return lambda samples: max(one[sample] for one in samples.said[task])


def _cycles_per_core(samples: Samples) -> float:
    return statistics.median(one["cycles"] / one["cpu_s"] for one in samples.said["fast"])


def _set_up_ms(share: float) -> _Value:
    """Median over the rounds of a quantile over one round's calls, in milliseconds; 0 when none stood."""
    return lambda samples: statistics.median(
        quantile(one["set_up_s"] or [0.0], share) * 1e3 for one in samples.said["paced"]
    )


def notes_of(measured: Measured) -> list[str]:
    """What must be known to read the table rightly."""
    version = measured.version
    texts = [
        f"Peer: SIPp {version}, a C++ program that fills in templates; it checks no dialog. The far end of both is "
        "SIPp too: it challenges every first INVITE and wants digest credentials, over UDP on loopback.",
        "Ours: OutboundCall on SipDriver, which the dialer places calls with, on one thread; without its media, "
        "notes and look-ups of names, since the dialer has no mode without media.",
        "Costs are CPU time; SIPp's without what one call alone takes it. SIPp reads a coarse "
        "clock, of 4 ms on most kernels: its set-up time of 0 is one below that.",
        "Memory: growth of the resident set for each call. Ours is of calls whose INVITE transactions are over, "
        "as 32 s after the 200.",
        "Not hung up within 8 s counts as failed. A burst that overflows a socket's buffer is repeated 0.5, 1.5 "
        "and 3.5 s later (RFC 3261 §17.1.2).",
    ]
    if measured.others > DISTURBED:
        texts.append(
            f"Other processes had {measured.others:.0%} of the machine meanwhile: CPU times and memory can be "
            "trusted, times by the clock and failures least."
        )
    return texts


def to_json(measured: Measured) -> dict[str, Any]:
    """Figures and every run."""
    return {
        "rounds": measured.rounds,
        "others_share": round(measured.others, 3),
        "sipp": measured.version,
        "figures": [figure.to_json(peer="sipp") for figure in figures_of(measured)],
        "runs": {"ours": measured.ours.said, "sipp": measured.peer.said},
    }
