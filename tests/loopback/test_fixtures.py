"""The pytest fixtures that tuner-core gives to its users, in a pytest of their own."""

import subprocess
import sys
from pathlib import Path

import pytest

from tuner_core import TunerClient, TunerConfig
from tuner_core.errors import RateLimited
from tuner_core.testing import HALF, LocalTuner, ScriptedTuner

RECORD = {"call_id": "c-81", "start_timestamp": 1_760_000_000, "end_timestamp": 1_760_000_042}


def test_an_agent_under_test_posts_to_the_local_tuner(local_tuner: LocalTuner, tmp_path: Path) -> None:
    assert TunerConfig().outbox_path == tmp_path / "outbox.sqlite3"
    with TunerClient() as client:
        assert client.create_call(RECORD).is_new
    (row,) = local_tuner.wait_for_calls(1)
    assert (row.call.call_id, row.call.agent) == ("c-81", "test-agent")
    local_tuner.clear()
    assert local_tuner.calls() == []


@pytest.mark.local_tuner(agents=["frontdesk"], faults="429=0:1", seed=1)
def test_a_marker_sets_up_the_local_tuner(local_tuner: LocalTuner) -> None:
    from tuner_core.http import RetryPolicy

    with TunerClient(retry=RetryPolicy(max_attempts=2, base_s=0)) as client, pytest.raises(RateLimited):
        client.create_call(RECORD)
    assert [(post.verdict, post.fault, post.agent) for post in local_tuner.posts()] == [
        ("fault", "429", "frontdesk")
    ] * 2


def test_waiting_for_a_call_that_was_refused_says_why(local_tuner: LocalTuner) -> None:
    import httpx

    url = f"{local_tuner.base_url}/api/v1/public/call?workspace_id=1&agent_remote_identifier=a"
    httpx.post(url, json=RECORD, headers={"Authorization": f"Bearer {local_tuner.api_key}"})
    with pytest.raises(TimeoutError, match=r"0 of 1 calls .* refused: call_type: Field required"):
        local_tuner.wait_for_calls(1, timeout_s=0.05)


@pytest.mark.scripted_tuner(503, HALF)
def test_a_marker_is_the_script(scripted_tuner: ScriptedTuner) -> None:
    from tuner_core.http import RetryPolicy

    with TunerClient(retry=RetryPolicy(base_s=0)) as client:
        client.create_call(RECORD)
    assert scripted_tuner.stored == {"c-81": 1}
    assert len(scripted_tuner.received) == 3


def test_they_work_where_only_the_plugin_is_named(tmp_path: Path) -> None:
    (tmp_path / "conftest.py").write_text('pytest_plugins = ["tuner_core.testing.fixtures"]\n')
    (tmp_path / "test_mine.py").write_text(
        "import os\n\n"
        "def test_mine(local_tuner):\n"
        "    assert os.environ['TUNER_BASE_URL'] == local_tuner.base_url\n"
    )
    run = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--strict-markers", str(tmp_path)]
    ended = subprocess.run(run, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == 0, ended.stdout + ended.stderr


def test_without_the_plugin_nothing_of_it_is_loaded() -> None:
    code = "import sys, tuner_core.testing; print('pytest' in sys.modules, 'starlette' in sys.modules)"
    assert subprocess.check_output([sys.executable, "-c", code], text=True) == "False False\n"
