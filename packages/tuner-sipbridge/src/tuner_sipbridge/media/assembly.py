"""From what a worker kept of a stream to the recording and the statistics: pure, after the call."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from tuner_sipbridge.audio.g711 import SILENCE, Law, translate
from tuner_sipbridge.media.engine import (
    FRAME_S,
    FRAME_SAMPLES,
    SAMPLE_RATE,
    MediaResult,
    MediaStatistics,
)
from tuner_sipbridge.media.messages import StreamLog
from tuner_sipbridge.media.packet_log import ReceivedPackets, read_log
from tuner_sipbridge.media.recording import Recording
from tuner_sipbridge.rtp.sequence import restarts, unwrap
from tuner_sipbridge.rtp.stats import Reception, reception_of

_LEAD_MAX_S = 5.0
"""How far back a recording begins for the sake of packets that waited in the socket; it holds hardly more."""
_EARLY = SAMPLE_RATE // 10
"""Samples by which a packet may come before its place; more cannot be jitter, so the place is wrong."""
_LATE = SAMPLE_RATE // 5
"""Samples by which a packet may come after its place before that is taken for a pause of the sender."""
_LATE_MARKED = SAMPLE_RATE // 25
"""The same for a packet that says it begins a talkspurt (marker bit, RFC 3551 §4.1)."""


def result_of(log: StreamLog, *, record: bool) -> MediaResult:
    """Recording and statistics of one stream; no recording when it never started or `record` is False."""
    packets = read_log(log.received)
    statistics = _statistics(log, packets)
    voiced = _select(packets, packets.length > 0)
    log = _with_lead(log, voiced)
    if not record or log.codec is None or log.started_at is None:
        return MediaResult(None, statistics)
    agent, arrivals_ns = _agent_side(log, voiced, log.codec, log.started_at)
    caller = _caller_side(log, log.codec)
    return MediaResult(Recording(log.started_at, log.codec, caller, agent, arrivals_ns), statistics)


def _with_lead(log: StreamLog, voiced: ReceivedPackets) -> StreamLog:
    """The log with its beginning moved back, by whole frames, to a packet that came before our first one left."""
    if log.started_at is None or not len(voiced):
        return log
    early_s = log.started_at - int(voiced.arrival_ns.min()) * 1e-9
    frames = math.ceil(min(max(early_s, 0.0), _LEAD_MAX_S) / FRAME_S)
    samples = frames * FRAME_SAMPLES
    return replace(
        log,
        started_at=log.started_at - frames * FRAME_S,
        samples=log.samples + samples,
        played=[(position + samples, codec, octets) for position, codec, octets in log.played],
    )


def place(packets: ReceivedPackets, started_at: float) -> NDArray[np.int64]:
    """Where each packet's first octet lies on the recording's line, in samples from `started_at`.

    The first packet of a source is placed at its arrival, those after it by their timestamps, so that jitter does not
    tear the audio apart. A packet that arrives far off its place shows that the sender's timestamps did not move with
    time (a pause, a jump); it is placed at its arrival and those after it follow on.
    """
    arrived = np.rint((packets.arrival_ns * 1e-9 - started_at) * SAMPLE_RATE).astype(np.int64)
    late_limit = np.where(packets.marker, _LATE_MARKED, _LATE)
    positions = np.zeros(len(packets), np.int64)
    for source in np.unique(packets.ssrc):
        members = np.flatnonzero(packets.ssrc == source)
        line = unwrap(packets.timestamp[members], 32)
        off = arrived[members] - line
        begin = 0
        while begin < len(members):
            late = off[begin:] - off[begin]
            wrong = (late > late_limit[members[begin:]]) | (late < -_EARLY)
            end = begin + int(wrong.argmax()) if wrong.any() else len(members)
            positions[members[begin:end]] = line[begin:end] + off[begin]
            begin = end
    return positions


def _agent_side(
    log: StreamLog, voiced: ReceivedPackets, codec: Law, started_at: float
) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    agent = np.full(log.samples, SILENCE[codec], np.uint8)
    arrivals_ns = np.zeros(log.samples // FRAME_SAMPLES + 1, np.int64)
    positions = place(voiced, started_at)
    inside = (positions >= 0) & (positions < log.samples)
    frames = positions[inside] // FRAME_SAMPLES
    arrivals_ns[frames[::-1]] = voiced.arrival_ns[inside][::-1]
    octets = voiced.octets.data
    for position, offset, length, payload_type in zip(
        positions.tolist(),
        voiced.offset.tolist(),
        voiced.length.tolist(),
        voiced.payload_type.tolist(),
        strict=True,
    ):
        begin, end = max(position, 0), min(position + length, log.samples)
        if begin >= end:
            continue
        payload = octets[offset + begin - position : offset + end - position]
        law = log.codecs.get(payload_type, codec)
        if law != codec:
            payload = translate(bytes(payload), law, codec)
        agent[begin:end] = np.frombuffer(payload, np.uint8)
    return agent, arrivals_ns


def _caller_side(log: StreamLog, codec: Law) -> NDArray[np.uint8]:
    caller = np.full(log.samples, SILENCE[codec], np.uint8)
    for position, law, octets in log.played:
        stretch = np.frombuffer(translate(octets, law, codec), np.uint8)
        end = min(position + len(stretch), log.samples)
        caller[position:end] = stretch[: end - position]
    return caller


def _statistics(log: StreamLog, packets: ReceivedPackets) -> MediaStatistics:
    parts = [_reception(log, _select(packets, members)) for members in _sources(packets)]
    received, expected = sum(part.received for part in parts), sum(part.expected for part in parts)
    duplicates = sum(part.duplicates for part in parts)
    gaps = np.diff(np.sort(packets.arrival_ns))
    late = log.send_late_s or (None, None, None)
    return MediaStatistics(
        sent=log.sent,
        received=received,
        expected=expected,
        lost=max(0, expected - (received - duplicates)),
        duplicates=duplicates,
        reordered=sum(part.reordered for part in parts),
        discarded=log.discarded,
        unauthenticated=log.unauthenticated,
        jitter_s=next((part.jitter_s for part in reversed(parts) if part.jitter_s is not None), None),
        jitter_max_s=max(
            (part.jitter_max_s for part in parts if part.jitter_max_s is not None), default=None
        ),
        longest_gap_s=float(gaps.max()) * 1e-9 if len(gaps) else None,
        source=log.source,
        asymmetric=log.source is not None and log.source != log.remote,
        send_late_p50_s=late[0],
        send_late_p99_s=late[1],
        send_late_max_s=late[2],
    )


def _sources(packets: ReceivedPackets) -> list[NDArray[np.intp]]:
    """The packets of each source, and of each start of it, the one that came last at the end."""
    sources: list[NDArray[np.intp]] = []
    for ssrc in np.unique(packets.ssrc):
        members = np.flatnonzero(packets.ssrc == ssrc)
        sources += np.split(members, restarts(packets.sequence[members])[1:])
    return sorted(sources, key=lambda members: int(members[-1]))


def _reception(log: StreamLog, packets: ReceivedPackets) -> Reception:
    audio = np.isin(packets.payload_type, list(log.codecs))
    return reception_of(
        packets.sequence, packets.timestamp, packets.arrival_ns, audio, payload_type=packets.payload_type
    )


def _select(packets: ReceivedPackets, which: NDArray[np.bool_] | NDArray[np.intp]) -> ReceivedPackets:
    return ReceivedPackets(
        arrival_ns=packets.arrival_ns[which],
        length=packets.length[which],
        payload_type=packets.payload_type[which],
        marker=packets.marker[which],
        sequence=packets.sequence[which],
        timestamp=packets.timestamp[which],
        ssrc=packets.ssrc[which],
        offset=packets.offset[which],
        octets=packets.octets,
    )
