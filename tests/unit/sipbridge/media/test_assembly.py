"""Recording and statistics out of a log of packets."""

import itertools
import struct
from dataclasses import dataclass, replace

import numpy as np
import pytest

from tuner_sipbridge.audio.g711 import silence, translate
from tuner_sipbridge.media.assembly import result_of
from tuner_sipbridge.media.engine import MediaStatistics
from tuner_sipbridge.media.messages import StreamLog
from tuner_sipbridge.media.recording import Recording

STARTED_AT = 1000.0
REMOTE = ("192.0.2.1", 4000)


@dataclass
class Packet:
    at: float
    sequence: int
    payload: bytes
    timestamp: int | None = None
    ssrc: int = 1
    payload_type: int = 0
    marker: bool = False

    def record(self) -> bytes:
        stamp = 160 * self.sequence if self.timestamp is None else self.timestamp
        second = self.payload_type | (0x80 if self.marker else 0)
        return (
            struct.pack("<qHH", round((STARTED_AT + self.at) * 1e9), len(self.payload), 0)
            + struct.pack("!BBHII", 0x80, second, self.sequence & 0xFFFF, stamp & 0xFFFFFFFF, self.ssrc)
            + self.payload
        )


def log(packets: list[Packet], seconds: float = 1.0) -> StreamLog:
    return StreamLog(
        codec="PCMU",
        codecs={0: "PCMU"},
        started_at=STARTED_AT,
        samples=round(8000 * seconds),
        sent=50,
        played=[],
        received=b"".join(packet.record() for packet in packets),
        discarded=0,
        source=REMOTE,
        remote=REMOTE,
        send_late_s=(0.0001, 0.0004, 0.002),
    )


def recording(packets: list[Packet], seconds: float = 1.0) -> Recording:
    result = result_of(log(packets, seconds), record=True)
    assert result.recording is not None
    return result.recording


def statistics(packets: list[Packet]) -> MediaStatistics:
    return result_of(log(packets), record=True).statistics


def stream(count: int, *, at: float = 0.1, size: int = 160, ssrc: int = 1) -> list[Packet]:
    """Packets that come as they were sent; the octets of packet n are n + 1."""
    return [
        Packet(at + n * size / 8000, n, bytes([n + 1]) * size, timestamp=n * size, ssrc=ssrc)
        for n in range(count)
    ]


def runs(side: np.ndarray) -> list[tuple[int, int, int]]:
    """Value, begin and length of each stretch that is no silence."""
    edges = np.flatnonzero(np.diff(side.astype(int), prepend=-1, append=-1))
    found = [(int(side[a]), int(a), int(b - a)) for a, b in itertools.pairwise(edges)]
    return [run for run in found if run[0] != 0xFF]


@pytest.mark.parametrize("size", [80, 160, 240, 320, 480])
def test_first_packet_lies_at_its_arrival_and_the_others_follow_by_timestamp(size: int):
    packets = stream(3, size=size)
    packets[1] = replace(packets[1], at=packets[1].at + 0.013)
    assert runs(recording(packets).agent) == [(n + 1, 800 + n * size, size) for n in range(3)]


def test_arrivals_stand_in_the_frame_of_each_packets_first_octet():
    packets = stream(3, at=0.105)
    arrivals = recording(packets).arrivals_ns
    assert len(arrivals) == 51
    assert np.flatnonzero(arrivals).tolist() == [5, 6, 7]
    assert arrivals[5] == round((STARTED_AT + 0.105) * 1e9)


def test_first_of_two_short_packets_in_a_frame_gives_its_arrival():
    arrivals = recording(stream(4, at=0.1, size=80)).arrivals_ns
    assert (arrivals[5:7] / 1e9 - STARTED_AT).tolist() == pytest.approx([0.10, 0.12])


def test_lost_packet_is_silence_and_late_or_repeated_ones_lie_in_their_place():
    packets = stream(6)
    shuffled = [packets[0], packets[2], packets[1], packets[1], packets[5], packets[4]]
    assert runs(recording(shuffled).agent) == [(n + 1, 800 + 160 * n, 160) for n in (0, 1, 2, 4, 5)]


def test_what_lies_outside_the_call_is_cut():
    packets = [Packet(0.995, 0, b"\x01" * 160)]
    assert runs(recording(packets).agent) == [(1, 7960, 40)]


def test_recording_begins_earlier_for_packets_that_came_before_our_first_left():
    early = replace(log([Packet(-0.05, 0, b"\x01" * 160)]), played=[(0, "PCMU", b"\x05" * 160)])
    result = result_of(early, record=True).recording
    assert result is not None
    assert result.started_at == pytest.approx(STARTED_AT - 0.06)
    assert (runs(result.agent), runs(result.caller)) == ([(1, 80, 160)], [(5, 480, 160)])
    assert (len(result.agent), len(result.caller), len(result.arrivals_ns)) == (8480, 8480, 54)


