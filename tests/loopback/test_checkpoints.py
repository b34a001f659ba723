"""Checkpoints of running calls, with real processes that are killed in the middle of one."""

import os
import signal
import statistics
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tuner_core.config import TunerConfig
from tuner_core.delivery import Delivery
from tuner_core.events import CallEnded, CallStarted, ToolCalled, UserTurn
from tuner_core.http import RetryPolicy
from tuner_core.identity.model import SipIdentity
from tuner_core.outbox import Outbox
from tuner_core.outbox.parcels import Destination
from tuner_core.redaction import Redaction
from tuner_core.testing import ScriptedTuner
from tuner_core.timeline import CallTimeline

T0 = 1_790_000_000.0
QUICK = RetryPolicy(max_attempts=6, base_s=0.01, cap_s=0.05)
IDENTITY = SipIdentity(sip_call_id="3mCpYwe7pQkTlUdhVJnyMIBP9q4", correlation_id="0a" * 16, provider="sip")

AGENT = """
    import sys, time
    from tuner_core.delivery import Delivery
    from tuner_core.events import AgentTurn, CallStarted, ToolCalled, UserTurn
    from tuner_core.identity.model import SipIdentity
    from tuner_core.timeline import CallTimeline

    delivery = Delivery()
    call = CallTimeline(call_id="killed", journal=delivery)
    delivery.checkpoint("killed", identity=SipIdentity(sip_call_id="3mCpYwe7pQkTlUdhVJnyMIBP9q4", provider="sip"))
    delivery.checkpoint("killed", call_cost=12.5, user_sentiment="negative", in_voicemail=False)
    delivery.checkpoint("killed", call_analysis={"intent": "refund"}, collected_dynamic_variables={"order": 17})
    call.apply(CallStarted(1_790_000_000.0))
    call.apply(AgentTurn("Hello!", 1_790_000_000.6, 1_790_000_001.4))
    call.apply(UserTurn("A refund, please.", 1_790_000_002.0, 1_790_000_003.0, id="u1"))
    call.apply(ToolCalled(1_790_000_003.5, "t1", "refund", {"order": 17}))
    END
"""


def environment(outbox: Path, base_url: str) -> dict[str, str]:
    return {
        **os.environ,
        "TUNER_API_KEY": "tr_api_k",
        "TUNER_WORKSPACE_ID": "1",
        "TUNER_AGENT_ID": "a",
        "TUNER_BASE_URL": base_url,
        "TUNER_OUTBOX": str(outbox),
    }


def run_agent(end: str, outbox: Path, base_url: str) -> subprocess.Popen[bytes]:
    script = textwrap.dedent(AGENT).replace("END", end)
    return subprocess.Popen([sys.executable, "-c", script], env=environment(outbox, base_url))


def events_in(outbox: Path) -> int:
    if not outbox.exists():
        return 0
    box = Outbox(outbox)
    try:
        return sum(box.calls.length(call.to, call.call_id) for call in box.calls.listed(now=time.time()))
    finally:
        box.close()


def wait_until(holds: Any, within_s: float = 10.0) -> None:
    give_up_at = time.monotonic() + within_s
    while not holds():
        assert time.monotonic() < give_up_at
        time.sleep(0.02)


def kill_mid_call(outbox: Path, base_url: str) -> None:
    agent = run_agent("time.sleep(60)", outbox, base_url)
    wait_until(lambda: events_in(outbox) == 4)
    agent.send_signal(signal.SIGKILL)
    agent.wait()


def config(outbox: Path, base_url: str) -> TunerConfig:
    return TunerConfig(api_key="tr_api_k", workspace_id=1, agent_id="a", base_url=base_url, outbox=outbox)


@pytest.fixture
def outbox(tmp_path: Path) -> Path:
    return tmp_path / "outbox.sqlite3"


@pytest.fixture
def tuner() -> Iterator[ScriptedTuner]:
    with ScriptedTuner() as running:
        yield running


