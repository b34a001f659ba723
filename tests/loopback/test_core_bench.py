"""What the bench says of the core: the event loop pays less than a millisecond, and what is absent is said."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tuner_core.testing import UnreliableTuner

ROOT = Path(__file__).resolve().parents[2]
WORKERS = ROOT / "bench" / "core" / "workers"
SIZES = {"prefix": "bench", "turns": 60, "long_turns": 120, "told": 1, "calls": 12, "many": 12, "left": 12}


def said(task: str, url: str, outbox: Path) -> dict[str, Any]:
    asked = json.dumps({"url": url, "outbox": str(outbox), **SIZES})
    command = [sys.executable, str(WORKERS / "ours.py"), task, asked]
    return json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


def test_checkpoints_and_hand_overs_cost_the_event_loop_less_than_a_millisecond(tmp_path: Path) -> None:
    with UnreliableTuner() as tuner:
        figures = said("loop", tuner.base_url, tmp_path / "outbox")
    for name in ("told_cpu_s", "step_cpu_s"):
        costs = sorted(figures[name])
        assert costs[len(costs) * 9 // 10] < 0.001, name
    assert len(figures["durable_s"]) == SIZES["calls"]


def test_what_one_process_leaves_the_next_one_drains(tmp_path: Path) -> None:
    with UnreliableTuner() as tuner:
        assert said("store", tuner.base_url, tmp_path / "outbox") == {"stored": SIZES["left"]}
        assert said("drain", tuner.base_url, tmp_path / "outbox")["delivered"] == SIZES["left"]
        assert len(tuner.calls) == SIZES["left"]


def test_without_the_published_package_the_table_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(ROOT))
    from bench.core.figures import figures_of, notes_of
    from bench.core.run import Measured, Samples, Sizes
    from bench.core.table import cells

    one = {"cpu_ms": 2.0, "peak_mb": 10.0}
    built = dict.fromkeys(
        ("apply_ms", "record_ms", "conform_ms", "redact_ms", "peak_mb", "redact_peak_mb", "body_kb"), 5.0
    )
    waits = ("told_s", "step_s", "durable_s", "disk_s", "delivered_s", "long_late_s")
    looped = {name: [0.002, 0.004] for name in waits}
    looped |= {"told_cpu_s": [0.0001], "step_cpu_s": [0.003]}
    rate = {"delivered": 10, "took_s": 2.0, "cpu_s": 0.1}
    tasks = {"import": one, "ready": one, "build": built, "loop": looped, "many": rate, "drain": rate}
    ours = Samples({task: [document] for task, document in tasks.items()})
    absent = "not installed: no network"
    measured = Measured(ours, Samples(absent=absent), Sizes(), rounds=1, others=0.0)
    figures = figures_of(measured)
    shown = {figure.key: cells(figure) for figure in figures}
    assert shown["import_ms"] == ("2.00 ms", "-", "")
    assert absent in notes_of(measured)[0]
    assert shown["durable_p99_ms"] == ("4.00 ms", "has no outbox", "")
    assert shown["drain_per_s"][0] == "5.00 records/s"
    assert shown["hand_over_cpu_p99_ms"][0] == "3.00 ms ≥ 1"
    assert [figure.key for figure in figures if not figure.holds] == [
        "hand_over_cpu_p50_ms",
        "hand_over_cpu_p99_ms",
    ]
