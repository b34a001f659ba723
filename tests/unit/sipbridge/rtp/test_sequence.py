import numpy as np
import pytest

from tuner_sipbridge.rtp.sequence import distance, unwrap


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
