"""The receiving half over several calls, packet by packet, without a socket."""

import struct
from dataclasses import replace

import numpy as np

from tuner_sipbridge.audio import g711
from tuner_sipbridge.audio.activity import SpeechThresholds
from tuner_sipbridge.audio.codecs import encoder_of
from tuner_sipbridge.media.engine import (
    DigitReceived,
    FirstPacket,
    MediaEvent,
    MediaParameters,
    SpeechStarted,
)
from tuner_sipbridge.media.packet_log import ReceivedPackets, read_log
from tuner_sipbridge.media.reception import Reception
from tuner_sipbridge.media.reception_table import Batch, ReceptionTable

REMOTE = ("192.0.2.1", 4000)
PARAMETERS = MediaParameters(remote=REMOTE, telephone_event=101)
TONE = g711.encode((8000 * np.sin(np.arange(160) / 3)).astype(np.int16), "PCMU")
SILENCE = g711.silence(160, "PCMU")


def rtp(
    sequence: int,
    payload: bytes = SILENCE,
    *,
    ssrc: int = 77,
    payload_type: int = 0,
    timestamp: int | None = None,
    marker: bool = False,
) -> bytes:
    second = payload_type | (0x80 if marker else 0)
    stamp = 160 * sequence if timestamp is None else timestamp
    return struct.pack("!BBHII", 0x80, second, sequence & 0xFFFF, stamp & 0xFFFFFFFF, ssrc) + payload


class Bench:
    """A table that is fed by hand; packets arrive 20 ms apart from 1000 s on."""

    def __init__(self, rows: int = 2) -> None:
        self.table = ReceptionTable(SpeechThresholds(), rows)
        self.batch = Batch(16)
        self.events: list[tuple[int, MediaEvent]] = []

    def add(
        self,
        stream: int,
        parameters: MediaParameters = PARAMETERS,
        *,
        live: bool = False,
        record: bool = True,
    ) -> Reception:
        return self.table.add(stream, parameters, live=live, record=record)

    def arrive(
        self, at: float, *datagrams: tuple[Reception, bytes] | tuple[Reception, bytes, tuple[str, int]]
    ) -> None:
        """Let one datagram for each of some calls arrive."""
        self.batch.clear()
        for entry, (reception, data, *source) in enumerate(datagrams):
            self.batch.windows[entry][0][: len(data)] = data
            self.batch.receptions.append(reception)
            self.batch.rows.append(reception.row)
            self.batch.sizes.append(len(data))
            came_from = source[0] if source else REMOTE
            if came_from != reception.source:
                self.batch.strange[entry] = came_from
        arrivals = np.full(len(datagrams), round((1000 + at) * 1e9), np.int64)
        self.events += self.table.take(self.batch, arrivals)

    def told(self, kind: type[MediaEvent]) -> list[tuple[int, MediaEvent]]:
        """Events of one kind with their times to the microsecond."""
        events = [(stream, event) for stream, event in self.events if isinstance(event, kind)]
        return [(stream, replace(event, at=round(event.at, 6))) for stream, event in events]


def logged(reception: Reception) -> ReceivedPackets:
    return read_log(bytes(reception.log))


def payloads(reception: Reception) -> list[bytes]:
    packets = logged(reception)
    return [
        packets.octets[offset : offset + length].tobytes()
        for offset, length in zip(packets.offset, packets.length, strict=True)
    ]


def test_packets_are_logged_with_their_arrival_and_header():
    bench = Bench()
    call = bench.add(1)
    bench.arrive(0.00, (call, rtp(65535, TONE, marker=True)))
    bench.arrive(0.02, (call, rtp(65536, SILENCE)))
    packets = logged(call)
    assert packets.sequence.tolist() == [65535, 0]
    assert packets.timestamp.tolist() == [160 * 65535, 160 * 65536]
    assert packets.marker.tolist() == [True, False]
    assert packets.arrival_ns.tolist() == [1000_000_000_000, 1000_020_000_000]
    assert payloads(call) == [TONE, SILENCE]


