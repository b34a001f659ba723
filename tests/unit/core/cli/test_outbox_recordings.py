"""`tuner outbox` shows recordings and uploads them."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from tuner_core.cli.app import app
from tuner_core.outbox import Outbox
from tuner_core.outbox.parcels import Destination
from tuner_core.testing import ScriptedStorage, ScriptedTuner

BODY = json.dumps(
    {
        "call_id": "c-81",
        "call_type": "phone_call",
        "transcript_with_tool_calls": [{"role": "agent", "text": "Hello", "start_ms": 0, "end_ms": 1}],
        "start_timestamp": 1_790_000_000,
        "end_timestamp": 1_790_000_042,
        "recording_url": "pending",
        "recording_file_extension": "wav",
    }
)
run = CliRunner()


@pytest.fixture
def sound(tmp_path: Path) -> Path:
    path = tmp_path / "+14155550123.wav"
    path.write_bytes(b"RIFF" * 100)
    return path


def outbox_with(path: Path, base_url: str, sound: Path) -> Path:
    box = Outbox(path)
    to = Destination(base_url, 1, "agent")
    with box.changing():
        box.uploads.hold(to, "c-81", sound, delete_after=False, now=1_790_000_000.0)
        parcel = box.put(to, "c-81", BODY.encode(), now=1_790_000_000.0).parcel
    assert parcel is not None
    box.postpone(parcel, until=0, detail="")
    box.close()
    return path


def test_recordings_are_counted_and_listed_without_their_names(tmp_path: Path, sound: Path) -> None:
    path = outbox_with(tmp_path / "outbox", "https://api.example", sound)
    assert "recordings: held 1" in run.invoke(app, ["outbox", "status", "--path", str(path)]).output
    listed = run.invoke(
        app, ["outbox", "list", "--state", "recordings", "--json", "--path", str(path)]
    ).stdout
    [row] = json.loads(listed)
    assert (row["call_id"], row["state"]) == ("c-81", "recording held")
    table = run.invoke(app, ["outbox", "list", "--path", str(path)], env={"COLUMNS": "200"}).output
    assert "recording held" in table
    assert "4155550123" not in listed + table


def test_drain_uploads_and_says_what_still_waits(tmp_path: Path, sound: Path) -> None:
    with ScriptedStorage(503) as storage, ScriptedTuner(recordings=storage) as tuner:
        path = outbox_with(tmp_path / "outbox", tuner.base_url, sound)
        environment = {
            "TUNER_API_KEY": "k",
            "TUNER_WORKSPACE_ID": "1",
            "TUNER_BASE_URL": tuner.base_url,
        }
        result = run.invoke(app, ["outbox", "drain", "--path", str(path)], env=environment)
        assert result.exit_code == 0, result.output
        assert storage.times_stored == {"c-81": 1}
    with ScriptedStorage(*[503] * 99) as storage, ScriptedTuner(recordings=storage) as tuner:
        path = outbox_with(tmp_path / "outbox2", tuner.base_url, sound)
        environment["TUNER_BASE_URL"] = tuner.base_url
        result = run.invoke(
            app, ["outbox", "drain", "--path", str(path), "--deadline", "0.6"], env=environment
        )
        assert result.exit_code == 1, result.output
        assert "delivered 1 + pending 0" in result.output
        assert "recording of call c-81 waits" in result.output
