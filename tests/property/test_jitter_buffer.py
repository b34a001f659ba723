"""Whatever the network does, a jitter buffer neither reorders nor invents, and never holds more than its bound."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from tuner_sipbridge.rtp.jitter_buffer import JitterBuffer

SILENCE = 0
MAX_DELAY_S = 0.2


@st.composite
def networks(draw: st.DrawFn, size: int) -> list[list[int]]:
    """For each tick the packets of `size` octets that arrive in it: loss, delay, bursts, duplicates."""
    packets = draw(st.integers(5, 60))
    arrivals: list[list[int]] = [[] for _ in range(packets * size // 160 + 50)]
    for number in range(packets):
        if draw(st.integers(0, 9)) == 0:
            continue
        tick = number * size // 160 + draw(st.sampled_from([0, 0, 0, 0, 1, 2, 5, 12, 30]))
        arrivals[tick].append(number)
        if draw(st.integers(0, 9)) == 0:
            arrivals[tick + draw(st.integers(0, 9))].append(number)
    return arrivals


def octets_of(number: int) -> bytes:
    """Audio whose octets tell their place; silence is none of them."""
    return bytes((number * 160 + offset) % 250 + 1 for offset in range(160))


@settings(max_examples=150, deadline=None)
@given(
    data=st.data(),
    size=st.sampled_from([80, 160, 240, 320, 480]),
    base=st.sampled_from([0, 1234, 0xFFFFFFFF - 900]),
    delay_s=st.sampled_from([0.0, 0.02, 0.06]),
    adaptive=st.booleans(),
)
def test_output_is_the_stream_in_order_with_nothing_added(
    data: st.DataObject, size: int, base: int, delay_s: float, adaptive: bool
):
    arrivals = data.draw(networks(size))
    subject = JitterBuffer(silence=SILENCE, delay_s=delay_s, max_delay_s=MAX_DELAY_S, adaptive=adaptive)
    out = bytearray()
    for arrived in arrivals:
        for number in arrived:
            subject.insert((base + number * size) & 0xFFFFFFFF, bytes([number + 1]) * size)
        assert subject.depth_samples <= MAX_DELAY_S * 8000
        frame = subject.pop()
        assert len(frame) == 160
        out += frame
    while subject.depth_samples:
        out += subject.pop()

    heard = np.frombuffer(bytes(out), np.uint8)
    numbers = heard[heard != SILENCE].astype(int) - 1
    assert (np.diff(numbers) >= 0).all(), "reordered"
    assert set(numbers.tolist()) <= {number for arrived in arrivals for number in arrived}, "invented"
    assert np.bincount(numbers, minlength=1).max() <= size, "given out twice"


@settings(max_examples=50, deadline=None)
@given(
    lost=st.sets(st.integers(0, 49)),
    order=st.lists(st.booleans(), min_size=49, max_size=49),
)
def test_what_comes_within_the_delay_is_given_out_whole(lost: set[int], order: list[bool]):
    subject = JitterBuffer(silence=SILENCE, delay_s=0.06, adaptive=False)
    numbers = list(range(50))
    at = 0
    while at < 48:
        if order[at]:
            numbers[at], numbers[at + 1] = numbers[at + 1], numbers[at]
            at += 1
        at += 1
    out = bytearray()
    subject.insert(0, octets_of(0))
    for number in numbers:
        if number not in lost:
            subject.insert(160 * number, octets_of(number))
        out += subject.pop()
    for _ in range(10):
        out += subject.pop()
    expected = b"".join(
        bytes(160) if number in lost and number else octets_of(number) for number in range(50)
    )
    assert bytes(out)[480 : 480 + len(expected)] == expected
