"""The dialer's side of the local Tuner and its pages, over real HTTP."""

import re
import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tuner_core import CallRecord, CallTimeline, TunerClient, resolve
from tuner_core.events import CallEnded, CallStarted
from tuner_core.testing import LocalTuner

NOW = int(time.time()) - 60
HOSTILE = "<script>alert('x')</script>"


@pytest.fixture
def http(local_tuner: LocalTuner) -> Iterator[httpx.Client]:
    headers = {"Authorization": f"Bearer {local_tuner.api_key}"}
    with httpx.Client(base_url=local_tuner.base_url, headers=headers) as client:
        yield client


def register(http: httpx.Client, sip_call_id: str, **fields: Any) -> httpx.Response:
    return http.post("/local/simulations", json={"sip_call_id": sip_call_id, "started_at": NOW, **fields})


def post(http: httpx.Client, call_id: str, *segments: dict[str, Any], **fields: Any) -> httpx.Response:
    whole = {
        "call_id": call_id,
        "call_type": "phone_call",
        "transcript_with_tool_calls": segments
        or [{"role": "agent", "text": "Hi", "start_ms": 1, "end_ms": 2}],
        "start_timestamp": NOW,
        "end_timestamp": NOW + 30,
        "recording_url": "pending",
    }
    query = {"workspace_id": "1", "agent_remote_identifier": "frontdesk"}
    return http.post("/api/v1/public/call", params=query, json=whole | fields)


def simulation(http: httpx.Client, sip_call_id: str) -> dict[str, Any]:
    answer = http.get(f"/local/simulations/{sip_call_id}")
    assert answer.status_code == 200
    return answer.json()


def test_a_simulation_goes_from_registered_to_linked(http: httpx.Client) -> None:
    assert register(http, "a1", scenario="refund", agent="pipecat", target="sip:agent@x").status_code == 201
    assert simulation(http, "a1")["reason"] == "not linked: no call was posted after this simulation"
    update = http.patch(
        "/local/simulations/a1", json={"outcome": "success", "ended_at": NOW + 30, "detail": "ok"}
    )
    assert update.status_code == 200
    post(http, "c-81", sip_call_id="a1")
    row = simulation(http, "a1")
    assert (row["linked"], row["by"], row["reason"]) == (True, "sip_call_id", "linked by Call-ID")
    assert (row["outcome"], row["ended_at"], row["detail"]) == ("success", NOW + 30, "ok")
    assert (row["scenario"], row["agent"], row["target"]) == ("refund", "pipecat", "sip:agent@x")
    assert row["call"]["call_id"] == "c-81"
    assert http.get("/local/simulations").json() == [row]
    (call,) = http.get("/local/calls").json()
    assert (call["linked"], call["by"], call["simulation"]["sip_call_id"]) == (True, "sip_call_id", "a1")


def test_links_by_correlation_id_and_by_recipient(http: httpx.Client) -> None:
    register(http, "a1", correlation_id="0af3")
    register(http, "a2", recipient="sip:sim-abc@sip.example")
    post(http, "c-1", sip_headers={"x-correlation-id": "0af3"})
    post(http, "c-2", recipient="sip:sim-abc@sip.example")
    assert [simulation(http, key)["by"] for key in ("a1", "a2")] == ["correlation_id", "recipient"]


def test_a_carriers_own_id_does_not_link_and_the_reason_says_whose_it_is(http: httpx.Client) -> None:
    register(http, "a1", ended_at=NOW + 30)
    post(http, "c-81", sip_call_id="CA0123456789abcdef0123456789abcdef")
    row = simulation(http, "a1")
    assert not row["linked"]
    assert "Twilio's CallSid, a provider's own id, not the SIP Call-ID" in row["reason"]
    assert row["candidate"]["call_id"] == "c-81"


@pytest.mark.parametrize("passed", ["CallSid", "payload"])
def test_what_the_sdk_says_of_a_missing_call_id_is_the_reason(http: httpx.Client, passed: str) -> None:
    """The SDK leaves a CallSid out, or finds no Call-ID in a webhook; either way the provider's fix is shown."""
    call_sid = "CA0123456789abcdef0123456789abcdef"
    register(http, "a1", ended_at=NOW + 30)
    if passed == "CallSid":
        record = CallRecord(
            call_id="c-81",
            call_type="phone_call",
            start_timestamp=NOW,
            end_timestamp=NOW + 30,
            sip_call_id=call_sid,
        )
    else:
        timeline = CallTimeline(call_id="c-81")
        timeline.apply(CallStarted(at=NOW))
        timeline.apply(CallEnded(at=NOW + 30))
        record = timeline.record(identity=resolve({"CallSid": call_sid}))
    with TunerClient() as client:
        client.create_call(record)
    row = simulation(http, "a1")
    said = f"{row['reason']} {row['fix']}".replace("Let the call", "let the call")
    assert "the agent's call c-81 came without sip_call_id: " in said
    assert "let the call reach the agent through a Twilio SIP Domain" in said
    assert row["howto"] == "docs/howto/twilio.md"
    assert "through a Twilio SIP Domain" in page(http, "/calls/1")


