"""Records that wait for the URL of their recording: on disk at once, sent once, with the URL or without it."""

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tuner_core import CallRecord, Delivery, TunerConfig
from tuner_core.outbox import Outbox
from tuner_core.testing import ScriptedTuner

URL = "https://recordings.example/c-81.wav"
RECORD = CallRecord(
    call_id="c-81", call_type="phone_call", start_timestamp=1_790_000_000, end_timestamp=1_790_000_042
)
Start = Callable[[ScriptedTuner], Delivery]


@pytest.fixture
def outbox(tmp_path: Path) -> Path:
    return tmp_path / "outbox"


@pytest.fixture
def start(outbox: Path) -> Iterator[Start]:
    with ExitStack() as stack:

        def make(tuner: ScriptedTuner) -> Delivery:
            config = TunerConfig(
                api_key="tr_api_k", workspace_id=1, agent_id="a", base_url=tuner.base_url, outbox=outbox
            )
            delivery = Delivery(config)
            stack.callback(delivery.close, deadline_s=0)
            return delivery

        yield make


def pending(path: Path) -> int:
    box = Outbox(path)
    try:
        return box.status().pending
    finally:
        box.close()


def until_pending(path: Path) -> None:
    give_up_at = time.monotonic() + 5
    while not path.exists() or not pending(path):
        assert time.monotonic() < give_up_at
        time.sleep(0.01)


def sent_urls(tuner: ScriptedTuner) -> list[str]:
    return [received.body["recording_url"] for received in tuner.received]


async def test_a_url_that_becomes_known_is_in_the_one_request(start: Start, outbox: Path) -> None:
    known: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    with ScriptedTuner() as tuner:
        delivery = start(tuner)
        waiting = asyncio.create_task(delivery.deliver(RECORD, recording_url=known, url_wait_s=10))
        await asyncio.to_thread(until_pending, outbox)
        assert tuner.received == []
        known.set_result(URL)
        outcome = await waiting
    assert outcome.state == "delivered"
    assert sent_urls(tuner) == [URL]
    assert outcome.receipt is not None
    assert not [note for note in outcome.receipt.repairs if "recording_url" in note]


async def _raises() -> str:
    raise RuntimeError("the recorder is gone")


async def _hangs() -> str:
    await asyncio.sleep(60)
    return URL


@pytest.mark.parametrize(
    ("source", "sent"),
    [
        (URL, URL),
        (lambda: URL, URL),
        (_raises, "pending"),
        (_hangs, "pending"),
        (lambda: 7, "pending"),
        (None, "pending"),
        ("", "pending"),
    ],
)
async def test_whatever_the_source_does_the_call_arrives_once(source: Any, sent: str, start: Start) -> None:
    with ScriptedTuner() as tuner:
        delivery = start(tuner)
        first = await delivery.deliver(RECORD, recording_url=source, url_wait_s=0.2)
        second = await asyncio.to_thread(
            delivery.deliver_sync,
            RECORD.model_copy(update={"call_id": "c-82"}).model_dump(exclude_none=True),
            recording_url=source,
            url_wait_s=0.2,
        )
    assert (first.state, second.state) == ("delivered", "delivered")
    assert sent_urls(tuner) == [sent, sent]


async def test_the_deadline_ends_the_callers_wait_and_not_the_one_for_the_url(start: Start) -> None:
    known: Future[str | None] = Future()
    with ScriptedTuner() as tuner:
        delivery = start(tuner)
        outcome = await delivery.deliver(RECORD, recording_url=known, url_wait_s=30, deadline_s=0.1)
        assert outcome.state == "pending"
        assert "stored on disk" in outcome.detail
        known.set_result(URL)
        assert await asyncio.to_thread(tuner.wait_for_requests, 1)
    assert sent_urls(tuner) == [URL]


def test_a_loop_that_ends_first_sends_the_call_without_the_url(start: Start) -> None:
    with ScriptedTuner() as tuner:
        delivery = start(tuner)
        began = time.monotonic()
        asyncio.run(delivery.deliver(RECORD, recording_url=_hangs, url_wait_s=60, deadline_s=0.1))
        assert tuner.wait_for_requests(1)
        assert time.monotonic() - began < 5
    assert sent_urls(tuner) == ["pending"]


def test_closing_sends_what_waits_for_a_url(start: Start) -> None:
    with ScriptedTuner() as tuner:
        delivery = start(tuner)
        release = threading.Event()
        try:
            delivery.deliver_sync(
                RECORD, recording_url=lambda: str(release.wait(60)), url_wait_s=60, deadline_s=0
            )
            delivery.close(deadline_s=1)
        finally:
            release.set()
    assert sent_urls(tuner) == ["pending"]
