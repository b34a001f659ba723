"""The media engine with its real worker process on real sockets."""

import asyncio
import os
import signal
import socket
import time
from collections.abc import AsyncIterator

import numpy as np
import pytest

from tuner_sipbridge.audio import g711
from tuner_sipbridge.audio.activity import SpeechThresholds
from tuner_sipbridge.errors import MediaError
from tuner_sipbridge.media.engine import (
    DigitReceived,
    DigitsSent,
    FirstPacket,
    MediaEvent,
    MediaParameters,
    PlayoutEnded,
    PlayoutStarted,
    SpeechStarted,
    SpeechStopped,
    StreamFailed,
)
from tuner_sipbridge.media.recording import Recording
from tuner_sipbridge.net.media_engine import PyMediaEngine
from tuner_sipbridge.net.media_stream import PyMediaStream

from ..nat import StunServer

SILENCE = g711.SILENCE["PCMU"]


def tone(seconds: float, hertz: float = 440) -> bytes:
    """A tone without one octet of silence in it, so that every octet can be found again."""
    samples = 9000 * np.sin(2 * np.pi * hertz * np.arange(round(8000 * seconds)) / 8000)
    return g711.encode(samples.astype(np.int16), "PCMU").replace(b"\xff", b"\xfe")


@pytest.fixture
async def engine() -> AsyncIterator[PyMediaEngine]:
    async with PyMediaEngine(speech=SpeechThresholds(hangover_s=0.1)) as running:
        yield running


async def pair(
    engine: PyMediaEngine, *, live: bool = False, codec: str = "PCMU"
) -> tuple[PyMediaStream, PyMediaStream]:
    """Two streams that send to each other."""
    one, two = await engine.open(), await engine.open(live=live)
    for stream, other in ((one, two), (two, one)):
        law = "PCMA" if codec == "PCMA" else "PCMU"
        await stream.start(
            MediaParameters(
                remote=other.local, codec=law, payload_type=8 if law == "PCMA" else 0, telephone_event=101
            )
        )
    return one, two


async def until(stream: PyMediaStream, kind: type[MediaEvent], timeout_s: float = 5.0) -> MediaEvent:
    """The next event of one kind."""
    async with asyncio.timeout(timeout_s):
        async for event in stream.events():
            if isinstance(event, kind):
                return event
    raise AssertionError(f"the stream ended without {kind.__name__}")


async def rest(stream: PyMediaStream) -> list[MediaEvent]:
    async with asyncio.timeout(5):
        return [event async for event in stream.events()]


def sounding(side: np.ndarray) -> tuple[int, int]:
    """First and one past the last sample that is no silence."""
    found = np.flatnonzero(side != SILENCE)
    return int(found[0]), int(found[-1]) + 1


async def recording_of(stream: PyMediaStream) -> Recording:
    result = await stream.close()
    assert result.recording is not None
    return result.recording


async def test_what_one_side_plays_the_other_side_records(engine: PyMediaEngine):
    one, two = await pair(engine)
    audio = tone(0.33)
    one.play(audio, mark="hello")
    one.finish("hello")
    started = await until(one, PlayoutStarted)
    ended = await until(one, PlayoutEnded)
    assert isinstance(ended, PlayoutEnded)
    assert (ended.mark, ended.samples, ended.interrupted) == ("hello", len(audio), False)
    assert ended.at - started.at == pytest.approx(0.33, abs=1e-4)
    await asyncio.sleep(0.05)
    sent, heard = await recording_of(one), await recording_of(two)
    begin, end = sounding(sent.caller)
    assert bytes(sent.caller[begin:end]) == audio
    assert sent.started_at + begin / 8000 == pytest.approx(started.at, abs=1e-4)
    begin, end = sounding(heard.agent)
    assert bytes(heard.agent[begin:end]) == audio
    assert heard.started_at + begin / 8000 == pytest.approx(started.at, abs=0.1)


