from tuner_sipbridge.media.latch import Source, SourceLatch, Verdict

SDP = ("10.0.0.1", 4000)
OTHER = ("10.0.0.2", 5000)
STRANGER = ("10.9.9.9", 6000)


def judge(
    latch: SourceLatch,
    source: Source,
    ssrc: int = 1,
    *,
    sequence: int = 0,
    at: float = 0.0,
    last: float = 0.0,
) -> Verdict:
    return latch.judge(source, ssrc, sequence, at=at, last_at=last, announced=SDP)


def latched(source: Source = OTHER) -> SourceLatch:
    latch = SourceLatch()
    assert judge(latch, source) == "first"
    return latch


def test_first_valid_packet_decides_wherever_it_comes_from():
    latch = latched(OTHER)
    assert (latch.source, latch.ssrc) == (OTHER, 1)
    assert judge(latch, OTHER) == "same"


def test_stranger_is_kept_out_while_the_source_sends():
    latch = latched()
    for sequence in range(10):
        assert judge(latch, STRANGER, 7, sequence=sequence, at=10.0, last=9.9) == "foreign"
    assert latch.source == OTHER


def test_far_end_may_move_with_its_ssrc():
    latch = latched()
    assert judge(latch, STRANGER, 1) == "moved"
    assert judge(latch, OTHER, 2, at=0.02, last=0.0) == "foreign"


def test_far_end_may_take_a_new_ssrc():
    latch = latched()
    assert judge(latch, OTHER, 2) == "restarted"
    assert latch.ssrc == 2


def test_address_of_the_sdp_is_always_listened_to():
    latch = latched(STRANGER)
    assert judge(latch, SDP, 2) == "restarted"
    assert latch.source == SDP


def test_stranger_may_follow_a_source_that_went_silent_after_two_packets_in_sequence():
    latch = latched()
    assert judge(latch, STRANGER, 7, sequence=65535, at=12.0, last=10.0) == "foreign"
    assert judge(latch, STRANGER, 7, sequence=0, at=12.02, last=10.0) == "restarted"


def test_scattered_packets_of_strangers_prove_nothing():
    latch = latched()
    for sequence in (5, 9, 2, 77):
        assert judge(latch, STRANGER, 7, sequence=sequence, at=12.0, last=10.0) == "foreign"
    assert judge(latch, ("10.9.9.8", 1), 8, sequence=78, at=12.0, last=10.0) == "foreign"
