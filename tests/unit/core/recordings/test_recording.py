import struct
import wave
from pathlib import Path
from typing import Any

import pytest

from tuner_core import CallRecord, InvalidRecord, conform
from tuner_core.recordings import Recording
from tuner_core.recordings.channels import channels_in


def wav(path: Path, channels: int) -> Path:
    with wave.open(str(path), "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(2)
        file.setframerate(8000)
        file.writeframes(b"\0\0" * channels * 80)
    return path


def riff(tag: int, channels: int, *, before: bytes = b"") -> bytes:
    format_ = struct.pack("<HHIIHH", tag, channels, 8000, 8000, channels, 8)
    return b"RIFF\0\0\0\0WAVE" + before + b"fmt " + struct.pack("<I", len(format_)) + format_ + b"data"


def ogg(packet: bytes) -> bytes:
    return b"OggS\0\2" + bytes(20) + b"\1" + bytes([len(packet)]) + packet


@pytest.mark.parametrize(
    ("header", "channels"),
    [
        (riff(1, 2), 2),
        (riff(7, 1), 1),
        (riff(0xFFFE, 2, before=b"LIST" + struct.pack("<I", 3) + b"abc\0"), 2),
        (riff(1, 0), None),
        (riff(1, 2)[:20], None),
        (b"RIFF", None),
        (ogg(b"OpusHead\1\2" + bytes(9)), 2),
        (ogg(b"\1vorbis" + bytes(4) + b"\1" + bytes(18)), 1),
        (ogg(b"Speex   "), None),
        (b"OggS", None),
        (b"ID3\3", None),
        (b"", None),
    ],
)
def test_channels_are_read_from_headers(header: bytes, channels: int | None) -> None:
    assert channels_in(header) == channels


def test_a_mix_and_a_stereo_recording_say_what_the_api_asks(tmp_path: Path) -> None:
    assert Recording("c-81.WAV").fields() == {"recording_file_extension": "wav"}
    stereo = Recording(tmp_path / "c-81", extension=".ogg", caller_channel=1)
    assert stereo.fields() == {
        "recording_file_extension": "ogg",
        "recording_s3_multi_channel": True,
        "recording_s3_caller_channel": 1,
    }
    assert Recording("c-81.wav").path.is_absolute()


@pytest.mark.parametrize(
    "make",
    [
        lambda: Recording("c-81"),
        lambda: Recording("c-81.wav", extension="a/b"),
        lambda: Recording("c-81.wav", caller_channel=-1),
        lambda: Recording("c-81.wav", caller_channel=True),
        lambda: Recording("c-81.wav", caller_channel="left"),  # type: ignore[arg-type]
    ],
)
def test_what_cannot_be_a_recording_is_refused_at_once(make: Any) -> None:
    with pytest.raises(ValueError, match=r"recording|caller"):
        make()


@pytest.mark.parametrize(
    ("channels", "caller_channel", "kept", "said"),
    [
        (1, None, None, None),
        (2, 0, 0, None),
        (2, 1, 1, None),
        (2, None, None, "2 channels and no caller_channel"),
        (1, 0, None, "the file has one channel"),
        (2, 2, None, "not one of the file's 2 channels"),
    ],
)
def test_flags_that_contradict_the_file_are_said(
    tmp_path: Path, channels: int, caller_channel: int | None, kept: int | None, said: str | None
) -> None:
    given = Recording(wav(tmp_path / "c.wav", channels), caller_channel=caller_channel, delete_after=True)
    checked, notes = given.checked()
    assert checked.caller_channel == kept
    assert (checked.path, checked.extension, checked.delete_after) == (given.path, "wav", True)
    assert (said is None and not notes) or (said is not None and said in notes[0])


def test_a_file_that_cannot_be_read_yet_is_taken_as_described(tmp_path: Path) -> None:
    given = Recording(tmp_path / "missing.wav", caller_channel=1)
    assert given.checked() == (given, ())


def test_it_is_described_in_records_of_both_kinds() -> None:
    record = CallRecord(
        call_id="c-81", call_type="phone_call", start_timestamp=1_790_000_000, end_timestamp=1_790_000_042,
        recording_s3_multi_channel=True, recording_s3_caller_channel=1,
    )  # fmt: skip
    recording = Recording("c-81.wav")
    for described in (recording.described_in(record), recording.described_in(record.model_dump())):
        sent = conform(described).payload
        assert sent["recording_file_extension"] == "wav"
        assert "recording_s3_multi_channel" not in sent
        assert "recording_s3_caller_channel" not in sent
    with pytest.raises(InvalidRecord):
        conform(recording.described_in("nothing"))  # type: ignore[arg-type]
