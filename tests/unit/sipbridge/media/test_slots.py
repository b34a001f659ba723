"""The sending half, packet by packet, without a socket."""

import itertools
import struct
from dataclasses import dataclass, replace

import numpy as np
import pytest

from tuner_sipbridge.audio import g711
from tuner_sipbridge.audio.codecs import decoder_of
from tuner_sipbridge.media.engine import DigitsSent, MediaEvent, MediaParameters, PlayoutEnded, PlayoutStarted
from tuner_sipbridge.media.playout import PlayoutQueue
from tuner_sipbridge.media.slots import TransmitSlot
from tuner_sipbridge.media.transmission import Transmission

REMOTE = ("192.0.2.1", 4000)
PARAMETERS = MediaParameters(remote=REMOTE, telephone_event=101)
SILENCE = b"\xff" * 160


@dataclass
class Packet:
    """One packet as it went out."""

    address: tuple[str, int]
    marker: bool
    payload_type: int
    sequence: int
    timestamp: int
    ssrc: int
    payload: bytes


class Bench:
    """A slot whose packets are kept instead of sent."""

    def __init__(self) -> None:
        self.slot = TransmitSlot(rows=2)
        self.packets: list[Packet] = []
        self.events: list[MediaEvent] = []
        self.tick = 0

    def send(self, packet: memoryview | bytes, address: tuple[str, int]) -> None:
        first, second, sequence, timestamp, ssrc = struct.unpack("!BBHII", packet[:12])
        assert first == 0x80
        self.packets.append(
            Packet(address, second >= 0x80, second & 0x7F, sequence, timestamp, ssrc, bytes(packet[12:]))
        )

    def add(
        self,
        ssrc: int,
        parameters: MediaParameters = PARAMETERS,
        *,
        sequence: int = 65535,
        timestamp: int = 0xFFFFFFFF,
    ) -> Transmission:
        transmission = Transmission(ssrc, self.send, parameters, first_tick=self.tick, queue=PlayoutQueue())
        self.slot.add(transmission, ssrc=ssrc, sequence=sequence, timestamp=timestamp)
        return transmission

    def run(self, ticks: int) -> list[Packet]:
        """Let so many ticks pass; gives what went out."""
        self.packets = []
        for _ in range(ticks):
            eventful = self.slot.fill(self.tick, self.at)
            for send, packet, address in self.slot.entries:
                send(packet, address)
            self.slot.note_sent([0.001] * len(self.slot.entries), [])
            for transmission in eventful:
                self.events += transmission.events()
            self.tick += 1
        return self.packets

    def play(self, transmission: Transmission, octets: bytes, mark: str = "m") -> None:
        transmission.queue.play(octets, mark, now=self.at)
        self.slot.awaken(transmission)

    @property
    def at(self) -> float:
        return 1000 + 0.02 * self.tick


def test_silence_flows_with_growing_numbers_and_one_marker():
    bench = Bench()
    bench.add(9)
    packets = bench.run(3)
    assert [p.sequence for p in packets] == [65535, 0, 1]
    assert [p.timestamp for p in packets] == [0xFFFFFFFF, 159, 319]
    assert [p.marker for p in packets] == [True, False, False]
    assert {(p.address, p.payload_type, p.ssrc, p.payload) for p in packets} == {(REMOTE, 0, 9, SILENCE)}


def test_audio_replaces_silence_and_gives_way_to_it():
    bench = Bench()
    stream = bench.add(9)
    bench.run(1)
    audio = bytes(range(200)) * 4
    bench.play(stream, audio)
    stream.queue.finish("m", now=bench.at)
    assert b"".join(p.payload for p in bench.run(7)) == audio + SILENCE * 2
    assert [type(event) for event in bench.events] == [PlayoutStarted, PlayoutEnded]


def test_long_audio_goes_out_frame_by_frame_whatever_else_is_queued():
    bench = Bench()
    stream = bench.add(9)
    audio = bytes(index % 251 for index in range(160 * 20 + 30))
    bench.play(stream, audio)
    first = bench.run(10)
    bench.play(stream, b"\x01" * 160)
    rest = bench.run(12)
    assert b"".join(p.payload for p in first + rest)[: len(audio) + 160] == audio + b"\x01" * 160


