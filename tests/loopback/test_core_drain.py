"""A backlog goes out at the pace of the API, not at that of its worst record."""

from __future__ import annotations

import json
import time
from pathlib import Path

from tuner_core.config import TunerConfig
from tuner_core.delivery import Delivery
from tuner_core.outbox import Destination, Outbox
from tuner_core.testing import UnreliableTuner


def backlog(outbox: Path, base_url: str, count: int) -> None:
    box = Outbox(outbox)
    to = Destination(base_url, 1, "a")
    for number in range(count):
        call_id = f"c-{number}"
        box.put(to, call_id, json.dumps({"call_id": call_id}).encode(), now=time.time())
    box.close()


def test_an_api_that_fails_now_and_then_does_not_stop_a_drain(tmp_path: Path):
    outbox = tmp_path / "outbox.sqlite3"
    with UnreliableTuner("503:0.25,reset:0.05", seed=3) as tuner:
        backlog(outbox, tuner.base_url, 100)
        config = TunerConfig(
            api_key="k", workspace_id=1, agent_id="a", base_url=tuner.base_url, outbox=outbox
        )
        with Delivery(config) as delivery:
            status = delivery.drain_sync(deadline_s=12.0)
    assert status is not None
    assert (status.delivered, status.pending) == (100, 0)
    assert len(tuner.calls) == 100