def test_first_packet_and_speech_are_told_for_the_right_call():
    bench = Bench()
    one, two = bench.add(1), bench.add(2)
    bench.arrive(0.00, (one, rtp(0)), (two, rtp(9, TONE, ssrc=5)))
    bench.arrive(0.02, (one, rtp(1)), (two, rtp(10, TONE, ssrc=5)))
    assert bench.told(FirstPacket) == [(1, FirstPacket(1000.0, REMOTE)), (2, FirstPacket(1000.0, REMOTE))]
    assert bench.told(SpeechStarted) == [(2, SpeechStarted(1000.0))]


def test_packets_of_a_stranger_are_discarded():
    bench = Bench()
    call = bench.add(1)
    bench.arrive(0.00, (call, rtp(0)))
    bench.arrive(0.01, (call, rtp(500, TONE, ssrc=666), ("198.51.100.6", 6)))
    bench.arrive(0.02, (call, rtp(1)))
    assert payloads(call) == [SILENCE, SILENCE]
    assert (call.discarded, call.source) == (1, REMOTE)


def test_far_end_that_moves_or_restarts_is_followed():
    bench = Bench()
    call = bench.add(1)
    moved = ("203.0.113.3", 3)
    bench.arrive(0.00, (call, rtp(0)))
    bench.arrive(0.02, (call, rtp(1), moved))
    bench.arrive(0.04, (call, rtp(7000, TONE, ssrc=78), moved))
    bench.arrive(0.06, (call, rtp(7001, TONE, ssrc=78), moved))
    assert (call.source, call.ssrc, call.discarded) == (moved, 78, 0)
    assert logged(call).ssrc.tolist() == [77, 77, 78, 78]
    assert len(bench.told(FirstPacket)) == 1


def test_what_is_no_rtp_of_the_stream_is_discarded():
    bench = Bench()
    call = bench.add(1)
    bench.arrive(0.00, (call, rtp(0)))
    for data in (b"", b"\x80", b"\x00" * 40, b"\x80\xc8" + bytes(26), rtp(1, payload_type=96)):
        bench.arrive(0.01, (call, data))
    assert call.discarded == 4, "RTCP on the port is nobody's fault"
    assert len(logged(call)) == 1


def test_payload_behind_extension_sources_and_padding_is_found():
    bench = Bench()
    call = bench.add(1)
    head = struct.pack("!BBHII", 0xB2, 0, 5, 800, 77)
    bench.arrive(0.0, (call, head + b"csrccsrc" + b"\xbe\xde\x00\x01exte" + TONE + b"\0\0\x03"))
    bench.arrive(0.02, (call, rtp(6, TONE)))
    assert payloads(call) == [TONE, TONE]
    assert bench.told(SpeechStarted) == [(1, SpeechStarted(1000.0))]


def test_other_law_is_translated():
    bench = Bench()
    call = bench.add(1)
    bench.arrive(0.0, (call, rtp(0, g711.translate(TONE, "PCMU", "PCMA"), payload_type=8)))
    (payload,) = payloads(call)
    heard, meant = (g711.decode(octets, "PCMU").astype(int) for octets in (payload, TONE))
    assert np.abs(heard - meant).max() < 700


def test_comfort_noise_is_a_packet_without_audio():
    bench = Bench()
    call = bench.add(1)
    bench.arrive(0.00, (call, rtp(0)))
    bench.arrive(0.02, (call, rtp(1, b"\x40", payload_type=13)))
    assert logged(call).length.tolist() == [160, 0]
    assert call.discarded == 0


def test_digit_is_told_once_and_its_packets_are_no_audio():
    bench = Bench()
    call = bench.add(1)
    bench.arrive(0.00, (call, rtp(0)))
    for tick in range(1, 6):
        data = rtp(tick, struct.pack("!BBH", 7, 0, 160 * tick), payload_type=101, timestamp=160)
        bench.arrive(0.02 * tick, (call, data))
    assert bench.told(DigitReceived) == [(1, DigitReceived(1000.02, "7"))]
    assert logged(call).length.tolist() == [160, 0, 0, 0, 0, 0]


