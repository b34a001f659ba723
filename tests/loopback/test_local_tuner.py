"""Create Call of the local Tuner over real HTTP: every status it documents."""

import time
from collections.abc import Iterator
from typing import Any, Literal

import httpx
import pytest

from tuner_core.testing import LocalTuner

QUERY = {"workspace_id": "7", "agent_remote_identifier": "frontdesk"}
KEY = "tr_api_of_the_test"
START = 1_760_000_000

pytestmark = pytest.mark.local_tuner(api_key=KEY, workspace_id=7, agents=["frontdesk"])


def body(call_id: str = "c-81", **changes: Any) -> dict[str, Any]:
    whole = {
        "call_id": call_id,
        "call_type": "phone_call",
        "transcript_with_tool_calls": [{"role": "agent", "text": "Hello!", "start_ms": 600, "end_ms": 1400}],
        "start_timestamp": START,
        "end_timestamp": START + 42,
        "recording_url": "pending",
    }
    return whole | changes


@pytest.fixture
def http(local_tuner: LocalTuner) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=local_tuner.base_url, headers={"Authorization": f"Bearer {KEY}"}) as client:
        yield client


def post(
    http: httpx.Client, content: object, query: dict[str, str] | None = None, **options: Any
) -> httpx.Response:
    return http.post("/api/v1/public/call", params=QUERY if query is None else query, json=content, **options)


def test_a_new_call_is_created_and_kept_as_posted(http: httpx.Client) -> None:
    posted = body(colour="red", general_meta_data_raw={"ü": [1.5, None]})
    answer = post(http, posted)
    assert answer.status_code == 201
    receipt = answer.json()
    assert receipt == {"id": receipt["id"], "provider_call_id": "c-81", "is_new": True}
    assert http.get(f"/local/calls/{receipt['id']}").json()["record"] == posted


def test_a_duplicate_is_answered_with_200_and_the_first_post_is_kept(http: httpx.Client) -> None:
    first = post(http, body()).json()
    again = post(http, body(call_status="changed"))
    assert (again.status_code, again.json()) == (200, first | {"is_new": False})
    (row,) = http.get("/local/calls").json()
    assert row["posts"] == 2
    assert "call_status" not in http.get(f"/local/calls/{row['id']}").json()["record"]


@pytest.mark.local_tuner(api_key=KEY, workspace_id=7, duplicate_status=409)
def test_a_duplicate_may_be_answered_with_409(local_tuner: LocalTuner, http: httpx.Client) -> None:
    assert [post(http, body()).status_code for _ in range(2)] == [201, 409]
    assert len(local_tuner.calls()) == 1


@pytest.mark.parametrize(
    "authorization", ["", "Bearer", "Bearer wrong", f"Basic {KEY}", KEY, f"Bearer {KEY}x", "Bearer schlüssel"]
)
def test_a_wrong_key_is_401_whatever_the_body(http: httpx.Client, authorization: str) -> None:
    for content in (body(), {}):
        answer = post(http, content, headers={"Authorization": authorization.encode("latin-1")})
        assert answer.status_code == 401
    assert http.get("/local/calls").json() == []


def test_the_scheme_is_read_without_case(http: httpx.Client) -> None:
    assert post(http, body(), headers={"Authorization": f"bearer {KEY}"}).status_code == 201


def test_an_invalid_body_is_422_and_every_field_is_named(http: httpx.Client) -> None:
    wrong = body(
        call_id="",
        recording_url=5,
        end_timestamp=START - 1,
        transcript_with_tool_calls=[
            {"role": "user", "text": "hi"},
            {"role": "agent_result", "tool": {"result": "shipped"}},
        ],
    )
    answer = post(http, wrong)
    assert answer.status_code == 422
    problems = answer.json()["detail"]
    assert all(set(problem) == {"loc", "msg", "type"} for problem in problems)
    assert {tuple(problem["loc"]) for problem in problems} == {
        ("body", "call_id"),
        ("body", "recording_url"),
        ("body", "end_timestamp"),
        ("body", "transcript_with_tool_calls", 0),
        ("body", "transcript_with_tool_calls", 1, "tool", "result"),
    }
    assert http.get("/local/calls").json() == []


@pytest.mark.parametrize(
    ("query", "fields"),
    [
        ({}, {"workspace_id", "agent_remote_identifier"}),
        ({"workspace_id": "7"}, {"agent_remote_identifier"}),
        ({"workspace_id": "7", "agent_remote_identifier": ""}, {"agent_remote_identifier"}),
        ({"workspace_id": "seven", "agent_remote_identifier": "frontdesk"}, {"workspace_id"}),
        ({"workspace_id": "9" * 5000, "agent_remote_identifier": "frontdesk"}, {"workspace_id"}),
    ],
)
def test_a_wrong_query_is_422(http: httpx.Client, query: dict[str, str], fields: set[str]) -> None:
    answer = post(http, body(), query)
    assert answer.status_code == 422
    assert {tuple(problem["loc"]) for problem in answer.json()["detail"]} == {
        ("query", field) for field in fields
    }


