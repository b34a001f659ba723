"""G.722 and Opus, packet by packet: what goes in comes out, whatever lengths and bandwidths the far end uses."""

from __future__ import annotations

import itertools
from importlib.util import find_spec

import av
import numpy as np
import pytest
from numpy.typing import NDArray

from tuner_sipbridge.audio import codecs
from tuner_sipbridge.audio.codecs import Codec, decoder_of, encoder_of
from tuner_sipbridge.audio.g711 import SAMPLE_RATE
from tuner_sipbridge.errors import LocalProtocolError


def tone(hertz: float, samples: int, rate: int = SAMPLE_RATE) -> NDArray[np.int16]:
    return (8000 * np.sin(2 * np.pi * hertz * np.arange(samples) / rate)).astype(np.int16)


def frames(samples: NDArray[np.int16]) -> list[NDArray[np.int16]]:
    return [samples[at : at + 160] for at in range(0, len(samples), 160)]


def strongest(samples: NDArray[np.int16]) -> float:
    """The frequency in which most of the power lies, in Hz."""
    return float(np.abs(np.fft.rfft(samples)).argmax() * SAMPLE_RATE / len(samples))


def level(samples: NDArray[np.int16]) -> float:
    return float(np.sqrt(np.mean(np.square(samples.astype(float)))))


def opus_of(samples: NDArray[np.int16], *, rate: int, frame_ms: float, channels: int = 1) -> list[bytes]:
    """Packets as another end makes them."""
    context = av.CodecContext.create("libopus", "w")
    assert isinstance(context, av.AudioCodecContext)
    layout = "stereo" if channels == 2 else "mono"
    context.sample_rate, context.layout, context.format = rate, layout, "s16"  # pyright: ignore[reportAttributeAccessIssue]
    context.options = {"frame_duration": f"{frame_ms:g}"}
    size = round(rate * frame_ms / 1000)
    packets: list[bytes] = []
    for at in range(0, len(samples) - size + 1, size):
        block = np.repeat(samples[at : at + size], channels)[None]
        frame = av.AudioFrame.from_ndarray(block, format="s16", layout=layout)
        frame.sample_rate, frame.pts = rate, at
        packets += [bytes(packet) for packet in context.encode(frame)]
    return packets


@pytest.mark.parametrize("codec", ["G722", "opus"])
def test_a_tone_comes_out_as_it_went_in(codec: Codec):
    encoder, decoder = encoder_of(codec), decoder_of(codec)
    assert encoder is not None
    assert decoder is not None
    said = tone(440, SAMPLE_RATE)
    packets = [encoder.encode(frame) for frame in frames(said)]
    heard = np.concatenate([decoder.decode(packet) for packet in packets])
    assert len(packets) == 50
    assert len(heard) == len(said)
    assert strongest(heard[800:]) == pytest.approx(440, abs=2)
    assert level(heard[800:]) == pytest.approx(level(said), rel=0.2)


def test_g722_is_one_octet_for_each_sample_at_8000_hertz():
    encoder = encoder_of("G722")
    assert encoder is not None
    assert len(encoder.encode(tone(440, 160))) == 160


@pytest.mark.parametrize("codec", ["G722", "opus"])
def test_silence_stays_silence(codec: Codec):
    encoder, decoder = encoder_of(codec), decoder_of(codec)
    assert encoder is not None
    assert decoder is not None
    heard = [decoder.decode(encoder.encode(np.zeros(160, np.int16))) for _ in range(20)]
    assert np.abs(np.concatenate(heard)).max() < 40


@pytest.mark.parametrize("frame_ms", [2.5, 10, 20, 40, 60])
@pytest.mark.parametrize(("rate", "channels"), [(48000, 2), (16000, 1)])
def test_opus_of_any_length_bandwidth_and_channels_is_heard(frame_ms: float, rate: int, channels: int):
    decoder = decoder_of("opus")
    assert decoder is not None
    packets = opus_of(tone(1000, rate // 2, rate), rate=rate, frame_ms=frame_ms, channels=channels)
    heard = [decoder.decode(packet) for packet in packets]
    assert {len(samples) for samples in heard} == {round(frame_ms * 8)}
    assert strongest(np.concatenate(heard)[400:]) == pytest.approx(1000, abs=10)


def test_what_lies_above_the_telephone_band_does_not_fold_into_it():
    decoder = decoder_of("opus")
    assert decoder is not None
    packets = opus_of(tone(6000, 24000, 48000), rate=48000, frame_ms=20)
    heard = np.concatenate([decoder.decode(packet) for packet in packets])
    assert level(heard[800:]) < 30


@pytest.mark.parametrize("payload", [b"", b"\xff\xff", b"\x03\x00"])
def test_what_is_no_opus_is_no_audio_and_harms_nothing(payload: bytes):
    encoder, decoder = encoder_of("opus"), decoder_of("opus")
    assert encoder is not None
    assert decoder is not None
    assert len(decoder.decode(payload)) == 0
    heard = [decoder.decode(encoder.encode(frame)) for frame in frames(tone(440, 3200))]
    assert [len(samples) for samples in heard] == [160] * 20


def test_a_packet_without_coded_audio_is_as_long_as_it_says():
    """DTX: one octet that stands for 20 ms (RFC 6716 §3.1, RFC 7587 §3.1.3)."""
    encoder, decoder = encoder_of("opus"), decoder_of("opus")
    assert encoder is not None
    assert decoder is not None
    spoken = [encoder.encode(frame) for frame in frames(tone(440, 1600))]
    lengths = [len(decoder.decode(packet)) for packet in itertools.chain(spoken, [spoken[0][:1]])]
    assert lengths == [160] * 11


def test_g711_needs_no_coder():
    assert encoder_of("PCMU") is None
    assert decoder_of("PCMA") is None
    codecs.check_installed(("PCMU", "PCMA"))


@pytest.mark.parametrize(("codec", "extra"), [("opus", "opus"), ("G722", "g722")])
def test_a_codec_without_its_library_names_the_extra(
    codec: Codec, extra: str, monkeypatch: pytest.MonkeyPatch
):
    def found(name: str) -> object:
        return None if name in ("av", "G722") else find_spec(name)

    monkeypatch.setattr(codecs, "find_spec", found)
    with pytest.raises(LocalProtocolError, match=rf"pip install 'tuner-sipbridge\[{extra}\]'"):
        codecs.check_installed(("PCMU", codec))
