"""Delivery with a real outbox, a real server, real threads and loops."""

import asyncio
import logging
import os
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tuner_core.config import TunerConfig
from tuner_core.delivery import Delivery, default_sink
from tuner_core.errors import OutboxError
from tuner_core.http import RetryPolicy
from tuner_core.outbox import Outbox
from tuner_core.outbox.parcels import Destination, OutboxStatus
from tuner_core.records import CallRecord, Segment
from tuner_core.testing import HALF, HANG, RESET, TAKE_AND_RESET, Answer, RateLimit, ScriptedTuner, Step

QUICK = RetryPolicy(max_attempts=6, base_s=0.01, cap_s=0.05)
Start = Callable[..., Delivery]


def record(call_id: str = "c-81", **fields: Any) -> CallRecord:
    return CallRecord(
        call_id=call_id,
        call_type="phone_call",
        start_timestamp=1_790_000_000,
        end_timestamp=1_790_000_042,
        transcript_with_tool_calls=[Segment.agent("swordfish", start_ms=600, end_ms=1400)],
        **fields,
    )


@pytest.fixture
def outbox(tmp_path: Path) -> Path:
    return tmp_path / "outbox.sqlite3"


@pytest.fixture
def start(outbox: Path) -> Iterator[Start]:
    """Makes deliveries to a server; they are closed in the end."""
    with ExitStack() as stack:

        def make(tuner: ScriptedTuner | str, *, path: Path = outbox, timeout_s: float = 5.0) -> Delivery:
            base_url = tuner if isinstance(tuner, str) else tuner.base_url
            config = TunerConfig(
                api_key="tr_api_k", workspace_id=1, agent_id="a", base_url=base_url, outbox=path
            )
            delivery = Delivery(config, retry=QUICK, timeout_s=timeout_s)
            stack.callback(delivery.close, deadline_s=0)
            return delivery

        yield make


def account(path: Path) -> OutboxStatus:
    box = Outbox(path)
    try:
        return box.status()
    finally:
        box.close()


async def test_a_record_is_delivered_and_the_answer_handed_back(start: Start, outbox: Path) -> None:
    with ScriptedTuner() as tuner:
        outcome = await start(tuner).deliver(record())
    assert outcome.state == "delivered"
    assert outcome.receipt is not None
    assert (outcome.receipt.id, outcome.receipt.is_new) == (1, True)
    assert "recording_url: missing, sent as 'pending'" in outcome.receipt.repairs
    assert account(outbox).delivered == 1


@pytest.mark.parametrize("step", [408, 429, 500, 503, RESET, HALF, TAKE_AND_RESET])
async def test_a_failing_server_delays_a_record_and_never_doubles_it(step: Step, start: Start) -> None:
    with ScriptedTuner(step, step, step) as tuner:
        outcome = await start(tuner).deliver(record())
    assert outcome.state == "delivered"
    assert tuner.stored == {"c-81": 1}


async def test_a_hanging_server_costs_one_timeout(start: Start) -> None:
    with ScriptedTuner(HANG) as tuner:
        outcome = await start(tuner, timeout_s=0.2).deliver(record())
    assert outcome.state == "delivered"


async def test_retry_after_is_waited_for(start: Start) -> None:
    with ScriptedTuner(RateLimit(after_s=0.4)) as tuner:
        await start(tuner).deliver(record())
    first, second = tuner.received
    assert second.at - first.at >= 0.4


@pytest.mark.parametrize("answer", [Answer(409), Answer(200, {"id": 9, "is_new": False})])
async def test_a_duplicate_is_delivered(answer: Answer, start: Start) -> None:
    with ScriptedTuner(answer) as tuner:
        outcome = await start(tuner).deliver(record())
    assert outcome.receipt is not None
    assert (outcome.state, outcome.receipt.is_new) == ("delivered", False)


@pytest.mark.parametrize("status", [400, 401, 403, 404, 422])
async def test_a_final_refusal_is_kept_with_the_apis_words(status: int, start: Start, outbox: Path) -> None:
    with ScriptedTuner(Answer(status, {"detail": "the API's words"})) as tuner:
        outcome = await start(tuner).deliver(record())
        assert outcome.state == "refused"
        assert "the API's words" in outcome.detail
        box = Outbox(outbox)
        [entry] = box.entries(state="refused")
        assert "the API's words" in entry.detail
        box.retry()
        box.close()
        status_now = await start(tuner).drain(deadline_s=5)
        assert status_now is not None
        assert (status_now.delivered, status_now.refused) == (1, 0)
    assert tuner.stored == {"c-81": 1}


