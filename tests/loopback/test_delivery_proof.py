"""Delivery loses nothing: an unreliable API, and the processes that send are killed at random."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
FAULTS = {"408", "429", "500", "503", "reset", "take-and-reset", "hang", "slow", "half"}
ANSWERS = {"200", "201", "409"}


def proof(*, records: int, kills: int, seed: int) -> dict[str, Any]:
    """Run it in a process of its own, as `python -m bench.core.proof` does, and give its figures."""
    sizes = [f"--records={records}", f"--kills={kills}", f"--seed={seed}", "--calm=0"]
    run = subprocess.run(
        [sys.executable, "-m", "bench.core.proof", "--json", *sizes],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.stdout, run.stderr
    return json.loads(run.stdout)


def assert_nothing_is_lost(figures: dict[str, Any], *, records: int, kills: int) -> None:
    assert figures["records"] == records
    assert figures["kills"] >= kills
    assert (figures["lost"], figures["left"], figures["refused"]) == (0, 0, 0)
    assert (figures["stored_twice"], figures["sent_at_once"]) == (0, 0)
    assert (figures["altered"], figures["overwritten"]) == (0, 0)
    assert figures["breaches"] == []
    assert figures["checks"] > kills
    assert set(figures["answers"]) == FAULTS | ANSWERS, "something of the mix never happened"
    assert figures["cut_short"] > 0, "no process was killed in the middle of a call"
    assert figures["holds"]


def test_hundreds_of_records_and_a_few_kills():
    assert_nothing_is_lost(proof(records=400, kills=20, seed=2), records=400, kills=20)


@pytest.mark.proof
@pytest.mark.timeout(1200)
def test_ten_thousand_records_and_two_hundred_kills(capsys: pytest.CaptureFixture[str]):
    figures = proof(records=10_000, kills=200, seed=1)
    with capsys.disabled():
        sys.stdout.write(f"\n{json.dumps(figures, indent=2)}\n")
    assert_nothing_is_lost(figures, records=10_000, kills=200)
