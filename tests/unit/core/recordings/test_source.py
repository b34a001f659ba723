import asyncio
import functools
import logging
import threading
import time
from concurrent.futures import Future
from typing import Any

import pytest

from tuner_core.recordings import known_url, known_url_sync
from tuner_core.recordings.source import url_future

URL = "https://recordings.example/c-81.wav"


async def _url() -> str:
    await asyncio.sleep(0)
    return URL


def _made_in(value: Any) -> Any:
    future: Future[Any] = Future()
    future.set_result(value)
    return future


@pytest.mark.parametrize(
    "source",
    [URL, _url, lambda: URL, lambda: _url(), functools.partial(_url), _made_in(URL), lambda: _made_in(URL)],
)
async def test_every_kind_of_source_tells_its_url(source: Any) -> None:
    assert await known_url(source, wait_s=1) == URL
    assert await asyncio.to_thread(known_url_sync, source, wait_s=1) == URL


async def test_a_coroutine_and_a_task_tell_it_too() -> None:
    assert await known_url(_url(), wait_s=1) == URL
    assert await known_url(asyncio.create_task(_url()), wait_s=1) == URL


@pytest.mark.parametrize("source", [None, "", lambda: None])
async def test_no_url_is_no_failure(source: Any) -> None:
    told: list[Exception] = []
    assert await known_url(source, on_error=told.append) is None
    assert told == []


async def _raises() -> str:
    raise KeyError(URL)


async def _cancels_itself() -> str:
    raise asyncio.CancelledError


@pytest.mark.parametrize("source", [_raises, _cancels_itself, lambda: 1 / 0, lambda: 7, lambda: exit(3)])
async def test_a_failing_source_gives_none_and_tells_why_once(source: Any) -> None:
    told: list[Exception] = []
    assert await known_url(source, on_error=told.append) is None
    assert len(told) == 1


async def test_an_application_that_fails_on_being_told_changes_nothing() -> None:
    def also_fails(error: Exception) -> None:
        raise error

    assert await known_url(_raises, on_error=also_fails) is None


async def test_the_log_does_not_quote_the_source(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        assert await known_url(_raises) is None
    assert "KeyError" in caplog.text
    assert "example" not in caplog.text


async def test_a_source_that_never_tells_is_left_after_the_bound() -> None:
    told: list[Exception] = []
    never: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    assert await known_url(never, wait_s=0.02, on_error=told.append) is None
    assert isinstance(told[0], TimeoutError)
    assert not never.cancelled()


async def test_a_coroutine_that_ignores_its_cancellation_is_not_waited_for() -> None:
    release = asyncio.Event()

    async def stubborn() -> str:
        while not release.is_set():
            try:
                await release.wait()
            except asyncio.CancelledError:
                continue
        return URL

    began = time.monotonic()
    assert await known_url(stubborn, wait_s=0.02, on_error=lambda _: None) is None
    assert time.monotonic() - began < 1
    release.set()


async def test_a_function_that_blocks_does_not_block_the_loop() -> None:
    release = threading.Event()
    ticks = 0

    async def tick() -> None:
        nonlocal ticks
        for _ in range(3):
            await asyncio.sleep(0.005)
            ticks += 1

    try:
        url, _ = await asyncio.gather(
            known_url(lambda: str(release.wait(10)), wait_s=0.1, on_error=lambda _: None), tick()
        )
    finally:
        release.set()
    assert url is None
    assert ticks == 3


async def test_whoever_waits_can_be_cancelled() -> None:
    waiting = asyncio.create_task(known_url(asyncio.Event().wait(), wait_s=10))  # type: ignore[arg-type]
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting


def test_a_future_that_any_thread_can_wait_for() -> None:
    assert url_future(_url).result(1) == URL
    with pytest.raises(KeyError):
        url_future(_raises).result(1)


def test_blocking_wait_has_the_same_bound() -> None:
    told: list[Exception] = []
    assert known_url_sync(Future(), wait_s=0.02, on_error=told.append) is None
    assert isinstance(told[0], TimeoutError)