async def test_the_deadline_bounds_the_wait_and_not_the_record(start: Start, outbox: Path) -> None:
    with ScriptedTuner(HANG) as tuner:
        delivery = start(tuner, timeout_s=0.6)
        started = time.monotonic()
        outcome = await delivery.deliver(record(), deadline_s=0.2)
        assert time.monotonic() - started < 0.5
        assert outcome.state == "pending"
        assert "stored on disk" in outcome.detail
        assert account(outbox).pending == 1
        assert tuner.wait_for_requests(2)
        assert await delivery.drain(deadline_s=5)
    assert tuner.stored == {"c-81": 1}


async def test_a_pending_outcome_says_what_was_wrong(start: Start) -> None:
    outcome = await start("http://127.0.0.1:9").deliver(record(), deadline_s=0.5)
    assert outcome.state == "pending"
    assert "cannot connect" in outcome.detail


async def test_with_a_deadline_of_zero_the_wait_ends_when_the_record_is_on_disk(
    start: Start, outbox: Path
) -> None:
    with ScriptedTuner(HANG) as tuner:
        outcome = await start(tuner).deliver(record(), deadline_s=0)
        assert outcome.state == "pending"
        assert account(outbox).accepted == 1


async def test_a_cancelled_wait_does_not_stop_the_delivery(start: Start) -> None:
    with ScriptedTuner(503) as tuner:
        delivery = start(tuner)
        wait = asyncio.create_task(delivery.deliver(record()))
        await asyncio.sleep(0)
        wait.cancel()
        with pytest.raises(asyncio.CancelledError):
            await wait
        assert tuner.wait_for_requests(2)
        await delivery.drain(deadline_s=5)
    assert tuner.stored == {"c-81": 1}


async def test_a_wait_is_cancelled_no_sooner_than_the_record_is_on_disk(start: Start, outbox: Path) -> None:
    """Who cancels it is often about to end the process, without asking anybody to finish."""
    with ScriptedTuner(HANG) as tuner:
        waiting = asyncio.create_task(start(tuner).deliver(record()))
        await asyncio.sleep(0)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        with sqlite3.connect(outbox) as db:
            assert db.execute("SELECT call_id FROM records").fetchall() == [("c-81",)]


def test_a_loop_that_closes_takes_nothing_with_it(start: Start) -> None:
    with ScriptedTuner(503, 503) as tuner:
        delivery = start(tuner)

        async def main() -> None:
            asyncio.get_running_loop().create_task(delivery.deliver(record()))
            await asyncio.sleep(0)

        asyncio.run(main())
        assert tuner.wait_for_requests(3)
        delivery.drain_sync(deadline_s=5)
    assert tuner.stored == {"c-81": 1}


async def test_the_event_loop_is_not_held_up_by_a_slow_disk(start: Start, outbox: Path) -> None:
    with ScriptedTuner() as tuner:
        delivery = start(tuner)
        await delivery.deliver(record("first"))
        blocker = sqlite3.connect(outbox, isolation_level=None, check_same_thread=False)
        blocker.execute("BEGIN IMMEDIATE")
        release = threading.Timer(0.6, blocker.execute, ("COMMIT",))
        release.start()
        handed_over = asyncio.create_task(delivery.deliver(record("second")))
        longest, last = 0.0, time.perf_counter()
        while not handed_over.done():
            await asyncio.sleep(0.005)
            now = time.perf_counter()
            longest, last = max(longest, now - last), now
        release.join()
        blocker.close()
        assert (await handed_over).state == "delivered"
        assert longest < 0.3


async def test_what_an_earlier_process_left_is_sent_by_the_next_start(start: Start, outbox: Path) -> None:
    with ScriptedTuner() as tuner:
        box = Outbox(outbox)
        for n in range(12):
            box.put(
                Destination(tuner.base_url, 1, f"agent {n}"),
                f"left-{n}",
                b'{"call_id": "left-%d"}' % n,
                now=time.time(),
            )
        box.close()
        start(tuner).start()
        assert tuner.wait_for_requests(12)
    assert tuner.stored == {f"left-{n}": 1 for n in range(12)}
    agents = {
        received.body["call_id"]: received.query["agent_remote_identifier"] for received in tuner.received
    }
    assert agents["left-7"] == "agent 7"


