import json
import time
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from tuner_core.cli import app
from tuner_core.outbox import Outbox
from tuner_core.outbox.parcels import Destination
from tuner_core.testing import ScriptedTuner

run = CliRunner()
NOW = time.time()
CALL: dict[str, Any] = {
    "call_id": "c-81",
    "call_type": "phone_call",
    "start_timestamp": NOW,
    "end_timestamp": NOW,
}


def outbox_with(path: Path, base_url: str, *, refused: bool = False) -> Path:
    box = Outbox(path)
    parcel = box.put(Destination(base_url, 1, "agent"), "c-81", json.dumps(CALL).encode(), now=NOW).parcel
    assert parcel is not None
    if refused:
        box.mark_refused(parcel, detail="422 said the API", now=NOW)
    box.close()
    return path


def test_validate_says_what_would_be_repaired(tmp_path: Path) -> None:
    file = tmp_path / "call.json"
    file.write_text(json.dumps({**CALL, "sip_call_id": "CA" + "0a" * 16}))
    result = run.invoke(app, ["validate", str(file)])
    assert result.exit_code == 0
    assert "repaired: sip_call_id: left out: Twilio's CallSid" in result.output
    assert "accepted: call c-81" in result.output


def test_validate_show_prints_the_body_alone_on_standard_output(tmp_path: Path) -> None:
    file = tmp_path / "call.json"
    file.write_text(json.dumps(CALL))
    result = run.invoke(app, ["validate", "--show", str(file)])
    assert json.loads(result.stdout)["call_id"] == "c-81"


@pytest.mark.parametrize(("content", "code"), [("{}", 1), ("[1]", 2), ("{", 2), (None, 2)])
def test_validate_tells_a_refused_record_from_an_unreadable_file(
    content: str | None, code: int, tmp_path: Path
) -> None:
    file = tmp_path / "call.json"
    if content is not None:
        file.write_text(content)
    assert run.invoke(app, ["validate", str(file)]).exit_code == code


def test_status_of_an_outbox_that_never_was(tmp_path: Path) -> None:
    result = run.invoke(app, ["outbox", "status", "--path", str(tmp_path / "none")])
    assert result.exit_code == 0
    assert "no outbox yet" in result.output
    assert list(tmp_path.iterdir()) == []


def test_status_and_list_need_no_key_and_show_no_content(tmp_path: Path) -> None:
    path = outbox_with(tmp_path / "outbox", "https://api.example", refused=True)
    status = json.loads(run.invoke(app, ["outbox", "status", "--json", "--path", str(path)]).stdout)
    assert (status["accepted"], status["refused"]) == (1, 1)
    listed = run.invoke(app, ["outbox", "list", "--json", "--path", str(path)]).stdout
    assert json.loads(listed)[0]["detail"] == "422 said the API"
    assert "phone_call" not in listed


def test_drain_sends_what_an_earlier_process_left(tmp_path: Path) -> None:
    with ScriptedTuner(503) as tuner:
        path = outbox_with(tmp_path / "outbox", tuner.base_url)
        environment = {
            "TUNER_API_KEY": "k",
            "TUNER_WORKSPACE_ID": "1",
            "TUNER_AGENT_ID": "agent",
            "TUNER_BASE_URL": tuner.base_url,
        }
        result = run.invoke(app, ["outbox", "drain", "--path", str(path)], env=environment)
    assert result.exit_code == 0, result.output
    assert "delivered 1 + pending 0" in result.output
    assert tuner.stored == {"c-81": 1}


def test_drain_says_when_something_is_left(tmp_path: Path) -> None:
    with ScriptedTuner(*[503] * 50) as tuner:
        path = outbox_with(tmp_path / "outbox", tuner.base_url)
        environment = {
            "TUNER_API_KEY": "k",
            "TUNER_WORKSPACE_ID": "1",
            "TUNER_AGENT_ID": "agent",
            "TUNER_BASE_URL": tuner.base_url,
        }
        result = run.invoke(
            app, ["outbox", "drain", "--path", str(path), "--deadline", "0.3"], env=environment
        )
    assert result.exit_code == 1
    assert "pending 1" in result.output


def test_drain_without_a_key_names_the_variable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TUNER_API_KEY", raising=False)
    path = outbox_with(tmp_path / "outbox", "https://api.example")
    result = run.invoke(app, ["outbox", "drain", "--path", str(path)])
    assert result.exit_code == 3
    assert "TUNER_API_KEY" in result.output


def test_retry_makes_refused_records_pending(tmp_path: Path) -> None:
    path = outbox_with(tmp_path / "outbox", "https://api.example", refused=True)
    assert "1 pending again" in run.invoke(app, ["outbox", "retry", "c-81", "--path", str(path)]).output
    status = json.loads(run.invoke(app, ["outbox", "status", "--json", "--path", str(path)]).stdout)
    assert (status["pending"], status["refused"]) == (1, 0)


def test_local_and_version_are_there() -> None:
    assert "local" in run.invoke(app, ["--help"]).output
    assert run.invoke(app, ["--version"]).output.startswith("tuner-core ")