def assert_cut_short(tuner: ScriptedTuner) -> None:
    assert tuner.stored == {"killed": 1}
    [received] = tuner.received
    body = received.body
    rows = body["transcript_with_tool_calls"]
    assert [(row["role"], row.get("text")) for row in rows] == [
        ("agent", "Hello!"),
        ("user", "A refund, please."),
        ("agent_function", None),
    ]
    assert rows[2]["tool"]["params"] == {"order": 17}
    assert (body["start_timestamp"], body["sip_call_id"]) == (1_790_000_000_000, IDENTITY.sip_call_id)
    assert (body["call_status"], body["disconnection_reason"]) == ("error", "error")
    assert (body["call_cost"], body["user_sentiment"], body["in_voicemail"]) == (12.5, "negative", False)
    assert body["call_analysis"] == {"intent": "refund"}
    assert body["collected_dynamic_variables"] == {"order": 17}
    notes = body["general_meta_data_raw"]["tuner_sdk"]
    assert notes["cut_short"] is True
    assert "process ended" in notes["recovered"]


def test_the_next_start_delivers_a_call_whose_process_was_killed(outbox: Path, tuner: ScriptedTuner) -> None:
    kill_mid_call(outbox, tuner.base_url)
    with Delivery(config(outbox, tuner.base_url)) as delivery:
        status = delivery.drain_sync(deadline_s=10)
    assert status is not None
    assert (status.accepted, status.delivered, status.open_calls) == (1, 1, 0)
    assert_cut_short(tuner)


def test_the_drain_command_delivers_a_call_whose_process_was_killed(
    outbox: Path, tuner: ScriptedTuner
) -> None:
    kill_mid_call(outbox, tuner.base_url)
    command = [str(Path(sys.executable).with_name("tuner")), "outbox", "drain"]
    drained = subprocess.run(command, env=environment(outbox, tuner.base_url), capture_output=True, text=True)
    assert drained.returncode == 0, drained.stderr
    assert_cut_short(tuner)


def test_a_process_that_forgets_to_deliver_and_ends_in_order_still_yields_its_record(
    outbox: Path, tuner: ScriptedTuner
) -> None:
    assert run_agent("", outbox, tuner.base_url).wait(timeout=20) == 0
    with Delivery(config(outbox, tuner.base_url)) as delivery:
        delivery.drain_sync(deadline_s=10)
    assert_cut_short(tuner)


def test_processes_that_start_together_deliver_a_killed_call_once(outbox: Path, tuner: ScriptedTuner) -> None:
    kill_mid_call(outbox, tuner.base_url)
    command = [str(Path(sys.executable).with_name("tuner")), "outbox", "drain"]
    drains = [subprocess.Popen(command, env=environment(outbox, tuner.base_url)) for _ in range(3)]
    assert [drain.wait(timeout=30) for drain in drains] == [0, 0, 0]
    assert_cut_short(tuner)


def test_the_delivered_record_ends_the_checkpoints(outbox: Path, tuner: ScriptedTuner) -> None:
    delivery = Delivery(config(outbox, tuner.base_url), retry=QUICK)
    call = CallTimeline(call_id="whole", journal=delivery)
    for event in (CallStarted(T0), UserTurn("Hi.", T0, T0 + 1), CallEnded(T0 + 2, "user_hangup")):
        call.apply(event)
    assert delivery.deliver_sync(call.record()).state == "delivered"
    call.apply(UserTurn("late", T0, T0 + 1))
    delivery.close()
    box = Outbox(outbox)
    assert (box.status().accepted, box.status().delivered, box.status().open_calls) == (1, 1, 0)
    assert box.calls.length(Destination(tuner.base_url, 1, "a"), "whole") == 0
    box.close()


def test_a_long_call_id_names_one_call_in_journal_and_record(outbox: Path, tuner: ScriptedTuner) -> None:
    with Delivery(config(outbox, tuner.base_url), retry=QUICK) as delivery:
        call = CallTimeline(call_id="x" * 300, journal=delivery)
        call.apply(CallStarted(T0))
        assert delivery.deliver_sync(call.record()).state == "delivered"
        status = delivery.drain_sync(deadline_s=5)
    assert status is not None
    assert (status.accepted, status.open_calls) == (1, 0)


def test_a_forked_child_notes_its_own_calls(outbox: Path, tuner: ScriptedTuner) -> None:
    delivery = Delivery(config(outbox, tuner.base_url), retry=QUICK)
    delivery.checkpoint("parent", [CallStarted(T0)])
    wait_until(lambda: events_in(outbox) == 1)
    child = os.fork()
    if child == 0:
        delivery.checkpoint("child", [CallStarted(T0), UserTurn("Hi.", T0, T0 + 1)])
        wait_until(lambda: events_in(outbox) == 3)
        os.kill(os.getpid(), signal.SIGKILL)
    os.waitpid(child, 0)
    status = delivery.drain_sync(deadline_s=10)
    assert status is not None
    assert (status.accepted, status.delivered, status.open_calls) == (1, 1, 1)
    assert tuner.stored == {"child": 1}
    delivery.close()