def test_clear_takes_effect_with_the_next_packet():
    bench = Bench()
    stream = bench.add(9)
    bench.play(stream, b"\x01" * 16000)
    bench.run(5)
    stream.queue.clear(now=bench.at)
    stream.end_run()
    assert [p.payload for p in bench.run(2)] == [SILENCE] * 2
    ended = bench.events[-1]
    assert isinstance(ended, PlayoutEnded)
    assert (ended.samples, ended.interrupted) == (800, True)


def test_digits_take_the_place_of_audio_which_goes_on_afterwards():
    bench = Bench()
    stream = bench.add(9, timestamp=0, sequence=0)
    bench.play(stream, bytes(range(250)) * 10)
    bench.run(2)
    stream.end_run()
    stream.digits.queue("1", mark="keys")
    bench.slot.awaken(stream)
    digits = bench.run(10)
    events = [p for p in digits if p.payload_type == 101]
    assert [p.timestamp for p in events] == [320] * 7
    assert [p.sequence for p in digits] == list(range(2, 12))
    assert [p.marker for p in digits] == [True] + [False] * 9
    assert {len(p.payload) for p in events} == {4}
    assert [p.payload for p in digits[7:]] == [SILENCE] * 3
    after = bench.run(2)
    assert [p.payload for p in after] == [(bytes(range(250)) * 10)[at : at + 160] for at in (320, 480)]
    assert [p.timestamp for p in after] == [12 * 160, 13 * 160]
    assert any(isinstance(event, DigitsSent) and event.mark == "keys" for event in bench.events)


def test_played_octets_are_kept_where_they_left():
    bench = Bench()
    stream = bench.add(9)
    bench.run(3)
    bench.play(stream, b"\x01" * 1600)
    bench.run(12)
    bench.play(stream, b"\x02" * 100)
    bench.run(1)
    assert stream.played() == [(480, "PCMU", b"\x01" * 1600), (15 * 160, "PCMU", b"\x02" * 100)]


def test_held_stream_sends_nothing_and_its_queue_waits():
    bench = Bench()
    stream = bench.add(9, sequence=0, timestamp=0)
    bench.run(1)
    stream.change(replace(PARAMETERS, send=False))
    bench.slot.refresh(stream)
    bench.play(stream, b"\x01" * 160)
    assert bench.run(5) == []
    stream.change(PARAMETERS)
    bench.slot.refresh(stream)
    (packet,) = bench.run(1)
    assert (packet.sequence, packet.timestamp, packet.payload) == (1, 6 * 160, b"\x01" * 160)


def test_changed_parameters_hold_from_the_next_packet():
    bench = Bench()
    stream = bench.add(9)
    bench.play(stream, b"\xff" * 1600)
    bench.run(2)
    elsewhere = ("192.0.2.9", 9000)
    stream.change(MediaParameters(remote=elsewhere, codec="PCMA", payload_type=8))
    bench.slot.refresh(stream)
    (packet,) = bench.run(1)
    assert (packet.address, packet.payload_type, packet.payload) == (elsewhere, 8, b"\xd5" * 160)
    assert [codec for _, codec, _ in stream.played()] == ["PCMU", "PCMA"]


def test_streams_come_and_go_without_disturbing_each_other():
    bench = Bench()
    streams = [bench.add(ssrc, sequence=100 * ssrc, timestamp=0) for ssrc in range(1, 6)]
    bench.run(2)
    bench.play(streams[4], b"\x05" * 16000)
    bench.run(1)
    assert [bench.slot.account(stream)[0] for stream in streams] == [3] * 5
    bench.slot.remove(streams[0])
    bench.slot.remove(streams[2])
    late = bench.add(7, sequence=700, timestamp=0)
    packets = {p.ssrc: p for p in bench.run(1)}
    assert sorted(packets) == [2, 4, 5, 7]
    assert [packets[ssrc].sequence for ssrc in (2, 4, 5, 7)] == [203, 403, 503, 700]
    assert packets[5].payload == b"\x05" * 160
    assert [ssrc for ssrc, packet in packets.items() if packet.marker] == [7]
    assert bench.slot.account(late)[0] == 1
    bench.slot.remove(late)
    assert len(bench.slot) == 3


def test_skipped_ticks_move_the_timestamps_only():
    bench = Bench()
    bench.add(9, sequence=5, timestamp=0)
    bench.run(1)
    bench.slot.skip(50)
    (packet,) = bench.run(1)
    assert (packet.sequence, packet.timestamp) == (6, 51 * 160)


