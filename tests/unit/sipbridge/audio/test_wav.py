import wave
from pathlib import Path

import numpy as np

from tuner_sipbridge.audio import g711
from tuner_sipbridge.audio.wav import write_stereo
from tuner_sipbridge.media.recording import Recording


def coded(samples: np.ndarray) -> np.ndarray:
    return np.frombuffer(g711.encode(samples.astype(np.int16), "PCMA"), np.uint8)


def test_caller_is_left_and_agent_is_right(tmp_path: Path):
    seconds = 61
    caller, agent = coded(np.full(8000 * seconds, 1000)), coded(np.full(8000 * seconds, -4000))
    recording = Recording(0.0, "PCMA", caller, agent, np.zeros(seconds * 50 + 1, np.int64))
    write_stereo(tmp_path / "call.wav", recording)
    with wave.open(str(tmp_path / "call.wav"), "rb") as file:
        assert (file.getnchannels(), file.getsampwidth(), file.getframerate()) == (2, 2, 8000)
        assert file.getnframes() == 8000 * seconds
        samples = np.frombuffer(file.readframes(file.getnframes()), "<i2").reshape(-1, 2)
    assert np.abs(samples[:, 0] - 1000).max() < 40
    assert np.abs(samples[:, 1] + 4000).max() < 130
