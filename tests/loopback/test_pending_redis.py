"""What workers share: pending calls, and signatures that were seen, with a real redis-server between them."""

from __future__ import annotations

import logging
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis

from tuner_core.errors import ConfigError
from tuner_core.identity.model import SipIdentity
from tuner_core.identity.pending_redis import RedisPendingCalls
from tuner_core.webhooks import SeenInRedis, WebhookRefused, WebhookRequest, exotel

IDENTITY = SipIdentity(
    sip_call_id="a84b4c76e66710@pc33.example.com",
    correlation_id="0f6ef4e7c2b84c0e9b39a1b1c2d3e4f5",
    provider="plivo",
    provider_call_id="2c7e1f0a-5d3b-4c8e-9f10-8a7b6c5d4e3f",
    found_at={"sip_call_id": "X-PH-CallID"},
    warnings=("a warning",),
)
KEY = "2c7e1f0a-5d3b-4c8e-9f10-8a7b6c5d4e3f"


class Server:
    """A redis-server on a unix socket that this test started, and ends."""

    def __init__(self, folder: Path) -> None:
        self.socket = folder / "redis.sock"
        self.url = f"unix://{self.socket}"
        self._command = [
            "redis-server",
            "--port",
            "0",
            "--unixsocket",
            str(self.socket),
            "--save",
            "",
            "--dir",
            folder,
        ]

    def start(self) -> None:
        self._process = subprocess.Popen(self._command, stdout=subprocess.DEVNULL, stderr=subprocess.STDOUT)
        client = redis.Redis(unix_socket_path=str(self.socket))
        until = time.monotonic() + 10
        while True:
            try:
                client.ping()
            except redis.ConnectionError:
                assert time.monotonic() < until, "redis-server did not start"
                time.sleep(0.01)
            else:
                return client.close()

    def stop(self) -> None:
        self._process.kill()
        self._process.wait(10)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    server = Server(tmp_path)
    server.start()
    yield server
    server.stop()


TAKER = """
import sys
from tuner_core.identity.pending_redis import RedisPendingCalls
from tuner_core.webhooks import SeenInRedis, WebhookRefused, WebhookRequest, exotel
calls = RedisPendingCalls(sys.argv[1])
print(calls.take(sys.argv[2], wait_s=20), flush=True)
"""


def test_what_one_worker_puts_another_takes(server: Server):
    """The taker may start before or after: it waits for the webhook."""
    calls = RedisPendingCalls(server.url)
    taker = subprocess.Popen(
        [sys.executable, "-c", TAKER, server.url, KEY], stdout=subprocess.PIPE, text=True
    )
    assert calls.put(IDENTITY)
    output, _ = taker.communicate(timeout=30)
    assert output.strip() == str(IDENTITY)
    assert calls.take(KEY, wait_s=0) is None
    calls.close()


async def test_it_is_handed_out_once_in_the_event_loop_too(server: Server):
    one, other = RedisPendingCalls(server.url), RedisPendingCalls(server.url)
    assert await one.aput(IDENTITY)
    assert [await other.atake(KEY, wait_s=0), await one.atake(KEY, wait_s=0)] == [IDENTITY, None]


def test_what_lies_in_redis_expires_and_names_nobody(server: Server):
    RedisPendingCalls(server.url, ttl_s=90, prefix="app:").put(IDENTITY, provider_call_id="+14155550123")
    client = redis.Redis(unix_socket_path=str(server.socket), decode_responses=True)
    keys: Any = client.keys("*")
    ttl: Any = client.ttl(keys[0])
    assert 0 < ttl <= 90
    assert [key[:4] for key in keys] == ["app:"]
    assert "4155550123" not in f"{keys} {client.get(keys[0])}"


def test_a_client_of_ones_own_may_be_given(server: Server):
    client = redis.Redis(unix_socket_path=str(server.socket), decode_responses=True)
    calls = RedisPendingCalls(client)
    assert calls.put(IDENTITY)
    assert calls.take(KEY) == IDENTITY