async def test_a_backlog_does_not_hammer_an_api_that_is_down(start: Start, outbox: Path) -> None:
    with ScriptedTuner(*[503] * 200) as tuner:
        box = Outbox(outbox)
        for n in range(50):
            box.put(Destination(tuner.base_url, 1, "a"), f"left-{n}", b'{"call_id": "left"}', now=time.time())
        box.close()
        start(tuner).start()
        assert tuner.wait_for_requests(1)
        await asyncio.sleep(0.3)
        assert len(tuner.received) < 10


async def test_the_backlog_follows_as_soon_as_the_api_answers_again(start: Start, outbox: Path) -> None:
    with ScriptedTuner(RateLimit(after_s=30)) as tuner:
        box = Outbox(outbox)
        for n in range(5):
            box.put(
                Destination(tuner.base_url, 1, "a"),
                f"left-{n}",
                b'{"call_id": "left-%d"}' % n,
                now=time.time(),
            )
        box.close()
        delivery = start(tuner)
        delivery.start()
        assert tuner.wait_for_requests(1)
        assert (await delivery.deliver(record())).state == "delivered"
        assert tuner.wait_for_requests(6)


async def test_a_process_with_a_wrong_key_does_not_condemn_what_others_left(
    start: Start, outbox: Path
) -> None:
    with ScriptedTuner(401) as tuner:
        box = Outbox(outbox)
        box.put(Destination(tuner.base_url, 1, "a"), "left", b'{"call_id": "left"}', now=time.time())
        box.close()
        misconfigured = start(tuner)
        misconfigured.start()
        assert tuner.wait_for_requests(1)
        await misconfigured.aclose()
        assert account(outbox).pending == 1
        await start(tuner).drain(deadline_s=5)
    assert tuner.stored == {"left": 1}


def test_a_delivery_that_is_forgotten_leaves_no_thread_behind(outbox: Path) -> None:
    def couriers() -> int:
        return sum(thread.name == "tuner-courier" for thread in threading.enumerate())

    before = couriers()
    with ScriptedTuner() as tuner:
        config = TunerConfig(
            api_key="k", workspace_id=1, agent_id="a", base_url=tuner.base_url, outbox=outbox
        )
        for n in range(3):
            assert Delivery(config).deliver_sync(record(f"c-{n}")).state == "delivered"
        give_up_at = time.monotonic() + 5
        while couriers() > before and time.monotonic() < give_up_at:
            time.sleep(0.02)
    assert couriers() <= before


async def test_two_deliveries_on_one_outbox_send_each_record_once(start: Start, outbox: Path) -> None:
    with ScriptedTuner() as tuner:
        box = Outbox(outbox)
        for n in range(40):
            box.put(
                Destination(tuner.base_url, 1, "a"), f"c-{n}", b'{"call_id": "c-%d"}' % n, now=time.time()
            )
        box.close()
        one, other = start(tuner), start(tuner)
        await asyncio.gather(one.drain(deadline_s=10), other.drain(deadline_s=10))
        assert len(tuner.received) == 40
    assert len(tuner.stored) == 40
    assert account(outbox).delivered == 40


async def test_one_call_handed_over_many_times_is_posted_once(start: Start) -> None:
    with ScriptedTuner() as tuner:
        delivery = start(tuner)
        outcomes = await asyncio.gather(*(delivery.deliver(record()) for _ in range(10)))
        assert {outcome.state for outcome in outcomes} == {"delivered"}
        assert len(tuner.received) == 1
        later = await start(tuner).deliver(record())
        assert later.receipt is not None
        assert (later.state, later.receipt.is_new, later.receipt.id) == ("delivered", False, 1)
        assert len(tuner.received) == 1


