"""Recordings that our delivery uploads to the local Tuner, and what else is sent to its upload address."""

import asyncio
import wave
from pathlib import Path

import httpx
import pytest

from tuner_core.delivery import Delivery
from tuner_core.recordings import Recording
from tuner_core.testing import LocalTuner

RECORD = {
    "call_id": "c-81",
    "call_type": "phone_call",
    "start_timestamp": 1_760_000_000,
    "end_timestamp": 1_760_000_042,
}


@pytest.fixture
def wav(tmp_path: Path) -> Path:
    with wave.open(str(tmp_path / "c-81.wav"), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(8000)
        file.writeframes(bytes(16_000))
    return tmp_path / "c-81.wav"


def deliver(wav: Path) -> None:
    async def run() -> None:
        async with Delivery() as delivery:
            outcome = await delivery.deliver(RECORD, deadline_s=10, recording=Recording(wav))
            assert outcome.state == "delivered"

    asyncio.run(run())


def test_an_uploaded_recording_is_kept_and_can_be_listened_to(local_tuner: LocalTuner, wav: Path) -> None:
    deliver(wav)
    (row,) = local_tuner.calls()
    assert local_tuner.recording(row.call) == wav.read_bytes()
    assert f'src="/local/recordings/{row.call.id}"' in httpx.get(f"{local_tuner.base_url}/calls/1").text
    url = f"{local_tuner.base_url}/local/recordings/{row.call.id}"
    answer = httpx.get(url, headers={"Range": "bytes=0-3"})
    assert (answer.status_code, answer.content) == (206, b"RIFF")
    assert answer.headers["content-type"] == "audio/wav"
    local_tuner.clear()
    assert local_tuner.recording(row.call) is None
    assert httpx.get(url).status_code == 404


def test_a_recording_stays_beside_its_database(
    wav: Path, tmp_path: Path, tuner_environment: pytest.MonkeyPatch
) -> None:
    db = tmp_path / "local.db"
    with LocalTuner(db=db) as tuner:
        for name, value in tuner.environment().items():
            tuner_environment.setenv(name, value)
        deliver(wav)
    with LocalTuner(db=db) as tuner:
        assert tuner.recording(1) == wav.read_bytes()
    assert [path.name for path in (tmp_path / "local.db.recordings").iterdir()] == ["1.wav"]


def test_only_what_was_asked_for_is_taken(local_tuner: LocalTuner, wav: Path) -> None:
    body = RECORD | {
        "transcript_with_tool_calls": [{"role": "agent", "text": "Hi", "start_ms": 1, "end_ms": 2}],
        "recording_url": "pending",
        "recording_file_extension": "wav",
    }
    url = f"{local_tuner.base_url}/api/v1/public/call?workspace_id=1&agent_remote_identifier=a"
    headers = {"Authorization": f"Bearer {local_tuner.api_key}"}
    target = httpx.post(url, json=body, headers=headers).json()["recording_upload"]
    assert target["url"] == f"{local_tuner.base_url}/local/uploads"
    file = {"file": wav.read_bytes()}
    changed = target["fields"] | {"key": "recordings/../../2.wav"}
    assert httpx.post(target["url"], data=changed, files=file).status_code == 403
    assert httpx.post(target["url"], data={"key": "x"}, files=file).status_code == 403
    assert httpx.post(target["url"], content=b"hello").status_code >= 400
    assert local_tuner.recording(1) is None
    assert httpx.post(target["url"], data=target["fields"], files=file).status_code == 204
    assert local_tuner.recording(1) == wav.read_bytes()
    odd = httpx.post(url, json=body | {"call_id": "c-2", "recording_file_extension": "../x"}, headers=headers)
    assert "recording_upload" not in odd.json()
