"""The plain clients with recordings."""

import asyncio
import hashlib
import tracemalloc
from pathlib import Path
from typing import Any

import httpx
import pytest

from tuner_core import AsyncTunerClient, CallRecord, Receipt, RetryPolicy, TunerClient, TunerConfig
from tuner_core.errors import UploadError
from tuner_core.recordings import Recording
from tuner_core.testing import EXPIRED, RESET, Answer, ScriptedStorage, ScriptedTuner

RECORD = CallRecord(
    call_id="c-81", call_type="phone_call", start_timestamp=1_790_000_000, end_timestamp=1_790_000_042
)
QUICK = RetryPolicy(max_attempts=3, base_s=0.01, cap_s=0.05)


@pytest.fixture
def sound(tmp_path: Path) -> Path:
    path = tmp_path / "c-81.wav"
    path.write_bytes(bytes(range(256)) * 4000)
    return path


@pytest.fixture(params=["sync", "async"])
def create(request: pytest.FixtureRequest) -> Any:
    """Creates the call with one of the two clients; `again` uploads once more with the receipt."""

    async def with_async_client(config: TunerConfig, recording: Recording, again: Receipt | None) -> Any:
        async with AsyncTunerClient(config, retry=QUICK) as client:
            if again is not None:
                return await client.upload_recording(again, recording)
            return await client.create_call(RECORD, recording=recording)

    def run(tuner: ScriptedTuner, recording: Recording, again: Receipt | None = None) -> Any:
        config = TunerConfig(api_key="tr_api_k", workspace_id=7, agent_id="a", base_url=tuner.base_url)
        if request.param == "async":
            return asyncio.run(with_async_client(config, recording, again))
        with TunerClient(config, retry=QUICK) as client:
            if again is not None:
                return client.upload_recording(again, recording)
            return client.create_call(RECORD, recording=recording)

    return run


@pytest.mark.parametrize("script", [(), (503,), (RESET, 500), (EXPIRED,)])
def test_the_recording_is_uploaded_with_the_call(script: Any, create: Any, sound: Path) -> None:
    digest = hashlib.sha256(sound.read_bytes()).hexdigest()
    with ScriptedStorage(*script) as storage, ScriptedTuner(recordings=storage) as tuner:
        receipt = create(tuner, Recording(sound, delete_after=True))
    assert (receipt.id, receipt.is_new) == (1, True)
    assert storage.stored == {"c-81": digest}
    assert len(tuner.received) == (2 if script == (EXPIRED,) else 1)
    assert not sound.exists()


@pytest.mark.parametrize(
    ("script", "code", "tries"), [((503,) * 9, "SlowDown", 3), ((EXPIRED,) * 9, "AccessDenied", 3)]
)
def test_after_the_last_try_the_error_has_the_receipt(
    script: Any, code: str, tries: int, create: Any, sound: Path
) -> None:
    with ScriptedStorage(*script) as storage, ScriptedTuner(recordings=storage) as tuner:
        with pytest.raises(UploadError, match="call c-81 is stored, its recording is not") as caught:
            create(tuner, Recording(sound))
        assert (caught.value.code, storage.begun) == (code, tries)
        receipt = caught.value.receipt
        assert receipt is not None
        assert receipt.id == 1
    assert sound.exists()
    assert "x-amz" not in repr(caught.value)


def test_the_upload_can_be_done_later_with_the_receipt(create: Any, sound: Path) -> None:
    with ScriptedStorage(503, 503, 503) as storage, ScriptedTuner(recordings=storage) as tuner:
        with pytest.raises(UploadError) as caught:
            create(tuner, Recording(sound))
        assert caught.value.retryable
        create(tuner, Recording(sound), again=caught.value.receipt)
        assert storage.times_stored == {"c-81": 1}
    assert len(tuner.received) == 1


def test_without_a_target_or_another_one_it_is_said_once(create: Any, sound: Path) -> None:
    with ScriptedTuner() as tuner, pytest.raises(UploadError) as caught:
        create(tuner, Recording(sound))
    assert str(caught.value).count("is stored") == 1
    assert "offered no upload target" in str(caught.value)
    with ScriptedStorage(EXPIRED) as storage, ScriptedTuner(201, 409, recordings=storage) as tuner:
        with pytest.raises(UploadError) as caught:
            create(tuner, Recording(sound))
        assert str(caught.value).count("is stored") == 1
    with ScriptedStorage(EXPIRED) as storage, ScriptedTuner(201, 422, recordings=storage) as tuner:
        with pytest.raises(UploadError, match="no other upload target was given: call c-81: 422"):
            create(tuner, Recording(sound))


def test_what_contradicts_the_file_is_on_the_receipt(create: Any, tmp_path: Path) -> None:
    mono = tmp_path / "mono.wav"
    header = bytes.fromhex("01000100401f0000401f000001000800")
    mono.write_bytes(b"RIFF\x26\0\0\0WAVEfmt \x10\0\0\0" + header + b"data\2\0\0\0\0\0")
    with ScriptedStorage() as storage, ScriptedTuner(recordings=storage) as tuner:
        receipt = create(tuner, Recording(mono, caller_channel=0))
    assert (
        "recording: caller_channel was given and the file has one channel, sent as a mono mix"
        in receipt.repairs
    )
    assert "recording_s3_multi_channel" not in tuner.received[0].body


def test_nothing_of_the_applications_http_client_goes_to_the_storage(sound: Path) -> None:
    with ScriptedStorage() as storage, ScriptedTuner(Answer(201), recordings=storage) as tuner:
        config = TunerConfig(api_key="tr_api_k", workspace_id=7, agent_id="a", base_url=tuner.base_url)
        with httpx.Client(headers={"Authorization": "Bearer mine"}, auth=("user", "hidden")) as http:
            client = TunerClient(config, http=http, retry=QUICK)
            with pytest.raises(UploadError):
                client.create_call(RECORD, recording=Recording(sound))
            client.create_call(RECORD, recording=Recording(sound))
    assert storage.times_stored == {"c-81": 1}


def test_a_long_recording_is_not_read_into_memory(tmp_path: Path) -> None:
    """Peak of what Python allocates while it is sent, with the server in the same process."""
    size = 64 * 1024 * 1024
    sound = tmp_path / "long.wav"
    with sound.open("wb") as file:
        file.truncate(size)
    with ScriptedStorage() as storage, ScriptedTuner(recordings=storage) as tuner:
        config = TunerConfig(api_key="tr_api_k", workspace_id=7, agent_id="a", base_url=tuner.base_url)
        with TunerClient(config, retry=QUICK) as client:
            receipt = client.create_call(Recording(sound).described_in(RECORD))
            tracemalloc.start()
            try:
                client.upload_recording(receipt, Recording(sound))
                _, peak = tracemalloc.get_traced_memory()
            finally:
                tracemalloc.stop()
    assert storage.tries[-1].size > size
    assert peak < 4 * 1024 * 1024