def test_digit_may_be_the_very_first_packet():
    bench = Bench()
    call = bench.add(1)
    bench.arrive(0.0, (call, rtp(0, struct.pack("!BBH", 1, 0, 160), payload_type=101)))
    assert [type(event) for _, event in bench.events] == [FirstPacket, DigitReceived]


def test_digit_under_an_ssrc_of_its_own_does_not_turn_the_stream_over():
    bench = Bench()
    call = bench.add(1)
    bench.arrive(0.00, (call, rtp(0)))
    bench.arrive(0.01, (call, rtp(900, struct.pack("!BBH", 3, 0, 160), payload_type=101, ssrc=4)))
    bench.arrive(0.02, (call, rtp(1)))
    assert bench.told(DigitReceived) == [(1, DigitReceived(1000.01, "3"))]
    assert (call.ssrc, logged(call).length.tolist()) == (77, [160, 0, 160])


def test_packets_of_several_lengths_and_codecs_in_one_batch():
    bench = Bench(rows=4)
    short, plain, long = bench.add(1), bench.add(2), bench.add(3)
    other = bench.add(4, MediaParameters(remote=REMOTE, codec="PCMA", payload_type=8))
    alaw = g711.translate(TONE, "PCMU", "PCMA")
    for tick in range(2):
        bench.arrive(
            0.02 * tick,
            (short, rtp(tick, TONE[:80])),
            (plain, rtp(tick, SILENCE)),
            (long, rtp(tick, TONE + TONE)),
            (other, rtp(tick, alaw, payload_type=8)),
        )
    assert [logged(call).length.tolist() for call in (short, plain, long, other)] == [
        [80, 80],
        [160, 160],
        [320, 320],
        [160, 160],
    ]
    assert [stream for stream, _ in bench.told(SpeechStarted)] == [3, 4]


def test_without_recording_only_headers_are_kept():
    bench = Bench()
    call = bench.add(1, record=False)
    bench.arrive(0.00, (call, rtp(0, TONE)))
    bench.arrive(0.02, (call, rtp(1, TONE)))
    packets = logged(call)
    assert (packets.sequence.tolist(), packets.length.tolist()) == ([0, 1], [0, 0])
    assert bench.told(SpeechStarted)


def test_live_stream_gives_out_frames_through_its_jitter_buffer():
    bench = Bench()
    live = bench.add(1, live=True)
    bench.add(2)
    heard = b""
    for tick, data in enumerate(
        [rtp(0, TONE[:80]), rtp(1, TONE[80:], timestamp=80), rtp(2, TONE, timestamp=160)]
    ):
        bench.arrive(0.02 * tick, (live, data))
        ((stream, frame),) = bench.table.pop_frames()
        assert (stream, len(frame)) == (1, 160)
        heard += frame
    for _ in range(3):
        heard += bench.table.pop_frames()[0][1]
    assert heard.strip(SILENCE[:1]) == (TONE + TONE).strip(SILENCE[:1])


def test_rows_are_used_again_with_nothing_left_in_them():
    bench = Bench(rows=1)
    first = bench.add(1)
    bench.arrive(0.00, (first, rtp(0, TONE)))
    bench.arrive(0.02, (first, rtp(1, TONE)))
    bench.table.remove(first)
    second, third = bench.add(2), bench.add(3)
    assert second.row == first.row
    bench.arrive(0.04, (second, rtp(0, TONE)), (third, rtp(0)))
    assert len(bench.told(SpeechStarted)) == 1
    assert len(bench.told(FirstPacket)) == 3
    assert bench.table.settle(2000.0) == []


