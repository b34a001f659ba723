"""Clients in threads, in forked children, in several event loops."""

import asyncio
import os
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from tuner_core import AsyncTunerClient, CallRecord, RetryPolicy, TunerClient, TunerConfig
from tuner_core.errors import ServerError, TransportError
from tuner_core.testing import HANG, Answer, ScriptedTuner


def record(number: int) -> CallRecord:
    return CallRecord(
        call_id=f"c-{number}",
        call_type="phone_call",
        start_timestamp=1_790_000_000,
        end_timestamp=1_790_000_042,
    )


def config_for(tuner: ScriptedTuner) -> TunerConfig:
    return TunerConfig(api_key="tr_api_k", workspace_id=7, agent_id="a", base_url=tuner.base_url)


def test_threads_share_a_client() -> None:
    with ScriptedTuner() as tuner, TunerClient(config_for(tuner)) as client, ThreadPoolExecutor(8) as pool:
        receipts = list(pool.map(lambda number: client.create_call(record(number)), range(40)))
    assert [receipt.call_id for receipt in receipts] == [f"c-{number}" for number in range(40)]
    assert len(tuner.stored) == 40


def test_a_forked_child_opens_connections_of_its_own(tmp_path: Path) -> None:
    """Parent and child post at the same time after the parent has connections open."""
    children, calls = 3, 15
    with (
        ScriptedTuner() as tuner,
        TunerClient(config_for(tuner), retry=RetryPolicy(max_attempts=1)) as client,
    ):
        client.create_call(record(0))
        pids = []
        for child in range(1, children + 1):
            pid = os.fork()
            if pid == 0:
                status = 1
                try:
                    for call in range(calls):
                        number = child * 100 + call
                        assert client.create_call(record(number)).call_id == f"c-{number}"
                    client.close()
                    status = 0
                finally:
                    os._exit(status)
            pids.append(pid)
        for call in range(1, calls):
            assert client.create_call(record(call)).is_new
        assert [os.waitpid(pid, 0)[1] for pid in pids] == [0] * children
        assert client.create_call(record(99)).is_new
    assert len(tuner.stored) == calls * (children + 1) + 1
    assert set(tuner.stored.values()) == {1}


def test_one_client_serves_loop_after_loop() -> None:
    with ScriptedTuner() as tuner:
        client = AsyncTunerClient(config_for(tuner), retry=RetryPolicy(max_attempts=1))
        for number in range(4):
            assert asyncio.run(client.create_call(record(number))).is_new
        asyncio.run(client.aclose())


def test_one_client_serves_loops_side_by_side() -> None:
    with ScriptedTuner() as tuner:
        client = AsyncTunerClient(config_for(tuner), retry=RetryPolicy(max_attempts=1))
        failures: list[BaseException] = []

        async def post(first: int) -> None:
            for number in range(first, first + 10):
                await client.create_call(record(number))

        def run(first: int) -> None:
            try:
                asyncio.run(post(first))
            except BaseException as error:
                failures.append(error)

        threads = [threading.Thread(target=run, args=(first,)) for first in (0, 100, 200)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert failures == []
    assert len(tuner.stored) == 30


async def test_closing_closes_what_another_running_loop_opened() -> None:
    with ScriptedTuner() as tuner:
        client = AsyncTunerClient(config_for(tuner))
        other = asyncio.new_event_loop()
        thread = threading.Thread(target=other.run_forever)
        thread.start()
        try:
            await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(client.create_call(record(1)), other))
            await client.create_call(record(2))
            await client.aclose()
        finally:
            other.call_soon_threadsafe(other.stop)
            await asyncio.to_thread(thread.join)
            other.close()


async def test_a_closed_client_says_so() -> None:
    with ScriptedTuner() as tuner:
        client, blocking = AsyncTunerClient(config_for(tuner)), TunerClient(config_for(tuner))
        await client.aclose()
        blocking.close()
        with pytest.raises(RuntimeError, match="closed"):
            await client.create_call(record(1))
        with pytest.raises(RuntimeError, match="closed"):
            blocking.create_call(record(1))


def test_an_httpx_client_of_ones_own_is_named_when_it_belongs_to_another_loop() -> None:
    with ScriptedTuner() as tuner:
        http = httpx.AsyncClient()
        client = AsyncTunerClient(config_for(tuner), http=http)
        asyncio.run(client.create_call(record(1)))
        with pytest.raises(RuntimeError, match="belongs to another event loop"):
            asyncio.run(client.create_call(record(2)))


def test_a_call_may_have_tries_and_a_timeout_of_its_own() -> None:
    once = RetryPolicy(max_attempts=1)
    with ScriptedTuner(503, HANG) as tuner, TunerClient(config_for(tuner)) as client:
        with pytest.raises(ServerError):
            client.create_call(record(1), retry=once)
        with pytest.raises(TransportError):
            client.create_call(record(1), retry=once, timeout_s=0.1)
        assert client.create_call(record(1)).is_new


async def test_the_id_of_a_request_is_on_receipts_and_errors() -> None:
    answers = (Answer(201, {"id": 1}, {"X-Request-Id": "r-1"}), Answer(503, {}, {"X-Request-Id": "r-2"}))
    with ScriptedTuner(*answers) as tuner:
        async with AsyncTunerClient(config_for(tuner)) as client:
            assert (await client.create_call(record(1))).request_id == "r-1"
            with pytest.raises(ServerError) as caught:
                await client.create_call(record(2), retry=RetryPolicy(max_attempts=1))
            assert caught.value.request_id == "r-2"
