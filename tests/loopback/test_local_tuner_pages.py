"""What the pages of the local Tuner do beyond showing: changes told live, search, export, clearing, leniency."""

import json
import threading
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tuner_core import TunerClient
from tuner_core.testing import LocalTuner

START = 1_760_000_000
CALL_SID = "CA0123456789abcdef0123456789abcdef"
HELLO = {"role": "agent", "text": "Hello!", "start_ms": 600, "end_ms": 1400}


@pytest.fixture
def http(local_tuner: LocalTuner) -> Iterator[httpx.Client]:
    headers = {"Authorization": f"Bearer {local_tuner.api_key}"}
    with httpx.Client(base_url=local_tuner.base_url, headers=headers, timeout=10) as client:
        yield client


def post(http: httpx.Client, call_id: str, **changes: Any) -> httpx.Response:
    body = {
        "call_id": call_id,
        "call_type": "phone_call",
        "transcript_with_tool_calls": [HELLO],
        "start_timestamp": START,
        "end_timestamp": START + 42,
        "recording_url": "pending",
    }
    query = {"workspace_id": "1", "agent_remote_identifier": changes.pop("agent", "frontdesk")}
    headers = {"Content-Type": "application/json"}
    return http.post("/api/v1/public/call", params=query, content=json.dumps(body | changes), headers=headers)


def revisions(http: httpx.Client, got: list[str], until: int) -> None:
    with http.stream("GET", "/local/changes") as stream:
        assert stream.headers["content-type"].startswith("text/event-stream")
        for line in stream.iter_lines():
            if line.startswith("data: "):
                got.append(line)
            if len(got) >= until:
                return


def test_changes_are_told_as_they_come(local_tuner: LocalTuner, http: httpx.Client) -> None:
    got: list[str] = []
    with httpx.Client(base_url=local_tuner.base_url, timeout=10) as listener:
        listening = threading.Thread(target=revisions, args=(listener, got, 3))
        listening.start()
        _until(lambda: len(got) == 1)
        post(http, "c-1")
        _until(lambda: len(got) == 2)
        http.post("/local/simulations", json={"sip_call_id": "a1"})
        listening.join(10)
    assert len(set(got)) == 3


def test_a_stream_ends_when_the_server_stops(local_tuner: LocalTuner) -> None:
    got: list[str] = []
    with httpx.Client(base_url=local_tuner.base_url, timeout=10) as listener:
        listening = threading.Thread(target=revisions, args=(listener, got, 99))
        listening.start()
        _until(lambda: len(got) == 1)
        local_tuner.stop()
        listening.join(2)
        assert not listening.is_alive()


def test_a_search_finds_any_part_of_any_id(http: httpx.Client) -> None:
    post(http, "order-4217", sip_call_id="3zKq@10.0.0.1", agent="sales")
    post(http, "order-9999", sip_headers={"X-Correlation-Id": "0af3deadbeef"}, agent="support")
    post(http, "100%_sure")
    http.post("/local/simulations", json={"sip_call_id": "7yyQ", "scenario": "refund", "started_at": START})

    def found(query: str) -> list[str]:
        page = http.get("/", params={"q": query}).text
        names = ("order-4217", "order-9999", "100%_sure", "7yyQ")
        main = page[page.index("<main") : page.index("</main")]
        return [name for name in names if f">{name}<" in main]

    assert found("") == ["order-4217", "order-9999", "100%_sure"]
    assert found("4217") == ["order-4217"]
    assert found("ORDER-") == ["order-4217", "order-9999"]
    assert found("3zKq") == ["order-4217"]
    assert found("deadbeef") == ["order-9999"]
    assert found("support") == ["order-9999"]
    assert found(" %_s ") == ["100%_sure"]
    assert found("yyq") == ["7yyQ"]
    assert found("nothing") == []
    assert 'value="4217"' in http.get("/", params={"q": "4217"}).text