def test_many_threads_and_loops_share_one_delivery(start: Start) -> None:
    with ScriptedTuner() as tuner:
        delivery = start(tuner)
        states: list[str] = []

        def sync(n: int) -> None:
            states.append(delivery.deliver_sync(record(f"sync-{n}")).state)

        def with_loop(n: int) -> None:
            states.append(asyncio.run(delivery.deliver(record(f"loop-{n}"))).state)

        threads = [threading.Thread(target=work, args=(n,)) for n in range(10) for work in (sync, with_loop)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert states == ["delivered"] * 20
    assert len(tuner.stored) == 20


async def test_closing_stops_a_hanging_try_at_its_deadline_and_the_next_start_sends_it(
    start: Start, outbox: Path
) -> None:
    with ScriptedTuner(HANG) as tuner:
        delivery = start(tuner)
        await delivery.deliver(record(), deadline_s=0)
        started = time.monotonic()
        await delivery.aclose(deadline_s=0.2)
        assert time.monotonic() - started < 2
        assert account(outbox).pending == 1
        assert await start(tuner).drain(deadline_s=5)
    assert tuner.stored == {"c-81": 1}


async def test_a_closed_delivery_starts_anew_with_the_next_record(start: Start) -> None:
    with ScriptedTuner() as tuner:
        delivery = start(tuner)
        await delivery.deliver(record("one"))
        await delivery.aclose()
        assert (await delivery.deliver(record("two"))).state == "delivered"


def test_a_forked_child_delivers_its_own_records_only(start: Start, outbox: Path) -> None:
    with ScriptedTuner() as tuner:
        delivery = start(tuner)
        assert delivery.deliver_sync(record("parent")).state == "delivered"
        child = os.fork()
        if child == 0:
            delivered = delivery.deliver_sync(record("child")).state == "delivered"
            os._exit(0 if delivered else 1)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        assert delivery.deliver_sync(record("parent again")).state == "delivered"
    assert tuner.stored == {"parent": 1, "child": 1, "parent again": 1}
    assert account(outbox).delivered == 3


@pytest.mark.parametrize("obstacle", ["a directory that is a file", "no database"])
async def test_an_outbox_that_cannot_be_opened_costs_durability_and_not_the_call(
    obstacle: str, start: Start, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_text("no database " * 1000)
    path = tmp_path / "file" / "outbox" if obstacle.startswith("a directory") else tmp_path / "file"
    with ScriptedTuner(503) as tuner:
        outcome = await start(tuner, path=path).deliver(record())
    assert outcome.state == "delivered"
    assert [entry.levelname for entry in caplog.records if "in memory only" in entry.message] == ["WARNING"]


async def test_a_record_that_nothing_can_repair_is_refused_without_a_try(start: Start) -> None:
    with ScriptedTuner() as tuner:
        outcome = await start(tuner).deliver({"call_type": "phone_call"})
        assert (outcome.state, "call_id" in outcome.detail) == ("refused", True)
        odd: Any = 17
        assert (await start(tuner).deliver(odd)).state == "refused"
        assert tuner.received == []


async def test_draining_a_delivery_that_is_closed_meanwhile_says_so(start: Start) -> None:
    with ScriptedTuner(HANG) as tuner:
        delivery = start(tuner)
        await delivery.deliver(record(), deadline_s=0)
        drain = asyncio.create_task(delivery.drain(deadline_s=5))
        await asyncio.sleep(0.1)
        await delivery.aclose(deadline_s=0)
        with pytest.raises(OutboxError):
            await drain


async def test_the_default_sink_is_shared_and_never_raises(
    monkeypatch: pytest.MonkeyPatch, outbox: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for name in ("API_KEY", "WORKSPACE_ID", "AGENT_ID", "BASE_URL"):
        monkeypatch.delenv(f"TUNER_{name}", raising=False)
    outcome = await default_sink().deliver(record())
    default_sink()
    assert outcome.state == "refused"
    assert "set TUNER_API_KEY" in outcome.detail
    assert len([entry for entry in caplog.records if entry.levelno == logging.ERROR]) == 1
    with ScriptedTuner() as tuner:
        config = TunerConfig(
            api_key="k", workspace_id=1, agent_id="a", base_url=tuner.base_url, outbox=outbox
        )
        sink = default_sink(config)
        assert default_sink(TunerConfig(**config.model_dump())) is sink
        assert (await sink.deliver(record())).state == "delivered"
        assert isinstance(sink, Delivery)
        await sink.aclose()


async def test_logs_at_debug_hold_neither_content_nor_key_nor_number(
    start: Start, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    echo = {"detail": [{"loc": ["body", "transcript"], "msg": "Input should be text", "input": "swordfish"}]}
    with ScriptedTuner(503, RESET, Answer(422, echo), Answer(401, {"detail": "bad key"})) as tuner:
        delivery = start(tuner)
        for call_id in ("c-1", "c-2"):
            outcome = await delivery.deliver(
                record(call_id, caller_phone_number="+4930123456", call_analysis={"x": object()})
            )
            assert "swordfish" not in repr(outcome)
        await delivery.deliver({"call_type": "swordfish", "transcript": "swordfish"})
    text = "\n".join(entry.getMessage() for entry in caplog.records)
    assert "c-1" in text
    for secret in ("swordfish", "+4930", "tr_api_k"):
        assert secret not in text