def test_refused_packets_are_not_counted_as_sent():
    bench = Bench()
    streams = [bench.add(ssrc) for ssrc in (1, 2)]
    bench.slot.fill(0, bench.at)
    bench.slot.note_sent([0.0001, 0.002], [1])
    sent, late = bench.slot.account(streams[0])
    assert sent == 1
    assert late is not None
    assert bench.slot.account(streams[1])[0] == 0


OPUS = MediaParameters(
    remote=REMOTE, codec="opus", payload_type=96, telephone_event=97, event_clock_rate=48000
)


def decoded(packets: list[Packet]) -> np.ndarray:
    decoder = decoder_of("opus")
    assert decoder is not None
    return np.concatenate([decoder.decode(packet.payload) for packet in packets])


def test_opus_counts_its_own_clock_and_carries_speech_and_silence():
    bench = Bench()
    stream = bench.add(9, OPUS, timestamp=0xFFFFFFFF, sequence=0)
    bench.play(stream, g711.encode((8000 * np.sin(np.arange(1600) / 3)).astype(np.int16), "PCMU"))
    packets = bench.run(15)
    assert [p.timestamp for p in packets[:3]] == [0xFFFFFFFF, 959, 1919]
    assert [p.sequence for p in packets] == list(range(15))
    assert [p.marker for p in packets] == [True] + [False] * 14
    assert {p.payload_type for p in packets} == {96}
    assert len({len(p.payload) for p in packets}) > 1
    heard = decoded(packets)
    assert np.abs(heard[400:1600]).max() > 6000
    assert np.abs(heard[-400:]).max() < 100


@pytest.mark.parametrize(("clock_rate", "tick"), [(48000, 960), (8000, 160)])
def test_keys_of_an_opus_stream_begin_by_its_clock_and_last_by_theirs(clock_rate: int, tick: int):
    bench = Bench()
    stream = bench.add(9, replace(OPUS, event_clock_rate=clock_rate), timestamp=0, sequence=0)
    bench.run(2)
    stream.digits.queue("1", mark="keys")
    bench.slot.awaken(stream)
    packets = bench.run(10)
    keys = [p for p in packets if p.payload_type == 97]
    assert [p.timestamp for p in keys] == [1920] * 7
    assert [struct.unpack("!H", p.payload[2:])[0] for p in keys] == [tick * n for n in (1, 2, 3, 4, 5, 5, 5)]
    after = [p for p in packets if p.payload_type == 96]
    assert [p.timestamp for p in after] == [960 * tick for tick in (9, 10, 11)]


def test_another_clock_is_another_source():
    """RFC 7160 §4.1."""
    bench = Bench()
    stream = bench.add(9, sequence=0, timestamp=0)
    ssrcs = [bench.run(2)[0].ssrc]
    for parameters in (OPUS, PARAMETERS, OPUS, replace(OPUS, codec="G722", payload_type=9), PARAMETERS):
        stream.change(parameters)
        bench.slot.refresh(stream)
        packets = bench.run(3)
        assert {p.payload_type for p in packets} == {parameters.payload_type}
        steps = {(b.timestamp - a.timestamp) & 0xFFFFFFFF for a, b in itertools.pairwise(packets)}
        assert steps == {parameters.clock_rate // 50}
        assert [p.marker for p in packets] == [packets[0].ssrc != ssrcs[-1], False, False]
        ssrcs.append(packets[0].ssrc)
    assert len(set(ssrcs)) == 5
    assert ssrcs[-2] == ssrcs[-1]


def test_rows_of_other_codecs_do_not_touch_each_other():
    bench = Bench()
    bench.add(9)
    coded = bench.add(10, OPUS)
    plain = bench.add(11)
    bench.play(plain, b"\x01" * 480)
    packets = bench.run(3)
    by_ssrc = {ssrc: [p.payload for p in packets if p.ssrc == ssrc] for ssrc in (9, 10, 11)}
    assert by_ssrc[9] == [SILENCE] * 3
    assert by_ssrc[11] == [b"\x01" * 160] * 3
    assert all(0 < len(payload) < 160 for payload in by_ssrc[10])
    bench.slot.remove(coded)
    assert {p.ssrc for p in bench.run(2)} == {9, 11}