async def test_arrivals_are_the_kernels_and_match_the_audio(engine: PyMediaEngine):
    _, two = await pair(engine)
    await until(two, FirstPacket)
    await asyncio.sleep(0.5)
    heard = await recording_of(two)
    arrivals = heard.arrivals_ns[heard.arrivals_ns > 0]
    assert len(arrivals) >= 20
    assert np.median(np.diff(arrivals)) == pytest.approx(20e6, abs=1e6)
    frames = np.flatnonzero(heard.arrivals_ns)
    placed = heard.started_at + frames * 0.02
    assert np.median(np.abs(arrivals * 1e-9 - placed)) < 0.1
    assert len(heard.caller) == len(heard.agent)
    assert len(heard.arrivals_ns) == len(heard.agent) // 160 + 1


async def test_far_ends_speech_is_told_with_arrival_times(engine: PyMediaEngine):
    one, two = await pair(engine)
    await until(two, FirstPacket)
    one.play(tone(0.3), mark="a")
    played = await until(one, PlayoutStarted)
    started, stopped = await until(two, SpeechStarted), await until(two, SpeechStopped)
    assert started.at == pytest.approx(played.at, abs=0.1)
    assert stopped.at - started.at == pytest.approx(0.3, abs=0.1)


async def test_clear_stops_speech_soon(engine: PyMediaEngine):
    one, _ = await pair(engine)
    one.play(tone(5), mark="long")
    await until(one, PlayoutStarted)
    await asyncio.sleep(0.2)
    cleared = time.time()
    one.clear()
    ended = await until(one, PlayoutEnded)
    assert isinstance(ended, PlayoutEnded)
    assert ended.interrupted
    assert ended.at - cleared < 0.15
    assert 0.1 < ended.samples / 8000 < 0.5


async def test_digits_are_heard_once_each_in_order(engine: PyMediaEngine):
    one, two = await pair(engine)
    await until(two, FirstPacket)
    one.send_digits("20#", mark="pin")
    digits = [await until(two, DigitReceived) for _ in range(3)]
    assert "".join(event.digit for event in digits if isinstance(event, DigitReceived)) == "20#"
    sent = await until(one, DigitsSent)
    assert sent.at > digits[-1].at
    statistics = (await two.close()).statistics
    assert (statistics.lost, statistics.discarded) == (0, 0)
    assert statistics.jitter_max_s is not None
    assert statistics.jitter_max_s < 0.1


async def test_live_stream_hears_frame_by_frame(engine: PyMediaEngine):
    one, two = await pair(engine, live=True)
    audio = tone(0.4)
    one.play(audio, mark="a")
    heard = b""
    async with asyncio.timeout(5):
        async for frame in two.frames():
            assert len(frame) == 160
            heard += frame
            if len(heard.strip(b"\xff")) == len(audio):
                break
    assert heard.strip(b"\xff") == audio


async def test_audio_queued_before_the_start_is_played(engine: PyMediaEngine):
    one, two = await engine.open(), await engine.open()
    one.play(tone(0.1), mark="early")
    one.finish("early")
    await one.start(MediaParameters(remote=two.local))
    ended = await until(one, PlayoutEnded)
    assert isinstance(ended, PlayoutEnded)
    assert ended.samples == 800
    recording = await recording_of(one)
    assert sounding(recording.caller) == (0, 800)


async def test_packets_that_came_before_the_start_are_not_lost(engine: PyMediaEngine):
    one, two = await engine.open(), await engine.open()
    await one.start(MediaParameters(remote=two.local))
    await asyncio.sleep(0.2)
    before = time.time()
    await two.start(MediaParameters(remote=one.local))
    first = await until(two, FirstPacket)
    assert first.at < before - 0.1
    assert (await two.close()).statistics.lost == 0


