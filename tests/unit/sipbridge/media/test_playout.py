from dataclasses import replace

import pytest

from tuner_sipbridge.media.engine import MediaEvent, PlayoutEnded, PlayoutStarted
from tuner_sipbridge.media.playout import PlayoutQueue

AT = 1000.0


def octets(count: int, start: int = 0) -> bytes:
    return bytes((start + index) % 250 for index in range(count))


def take(queue: PlayoutQueue, frames: int, *, first: int = 0) -> list[bytes]:
    return [queue.next_frame(AT + 0.02 * tick, 160 * tick) for tick in range(first, first + frames)]


def told(queue: PlayoutQueue) -> list[MediaEvent]:
    """Events with their times to the microsecond."""
    return [replace(event, at=round(event.at, 6)) for event in queue.events()]


def test_empty_queue_gives_nothing():
    queue = PlayoutQueue()
    assert not queue.has_audio
    assert take(queue, 1) == [b""]
    assert told(queue) == []


def test_audio_is_cut_into_frames_and_its_mark_begins_and_ends():
    queue = PlayoutQueue()
    audio = octets(400)
    queue.play(audio, "a", now=AT)
    queue.finish("a", now=AT)
    assert take(queue, 4) == [audio[:160], audio[160:320], audio[320:], b""]
    assert told(queue) == [
        PlayoutStarted(AT, "a"),
        PlayoutEnded(AT + 0.05, "a", 400, interrupted=False),
    ]


def test_pieces_under_one_mark_are_one_playout():
    queue = PlayoutQueue()
    for part in range(5):
        queue.play(octets(100, 100 * part), "a", now=AT)
    assert b"".join(take(queue, 4)) == octets(500)
    assert told(queue) == [PlayoutStarted(AT, "a")]
    queue.finish("a", now=AT + 5)
    assert told(queue) == [PlayoutEnded(AT + 0.0625, "a", 500, interrupted=False)]


def test_mark_that_ran_dry_goes_on_when_more_comes():
    queue = PlayoutQueue()
    queue.play(octets(160), "a", now=AT)
    take(queue, 3)
    queue.play(octets(160), "a", now=AT + 0.06)
    assert take(queue, 1, first=3) == [octets(160)]
    assert told(queue) == [PlayoutStarted(AT, "a")]


def test_next_mark_ends_the_one_before_it_to_the_sample():
    queue = PlayoutQueue()
    queue.play(octets(200), "a", now=AT)
    queue.play(octets(120), "b", now=AT)
    queue.finish("b", now=AT)
    assert b"".join(take(queue, 2)) == octets(200) + octets(120)
    assert told(queue) == [
        PlayoutStarted(AT, "a"),
        PlayoutEnded(AT + 0.025, "a", 200, interrupted=False),
        PlayoutStarted(AT + 0.025, "b"),
        PlayoutEnded(AT + 0.04, "b", 120, interrupted=False),
    ]


def test_same_mark_after_its_finish_is_a_playout_of_its_own():
    queue = PlayoutQueue()
    for _ in range(2):
        queue.play(octets(160), "a", now=AT)
        queue.finish("a", now=AT)
    take(queue, 3)
    assert [type(event).__name__ for event in told(queue)] == [
        "PlayoutStarted",
        "PlayoutEnded",
        "PlayoutStarted",
        "PlayoutEnded",
    ]


def test_clear_cuts_what_plays_and_drops_what_waits():
    queue = PlayoutQueue()
    queue.play(octets(1600), "a", now=AT)
    queue.play(octets(160), "b", now=AT)
    take(queue, 2)
    queue.clear(now=AT + 0.04)
    assert told(queue) == [
        PlayoutStarted(AT, "a"),
        PlayoutEnded(AT + 0.04, "a", 320, interrupted=True),
        PlayoutEnded(AT + 0.04, "b", 0, interrupted=True),
    ]
    assert take(queue, 1, first=2) == [b""]


def test_clear_after_the_last_octet_of_an_unfinished_mark_interrupts_it():
    queue = PlayoutQueue()
    queue.play(octets(160), "a", now=AT)
    take(queue, 2)
    queue.clear(now=AT + 1)
    assert told(queue)[-1] == PlayoutEnded(AT + 0.02, "a", 160, interrupted=True)


def test_finish_of_an_unknown_mark_does_nothing():
    queue = PlayoutQueue()
    queue.finish("never", now=AT)
    assert told(queue) == []


def test_mark_without_audio_ends_at_once():
    queue = PlayoutQueue()
    queue.play(b"", "a", now=AT)
    queue.finish("a", now=AT)
    assert told(queue) == [PlayoutEnded(AT, "a", 0, interrupted=False)]


def run_of(queue: PlayoutQueue, tick: int) -> int:
    """Hand out a run after `tick`; gives how many frames it has."""
    run = queue.begin_run(AT + 0.02 * (tick + 1), 160 * (tick + 1))
    return 0 if run is None else (run.end - run.offset) // 160


def test_run_leaves_the_last_frame_of_a_piece_to_the_queue():
    queue = PlayoutQueue()
    queue.play(octets(1600), "a", now=AT)
    take(queue, 1)
    assert run_of(queue, 0) == 8


@pytest.mark.parametrize("length", [160, 161, 320, 480])
def test_short_rest_is_no_run(length: int):
    queue = PlayoutQueue()
    queue.play(octets(length), "a", now=AT)
    take(queue, 1)
    assert run_of(queue, 0) == 0


def test_what_was_taken_of_a_run_counts_when_it_is_cut():
    queue = PlayoutQueue()
    queue.play(octets(1600), "a", now=AT)
    take(queue, 1)
    run = queue.begin_run(AT + 0.02, 160)
    assert run is not None
    run.offset += 3 * 160
    queue.clear(now=AT + 0.09)
    assert told(queue)[-1] == PlayoutEnded(AT + 0.08, "a", 640, interrupted=True)
    assert queue.taken() == [(0, bytearray(octets(640)))]


def test_queue_goes_on_where_a_run_was_left():
    queue = PlayoutQueue()
    queue.play(octets(1600), "a", now=AT)
    take(queue, 1)
    run = queue.begin_run(AT + 0.02, 160)
    assert run is not None
    run.offset += 2 * 160
    assert take(queue, 1, first=3) == [octets(1600)[480:640]]


def test_what_was_taken_is_kept_with_its_place():
    queue = PlayoutQueue()
    queue.play(octets(320), "a", now=AT)
    take(queue, 2)
    queue.play(octets(160), "b", now=AT)
    take(queue, 1, first=10)
    assert queue.taken() == [(0, bytearray(octets(320))), (1600, bytearray(octets(160)))]
    assert queue.taken() == []


def test_nothing_is_kept_when_nothing_is_recorded():
    queue = PlayoutQueue(keep=False)
    queue.play(octets(320), "a", now=AT)
    take(queue, 2)
    assert queue.taken() == []


def test_conversion_applies_to_what_is_still_to_come():
    queue = PlayoutQueue()
    queue.play(b"\x01" * 480, "a", now=AT)
    take(queue, 1)
    queue.convert(lambda piece: bytes(octet + 1 for octet in piece))
    assert take(queue, 1, first=1) == [b"\x02" * 160]
