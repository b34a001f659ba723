from collections.abc import Iterable

from tuner_sipbridge.rtp.jitter_buffer import JitterBuffer

SILENCE = 0xFF
QUIET = bytes([SILENCE]) * 160


def frame(number: int) -> bytes:
    return bytes([number]) * 160


def buffer(**options: object) -> JitterBuffer:
    return JitterBuffer(silence=SILENCE, **options)  # type: ignore[arg-type]


def pops(subject: JitterBuffer, count: int) -> list[bytes]:
    return [subject.pop() for _ in range(count)]


def play(subject: JitterBuffer, numbers: Iterable[int], *, base: int = 0) -> list[bytes]:
    """A packet and a pop a tick."""
    out: list[bytes] = []
    for number in numbers:
        subject.insert((base + 160 * number) & 0xFFFFFFFF, frame(number))
        out.append(subject.pop())
    return out


def test_silence_before_the_first_packet():
    assert buffer().pop() == QUIET


def test_packets_come_out_in_order_after_the_delay():
    subject = buffer(delay_s=0.04)
    out = play(subject, range(5)) + pops(subject, 3)
    assert out == [QUIET, QUIET, *map(frame, range(5)), QUIET]


def test_reordered_packets_are_put_in_order():
    subject = buffer(delay_s=0.04)
    for number in (0, 2, 1):
        subject.insert(160 * number, frame(number))
    assert pops(subject, 5) == [QUIET, QUIET, frame(0), frame(1), frame(2)]


def test_lost_packet_is_silence_in_its_place():
    subject = buffer(delay_s=0.02)
    for number in (0, 2):
        subject.insert(160 * number, frame(number))
    assert pops(subject, 4) == [QUIET, frame(0), QUIET, frame(2)]


def test_duplicate_changes_nothing():
    subject = buffer(delay_s=0.02)
    subject.insert(0, frame(1))
    subject.insert(0, frame(1))
    assert pops(subject, 3) == [QUIET, frame(1), QUIET]


def test_duplicate_of_what_was_given_out_is_dropped():
    subject = buffer(delay_s=0.02)
    play(subject, range(4))
    subject.insert(0, frame(9))
    assert subject.late == 1
    assert frame(9) not in pops(subject, 10)


def test_timestamps_may_wrap():
    subject = buffer(delay_s=0.02)
    out = play(subject, range(4), base=0xFFFFFFFF - 200) + pops(subject, 1)
    assert out == [QUIET, *map(frame, range(4))]


def test_packets_of_any_length_become_equal_frames():
    stream = bytes(index % 251 for index in range(2400))
    for ptime in (80, 160, 240, 320, 480):
        subject = buffer(delay_s=0.06)
        for begin in range(0, len(stream), ptime):
            subject.insert(begin, stream[begin : begin + ptime])
        out = b"".join(pops(subject, 18))
        assert out == QUIET * 3 + stream


def test_late_packet_moves_an_adaptive_playout_back():
    subject = buffer(delay_s=0.02)
    subject.insert(0, frame(0))
    assert pops(subject, 4) == [QUIET, frame(0), QUIET, QUIET]
    subject.insert(160, frame(1))
    subject.insert(320, frame(2))
    assert frame(1) in pops(subject, 3)
    assert subject.late == 0


def test_late_packet_is_dropped_by_a_fixed_playout():
    subject = buffer(delay_s=0.02, adaptive=False)
    subject.insert(0, frame(0))
    pops(subject, 4)
    subject.insert(160, frame(1))
    assert pops(subject, 5) == [QUIET] * 5
    assert subject.late == 1


def test_speech_after_a_pause_without_timestamps_moving_gets_the_delay_again():
    subject = buffer(delay_s=0.04)
    play(subject, range(3))
    pops(subject, 100)
    out = play(subject, range(3, 6)) + pops(subject, 3)
    assert out == [QUIET, QUIET, frame(3), frame(4), frame(5), QUIET]


def test_jump_of_the_timestamps_goes_on_behind_what_is_buffered():
    subject = buffer(delay_s=0.04)
    out = play(subject, range(4))
    for number in range(4, 8):
        subject.insert(900_000_000 + 160 * number, frame(number))
        out.append(subject.pop())
    out += pops(subject, 4)
    assert [octets for octets in out if octets != QUIET] == [
        frame(number) for number in (0, 1, 2, 3, 5, 6, 7)
    ]


def test_single_packet_far_off_is_a_straggler():
    subject = buffer(delay_s=0.04)
    out = play(subject, range(4))
    subject.insert(900_000_000, frame(99))
    out += play(subject, range(4, 8)) + pops(subject, 3)
    assert [octets for octets in out if octets != QUIET] == [frame(number) for number in range(8)]


def test_new_source_follows_what_is_buffered_whatever_its_timestamps():
    subject = buffer(delay_s=0.04)
    out = play(subject, range(4))
    subject.restart()
    out += play(subject, range(4, 8), base=160 * -20 & 0xFFFFFFFF)
    out += pops(subject, 4)
    assert [octets for octets in out if octets != QUIET] == [frame(number) for number in range(8)]


def test_delay_that_is_not_needed_any_more_shrinks_back():
    subject = buffer(delay_s=0.04)
    play(subject, range(5))
    pops(subject, 10)
    for number in range(5, 16):
        subject.insert(160 * number, frame(number))
    assert subject.depth_samples > 1000
    for number in range(16, 600):
        subject.insert(160 * number, frame(number % 250))
        subject.pop()
    assert subject.depth_samples <= 480
    assert subject.skipped_samples > 0


def test_flood_is_bounded_and_keeps_the_newest():
    subject = buffer(delay_s=0.04, max_delay_s=0.2)
    for number in range(60):
        subject.insert(160 * number, frame(number))
    assert subject.depth_samples <= 1600
    assert frame(59) in pops(subject, 12)


def test_copy_of_what_was_given_out_stays_dropped_when_the_playout_moves_back():
    subject = buffer(delay_s=0.06)
    for number in (0, 1):
        subject.insert(160 * number, frame(number))
    pops(subject, 8)
    subject.insert(320, frame(2))
    subject.insert(160, frame(1))
    assert [octets for octets in pops(subject, 8) if octets != QUIET] == [frame(2)]


def test_empty_and_oversized_payloads_are_ignored():
    subject = buffer(delay_s=0.02, max_delay_s=0.1)
    subject.insert(0, b"")
    subject.insert(0, b"x" * 5000)
    assert subject.pop() == QUIET
