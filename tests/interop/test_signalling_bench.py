"""What the bench says of signalling: every call of ours and of SIPp's comes to its end, and failures are told."""

from __future__ import annotations

from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(autouse=True)
def bench_is_importable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(ROOT))


def test_calls_of_both_stand_and_are_hung_up(tmp_path: Path) -> None:
    from bench.peers import sipp
    from bench.signalling.run import Sizes, Work

    work = Work(sipp()[0], tmp_path, Sizes(held=30, paced=10))
    ours, peer = work.ours("held"), work.peers("paced")
    assert (ours["stood"], ours["failed"]) == (30, 0)
    assert ours["hang_up_s"] > 0
    assert (peer["cycles"], len(peer["set_up_s"]), peer["failed"]) == (10, 10, 0)


def test_the_table_puts_ours_beside_sipp_and_tells_failures() -> None:
    from bench.core.run import Samples
    from bench.core.table import cells
    from bench.signalling.figures import figures_of, notes_of
    from bench.signalling.run import Measured, Sizes

    fast = {"cycles": 100, "cpu_s": 0.2, "failed": 1}
    paced = {"set_up_s": [0.001, 0.002, 0.009], "failed": 0}
    held = {"call_octets": 20000.0, "hang_up_s": 1.5, "hang_up_cpu_s": 1.0, "failed": 3}
    ours = Samples({"fast": [fast], "paced": [paced], "held": [held]})
    peer = Samples({"fast": [{**fast, "cpu_s": 0.02}], "paced": [paced], "held": [held]})
    measured = Measured(ours, peer, "3.6.1", Sizes(), rounds=1, others=0.5)
    shown = {figure.key: cells(figure) for figure in figures_of(measured)}
    assert shown["cycles_per_core"] == ("500 cycles/s", "5,000 cycles/s", "0.100")
    assert shown["set_up_p99_ms"][0] == "9.00 ms"
    assert shown["hang_up_s"] == ("1.50 s", "ends calls one by one", "")
    assert shown["held_failed"][0] == "3.00 calls"
    assert "50%" in notes_of(measured)[-1]