def test_a_refused_post_is_the_reason_for_a_missing_call(http: httpx.Client) -> None:
    register(http, "a1")
    post(http, "c-81", sip_call_id="a1", call_type=None)
    assert simulation(http, "a1")["reason"].startswith(
        "not linked: the post of call c-81 was refused with 422 (call_type: "
    )


def test_a_wrong_key_is_the_reason_for_a_missing_call(http: httpx.Client) -> None:
    register(http, "a1")
    http.headers["Authorization"] = "Bearer wrong"
    post(http, "c-81", sip_call_id="a1")
    assert "refused with 401 (Missing or invalid API key)" in simulation(http, "a1")["reason"]


def test_registering_again_replaces_the_row(http: httpx.Client) -> None:
    register(http, "a1", scenario="one")
    assert register(http, "a1", scenario="two").status_code == 200
    (row,) = http.get("/local/simulations").json()
    assert row["scenario"] == "two"


def test_a_call_id_with_a_host_part_and_odd_characters_is_one_path(http: httpx.Client) -> None:
    sip_call_id = "a%b/c?d@10.0.0.1"
    register(http, sip_call_id)
    path = "/local/simulations/a%25b%2Fc%3Fd@10.0.0.1"
    assert http.patch(path, json={"outcome": "indeterminate"}).status_code == 200
    assert http.get(path).json()["outcome"] == "indeterminate"


@pytest.mark.parametrize(
    "content", [b"{", b"[]", b"{}", b'{"sip_call_id": ""}', b'{"sip_call_id": "a", "x": 1}']
)
def test_a_wrong_registration_is_422(http: httpx.Client, content: bytes) -> None:
    answer = http.post("/local/simulations", content=content)
    assert answer.status_code == 422
    assert answer.json()["detail"][0]["loc"][0] == "body"


def test_a_wrong_update_is_422_and_an_unknown_simulation_404(http: httpx.Client) -> None:
    register(http, "a1")
    assert http.patch("/local/simulations/a1", json={"outcome": "great"}).status_code == 422
    assert http.patch("/local/simulations/a2", json={"outcome": "success"}).status_code == 404
    assert http.get("/local/simulations/a2").status_code == 404


def page(http: httpx.Client, path: str) -> str:
    answer = http.get(path)
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert not re.search(r"<(img|iframe|style)\b|url\(|@import|\sstyle=|\son\w+=", answer.text)
    assert all(
        path.startswith("/static/")
        for path in re.findall(r"<(?:script src|link [^>]*href)=\"(.*?)\"", answer.text)
    )
    assert len(re.findall("<script", answer.text)) == 1
    return answer.text


def test_the_pages_of_an_empty_tuner_say_what_to_do(http: httpx.Client) -> None:
    shown = page(http, "/")
    for line in (
        f"TUNER_BASE_URL={str(http.base_url).rstrip('/')}",
        "TUNER_API_KEY=tr_api_local",
        "TUNER_AGENT_ID=",
    ):
        assert f"export {line}" in shown
    assert "No simulation was registered yet" in page(http, "/simulations")
    assert http.get("/calls/5").status_code == 404


def test_a_key_of_ones_own_stands_on_no_page() -> None:
    with LocalTuner(api_key="tr_api_mine", agents=["frontdesk"]) as tuner:
        shown = httpx.get(f"{tuner.base_url}/").text
    assert "tr_api_mine" not in shown
    assert "export TUNER_AGENT_ID=frontdesk" in shown


def test_the_list_of_calls_shows_what_is_linked_and_what_was_refused(http: httpx.Client) -> None:
    register(http, "a1", scenario="refund")
    post(http, "c-81", sip_call_id="a1")
    post(http, "c-81", sip_call_id="a1")
    post(http, "c-82")
    post(http, "c-83", call_type=None)
    text = page(http, "/")
    assert "2 posted, 1 refused or left to a fault" in text
    assert "posted 2 times, stored once" in text
    for words in ("linked by Call-ID", "refund", "production traffic", "422", "call_type: Input should be"):
        assert words in text