async def test_a_port_is_asked_about_before_it_starts_and_loses_nothing_that_comes_then(
    engine: PyMediaEngine,
):
    async with StunServer() as server:
        server.deaf_to = 1
        one, two = await engine.open(), await engine.open(stun=server.local)
        assert two.mapped == two.local
        assert one.mapped is None
        assert server.asked == [two.local, two.local]
        await one.start(MediaParameters(remote=two.local))
        await asyncio.sleep(0.1)
        server.say(two.local)
        await two.start(MediaParameters(remote=one.local))
        await until(two, FirstPacket)
        server.say(two.local)
        await asyncio.sleep(0.05)
        result = await two.close()
    assert result.statistics.received >= 5
    assert (result.statistics.lost, result.statistics.discarded) == (0, 0)


async def test_pcma_goes_through_untouched(engine: PyMediaEngine):
    one, two = await pair(engine, codec="PCMA")
    audio = tone(0.2).replace(b"\xd5", b"\xd4")
    one.play(audio, mark="a")
    one.finish("a")
    await until(one, PlayoutEnded)
    await asyncio.sleep(0.05)
    heard = await recording_of(two)
    assert heard.codec == "PCMA"
    assert audio in bytes(heard.agent)


async def test_hold_stops_the_packets_and_resume_lets_them_flow(engine: PyMediaEngine):
    one, two = await pair(engine)
    await until(two, FirstPacket)
    await one.start(MediaParameters(remote=two.local, send=False))
    await asyncio.sleep(0.3)
    await one.start(MediaParameters(remote=two.local))
    await asyncio.sleep(0.1)
    statistics = (await two.close()).statistics
    assert statistics.lost == 0
    assert statistics.longest_gap_s is not None
    assert 0.25 < statistics.longest_gap_s < 3.0


async def test_streams_come_and_go_while_others_run(engine: PyMediaEngine):
    one, two = await pair(engine)
    await until(two, FirstPacket)
    for _ in range(5):
        streams = [await engine.open() for _ in range(4)]
        for stream in streams:
            await stream.start(MediaParameters(remote=streams[0].local))
        await asyncio.gather(*(stream.close() for stream in streams))
    for stream in (one, two):
        statistics = (await stream.close()).statistics
        assert (statistics.lost, statistics.duplicates, statistics.discarded) == (0, 0, 0)
        assert statistics.received > 5


async def test_send_lateness_is_told_for_each_call(engine: PyMediaEngine):
    one, two = await pair(engine)
    await until(two, FirstPacket)
    await asyncio.sleep(0.2)
    statistics = (await one.close()).statistics
    late = (statistics.send_late_p50_s, statistics.send_late_p99_s, statistics.send_late_max_s)
    assert all(figure is not None for figure in late)
    assert sorted(late) == list(late)  # type: ignore[type-var]


async def test_closing_twice_gives_the_same_result_and_ends_the_events(engine: PyMediaEngine):
    one, two = await pair(engine)
    one.play(tone(3), mark="cut off")
    await until(one, PlayoutStarted)
    first, second = await asyncio.gather(one.close(), one.close())
    assert first is second
    ended = (await rest(one))[-1]
    assert isinstance(ended, PlayoutEnded)
    assert ended.interrupted
    with pytest.raises(MediaError, match="closed"):
        await one.start(MediaParameters(remote=two.local))


async def test_stream_without_recording_still_has_statistics(engine: PyMediaEngine):
    one, two = await engine.open(record=False), await engine.open()
    await one.start(MediaParameters(remote=two.local))
    await two.start(MediaParameters(remote=one.local))
    await until(one, FirstPacket)
    await asyncio.sleep(0.1)
    result = await one.close()
    assert result.recording is None
    assert result.statistics.received > 2


async def test_remote_host_may_be_a_name(engine: PyMediaEngine):
    one, two = await engine.open(), await engine.open()
    await two.start(MediaParameters(remote=one.local))
    await one.start(MediaParameters(remote=("localhost", two.local[1])))
    await until(two, FirstPacket)