def test_what_some_other_program_stored_is_no_identity(server: Server):
    calls = RedisPendingCalls(server.url)
    calls.put(IDENTITY)
    client = redis.Redis(unix_socket_path=str(server.socket))
    keys: Any = client.keys("*")
    client.set(keys[0], '{"surprise": 1}')
    assert calls.take(KEY, wait_s=0) is None


def test_a_redis_that_goes_away_costs_one_warning_and_no_call(
    server: Server, caplog: pytest.LogCaptureFixture
):
    calls = RedisPendingCalls(server.url)
    assert calls.put(IDENTITY)
    server.stop()
    started = time.monotonic()
    with caplog.at_level(logging.WARNING, logger="tuner_core.redis"):
        assert calls.take(KEY, wait_s=0) is None
        assert calls.put(IDENTITY)
        assert calls.take(KEY, wait_s=0) == IDENTITY, "one process still bridges its own calls"
    assert time.monotonic() - started < 2
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert str(server.socket) not in caplog.text


def test_a_redis_that_comes_back_is_used_again(server: Server):
    calls = RedisPendingCalls(server.url)
    calls._redis._pause_s = 0
    server.stop()
    assert calls.put(IDENTITY)
    server.start()
    assert calls.take(KEY, wait_s=0) == IDENTITY, "what was kept here meanwhile is not lost"
    assert calls.put(IDENTITY)
    assert RedisPendingCalls(server.url).take(KEY) == IDENTITY


def test_a_redis_that_never_answers_holds_nobody_up(tmp_path: Path):
    with socket.socket(socket.AF_UNIX) as silent:
        silent.bind(f"{tmp_path}/silent.sock")
        silent.listen()
        calls = RedisPendingCalls(f"unix://{tmp_path}/silent.sock", timeout_s=0.05)
        started = time.monotonic()
        assert calls.take(KEY, wait_s=0) is None
        assert time.monotonic() - started < 2


def test_a_wrong_url_is_told_at_the_start():
    with pytest.raises(ConfigError, match="redis://host"):
        RedisPendingCalls("localhost:6379")


def test_without_the_package_the_extra_is_named(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "redis", None)
    with pytest.raises(ConfigError, match=r"pip install 'tuner-core\[redis\]'"):
        RedisPendingCalls("redis://localhost")


WEBHOOK = WebhookRequest("GET", "/voice?CallSid=1&token=t", {}, client_ip="192.0.2.1")


def worker(server: Server) -> exotel:
    return exotel(networks=["192.0.2.1"], token="t", seen=SeenInRedis(server.url))


def test_a_replay_to_another_worker_is_refused(server: Server):
    worker(server).check(WEBHOOK)
    with pytest.raises(WebhookRefused, match="replayed"):
        worker(server).check(WEBHOOK)
    client = redis.Redis(unix_socket_path=str(server.socket))
    keys: Any = client.keys("*")
    ttl: Any = client.ttl(keys[0])
    assert len(keys) == 1
    assert 86_000 < ttl <= 86_400


def test_a_redis_that_goes_away_lets_authentic_webhooks_in(server: Server, caplog: pytest.LogCaptureFixture):
    check = worker(server)
    check.check(WEBHOOK)
    server.stop()
    with caplog.at_level(logging.WARNING, logger="tuner_core.redis"):
        check.check(WebhookRequest("GET", "/voice?CallSid=2&token=t", {}, client_ip="192.0.2.1"))
        with pytest.raises(WebhookRefused, match="wrong"):
            check.check(WebhookRequest("GET", "/voice?CallSid=3&token=x", {}, client_ip="192.0.2.1"))
        with pytest.raises(WebhookRefused, match="replayed"):
            check.check(WEBHOOK)
    assert [record.getMessage().partition(":")[0] for record in caplog.records] == [
        "Redis does not answer (ConnectionError)"
    ]