def test_speech_that_stopped_is_told_after_the_hangover():
    bench = Bench()
    call = bench.add(5)
    bench.arrive(0.00, (call, rtp(0, TONE)))
    bench.arrive(0.02, (call, rtp(1, TONE)))
    assert bench.table.settle(1000.5) == []
    ((stream, stopped),) = bench.table.settle(1000.6)
    assert (stream, round(stopped.at, 6)) == (5, 1000.04)  # type: ignore[union-attr]


OPUS = replace(PARAMETERS, codec="opus", payload_type=96, telephone_event=97, received={111: "opus"})


def opus_packets(count: int) -> list[bytes]:
    """A tone of 20 ms packets."""
    encoder = encoder_of("opus")
    assert encoder is not None
    samples = (8000 * np.sin(np.arange(160 * count) / 3)).astype(np.int16)
    return [encoder.encode(samples[at : at + 160]) for at in range(0, len(samples), 160)]


def test_opus_is_logged_as_g711_on_a_clock_of_8000_hertz():
    bench = Bench()
    call = bench.add(1, OPUS)
    begin = 0xFFFFFFFF - 959
    for number, payload in enumerate(opus_packets(5)):
        packet = rtp(number, payload, payload_type=111, timestamp=begin + 960 * number)
        bench.arrive(0.02 * number, (call, packet))
    packets = logged(call)
    assert packets.length.tolist() == [160] * 5
    assert (np.diff(packets.timestamp) % (1 << 32)).tolist() == [160] * 4
    heard = g711.decode(b"".join(payloads(call)), "PCMU")
    assert np.abs(heard[320:]).max() > 6000
    assert [stream for stream, _ in bench.told(SpeechStarted)] == [1]
    assert call.discarded == 0


def test_a_packet_that_comes_twice_is_decoded_once():
    bench = Bench()
    call = bench.add(1, OPUS)
    packet = rtp(0, opus_packets(1)[0], payload_type=111, timestamp=0)
    bench.arrive(0.00, (call, packet))
    bench.arrive(0.01, (call, packet))
    assert logged(call).length.tolist() == [160, 0]
    assert logged(call).sequence.tolist() == [0, 0]


def test_what_is_no_opus_is_logged_without_audio():
    bench = Bench()
    call = bench.add(1, OPUS)
    bench.arrive(0.00, (call, rtp(0, b"", payload_type=111)))
    bench.arrive(0.02, (call, rtp(1, b"\xff\xff", payload_type=111)))
    assert logged(call).length.tolist() == [0, 0]


def test_packets_of_the_codec_before_are_heard_on_their_way():
    bench = Bench()
    call = bench.add(1, OPUS, live=True)
    one, two = opus_packets(2)
    bench.arrive(0.00, (call, rtp(0, one, payload_type=111, timestamp=0)))
    bench.table.change(call, PARAMETERS)
    bench.arrive(0.02, (call, rtp(1, two, payload_type=111, timestamp=960)))
    bench.arrive(0.04, (call, rtp(0, TONE, ssrc=78, timestamp=5)))
    assert logged(call).length.tolist() == [160, 160, 160]
    assert call.discarded == 0
    frames = b"".join(frame for _ in range(5) for _, frame in bench.table.pop_frames())
    assert TONE in frames


def test_g711_of_a_far_end_that_may_send_both_goes_on_in_time():
    """One source that changes its clock, which RFC 7160 §4.2 wants understood."""
    bench = Bench()
    call = bench.add(1, OPUS)
    one, two = opus_packets(2)
    bench.arrive(0.00, (call, rtp(0, one, payload_type=111, timestamp=7000)))
    bench.arrive(0.02, (call, rtp(1, two, payload_type=111, timestamp=7960)))
    bench.arrive(0.04, (call, rtp(2, TONE, payload_type=8, timestamp=99)))
    bench.arrive(0.06, (call, rtp(3, TONE, payload_type=8, timestamp=259)))
    assert np.diff(logged(call).timestamp).tolist() == [160, 160, 160]
    assert payloads(call)[2] == g711.translate(TONE, "PCMA", "PCMU")
