"""The plugin in LiveKit's own job process: what is left when that process has gone."""

from __future__ import annotations

import asyncio
import os
import socket
import sys
from pathlib import Path
from typing import Any

from tuner_core.config import TunerConfig
from tuner_core.delivery import Delivery
from tuner_core.testing import LocalTuner

SCRIPT = Path(__file__).with_name("job_process.py")


def _records(tuner: LocalTuner) -> list[dict[str, Any]]:
    return [tuner.record(overview.call) for overview in tuner.calls()]


async def _run(ending: str, **settings: str) -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable, str(SCRIPT), ending, env={**os.environ, **settings}, stderr=asyncio.subprocess.PIPE
    )
    try:
        _, errors = await asyncio.wait_for(process.communicate(), 90)
    except TimeoutError:
        process.kill()
        await process.wait()
        raise
    assert process.returncode == 0, errors.decode()


async def test_the_record_of_a_crashed_job_is_delivered_before_its_process_ends(local_tuner: LocalTuner):
    await _run("crash")
    (record,) = _records(local_tuner)
    assert (record["call_id"], record["sip_call_id"]) == ("job-crash", "2jf9wCCXfwgxKkTOfLcEsA5LD6f")
    assert (record["disconnection_reason"], record["call_status"]) == ("error", "error")


async def test_a_neighbours_failing_callback_and_a_silent_tuner_cost_nothing(tmp_path: Path):
    outbox = tmp_path / "outbox.sqlite3"
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        await _run(
            "neighbour",
            TUNER_API_KEY="key",
            TUNER_WORKSPACE_ID="1",
            TUNER_AGENT_ID="desk",
            TUNER_BASE_URL=f"http://127.0.0.1:{port}",
            TUNER_OUTBOX=str(outbox),
        )
    with LocalTuner(api_key="key", port=port) as tuner:
        config = TunerConfig(
            api_key="key", workspace_id=1, agent_id="desk", base_url=tuner.base_url, outbox=outbox
        )
        async with Delivery(config) as delivery:
            status = await delivery.drain(deadline_s=20.0)
        (record,) = _records(tuner)
    assert record["call_id"] == "job-neighbour"
    assert status is not None
