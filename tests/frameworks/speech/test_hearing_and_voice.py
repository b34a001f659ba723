"""The agents' ears and voice with their real models."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Iterator

import numpy as np
import pytest

from tuner_sipbridge.agents.frontdesk import digits_in
from tuner_sipbridge.agents.hearing import Hearing
from tuner_sipbridge.agents.voice import Voice
from tuner_sipbridge.audio import g711
from tuner_sipbridge.caller.persona import Persona
from tuner_sipbridge.caller.piper_speech import PiperSpeech
from tuner_sipbridge.errors import SpeechError


@pytest.fixture(scope="module")
def hearing() -> Iterator[Hearing]:
    ears = Hearing(workers=2)
    yield ears
    ears.close()


def telephone(text: str) -> bytes:
    """Speech as it comes off a telephone line, 16-bit PCM at 8000 Hz."""
    pcm = PiperSpeech().render(text, Persona()).pcm
    return g711.decode(g711.encode(pcm, "PCMU"), "PCMU").tobytes()


@pytest.mark.parametrize(
    ("said", "heard"),
    [
        ("What are your opening hours?", "opening hours"),
        ("No wait, I want to change the delivery address.", "change the delivery address"),
        ("Thank you, goodbye.", "goodbye"),
    ],
)
async def test_what_is_said_on_the_telephone_is_understood(hearing: Hearing, said: str, heard: str) -> None:
    result = await hearing.recognise(telephone(said), sample_rate=8000)
    assert heard in result.text
    assert 0 < result.confidence <= 1


@pytest.mark.parametrize("number", ["four, two, seven", "one, zero, five", "six, one, two"])
async def test_order_numbers_are_understood(hearing: Hearing, number: str) -> None:
    result = await hearing.recognise(telephone(f"The order number is {number}."), sample_rate=8000)
    assert digits_in(result.text, loosely=True) == digits_in(number.replace(",", ""))


async def test_words_have_times_in_order(hearing: Hearing) -> None:
    pcm = telephone("What are your opening hours?")
    words = (await hearing.recognise(pcm, sample_rate=8000)).words
    assert all(word.start_s <= word.end_s for word in words)
    assert all(first.end_s <= second.start_s + 0.02 for first, second in itertools.pairwise(words))
    assert words[-1].end_s <= len(pcm) / 16000 + 0.2


async def test_silence_is_no_words(hearing: Hearing) -> None:
    assert (await hearing.recognise(bytes(16000), sample_rate=8000)).text == ""
    assert (await hearing.recognise(b"", sample_rate=8000)).text == ""


async def test_the_event_loop_runs_on_while_several_callers_are_heard(hearing: Hearing) -> None:
    pcm = telephone("I would like to know where my order is.")
    await hearing.warm_up()
    decoding = asyncio.gather(*(hearing.recognise(pcm, sample_rate=8000) for _ in range(4)))
    longest, last = 0.0, time.perf_counter()
    while not decoding.done():
        await asyncio.sleep(0.005)
        longest, last = max(longest, time.perf_counter() - last), time.perf_counter()
    assert all("order" in result.text for result in await decoding)
    # A decoder in this process would hold the loop for a tenth of a second and more.
    assert longest < 0.1


async def test_a_recogniser_that_died_is_replaced() -> None:
    ears = Hearing(workers=1)
    try:
        await ears.warm_up()
        worker = ears._idle.get()
        ears._idle.put(worker)
        assert worker._process is not None
        worker._process.kill()
        worker._process.wait()
        assert "hours" in (await ears.recognise(telephone("What are your hours?"), sample_rate=8000)).text
    finally:
        ears.close()


async def test_a_recogniser_that_cannot_be_loaded_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("tuner_sipbridge.agents.hearing._WORKER", "tuner_sipbridge.errors")
    ears = Hearing(workers=1)
    try:
        with pytest.raises(SpeechError):
            await ears.warm_up()
    finally:
        ears.close()


async def test_the_voice_speaks_at_any_rate_and_remembers() -> None:
    voice = Voice()
    try:
        narrow = await voice.speak("Hello there.", sample_rate=8000)
        wide = await voice.speak("Hello there.", sample_rate=24000)
        assert abs(len(wide) / len(narrow) - 3) < 0.5
        assert np.abs(np.frombuffer(narrow, "<i2")).max() > 3000
        begun = time.perf_counter()
        assert await voice.speak("Hello there.", sample_rate=8000) == narrow
        assert time.perf_counter() - begun < 0.01
    finally:
        voice.close()


async def test_a_higher_pitch_keeps_the_pace() -> None:
    low, high = Voice(pitch=1.0, pace=1.0), Voice(pitch=1.2, pace=1.0)
    try:
        text = "We are open from nine until six."
        lengths = [len(await voice.speak(text, sample_rate=8000)) for voice in (low, high)]
        assert abs(lengths[1] / lengths[0] - 1) < 0.2
    finally:
        low.close()
        high.close()