def test_a_carriers_id_is_explained_with_the_call_and_simulation_it_may_be(http: httpx.Client) -> None:
    http.post(
        "/local/simulations",
        json={"sip_call_id": "a1", "scenario": "refund", "started_at": START, "ended_at": START + 42},
    )
    post(http, "c-81", general_meta_data_raw={"webhook": {"CallSid": CALL_SID}})
    page = http.get("/", params={"q": CALL_SID}).text
    assert "Twilio&#39;s CallSid" in page
    assert "a provider's own id, not a SIP Call-ID" in page
    assert "docs/howto/twilio.md" in page
    assert "It stands in the record of" in page
    assert "most likely the call of the simulation refund" in page
    assert "No record posted here holds it" in http.get("/", params={"q": CALL_SID[:-1] + "0"}).text


def test_long_lists_come_in_pages(http: httpx.Client) -> None:
    for number in range(53):
        post(http, f"c-{number:03d}", agent="sales" if number % 2 else "support")
    page = http.get("/").text
    assert page.count('<tr id="call-') == 50
    assert "53 posted" in page
    assert "c-052" in page
    assert "c-002<" not in page
    older = http.get("/?q=&before=4").text
    assert older.count('<tr id="call-') == 3
    assert http.get("/?q=sales").text.count('<tr id="call-') == 26
    assert http.get("/?before=many&q=").status_code == 200
    assert http.get("/posts").text.count('<tr id="post-') == 50
    assert http.get("/posts?before=4").text.count('<tr id="post-') == 3


def test_everything_can_be_exported(http: httpx.Client) -> None:
    post(http, "c-81", sip_call_id="a1", colour="ü", odd={"half": "\ud800"})
    post(http, "c-82", call_type=None)
    http.post("/local/simulations", json={"sip_call_id": "a1", "started_at": START})
    answer = http.get("/local/export")
    assert answer.headers["content-disposition"] == 'attachment; filename="tuner-local.json"'
    document = answer.json()
    assert [call["record"]["colour"] for call in document["calls"]] == ["ü"]
    assert [(row["sip_call_id"], row["linked"]) for row in document["simulations"]] == [("a1", True)]
    assert [row["verdict"] for row in document["posts"]] == ["stored", "refused"]
    one = http.get(f"/local/calls/{document['calls'][0]['id']}.json").json()
    assert [row["status"] for row in one.pop("tries")] == [201]
    assert one == document["calls"][0]
    assert http.get("/local/calls/99.json").status_code == 404
    assert http.get(f"/calls/{document['calls'][0]['id']}").status_code == 200


def test_clearing_is_for_the_own_pages_only(local_tuner: LocalTuner, http: httpx.Client) -> None:
    post(http, "c-81")
    http.post("/local/simulations", json={"sip_call_id": "a1"})
    for origin in ("https://evil.example", "null", "http://127.0.0.1:1", "file://"):
        assert http.post("/local/clear", headers={"Origin": origin}).status_code == 403
    assert http.post("/local/clear", headers={"Sec-Fetch-Site": "cross-site"}).status_code == 403
    assert http.get("/local/clear").status_code == 405
    assert len(local_tuner.calls()) == 1
    cleared = http.post("/local/clear", headers={"Origin": local_tuner.base_url})
    assert (cleared.status_code, cleared.headers["location"]) == (303, "/")
    assert local_tuner.calls() == local_tuner.simulations() == local_tuner.posts() == []
    post(http, "c-81")
    assert local_tuner.calls()[0].call.id == 2


def test_another_site_cannot_register_or_post_through_a_browser(http: httpx.Client) -> None:
    evil = {"Origin": "https://evil.example"}
    assert http.post("/local/simulations", json={"sip_call_id": "a1"}, headers=evil).status_code == 403
    assert http.patch("/local/simulations/a1", json={}, headers=evil).status_code == 403


