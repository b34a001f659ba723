import zlib

import numpy as np
import pytest

from tuner_sipbridge.audio import g711
from tuner_sipbridge.audio.g711 import Law

EVERY_SAMPLE = np.arange(-32768, 32768).astype(np.int16)
EVERY_OCTET = bytes(range(256))


@pytest.mark.parametrize(
    ("law", "encoded", "decoded"), [("PCMU", 0x3B7C3A3E, 0x0C847A9F), ("PCMA", 0x9133796E, 0x9D764657)]
)
def test_every_sample_and_octet_is_coded_as_the_reference_does(law: Law, encoded: int, decoded: int):
    """The checksums are those of CPython's `audioop`, which is the ITU's reference code."""
    assert zlib.crc32(g711.encode(EVERY_SAMPLE, law)) == encoded
    assert zlib.crc32(g711.decode(EVERY_OCTET, law).astype("<i2").tobytes()) == decoded


@pytest.mark.parametrize("law", ["PCMU", "PCMA"])
def test_silence_decodes_to_next_to_nothing(law: Law):
    assert np.abs(g711.decode(g711.silence(160, law), law)).max() <= 8
    assert g711.POWER[law][g711.SILENCE[law]] < 1e-6


@pytest.mark.parametrize("law", ["PCMU", "PCMA"])
def test_power_is_that_of_the_decoded_samples(law: Law):
    tone = (16384 * np.sin(np.arange(800) / 8)).astype(np.int16)
    octets = np.frombuffer(g711.encode(tone, law), np.uint8)
    assert g711.POWER[law][octets].mean() == pytest.approx(np.mean((tone / 32768) ** 2), rel=0.02)


def test_translation_keeps_the_sound():
    tone = (10000 * np.sin(np.arange(800) / 8)).astype(np.int16)
    there = g711.translate(g711.encode(tone, "PCMU"), "PCMU", "PCMA")
    heard = g711.decode(there, "PCMA").astype(int)
    assert np.abs(heard - tone).max() < 700
    assert g711.translate(there, "PCMA", "PCMA") == there


def test_samples_need_not_lie_side_by_side():
    stereo = np.stack([EVERY_SAMPLE, EVERY_SAMPLE[::-1]], axis=1)
    assert g711.encode(stereo[:, 0], "PCMU") == g711.encode(EVERY_SAMPLE, "PCMU")