def test_a_checkpoint_never_raises_and_one_odd_value_stops_no_other(
    outbox: Path, tuner: ScriptedTuner, caplog: pytest.LogCaptureFixture
) -> None:
    odd: Any = object()
    with Delivery(config(outbox, tuner.base_url), retry=QUICK) as delivery:
        delivery.checkpoint(odd, [odd])
        delivery.checkpoint("", [CallStarted(T0)])
        delivery.checkpoint("c", odd)
        delivery.checkpoint("c", [odd, CallStarted(T0)], metadata=odd)
        delivery.drain_sync(deadline_s=5)
        assert events_in(outbox) == 1
    unwritable = Delivery(config(Path("/proc/nowhere/outbox"), tuner.base_url), retry=QUICK)
    unwritable.checkpoint("c", [CallStarted(T0)])
    unwritable.close()
    assert "Traceback" not in caplog.text


def test_neither_record_nor_checkpoint_is_on_disk_before_it_is_redacted(
    outbox: Path, tuner: ScriptedTuner
) -> None:
    secrets = ("4111 1111 1111 1111", "swordfish")
    redaction = Redaction(["cards"], hook=lambda text, place: text.replace("swordfish", "[word]"))
    delivery = Delivery(config(outbox, "http://127.0.0.1:9"), retry=QUICK, redaction=redaction)
    call = CallTimeline(call_id="c", journal=delivery)
    call.apply(UserTurn(f"My card is {secrets[0]}, the word swordfish.", T0, T0 + 1))
    call.apply(ToolCalled(T0, "t", "pay", {"card": secrets[0], "word": ["swordfish"]}))
    delivery.checkpoint("c", metadata={"note": "swordfish"}, collected_dynamic_variables={"card": secrets[0]})
    wait_until(lambda: events_in(outbox) == 2)
    on_disk = b"".join(file.read_bytes() for file in outbox.parent.glob("outbox.sqlite3*") if file.is_file())
    assert b"[card]" in on_disk
    assert [secret for secret in secrets if secret.encode() in on_disk] == []
    delivery.deliver_sync(call.record(metadata={"note": "swordfish"}), deadline_s=0)
    delivery.close(deadline_s=0)
    on_disk = b"".join(file.read_bytes() for file in outbox.parent.glob("outbox.sqlite3*") if file.is_file())
    assert b"[word]" in on_disk
    assert [secret for secret in secrets if secret.encode() in on_disk] == []


def test_a_checkpoint_costs_its_caller_microseconds(outbox: Path, tuner: ScriptedTuner) -> None:
    with Delivery(config(outbox, tuner.base_url), retry=QUICK) as delivery:
        delivery.checkpoint("c", [CallStarted(T0)])
        wait_until(lambda: events_in(outbox) == 1)
        costs: list[int] = []
        for n in range(300):
            turn = UserTurn("How are you? " * 10, T0 + n, T0 + n + 1, id=str(n))
            started = time.thread_time_ns()
            delivery.checkpoint("c", [turn])
            costs.append(time.thread_time_ns() - started)
        assert statistics.median(costs) < 50_000


def test_a_child_of_multiprocessing_that_ends_leaves_what_it_was_told(outbox: Path) -> None:
    """It ends without what `atexit` was told."""
    script = """
        import multiprocessing
        from tuner_core.delivery import Delivery
        from tuner_core.events import CallStarted

        def agent():
            Delivery().checkpoint("ended", [CallStarted(1_790_000_000.0)])

        child = multiprocessing.get_context("fork").Process(target=agent)
        child.start()
        child.join(20)
    """
    with ScriptedTuner() as tuner:
        subprocess.run(
            [sys.executable, "-c", textwrap.dedent(script)],
            env=environment(outbox, tuner.base_url),
            check=True,
        )
        with Delivery(config(outbox, tuner.base_url)) as delivery:
            status = delivery.drain_sync(deadline_s=20)
    assert status is not None
    assert (status.accepted, status.delivered) == (1, 1)