def test_a_refused_post_shows_its_body_its_problems_and_what_would_repair_it(
    local_tuner: LocalTuner, http: httpx.Client
) -> None:
    post(http, "c-81", agent_version="v2", call_type="x" * 101)
    (refused,) = local_tuner.posts()
    page = http.get(f"/posts/{refused.id}").text
    assert "agent_version: Input should be a valid integer" in page
    assert "call_type: String should have at most 100 characters" in page
    dry = page[page.index('id="dry"') :]
    assert "call_type: longer than 100 characters" in dry
    assert "&#34;agent_version&#34;: &#34;v2&#34;" in page
    assert http.get("/posts/99").status_code == 404
    http.post("/api/v1/public/call", content=b"\xff{", headers={"Content-Type": "application/json"})
    assert "It cannot be repaired: it is not a JSON object" in http.get(f"/posts/{refused.id + 1}").text


@pytest.mark.local_tuner(lenient=True)
def test_a_lenient_tuner_takes_what_the_api_would_refuse_and_says_why(
    local_tuner: LocalTuner, http: httpx.Client
) -> None:
    assert post(http, "c-81", agent_version="v2", transcript_with_tool_calls=[]).status_code == 201
    assert post(http, "c-82").status_code == 201
    (odd, fine) = local_tuner.calls()
    page = http.get(f"/calls/{odd.call.id}").text
    assert "The API would refuse this call" in page
    assert "agent_version: Input should be a valid integer" in page
    assert "transcript_with_tool_calls: List should have at least 1 item" in page
    assert local_tuner.record(odd.call)["transcript_with_tool_calls"] == []
    assert (
        "would refuse"
        not in http.get(f"/calls/{fine.call.id}").text.split("<main", 1)[1].split("</h1>", 1)[1]
    )
    assert post(http, "c-83", start_timestamp=None, end_timestamp=None).status_code == 422
    assert post(http, "c-84", start_timestamp="soon", end_timestamp="later").status_code == 422
    http.headers["Authorization"] = "Bearer wrong"
    assert post(http, "c-85").status_code == 401


def test_what_our_client_repaired_is_shown_with_the_call(local_tuner: LocalTuner, http: httpx.Client) -> None:
    with TunerClient() as client:
        receipt = client.create_call(
            {"call_id": "c-81", "start_timestamp": START, "end_timestamp": START, "agent_version": "beta-3"}
        )
    assert receipt.repairs
    (noted,) = local_tuner.posts()
    assert noted.repairs == receipt.repairs
    page = http.get(f"/calls/{receipt.id}").text
    shown = page[page.index("Repaired by the SDK before it was posted") :]
    assert "agent_version: " in shown
    assert "Kept aside in general_meta_data_raw.tuner_sdk" in shown
    assert "beta-3" in shown


def test_a_repeated_post_with_another_body_keeps_both_to_look_at(
    local_tuner: LocalTuner, http: httpx.Client
) -> None:
    for status in ("first", "first", "second"):
        post(http, "c-81", call_status=status)
    bodies = [http.get(f"/posts/{noted.id}").text for noted in local_tuner.posts()]
    assert ["&#34;first&#34;" in body for body in bodies] == [True, False, False]
    assert "Its body is that of" in bodies[1]
    assert "&#34;second&#34;" in bodies[2]


def test_the_files_of_the_pages_are_served_for_ever_under_their_digest(http: httpx.Client) -> None:
    page = http.get("/").text
    script = page.split('<script src="')[1].split('"')[0]
    answer = http.get(script)
    assert answer.headers["content-type"].startswith("text/javascript")
    assert "immutable" in answer.headers["cache-control"]
    assert http.get("/static/page-0.js").status_code == 404


def test_the_export_is_one_json_document_however_large(http: httpx.Client) -> None:
    for number in range(3):
        post(http, f"c-{number}")
    with http.stream("GET", "/local/export") as answer:
        assert json.loads(b"".join(answer.iter_bytes()))["calls"][2]["call_id"] == "c-2"


def _until(condition: Any) -> None:
    import time

    end = time.monotonic() + 5
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)
