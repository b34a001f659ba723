"""How the packets travelled, from the trace alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tuner_sipbridge.trace import Trace


@dataclass(frozen=True, slots=True)
class MediaTransport:
    """Packets of one call; None where nothing is known.

    Attributes:
        codec: encoding name.
        sent: packets sent.
        received: packets received.
        lost: packets the far end sent that did not arrive (RFC 3550 §A.3).
        loss_ratio: `lost` of what the far end sent, 0 to 1.
        duplicates: packets received more than once.
        reordered: packets received out of order.
        jitter_s: interarrival jitter at the end of the call (RFC 3550 §6.4.1).
        jitter_max_s: the highest it was.
        longest_gap_s: longest time without a packet between two.
        first_packet_s: answer to the first packet received; below zero with early media.
        asymmetric: the packets came from another address than the SDP named.
        send_late_p50_s: how late our own packets left, median: the dialer's share of any latency shown.
        send_late_p99_s: the same, 99th percentile.
        send_late_max_s: the same, maximum.
    """

    codec: str = ""
    sent: int = 0
    received: int = 0
    lost: int = 0
    loss_ratio: float | None = None
    duplicates: int = 0
    reordered: int = 0
    jitter_s: float | None = None
    jitter_max_s: float | None = None
    longest_gap_s: float | None = None
    first_packet_s: float | None = None
    asymmetric: bool = False
    send_late_p50_s: float | None = None
    send_late_p99_s: float | None = None
    send_late_max_s: float | None = None


def media_of(trace: Trace) -> MediaTransport:
    """The transport figures of one trace: its last `media.report` and its first packet."""
    report, started = trace.last("media.report"), trace.first("media.started")
    answered, first = trace.first("call.answered"), trace.first("media.first_packet")
    fields: dict[str, Any] = {} if report is None else report.fields
    expected = int(fields.get("expected") or 0)
    lost = int(fields.get("lost") or 0)
    return MediaTransport(
        codec="" if started is None else str(started.fields.get("codec", "")),
        sent=int(fields.get("sent") or 0),
        received=int(fields.get("received") or 0),
        lost=lost,
        loss_ratio=lost / expected if expected else None,
        duplicates=int(fields.get("duplicates") or 0),
        reordered=int(fields.get("reordered") or 0),
        jitter_s=_seconds(fields, "jitter_s"),
        jitter_max_s=_seconds(fields, "jitter_max_s"),
        longest_gap_s=_seconds(fields, "longest_gap_s"),
        first_packet_s=None if answered is None or first is None else first.at - answered.at,
        asymmetric=bool(fields.get("asymmetric")),
        send_late_p50_s=_seconds(fields, "send_late_p50_s"),
        send_late_p99_s=_seconds(fields, "send_late_p99_s"),
        send_late_max_s=_seconds(fields, "send_late_max_s"),
    )


def _seconds(fields: dict[str, Any], name: str) -> float | None:
    value = fields.get(name)
    return None if value is None else float(value)
