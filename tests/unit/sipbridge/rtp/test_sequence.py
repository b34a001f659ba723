import itertools

import numpy as np
import pytest

from tuner_sipbridge.rtp.sequence import ClockLine, distance, unwrap


@pytest.mark.parametrize(
    ("earlier", "later", "bits", "expected"),
    [
        (1, 2, 16, 1),
        (2, 1, 16, -1),
        (65535, 0, 16, 1),
        (0, 65535, 16, -1),
        (0xFFFFFFB0, 0x50, 32, 160),
    ],
)
def test_distance_goes_the_short_way_round(earlier: int, later: int, bits: int, expected: int):
    assert distance(earlier, later, bits) == expected


def test_wrap_is_a_step_of_one():
    assert unwrap(np.array([65534, 65535, 0, 1]), 16).tolist() == [65534, 65535, 65536, 65537]


def test_late_packet_stays_late_across_the_wrap():
    assert unwrap(np.array([65535, 1, 0, 2]), 16).tolist() == [65535, 65537, 65536, 65538]


def test_timestamps_wrap_at_32_bits():
    assert unwrap(np.array([0xFFFFFFB0, 0x50]), 32).tolist() == [0xFFFFFFB0, 0xFFFFFFB0 + 160]


def test_nothing_stays_nothing():
    assert unwrap(np.zeros(0, np.int64), 16).tolist() == []


def test_timestamps_of_another_clock_lie_on_one_line_through_their_wrap():
    line = ClockLine()
    stamps = [(0xFFFFFFFF - 959 + 960 * n) & 0xFFFFFFFF for n in range(4)]
    placed = [line.scaled(stamp, 48000, 0.02 * n) for n, stamp in enumerate(stamps)]
    assert [(b - a) & 0xFFFFFFFF for a, b in itertools.pairwise(placed)] == [160] * 3


def test_a_late_packet_keeps_its_place_on_the_line():
    line = ClockLine()
    first, third, second = (line.scaled(stamp, 48000, 0.0) for stamp in (0, 1920, 960))
    assert (third - first, second - first) == (320, 160)


def test_timestamps_of_8000_hertz_stay_what_they_are():
    line = ClockLine()
    assert [line.scaled(stamp, 8000, 0.0) for stamp in (4000000000, 4000000160)] == [4000000000, 4000000160]


def test_another_clock_begins_where_its_first_packet_came():
    line = ClockLine()
    placed = [line.scaled(1000, 48000, 1.0), line.scaled(77, 8000, 1.04), line.scaled(237, 8000, 1.06)]
    assert [b - a for a, b in itertools.pairwise(placed)] == [320, 160]
