"""The clients against a real HTTP server on loopback."""

import asyncio
import socket
import threading
from pathlib import Path
from typing import Any

import pytest

from tuner_core.client import AsyncTunerClient, TunerClient
from tuner_core.config import TunerConfig
from tuner_core.errors import AuthenticationError, RateLimited, RecordRefused, ServerError, TransportError
from tuner_core.http import RetryPolicy
from tuner_core.records import CallRecord, Receipt, Segment
from tuner_core.testing import HALF, HANG, RESET, TAKE_AND_RESET, Answer, RateLimit, ScriptedTuner, Step

QUICK = RetryPolicy(max_attempts=4, base_s=0.01)
RECORD = CallRecord(
    call_id="c-81",
    call_type="phone_call",
    start_timestamp=1_790_000_000,
    end_timestamp=1_790_000_042,
    transcript_with_tool_calls=[Segment.agent("Hello!", start_ms=600, end_ms=1400)],
)


def config_for(base_url: str, tmp_path: Path) -> TunerConfig:
    return TunerConfig(
        api_key="tr_api_k",
        workspace_id=7,
        agent_id="sales & support",
        base_url=base_url,
        outbox=tmp_path / "outbox",
    )


@pytest.fixture(params=["sync", "async"])
def post(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    """Posts the record with one of the two clients."""

    async def with_async_client(tuner: ScriptedTuner, timeout_s: float) -> Receipt:
        config = config_for(tuner.base_url, tmp_path)
        async with AsyncTunerClient(config, retry=QUICK, timeout_s=timeout_s) as client:
            return await client.create_call(RECORD)

    def run(tuner: ScriptedTuner, timeout_s: float = 5.0) -> Receipt:
        if request.param == "async":
            return asyncio.run(with_async_client(tuner, timeout_s))
        with TunerClient(config_for(tuner.base_url, tmp_path), retry=QUICK, timeout_s=timeout_s) as client:
            return client.create_call(RECORD)

    return run


def test_a_new_call_is_created_with_key_query_and_body_as_documented(post: Any) -> None:
    with ScriptedTuner() as tuner:
        receipt = post(tuner)
    [received] = tuner.received
    assert (receipt.id, receipt.is_new) == (1, True)
    assert received.path == "/api/v1/public/call"
    assert received.query == {"workspace_id": "7", "agent_remote_identifier": "sales & support"}
    assert received.headers["authorization"] == "Bearer tr_api_k"
    assert received.headers["content-type"] == "application/json"
    assert received.body["transcript_with_tool_calls"][0]["text"] == "Hello!"


@pytest.mark.parametrize(
    "answer", [Answer(200, {"id": 4, "is_new": False}), Answer(409, {"detail": "exists"})]
)
def test_a_duplicate_is_success_by_either_answer(answer: Answer, post: Any) -> None:
    with ScriptedTuner(answer) as tuner:
        assert post(tuner).is_new is False


@pytest.mark.parametrize("step", [408, 429, 500, 502, 503, 504, RESET, HALF, TAKE_AND_RESET])
def test_what_may_pass_is_tried_again_and_stored_once(step: Step, post: Any) -> None:
    with ScriptedTuner(step, step) as tuner:
        receipt = post(tuner)
    assert receipt.call_id == "c-81"
    assert len(tuner.received) == 3
    assert tuner.stored == {"c-81": 1}


def test_a_server_that_hangs_costs_one_timeout(post: Any) -> None:
    with ScriptedTuner(HANG) as tuner:
        assert post(tuner, timeout_s=0.2).is_new is True


def test_retry_after_is_waited_for(post: Any) -> None:
    with ScriptedTuner(RateLimit(after_s=0.4)) as tuner:
        post(tuner)
    first, second = tuner.received
    assert second.at - first.at >= 0.4


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, RecordRefused),
        (401, AuthenticationError),
        (403, AuthenticationError),
        (404, RecordRefused),
        (422, RecordRefused),
    ],
)
def test_what_will_not_pass_is_not_tried_again(status: int, kind: type[Exception], post: Any) -> None:
    with ScriptedTuner(status) as tuner:
        with pytest.raises(kind):
            post(tuner)
        assert len(tuner.received) == 1


@pytest.mark.parametrize(("step", "kind"), [(503, ServerError), (429, RateLimited), (RESET, TransportError)])
def test_after_the_last_try_the_last_error_is_raised(step: Step, kind: type[Exception], post: Any) -> None:
    with ScriptedTuner(*[step] * 9) as tuner:
        with pytest.raises(kind):
            post(tuner)
        assert len(tuner.received) == QUICK.max_attempts


def test_a_redirect_is_not_followed_with_the_key(post: Any) -> None:
    with ScriptedTuner() as elsewhere:
        with ScriptedTuner(Answer(307, headers={"Location": elsewhere.base_url})) as tuner:
            with pytest.raises(RecordRefused, match="TUNER_BASE_URL"):
                post(tuner)
        assert elsewhere.received == []


def test_nobody_listening_is_a_transport_error_that_says_so(tmp_path: Path) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        base_url = f"http://127.0.0.1:{unused.getsockname()[1]}"
        with (
            TunerClient(config_for(base_url, tmp_path), retry=RetryPolicy(max_attempts=1)) as client,
            pytest.raises(TransportError, match="c-81: cannot connect"),
        ):
            client.create_call(RECORD)


def test_one_client_serves_many_threads(tmp_path: Path) -> None:
    with ScriptedTuner() as tuner, TunerClient(config_for(tuner.base_url, tmp_path)) as client:
        records = [RECORD.model_copy(update={"call_id": f"c-{n}"}) for n in range(20)]
        threads = [threading.Thread(target=client.create_call, args=(record,)) for record in records]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert len(tuner.stored) == 20


async def test_cancelling_a_call_stops_its_tries(tmp_path: Path) -> None:
    with ScriptedTuner(HANG) as tuner:
        async with AsyncTunerClient(config_for(tuner.base_url, tmp_path)) as client:
            call = asyncio.create_task(client.create_call(RECORD))
            assert await asyncio.to_thread(tuner.wait_for_requests, 1)
            call.cancel()
            with pytest.raises(asyncio.CancelledError):
                await call
        assert len(tuner.received) == 1


def test_a_client_shows_neither_key_nor_query_values_of_a_call(tmp_path: Path) -> None:
    with TunerClient(config_for("https://api.example", tmp_path)) as client:
        assert "tr_api" not in repr(client)
