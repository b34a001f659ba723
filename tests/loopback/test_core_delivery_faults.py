"""A disk that is full, locked or cannot be written: the call is delivered all the same, with one warning."""

import logging
import os
import sqlite3
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tuner_core.config import TunerConfig
from tuner_core.delivery import Delivery, boxes, courier
from tuner_core.events import CallStarted, UserTurn
from tuner_core.http import RetryPolicy
from tuner_core.outbox import Outbox, opening
from tuner_core.outbox.bounds import Bounds
from tuner_core.outbox.parcels import Destination
from tuner_core.outbox.schema import SCHEMA_VERSION
from tuner_core.records import CallRecord, Segment
from tuner_core.repair import conform
from tuner_core.testing import HANG, ScriptedTuner

QUICK = RetryPolicy(max_attempts=6, base_s=0.01, cap_s=0.05)
T0 = 1_790_000_000.0


def record(call_id: str) -> CallRecord:
    rows = [Segment.user("swordfish", start_ms=0, end_ms=900)]
    return CallRecord(
        call_id=call_id,
        call_type="phone_call",
        start_timestamp=T0,
        end_timestamp=T0 + 1,
        transcript_with_tool_calls=rows,
    )


def delivery_to(tuner: ScriptedTuner, path: Path) -> Delivery:
    config = TunerConfig(api_key="k", workspace_id=1, agent_id="a", base_url=tuner.base_url, outbox=path)
    return Delivery(config, retry=QUICK, timeout_s=5.0)


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [entry.getMessage() for entry in caplog.records if entry.levelno >= logging.WARNING]


@pytest.fixture
def tuner() -> Iterator[ScriptedTuner]:
    with ScriptedTuner() as running:
        yield running


@pytest.fixture
def outbox(tmp_path: Path) -> Path:
    return tmp_path / "outbox.sqlite3"


@pytest.fixture
def _quick_repairs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(boxes, "_DISK_AGAIN_S", 0.2)
    monkeypatch.setattr(opening, "_BUSY_TIMEOUT_S", 0.2)


FULL_DISK = """
    import logging, resource, sys, time
    from pathlib import Path
    from tuner_core.delivery import Delivery, boxes
    from tuner_core.events import CallStarted, UserTurn

    logging.basicConfig(format="%(levelname)s %(message)s", stream=sys.stdout)
    boxes._DISK_AGAIN_S = 0.2
    delivery = Delivery(timeout_s=30.0)

    def record(n):
        row = {"role": "user", "text": "x" * 50_000, "start_ms": 0, "end_ms": 900}
        times = {"start_timestamp": 1_790_000_000, "end_timestamp": 1_790_000_001}
        return {"call_id": f"c-{n}", **times, "transcript_with_tool_calls": [row]}

    def limit(size):
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))

    delivery.checkpoint("running", [CallStarted(1_790_000_000.0)])
    limit(300_000)                        # no file of this process may grow beyond it, also for root
    for n in range(12):
        print(delivery.deliver_sync(record(n), deadline_s=0))
    for n in range(20):
        delivery.checkpoint("running", [UserTurn("x" * 20_000, 1_790_000_000.0 + n, 1_790_000_001.0 + n)])
    time.sleep(0.5)
    limit(resource.RLIM_INFINITY)
    delivery.close(deadline_s=0.5)        # stops the tries: what memory holds goes to the disk
"""


def test_a_full_disk_harms_no_call_and_what_memory_took_is_stored_when_there_is_room(outbox: Path) -> None:
    with ScriptedTuner(*[HANG] * 100) as hanging:
        environment = {
            **os.environ,
            "TUNER_API_KEY": "k",
            "TUNER_WORKSPACE_ID": "1",
            "TUNER_AGENT_ID": "a",
            "TUNER_BASE_URL": hanging.base_url,
            "TUNER_OUTBOX": str(outbox),
        }
        command = [sys.executable, "-c", textwrap.dedent(FULL_DISK)]
        ran = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)
    assert (ran.returncode, ran.stderr) == (0, "")
    assert ran.stdout.count("state='pending'") == 12
    assert "stored on disk" in ran.stdout
    assert "not on disk" in ran.stdout
    assert len([line for line in ran.stdout.splitlines() if line.startswith("WARNING")]) == 1, ran.stdout
    box = Outbox(outbox)
    status = box.status()
    assert (status.accepted, status.pending, status.open_calls) == (12, 12, 1)
    [running] = box.calls.listed(now=time.time())
    assert box.calls.length(running.to, "running") == 21
    box.close()


