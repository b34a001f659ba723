"""Many calls that end at one moment are on disk soon: one commit takes them together."""

from __future__ import annotations

import sqlite3
import struct
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tuner_core.config import TunerConfig
from tuner_core.delivery import Delivery
from tuner_core.outbox import Outbox
from tuner_core.testing import HANG, ScriptedTuner

CALLS = 40


def commits(outbox: Path) -> int:
    """How many commits the write-ahead log holds: frames that give the size of the database (SQLite, WAL format)."""
    log = outbox.with_name(outbox.name + "-wal").read_bytes()
    page_size, salt = struct.unpack_from(">8xI4x8s", log)
    frames = [struct.unpack_from(">4xI8s", log, at) for at in range(32, len(log) - 23, 24 + page_size)]
    return sum(1 for size, frame_salt in frames if size and frame_salt == salt)


def record(call_id: str) -> dict[str, Any]:
    return {
        "call_id": call_id,
        "call_type": "phone_call",
        "start_timestamp": 1_790_000_000,
        "end_timestamp": 1_790_000_042,
        "transcript_with_tool_calls": [{"role": "agent", "text": "Hello!", "start_ms": 600, "end_ms": 1400}],
    }


@pytest.fixture
def outbox(tmp_path: Path) -> Path:
    return tmp_path / "outbox.sqlite3"


@contextmanager
def delivery_to_nowhere(outbox: Path) -> Iterator[Delivery]:
    """A delivery whose tries hang, so that nothing but hand-overs is written."""
    with ScriptedTuner(*[HANG] * (CALLS + 1)) as tuner:
        config = TunerConfig(
            api_key="k", workspace_id=1, agent_id="a", base_url=tuner.base_url, outbox=outbox
        )
        delivery = Delivery(config)
        delivery.deliver_sync(record("first"), deadline_s=0)
        yield delivery
        delivery.close(deadline_s=0)


def handed_over_at_once(delivery: Delivery, outbox: Path, records: list[dict[str, Any]]) -> list[str]:
    """Hand over from many threads while another process writes, so that all wait for the disk together."""
    other = sqlite3.connect(outbox, isolation_level=None, check_same_thread=False)
    other.execute("BEGIN IMMEDIATE")
    with ThreadPoolExecutor(len(records) + 1) as threads:
        told = [threads.submit(delivery.deliver_sync, one, deadline_s=0) for one in records]
        threading.Timer(0.2, other.execute, ["ROLLBACK"]).start()
        outcomes = [future.result() for future in told]
    other.close()
    return [f"{outcome.state}: {outcome.detail}" for outcome in outcomes]


def test_a_burst_of_calls_costs_a_few_commits(outbox: Path):
    with delivery_to_nowhere(outbox) as delivery:
        before = commits(outbox)
        told = handed_over_at_once(delivery, outbox, [record(f"c-{number}") for number in range(CALLS)])
        assert set(told) == {"pending: stored on disk, not delivered yet"}
        assert commits(outbox) - before <= CALLS // 4
    assert accepted(outbox) == CALLS + 1


def test_a_record_that_is_none_is_refused_alone(outbox: Path):
    records = [record(f"c-{number}") for number in range(8)]
    records[4] = {"call_type": "phone_call"}
    with delivery_to_nowhere(outbox) as delivery:
        told = handed_over_at_once(delivery, outbox, records)
    assert [one.partition(":")[0] for one in told] == ["pending"] * 4 + ["refused"] + ["pending"] * 3
    assert accepted(outbox) == 8


def test_the_same_call_twice_in_a_burst_is_one_record(outbox: Path):
    with delivery_to_nowhere(outbox) as delivery:
        told = handed_over_at_once(delivery, outbox, [record("c-1")] * 6)
    assert set(told) == {"pending: stored on disk, not delivered yet"}
    assert accepted(outbox) == 2


def accepted(outbox: Path) -> int:
    box = Outbox(outbox)
    try:
        return box.status().accepted
    finally:
        box.close()