async def test_what_cannot_be_sent_to_is_refused_at_the_start(engine: PyMediaEngine):
    one = await engine.open()
    for parameters, reason in (
        (MediaParameters(remote=("::1", 4000)), "IPv6"),
        (MediaParameters(remote=("127.0.0.1", 0)), "port"),
        (MediaParameters(remote=("127.0.0.1", 4000), payload_type=128), "payload type"),
    ):
        with pytest.raises(MediaError, match=reason):
            await one.start(parameters)


async def test_hold_by_the_unspecified_address_sends_nothing(engine: PyMediaEngine):
    one = await engine.open()
    await one.start(MediaParameters(remote=("0.0.0.0", 4000)))
    await asyncio.sleep(0.1)
    assert (await one.close()).statistics.sent == 0


async def test_media_flows_over_ipv6(engine: PyMediaEngine):
    one, two = await engine.open(host="::1"), await engine.open(host="::1")
    await one.start(MediaParameters(remote=two.local))
    await two.start(MediaParameters(remote=one.local))
    first = await until(two, FirstPacket)
    assert isinstance(first, FirstPacket)
    assert first.source == one.local
    await asyncio.sleep(0.1)
    assert not (await two.close()).statistics.asymmetric


async def test_digits_need_an_agreement_and_a_keypad(engine: PyMediaEngine):
    one = await engine.open()
    with pytest.raises(MediaError, match="telephone-event"):
        one.send_digits("1")
    await one.start(MediaParameters(remote=one.local, telephone_event=101))
    with pytest.raises(ValueError, match="keypad"):
        one.send_digits("1-2")


async def test_address_of_another_machine_cannot_be_bound(engine: PyMediaEngine):
    with pytest.raises(MediaError, match=r"192\.0\.2\.1"):
        await engine.open(host="192.0.2.1")
    with pytest.raises(MediaError, match="numeric"):
        await engine.open(host="localhost")


async def test_ports_come_from_the_range_that_was_given():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        free = probe.getsockname()[1] & ~1
    async with PyMediaEngine(ports=(free, free + 1)) as engine:
        stream = await engine.open()
        assert stream.local == ("127.0.0.1", free)
        with pytest.raises(MediaError, match="no media port"):
            await engine.open()
        await stream.close()
        assert (await engine.open()).local == ("127.0.0.1", free)


async def test_several_workers_share_the_streams():
    async with PyMediaEngine(workers=2) as engine:
        one, two = await pair(engine)
        await until(one, FirstPacket)
        await until(two, FirstPacket)
        assert len(set(engine.worker_pids)) == 2


async def test_killed_worker_fails_its_streams_and_hangs_nobody(engine: PyMediaEngine):
    one, two = await pair(engine, live=True)
    await until(two, FirstPacket)
    (worker,) = engine.worker_pids
    os.kill(worker, signal.SIGKILL)
    async with asyncio.timeout(5):
        events = await rest(one)
        assert isinstance(events[-1], StreamFailed)
        assert all([len(frame) == 160 async for frame in two.frames()])
        assert (await one.close()).recording is None
        one.play(tone(0.1), mark="nobody hears")
        with pytest.raises(MediaError, match=r"gone|died"):
            await engine.open()
        with pytest.raises(MediaError, match=r"gone|died"):
            await two.start(MediaParameters(remote=one.local))


async def test_worker_goes_when_its_engine_does():
    async with PyMediaEngine() as engine:
        (worker,) = engine.worker_pids
        stream = await engine.open()
    with pytest.raises(ProcessLookupError):
        os.kill(worker, 0)
    assert (await stream.close()).statistics.sent == 0


async def test_more_streams_than_descriptors_is_told_at_the_start():
    with pytest.raises(MediaError, match="limit of open files"):
        await PyMediaEngine(streams=10_000_000).start()


async def test_engine_that_was_not_started_says_so():
    with pytest.raises(MediaError, match="not running"):
        await PyMediaEngine().open()
