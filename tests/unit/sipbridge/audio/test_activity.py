import numpy as np
import pytest

from tuner_sipbridge.audio import g711
from tuner_sipbridge.audio.activity import ActivityTable, SpeechThresholds


def packet(level_dbov: float, samples: int = 160) -> bytes:
    """A tone of the given mean power."""
    amplitude = 32768 * 10 ** (level_dbov / 20) * np.sqrt(2)
    tone = amplitude * np.sin(2 * np.pi * 437 * np.arange(samples) / 8000)
    return g711.encode(np.rint(tone).clip(-32768, 32767).astype(np.int16), "PCMU")


LOUD, QUIET = packet(-20), packet(-60)


def hear(table: ActivityTable, octets: bytes, at: float, row: int = 0) -> list[tuple[int, float]]:
    matrix = np.frombuffer(octets, np.uint8).reshape(1, -1)
    return table.hear(np.array([row]), matrix, "PCMU", np.array([at]))


def table(rows: int = 4) -> ActivityTable:
    return ActivityTable(SpeechThresholds(), rows)


def test_second_loud_packet_starts_speech_dated_back_to_the_first():
    subject = table()
    assert hear(subject, LOUD, 10.00) == []
    assert hear(subject, LOUD, 10.02) == [(0, 10.00)]
    assert hear(subject, LOUD, 10.04) == []


def test_one_loud_packet_is_no_speech():
    subject = table()
    assert hear(subject, LOUD, 10.00) == []
    assert hear(subject, QUIET, 10.02) == []
    assert hear(subject, LOUD, 10.10) == []


def test_onset_may_have_one_quiet_packet_in_it():
    subject = table()
    hear(subject, LOUD, 10.00)
    hear(subject, QUIET, 10.02)
    assert hear(subject, LOUD, 10.04) == [(0, 10.00)]


@pytest.mark.parametrize(("level", "starts"), [(-43.5, True), (-46.5, False)])
def test_threshold_is_where_it_is_said_to_be(level: float, starts: bool):
    subject = table()
    hear(subject, packet(level), 10.00)
    assert bool(hear(subject, packet(level), 10.02)) is starts


def test_click_is_no_speech():
    samples = np.zeros(160, np.int16)
    samples[80] = 30000
    click = g711.encode(samples, "PCMU")
    subject = table()
    hear(subject, click, 10.00)
    assert hear(subject, click, 10.02) == []


def test_speech_ends_with_its_last_loud_packet_after_the_hangover():
    subject = table()
    hear(subject, LOUD, 10.00)
    hear(subject, LOUD, 10.02)
    assert subject.settle(10.53) == []
    assert [(row, round(at, 6)) for row, at in subject.settle(10.55)] == [(0, 10.04)]
    assert subject.settle(11.0) == []


def test_pause_shorter_than_the_hangover_ends_nothing():
    subject = table()
    for at in (10.00, 10.02, 10.42, 10.44):
        assert subject.settle(at) == []
        hear(subject, LOUD, at)
    assert len(subject.settle(11.0)) == 1


@pytest.mark.parametrize(("samples", "packets"), [(80, 4), (160, 2), (240, 2), (320, 1), (480, 1)])
def test_onset_takes_the_same_time_whatever_the_packet_time(samples: int, packets: int):
    subject = table()
    loud = packet(-20, samples)
    started = [hear(subject, loud, 10 + n * samples / 8000) for n in range(packets)]
    assert started[:-1] == [[]] * (packets - 1)
    assert started[-1] == [(0, 10.0)]


def test_rows_do_not_disturb_each_other_and_growing_keeps_them():
    subject = table(1)
    hear(subject, LOUD, 10.00, row=0)
    subject.grow(3)
    assert hear(subject, LOUD, 10.01, row=2) == []
    assert hear(subject, LOUD, 10.02, row=0) == [(0, 10.00)]
    assert hear(subject, LOUD, 10.03, row=2) == [(2, 10.01)]


def test_row_that_is_reset_has_heard_nothing():
    subject = table()
    hear(subject, LOUD, 10.00)
    hear(subject, LOUD, 10.02)
    subject.reset(0)
    assert subject.settle(20.0) == []
    assert hear(subject, LOUD, 10.04) == []
