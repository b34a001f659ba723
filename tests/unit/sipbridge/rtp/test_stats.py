import numpy as np
import pytest

from tuner_sipbridge.rtp.stats import Reception, reception_of

MS = 1_000_000


def reception(
    sequence: list[int], arrival_ms: list[float] | None = None, timestamp: list[int] | None = None
) -> Reception:
    numbers = np.array(sequence)
    times = np.array(arrival_ms if arrival_ms is not None else numbers * 20.0)
    stamps = np.array(timestamp) if timestamp is not None else numbers * 160
    return reception_of(
        numbers & 0xFFFF, stamps & 0xFFFFFFFF, (times * MS).astype(np.int64), np.ones(len(numbers), bool)
    )


def test_even_stream_has_neither_loss_nor_jitter():
    result = reception(list(range(100)))
    assert (result.received, result.expected, result.duplicates, result.reordered) == (100, 100, 0, 0)
    assert result.jitter_s == pytest.approx(0, abs=1e-9)
    assert result.longest_gap_s == pytest.approx(0.020)


def test_lost_packets_are_expected_ones():
    result = reception([0, 1, 4, 5])
    assert (result.received, result.expected) == (4, 6)


def test_numbers_are_counted_across_the_wrap():
    assert reception([65534, 65535, 65536, 65537]).expected == 4


def test_duplicate_is_no_reordering():
    result = reception([0, 1, 2, 1, 3], arrival_ms=[0, 20, 40, 41, 60])
    assert (result.received, result.expected, result.duplicates, result.reordered) == (5, 4, 1, 0)


def test_late_packet_is_reordered_and_not_lost():
    result = reception([0, 2, 1, 3], arrival_ms=[0, 40, 41, 60])
    assert (result.received, result.expected, result.reordered) == (4, 4, 1)


def test_jitter_follows_the_formula_of_the_standard():
    # One packet 16 ms late, then back in time: J = 16/16 = 1 ms, then J = 1 + (16 - 1)/16.
    result = reception([0, 1, 2], arrival_ms=[0, 36, 40])
    assert result.jitter_s == pytest.approx((1 + 15 / 16) * 1e-3)
    assert result.jitter_max_s == result.jitter_s


def test_jitter_falls_again_and_its_maximum_stays():
    result = reception(list(range(50)), arrival_ms=[0, 36] + [20.0 * n for n in range(2, 50)])
    assert result.jitter_s is not None
    assert result.jitter_max_s == pytest.approx(1.9375e-3)
    assert result.jitter_s < 0.2e-3


def test_events_have_no_part_in_the_jitter():
    sequence = np.arange(4)
    arrival = np.array([0, 20, 40, 60]) * MS
    timestamp = np.array([0, 160, 160, 480])
    result = reception_of(sequence, timestamp, arrival, np.array([True, True, False, True]))
    assert result.jitter_s == pytest.approx(0, abs=1e-9)
    assert result.received == 4


def test_single_packet_has_no_jitter_and_no_gap():
    result = reception([7])
    assert (result.received, result.expected) == (1, 1)
    assert (result.jitter_s, result.jitter_max_s, result.longest_gap_s) == (None, None, None)


def test_longest_gap_is_between_arrivals():
    assert reception([0, 1, 2], arrival_ms=[0, 20, 340]).longest_gap_s == pytest.approx(0.320)


def test_a_change_of_payload_type_is_no_jitter():
    """The clock may have changed with it: RFC 7160 §3."""
    timestamp = np.array([0, 160, 90000, 90160])
    result = reception_of(
        np.arange(4),
        timestamp,
        np.arange(4) * 20 * MS,
        np.ones(4, bool),
        payload_type=np.array([0, 0, 111, 111]),
    )
    assert result.jitter_max_s == pytest.approx(0, abs=1e-9)