def test_absurdly_early_arrivals_do_not_stretch_the_recording():
    assert len(recording([Packet(-500.0, 0, b"\x01" * 160)]).agent) == 8000 + 40_000


def test_pause_without_timestamps_moving_is_a_pause_in_the_recording():
    packets = [*stream(2), Packet(0.6, 2, b"\x03" * 160), Packet(0.62, 3, b"\x04" * 160)]
    assert runs(recording(packets).agent)[2:] == [(3, 4800, 160), (4, 4960, 160)]


def test_marker_lets_a_short_pause_show():
    packets = [*stream(2), Packet(0.23, 2, b"\x03" * 160, marker=True)]
    assert runs(recording(packets).agent)[2] == (3, 1840, 160)


def test_jump_of_the_timestamps_does_not_move_the_audio():
    packets = [*stream(2), Packet(0.14, 2, b"\x03" * 160, timestamp=3000000000)]
    assert runs(recording(packets).agent)[2] == (3, 1120, 160)


def test_new_source_lies_at_its_own_arrival():
    packets = [*stream(2), Packet(0.2, 40000, b"\t" * 160, timestamp=5, ssrc=2)]
    assert runs(recording(packets).agent)[2] == (9, 1600, 160)


def test_timestamps_may_wrap_in_the_call():
    packets = [
        replace(packet, timestamp=(0xFFFFFFFF - 200 + 160 * packet.sequence) & 0xFFFFFFFF)
        for packet in stream(4)
    ]
    assert runs(recording(packets).agent) == [(n + 1, 800 + 160 * n, 160) for n in range(4)]


def test_caller_lies_where_it_was_sent():
    played = [(0, "PCMU", b"\x05" * 400), (4000, "PCMU", b"\x06" * 80), (7960, "PCMU", b"\x07" * 160)]
    result = result_of(replace(log([]), played=played), record=True)
    assert result.recording is not None
    assert runs(result.recording.caller) == [(5, 0, 400), (6, 4000, 80), (7, 7960, 40)]
    assert result.recording.duration_s == 1.0


def test_other_codec_after_a_re_invite_is_recorded_in_the_first():
    alaw = b"\x12" * 160
    packets = [Packet(0.1, 0, b"\x01" * 160), Packet(0.12, 1, alaw, payload_type=8)]
    changed = replace(log(packets), codecs={0: "PCMU", 8: "PCMA"}, played=[(0, "PCMA", alaw)])
    result = result_of(changed, record=True).recording
    assert result is not None
    ulaw = translate(alaw, "PCMA", "PCMU")[0]
    assert runs(result.agent) == [(1, 800, 160), (ulaw, 960, 160)]
    assert runs(result.caller) == [(ulaw, 0, 160)]


def test_counts_of_a_clean_stream():
    result = statistics(stream(10))
    assert (result.sent, result.received, result.expected, result.lost) == (50, 10, 10, 0)
    assert (result.duplicates, result.reordered, result.discarded) == (0, 0, 0)
    assert result.jitter_s == pytest.approx(0, abs=1e-6)
    assert result.longest_gap_s == pytest.approx(0.02)
    assert (result.source, result.asymmetric) == (REMOTE, False)
    assert (result.send_late_p50_s, result.send_late_p99_s, result.send_late_max_s) == (0.0001, 0.0004, 0.002)


def test_duplicates_do_not_hide_losses():
    packets = stream(6)
    result = statistics([packets[0], packets[1], packets[1], packets[4], packets[3]])
    assert (result.received, result.expected, result.lost) == (5, 5, 1)
    assert (result.duplicates, result.reordered) == (1, 1)


def test_sources_are_counted_apart():
    result = statistics(stream(3) + stream(3, at=0.3, ssrc=9)[::2])
    assert (result.received, result.expected, result.lost) == (5, 6, 1)


def test_numbers_that_start_anew_under_one_ssrc_are_no_loss():
    packets = stream(3) + [
        Packet(0.16 + 0.02 * n, 30000 + n, b"\x01" * 160, timestamp=160 * (3 + n)) for n in range(3)
    ]
    result = statistics(packets)
    assert (result.expected, result.lost) == (6, 0)


def test_packets_from_elsewhere_are_asymmetric():
    result = result_of(replace(log(stream(1)), source=("192.0.2.1", 4002)), record=True)
    assert result.statistics.asymmetric


def test_call_without_a_packet_has_a_silent_recording():
    result = result_of(log([]), record=True)
    assert result.recording is not None
    assert bytes(result.recording.agent) == silence(8000, "PCMU")
    assert not result.recording.arrivals_ns.any()
    assert result.statistics.jitter_s is None


def test_stream_that_never_started_has_no_recording():
    assert result_of(StreamLog.empty(), record=True).recording is None
    assert result_of(log(stream(1)), record=False).recording is None