@pytest.mark.usefixtures("_quick_repairs")
async def test_an_outbox_locked_by_another_program_delays_nothing_but_durability(
    outbox: Path, tuner: ScriptedTuner, caplog: pytest.LogCaptureFixture
) -> None:
    delivery = delivery_to(tuner, outbox)
    await delivery.deliver(record("before"))
    other = sqlite3.connect(outbox, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    for n in range(3):
        assert (await delivery.deliver(record(f"meanwhile {n}"))).state == "delivered"
    delivery.checkpoint("running", [CallStarted(T0), UserTurn("Hi.", T0, T0 + 1)])
    assert len([text for text in warnings(caplog) if "in memory only" in text]) == 1
    other.execute("COMMIT")
    other.close()
    assert (await delivery.deliver(record("after"))).state == "delivered"
    await delivery.aclose()
    box = Outbox(outbox)
    assert (box.status().accepted, box.status().delivered, box.status().open_calls) == (5, 5, 1)
    box.close()
    assert len(tuner.received) == 5


@pytest.mark.usefixtures("_quick_repairs")
async def test_an_outbox_that_can_be_opened_later_is_used_then(
    tmp_path: Path, tuner: ScriptedTuner, caplog: pytest.LogCaptureFixture
) -> None:
    place = tmp_path / "place"
    place.write_text("in the way")
    delivery = delivery_to(tuner, place / "outbox")
    assert (await delivery.deliver(record("early"))).state == "delivered"
    delivery.checkpoint("running", [CallStarted(T0)])
    assert len(warnings(caplog)) == 1
    place.unlink()
    await delivery.aclose()
    box = Outbox(place / "outbox")
    assert (box.status().accepted, box.status().delivered, box.status().open_calls) == (1, 1, 1)
    box.close()


@pytest.mark.parametrize("place", ["/proc/tuner", "/dev/null", "/sys/kernel/tuner"])
async def test_a_place_where_nobody_can_write_costs_durability_only(
    place: str, tuner: ScriptedTuner, caplog: pytest.LogCaptureFixture
) -> None:
    delivery = delivery_to(tuner, Path(place) / "outbox.sqlite3")
    for n in range(3):
        delivery.checkpoint(f"c-{n}", [CallStarted(T0)])
        assert (await delivery.deliver(record(f"c-{n}"))).state == "delivered"
    await delivery.aclose()
    assert len(warnings(caplog)) == 1
    assert "in memory only" in warnings(caplog)[0]


async def test_a_file_of_a_later_version_is_left_alone_with_one_warning(
    outbox: Path, tuner: ScriptedTuner, caplog: pytest.LogCaptureFixture
) -> None:
    Outbox(outbox).close()
    with sqlite3.connect(outbox) as db:
        db.execute(f"PRAGMA user_version = {SCHEMA_VERSION + 1}")
    db.close()
    delivery = delivery_to(tuner, outbox)
    assert (await delivery.deliver(record("c-1"))).state == "delivered"
    await delivery.aclose()
    [warning] = warnings(caplog)
    assert "update tuner-core" in warning


def test_damage_under_a_running_delivery_loses_no_call(outbox: Path) -> None:
    with ScriptedTuner(*[503] * 8) as tuner:
        delivery = delivery_to(tuner, outbox)
        delivery.deliver_sync(record("before"), deadline_s=0)
        with outbox.open("r+b") as file:
            file.write(os.urandom(4096))
        outbox.with_name(outbox.name + "-wal").unlink()
        for n in range(4):
            assert delivery.deliver_sync(record(f"after {n}"), deadline_s=10).state == "delivered"
        delivery.drain_sync(deadline_s=10)
        delivery.close()
    assert sorted(tuner.stored) == ["after 0", "after 1", "after 2", "after 3", "before"]
    assert set(tuner.stored.values()) == {1}


def test_an_outbox_deleted_under_a_running_delivery_loses_no_call(outbox: Path, tuner: ScriptedTuner) -> None:
    delivery = delivery_to(tuner, outbox)
    delivery.deliver_sync(record("before"))
    outbox.unlink()
    delivery.deliver_sync(record("after"))
    delivery.close()
    box = Outbox(outbox)
    assert (box.status().accepted, box.status().delivered) == (2, 2)
    box.close()


def test_what_waits_is_sent_after_a_fault_that_nobody_foresaw(
    outbox: Path, tuner: ScriptedTuner, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    config = TunerConfig(api_key="k", workspace_id=1, agent_id="a", base_url=tuner.base_url, outbox=outbox)
    left = Outbox(outbox)
    left.put(Destination(tuner.base_url, 1, "a"), "left", conform(record("left")).body(), now=time.time())
    left.close()
    faults = [ZeroDivisionError("swordfish")]
    recover = boxes.Boxes.recover

    def fail_once(self: boxes.Boxes) -> None:
        if faults:
            raise faults.pop()
        recover(self)

    monkeypatch.setattr(boxes.Boxes, "recover", fail_once)
    monkeypatch.setattr(courier, "_BEGIN_AGAIN_S", 0.05)
    with Delivery(config, retry=QUICK) as delivery:
        assert tuner.wait_for_requests(1)
        delivery.drain_sync(deadline_s=5)
    assert tuner.stored == {"left": 1}
    [error] = warnings(caplog)
    assert "begins again" in error
    assert "swordfish" not in error


UNPRIVILEGED = """
    import logging, os, sys
    from pathlib import Path
    from tuner_core.delivery import Delivery

    place = Path(sys.argv[1])
    logging.basicConfig(format="%(levelname)s %(message)s", stream=sys.stdout)
    times = {"start_timestamp": 1_790_000_000, "end_timestamp": 1_790_000_001}
    os.environ["TUNER_OUTBOX"] = str(place / "outbox")
    with Delivery() as delivery:          # what is imported late may be out of reach afterwards
        delivery.deliver_sync({"call_id": "before", **times})
    (place / "outbox").chmod(0o444)
    place.chmod(0o555)
    if os.getuid() == 0:                  # root may write everywhere
        for parent in (place, *place.parents)[:4]:
            parent.chmod(parent.stat().st_mode | 0o555)
        os.setuid(65534)
    for name in ("outbox", "another"):
        os.environ["TUNER_OUTBOX"] = str(place / name)
        with Delivery() as delivery:
            for n in range(3):
                print(delivery.deliver_sync({"call_id": f"{name} {n}", **times}).state)
"""


def test_a_read_only_file_or_directory_costs_one_warning_and_no_call(
    tmp_path: Path, tuner: ScriptedTuner
) -> None:
    environment = {
        **os.environ,
        "TUNER_API_KEY": "k",
        "TUNER_WORKSPACE_ID": "1",
        "TUNER_AGENT_ID": "a",
        "TUNER_BASE_URL": tuner.base_url,
    }
    place = tmp_path / "place"
    place.mkdir()
    command = [sys.executable, "-c", textwrap.dedent(UNPRIVILEGED), str(place)]
    ran = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)
    place.chmod(0o755)
    assert (ran.returncode, ran.stderr) == (0, "")
    said = ran.stdout.splitlines()
    assert said.count("delivered") == 6
    warned = [line for line in said if line.startswith("WARNING")]
    assert len(warned) == 2
    assert all("in memory only" in line and "must be able to write" in line for line in warned), warned
    assert set(tuner.stored.values()) == {1}


def test_memory_holds_little_and_says_what_it_had_to_drop(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(boxes, "_MOST_IN_MEMORY", Bounds(records=2))
    (tmp_path / "in the way").touch()
    to, wide = Destination("http://127.0.0.1:1", 1, "a"), Bounds()
    kept = boxes.Boxes(tmp_path / "in the way" / "outbox", to, bounds=wide, options={})
    for n in range(4):
        box, _ = kept.store(conform(record(f"c-{n}")))
        for parcel in box.claim(to.base_url, to.workspace_id, now=time.time() + 61, limit=1):
            box.postpone(parcel, until=0, detail="")
    assert (kept.status().pending, kept.status().dropped) == (2, 2)
    assert "outbox in memory keeps 2 calls" in warnings(caplog)[-1]
    kept.close()