def test_one_call_shows_its_turns_tools_and_latencies(http: httpx.Client) -> None:
    latency = {"e2e_latency": 1120, "llm_node_ttft": 410.4, "tts_node_ttfb": 190, "interrupted": True}
    number = post(
        http,
        "c-81",
        {"role": "user", "text": "where is my order", "start_ms": 2000, "end_ms": 4000},
        {
            "role": "agent_function",
            "start_ms": 4300,
            "tool": {"name": "look_up_order", "params": {"order": "4217"}},
        },
        {
            "role": "agent_result",
            "start_ms": 4500,
            "tool": {"name": "look_up_order", "is_error": True, "error": "no"},
        },
        {"role": "agent", "text": "It is on its way", "start_ms": 5120, "end_ms": 7000, "metadata": latency},
        {"role": "node_transition", "node": {"from": "order", "to": "goodbye", "reason": "content"}},
        disconnection_reason="user_hangup",
        metadata={"ai_models": {"asr_model": "pocketsphinx"}, "usage_token": {"llm_token": 812}},
    ).json()["id"]
    text = page(http, f"/calls/{number}")
    for words in (
        "where is my order",
        "It is on its way",
        "look_up_order",
        "4217",
        "failed",
        "answered after <b>1.12 s</b>",
        "language model 410 ms",
        "voice 190 ms",
        "interrupted",
        "order → goodbye",
        "user_hangup",
        "pocketsphinx",
        "812",
    ):
        assert words in text
    assert len(re.findall(r'class="bar user', text)) == 1
    assert len(re.findall(r'class="bar agent cut', text)) == 1
    assert len(re.findall(r'class="bar tool error\b', text)) == 1
    assert len(re.findall(r'class="wait"', text)) == 1


def test_the_list_of_simulations_says_why(http: httpx.Client) -> None:
    register(http, "a1", scenario="refund", ended_at=NOW + 30, outcome="success")
    register(http, "a2", scenario="busy", ended_at=NOW + 2, outcome="upstream_error", detail="486 Busy Here")
    register(http, "a3", scenario="keypad", ended_at=NOW + 30)
    post(http, "c-81", sip_call_id="a1")
    post(http, "c-82")
    text = page(http, "/simulations")
    assert "1 of 3 linked" in text
    for words in ("linked by Call-ID", "486 Busy Here", "c-82 came without sip_call_id", "look at that call"):
        assert words in text


def test_nothing_that_was_posted_is_read_as_html(http: httpx.Client) -> None:
    register(
        http, HOSTILE, scenario=HOSTILE, agent=HOSTILE, target=HOSTILE, detail=HOSTILE, correlation_id="0af3"
    )
    tool = {"name": HOSTILE, "params": {HOSTILE: HOSTILE}, "error": HOSTILE}
    number = post(
        http,
        HOSTILE,
        {"role": "user", "text": HOSTILE, "start_ms": 0, "end_ms": 10},
        {"role": "agent_result", "tool": tool, "start_ms": 5},
        {"role": "node_transition", "node": {"from": HOSTILE, "to": HOSTILE, "reason": HOSTILE}},
        sip_call_id=HOSTILE.upper(),
        recipient=HOSTILE,
        recording_url=f"javascript:{HOSTILE}",
        disconnection_reason=HOSTILE,
        call_status=HOSTILE,
    ).json()["id"]
    post(http, "c-82", **{HOSTILE: 1}, sip_headers={HOSTILE: 5})
    for path in ("/", f"/calls/{number}", "/simulations"):
        text = page(http, path)
        assert "&lt;script&gt;" in text.lower()
        assert 'href="javascript' not in text


def test_odd_numbers_do_not_break_the_page_of_a_call(http: httpx.Client) -> None:
    number = post(
        http,
        "c-81",
        {"role": "user", "text": "far", "start_ms": -(10**9), "end_ms": 10**400},
        {
            "role": "agent",
            "words": [{"word": "w", "start_ms": 5, "end_ms": 1}],
            "metadata": {"e2e_latency": 10**400},
        },
        {
            "role": "agent",
            "start_ms": 9,
            "duration_ms": -9,
            "metadata": {"e2e_latency": "slow", "interrupted": "yes"},
        },
        {
            "role": "agent",
            "start_ms": 1e6,
            "end_ms": 1e6,
            "metadata": {"llm_node_ttft": 1e300, "stt_node_ttfb": -1},
        },
        start_timestamp=0,
        end_timestamp=9 * 10**10,
    ).json()["id"]
    assert "far" in page(http, f"/calls/{number}")
