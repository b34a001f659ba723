from __future__ import annotations

import asyncio
import threading
from pathlib import Path

import pytest

from tuner_core.identity import resolve
from tuner_core.identity.model import SipIdentity
from tuner_core.identity.pending import PendingCalls, PendingTable

DATA = Path(__file__).resolve().parents[3] / "data/providers"
A = SipIdentity(sip_call_id="a@edge", provider="twilio", provider_call_id="CA1")
B = SipIdentity(sip_call_id="b@edge", provider="twilio", provider_call_id="CA2")


def test_what_was_put_is_taken_once():
    calls = PendingCalls()
    assert calls.put(A)
    assert calls.take("CA1") == A
    assert calls.take("CA1", wait_s=0) is None


def test_it_waits_under_the_id_that_the_websocket_will_name():
    calls = PendingCalls()
    assert calls.put(A, provider_call_id="stream-7")
    assert calls.take("CA1", wait_s=0) is None
    assert calls.take("stream-7") == A


@pytest.mark.parametrize("identity", [SipIdentity(provider_call_id="CA1"), SipIdentity(sip_call_id="a@edge")])
def test_there_must_be_something_to_bridge_and_an_id_to_find_it(identity: SipIdentity):
    calls = PendingCalls()
    assert not calls.put(identity)
    assert len(calls) == 0


def test_a_correlation_id_alone_is_worth_bridging():
    calls = PendingCalls()
    assert calls.put(SipIdentity(correlation_id="0f6ef4e7c2b84c0e9b39a1b1c2d3e4f5", provider_call_id="CA1"))


def test_its_time_runs_out():
    table = PendingTable(ttl_s=300, max_calls=10)
    table.put("CA1", A, now=0)
    table.put("CA2", B, now=1)
    assert table.take("CA1", now=300) is None
    assert table.take("CA2", now=300) == B


def test_calls_that_never_reach_a_websocket_leave_no_memory_behind():
    table = PendingTable(ttl_s=300, max_calls=10)
    table.put("CA1", A, now=0)
    table.put("CA2", B, now=301)
    assert len(table) == 1


def test_one_more_than_may_wait_pushes_out_the_oldest():
    table = PendingTable(ttl_s=300, max_calls=2)
    for number in range(3):
        table.put(f"CA{number}", A, now=number)
    assert len(table) == 2
    assert table.take("CA0", now=3) is None


def test_a_later_webhook_of_the_same_call_replaces_and_starts_anew():
    table = PendingTable(ttl_s=300, max_calls=2)
    table.put("CA1", A, now=0)
    table.put("CA2", B, now=100)
    table.put("CA1", B, now=200)
    assert table.take("CA1", now=450) == B
    assert table.take("CA2", now=450) is None


@pytest.mark.parametrize(
    ("webhook", "websocket"),
    [
        ("twilio/voice-webhook.form", "twilio/media-stream-start-nothing-forwarded.json"),
        ("telnyx/call-initiated.json", "telnyx/media-stream-start.json"),
        ("telnyx/texml-webhook.form", "telnyx/media-stream-start.json"),
        ("plivo/answer-webhook.form", "plivo/stream-start-nothing-forwarded.json"),
        ("vobiz/trunk-webhook.json", "vobiz/stream-start-nothing-forwarded.json"),
        ("exotel/passthru.form", "exotel/stream-start-nothing-forwarded.json"),
        ("jambonz/call-hook.json", "jambonz/listen-metadata-nothing-forwarded.json"),
        ("wavix/call-webhook-sip-headers.json", "wavix/streaming-start.json"),
    ],
)
def test_webhook_and_websocket_of_a_provider_name_the_call_alike(webhook: str, websocket: str):
    calls = PendingCalls()
    at_webhook, at_websocket = (
        resolve((DATA / name).read_bytes(), name.partition("/")[0]) for name in (webhook, websocket)
    )
    assert calls.put(at_webhook)
    assert at_websocket.provider_call_id
    assert calls.take(at_websocket.provider_call_id) == at_webhook


async def test_a_websocket_that_is_first_waits_for_its_webhook():
    calls = PendingCalls()
    taking = asyncio.create_task(calls.atake("CA1", wait_s=30))
    await asyncio.sleep(0)
    assert not taking.done()
    assert await calls.aput(A)
    assert await taking == A


async def test_waiting_has_an_end():
    assert await PendingCalls().atake("CA1", wait_s=0.01) is None


def test_a_thread_may_wait_for_another():
    calls = PendingCalls()
    taken: list[SipIdentity | None] = []
    thread = threading.Thread(target=lambda: taken.append(calls.take("CA1", wait_s=30)))
    thread.start()
    calls.put(A)
    thread.join(30)
    assert taken == [A]


async def test_of_many_that_ask_for_one_call_one_gets_it():
    calls = PendingCalls()
    taking = [asyncio.create_task(calls.atake("CA1", wait_s=0.05)) for _ in range(5)]
    await calls.aput(A)
    assert sorted(map(str, await asyncio.gather(*taking))) == sorted(map(str, [A, None, None, None, None]))
