"""Faults on purpose, as they are on the wire."""

import asyncio
import json
import socket
import time
from typing import Any

import httpx
import pytest

from tuner_core.delivery.delivery import Delivery
from tuner_core.http import RetryPolicy
from tuner_core.testing import LocalTuner

RECORD: dict[str, Any] = {
    "call_id": "c-81",
    "call_type": "phone_call",
    "transcript_with_tool_calls": [{"role": "agent", "text": "Hello!", "start_ms": 600, "end_ms": 1400}],
    "start_timestamp": 1_760_000_000,
    "end_timestamp": 1_760_000_042,
    "recording_url": "pending",
}


def post(tuner: LocalTuner, call_id: str = "c-81", **options: Any) -> httpx.Response:
    url = f"{tuner.base_url}/api/v1/public/call?workspace_id=1&agent_remote_identifier=a"
    headers = {"Authorization": f"Bearer {tuner.api_key}"}
    return httpx.post(url, json=RECORD | {"call_id": call_id}, headers=headers, **options)


def raw_post(tuner: LocalTuner) -> bytes:
    """Everything that the server sends for one post until it closes; raises what the socket raises."""
    host, _, port = tuner.base_url.removeprefix("http://").partition(":")
    body = json.dumps(RECORD).encode()
    head = (
        "POST /api/v1/public/call?workspace_id=1&agent_remote_identifier=a HTTP/1.1\r\nHost: localhost\r\n"
        f"Authorization: Bearer {tuner.api_key}\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    with socket.create_connection((host, int(port)), timeout=5) as connection:
        connection.sendall(head.encode() + body)
        received = b""
        while chunk := connection.recv(65536):
            received += chunk
        return received


@pytest.mark.local_tuner(faults="429=2.5:1")
def test_a_status_is_answered_with_retry_after_and_nothing_is_stored(local_tuner: LocalTuner) -> None:
    answer = post(local_tuner)
    assert (answer.status_code, answer.headers["retry-after"]) == (429, "2.5")
    assert local_tuner.calls() == []
    (noted,) = local_tuner.posts()
    assert (noted.verdict, noted.status, noted.fault, noted.call_id) == ("fault", 429, "429", "c-81")


@pytest.mark.local_tuner(faults="500:1")
def test_pages_and_simulations_are_never_at_fault(local_tuner: LocalTuner) -> None:
    assert httpx.get(f"{local_tuner.base_url}/local/calls").status_code == 200
    simulation = httpx.post(f"{local_tuner.base_url}/local/simulations", json={"sip_call_id": "a1"})
    assert simulation.status_code == 201
    post(local_tuner)
    page = httpx.get(local_tuner.base_url).text
    assert "faults on purpose: 500 100 %" in page
    assert "played so far: 500 ×1" in page


@pytest.mark.local_tuner(faults="reset:1")
def test_a_reset_is_a_tcp_reset(local_tuner: LocalTuner) -> None:
    with pytest.raises(ConnectionResetError):
        raw_post(local_tuner)
    assert local_tuner.calls() == []
    assert [(noted.status, noted.fault) for noted in local_tuner.posts()] == [(None, "reset")]


@pytest.mark.local_tuner(faults="take-and-reset:1")
def test_a_call_may_be_taken_and_the_connection_reset(local_tuner: LocalTuner) -> None:
    with pytest.raises(ConnectionResetError):
        raw_post(local_tuner)
    assert [row.call.call_id for row in local_tuner.calls()] == ["c-81"]
    assert [(noted.verdict, noted.status) for noted in local_tuner.posts()] == [("stored", None)]


@pytest.mark.local_tuner(faults="half:1")
def test_half_an_answer_breaks_off_inside_its_body(local_tuner: LocalTuner) -> None:
    head, _, body = raw_post(local_tuner).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 201 ")
    promised = int(dict(line.lower().split(b": ", 1) for line in head.split(b"\r\n")[1:])[b"content-length"])
    assert 0 < len(body) < promised
    assert [row.call.call_id for row in local_tuner.calls()] == ["c-81"]


@pytest.mark.local_tuner(faults="hang:1")
def test_a_hang_lasts_until_the_client_gives_up_or_the_server_stops(local_tuner: LocalTuner) -> None:
    with pytest.raises(httpx.ReadTimeout):
        post(local_tuner, timeout=0.1)

    async def stop_while_one_hangs() -> float:
        hanging = asyncio.create_task(asyncio.to_thread(post, local_tuner, timeout=20))
        await asyncio.to_thread(_until, lambda: len(local_tuner.posts()) == 2)
        began = time.monotonic()
        await asyncio.to_thread(local_tuner.stop)
        with pytest.raises(httpx.TransportError):
            await hanging
        return time.monotonic() - began

    assert asyncio.run(stop_while_one_hangs()) < 2


@pytest.mark.local_tuner(faults="hang=0.1:1")
def test_a_hang_with_seconds_ends_by_closing(local_tuner: LocalTuner) -> None:
    assert raw_post(local_tuner) == b""


@pytest.mark.local_tuner(faults="slow=0.2:1")
def test_a_slow_answer_is_the_true_one(local_tuner: LocalTuner) -> None:
    began = time.monotonic()
    assert post(local_tuner).status_code == 201
    assert time.monotonic() - began >= 0.2
    assert [(noted.status, noted.fault) for noted in local_tuner.posts()] == [(201, "slow")]


@pytest.mark.local_tuner(faults="429=0:0.2,503=0:0.1,reset:0.15,half:0.1,take-and-reset:0.1", seed=11)
def test_our_delivery_loses_nothing_to_any_of_them(local_tuner: LocalTuner) -> None:
    async def deliver_all() -> set[str]:
        retry = RetryPolicy(max_attempts=30, base_s=0.001, cap_s=0.01)
        records = [RECORD | {"call_id": f"c-{number}"} for number in range(40)]
        async with Delivery(retry=retry) as delivery:
            outcomes = await asyncio.gather(*(delivery.deliver(record, deadline_s=20) for record in records))
        return {outcome.state for outcome in outcomes}

    assert asyncio.run(deliver_all()) == {"delivered"}
    calls = local_tuner.calls()
    assert sorted(row.call.call_id for row in calls) == sorted(f"c-{number}" for number in range(40))
    played = {noted.fault for noted in local_tuner.posts()}
    assert played == {"", "429", "503", "reset", "half", "take-and-reset"}
    tries = httpx.get(f"{local_tuner.base_url}/local/calls/{calls[0].call.id}.json").json()["tries"]
    assert len(tries) >= 1
    assert tries[-1]["call_id"] == calls[0].call.call_id


def _until(condition: Any) -> None:
    while not condition():
        time.sleep(0.01)