@pytest.mark.parametrize(
    ("content", "content_type"),
    [
        (b"", "application/json"),
        (b"{", "application/json"),
        (b"\xff\xfe", "application/json"),
        (b"{}", "text/plain"),
    ],
)
def test_a_body_that_is_not_json_is_422(http: httpx.Client, content: bytes, content_type: str) -> None:
    answer = http.post(
        "/api/v1/public/call", params=QUERY, content=content, headers={"Content-Type": content_type}
    )
    assert answer.status_code == 422
    assert answer.json()["detail"][0]["loc"][0] == "body"


@pytest.mark.parametrize(
    "change", [{"workspace_id": "8"}, {"workspace_id": "-7"}, {"agent_remote_identifier": "other"}]
)
def test_an_unknown_workspace_or_agent_is_404(http: httpx.Client, change: dict[str, str]) -> None:
    assert post(http, body(), QUERY | change).status_code == 404
    assert http.get("/local/calls").json() == []


def test_other_methods_and_paths_do_not_exist(http: httpx.Client) -> None:
    assert http.get("/api/v1/public/call").status_code == 405
    assert http.post("/api/v1/public/calls").status_code == 404
    assert http.get("/local/calls/99").status_code == 404


def test_a_host_name_that_is_not_this_machine_is_refused(http: httpx.Client) -> None:
    assert http.get("/local/calls", headers={"Host": "evil.example"}).status_code == 400


def test_a_post_with_half_a_surrogate_pair_is_refused_and_noted(http: httpx.Client) -> None:
    text = b'{"call_id": "c-\\ud800", "sip_call_id": "\\udfff"}'
    answer = http.post(
        "/api/v1/public/call", params=QUERY, content=text, headers={"Content-Type": "application/json"}
    )
    assert answer.status_code == 422
    assert "c-?" in http.get("/").text


def test_calls_are_found_by_their_ids(http: httpx.Client) -> None:
    for number in range(3):
        post(http, body(f"c/{number}", sip_call_id=f"sip-{number}@host"))
    (row,) = http.get("/local/calls", params={"call_id": "c/1"}).json()
    assert row["sip_call_id"] == "sip-1@host"
    assert http.get("/local/calls", params={"sip_call_id": "sip-2@host"}).json()[0]["call_id"] == "c/2"
    assert http.get("/local/calls", params={"sip_call_id": "no"}).json() == []


def test_what_was_posted_is_there_after_a_restart(tmp_path: Any) -> None:
    file = tmp_path / "below" / "local.db"
    query = {"workspace_id": "1", "agent_remote_identifier": "any"}
    for is_new in (True, False):
        with LocalTuner(db=file) as tuner:
            headers = {"Authorization": f"Bearer {tuner.api_key}"}
            url = f"{tuner.base_url}/api/v1/public/call"
            assert httpx.post(url, params=query, json=body(), headers=headers).json()["is_new"] is is_new
            (row,) = tuner.calls()
            assert tuner.record(row.call)["call_id"] == "c-81"


@pytest.mark.parametrize("duplicate_status", [200, 409])
def test_posts_at_the_same_time_make_one_call_each(duplicate_status: Literal[200, 409]) -> None:
    import asyncio

    async def all_at_once(tuner: LocalTuner) -> list[int]:
        headers = {"Authorization": f"Bearer {tuner.api_key}"}
        query = {"workspace_id": "1", "agent_remote_identifier": "any"}
        async with httpx.AsyncClient(base_url=tuner.base_url, headers=headers, timeout=30) as client:
            posts = [
                client.post("/api/v1/public/call", params=query, json=body(f"c-{number % 20}"))
                for number in range(60)
            ]
            return [answer.status_code for answer in await asyncio.gather(*posts)]

    with LocalTuner(duplicate_status=duplicate_status) as tuner:
        statuses = asyncio.run(all_at_once(tuner))
        assert sorted(statuses) == sorted([201] * 20 + [duplicate_status] * 40)
        assert [row.call.posts for row in tuner.calls()] == [3] * 20


def test_stops_at_once_even_with_a_connection_left_open(local_tuner: LocalTuner, http: httpx.Client) -> None:
    post(http, body())
    began = time.monotonic()
    local_tuner.stop()
    local_tuner.stop()
    assert time.monotonic() - began < 2
    with pytest.raises(httpx.TransportError):
        post(http, body())
