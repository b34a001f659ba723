import json
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from tuner_core.errors import (
    ApiError,
    AuthenticationError,
    RateLimited,
    RecordRefused,
    ServerError,
    TransportError,
)
from tuner_core.http import RetryPolicy, call_request, is_retryable, read_response, retry_after_s

NOW = 1_790_000_000.0


def read(status: int, body: Any = None, headers: dict[str, str] | None = None) -> Any:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return read_response(status, headers or {}, raw, call_id="c-81", now=NOW)


def refusal(status: int, body: Any = None, headers: dict[str, str] | None = None) -> ApiError:
    with pytest.raises(ApiError) as caught:
        read(status, body, headers)
    return caught.value


def test_an_agent_id_of_any_characters_reaches_the_api_whole() -> None:
    request = call_request(
        base_url="https://api.example",
        workspace_id=7,
        agent_id="sales & support/ä?=#",
        api_key="k",
        body=b"{}",
    )
    target = urlsplit(request.url)
    assert target.path == "/api/v1/public/call"
    assert parse_qs(target.query) == {
        "workspace_id": ["7"],
        "agent_remote_identifier": ["sales & support/ä?=#"],
    }


def test_a_request_shows_neither_key_nor_body() -> None:
    request = call_request(
        base_url="https://api.example", workspace_id=7, agent_id="a", api_key="tr_api_secret", body=b"words"
    )
    assert request.headers["Authorization"] == "Bearer tr_api_secret"
    assert "secret" not in repr(request)
    assert "words" not in repr(request)


@pytest.mark.parametrize(
    ("status", "body", "id_", "is_new"),
    [
        (201, {"id": 5, "provider_call_id": "c-81", "is_new": True}, 5, True),
        (200, {"id": 5, "provider_call_id": "c-81", "is_new": False}, 5, False),
        (200, {"id": 5, "is_new": True}, 5, True),
        (409, {"detail": "exists"}, None, False),
        (201, b"", None, True),
        (409, b"<html>", None, False),
        (201, {"id": "5"}, None, True),
        (201, {"id": 2**63}, None, True),
    ],
)
def test_both_documented_answers_to_a_duplicate_are_success(
    status: int, body: Any, id_: int | None, is_new: bool
) -> None:
    receipt = read(status, body)
    assert (receipt.call_id, receipt.id, receipt.is_new) == ("c-81", id_, is_new)


@pytest.mark.parametrize("body", [b"<html>Sign in to the network</html>", b'{"id": 5, "is_n', [1], b"\xff"])
def test_a_success_that_is_not_the_apis_is_none(body: Any) -> None:
    """A login page of a network answers 200 to everything: the call must go on being sent."""
    with pytest.raises(TransportError, match="not the API's answer") as caught:
        read(200, body)
    assert is_retryable(caught.value)


TARGET = {"url": "https://b.example/", "fields": {"key": "k", "policy": "5ec4e7"}, "max_bytes": 10}


@pytest.mark.parametrize("status", [200, 201, 409])
def test_an_upload_target_and_the_id_of_the_request_are_on_the_receipt(status: int) -> None:
    receipt = read(status, {"id": 5, "recording_upload": TARGET}, {"x-request-id": "r-1"})
    assert receipt.upload.fields == (("key", "k"), ("policy", "5ec4e7"))
    assert receipt.request_id == "r-1"
    assert "5ec4e7" not in repr(receipt)


def test_a_target_of_no_use_costs_the_recording_and_not_the_call() -> None:
    receipt = read(201, {"id": 5, "recording_upload": {**TARGET, "url": 7}})
    assert (receipt.id, receipt.upload) == (5, None)
    assert "no url" in receipt.upload_problem


@pytest.mark.parametrize(
    ("status", "kind", "retryable"),
    [
        (302, RecordRefused, False),
        (400, RecordRefused, False),
        (401, AuthenticationError, False),
        (403, AuthenticationError, False),
        (404, RecordRefused, False),
        (408, ServerError, True),
        (413, RecordRefused, False),
        (422, RecordRefused, False),
        (429, RateLimited, True),
        (500, ServerError, True),
        (502, ServerError, True),
        (503, ServerError, True),
        (504, ServerError, True),
    ],
)
def test_what_a_status_means(status: int, kind: type[ApiError], retryable: bool) -> None:
    error = refusal(status)
    assert type(error) is kind
    assert error.status == status
    assert is_retryable(error) is retryable
    assert "c-81" in str(error)


def test_an_error_says_which_setting_to_look_at() -> None:
    assert "TUNER_API_KEY" in str(refusal(401))
    assert "TUNER_AGENT_ID" in str(refusal(404))
    assert "TUNER_BASE_URL" in str(refusal(307))


def test_a_validation_error_names_the_field_and_repeats_no_value() -> None:
    detail = [
        {
            "loc": ["body", "transcript_with_tool_calls", 3, "tool"],
            "msg": "Input should be an object",
            "input": "secret words",
        }
    ]
    error = refusal(422, {"detail": detail}, {"x-request-id": "r-9"})
    assert error.detail == "transcript_with_tool_calls.3.tool: Input should be an object"
    assert error.request_id == "r-9"
    assert "secret words" not in f"{error} {error.detail}"


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"detail": {"message": "no such agent", "code": 4}}, "no such agent"),
        ({"error": {"msg": "no such agent"}}, "no such agent"),
        ({"detail": None, "message": "no such agent"}, "no such agent"),
        ({"detail": "no\x00 such\r\nERROR \x1b[31magent\ud800"}, "no such ERROR [31magent"),
        (b"no such agent\n", "no such agent"),
        ({"detail": "x" * 10_000}, "x" * 500),
    ],
)
def test_the_apis_words_are_found_and_fit_for_a_log(body: Any, words: str) -> None:
    error = refusal(422, body, {"content-type": "text/plain; charset=utf-8"})
    assert error.detail == words
    assert str(error).encode().endswith(words.encode())


@pytest.mark.parametrize(
    "body", [b"", b"\xff", [], {"detail": 5}, {"detail": ["x"]}, {"detail": [{"loc": 3}]}]
)
def test_an_odd_error_body_is_still_an_error_of_its_status(body: Any) -> None:
    assert refusal(422, body).status == 422


@pytest.mark.parametrize(
    ("header", "wait"),
    [
        ("3", 3.0),
        ("0.5", 0.5),
        ("9999", 30.0),
        ("-4", 0.0),
        ("Mon, 21 Sep 2026 14:13:30 GMT", 10.0),
        ("Mon, 21 Sep 2026 14:13:10 GMT", 0.0),
        ("soon", None),
        ("nan", None),
        ("", None),
        (None, None),
    ],
)
def test_retry_after_is_seconds_or_a_date_and_capped(header: str | None, wait: float | None) -> None:
    assert retry_after_s(header, NOW) == wait


def test_waits_double_up_to_the_cap_with_full_jitter_above_retry_after() -> None:
    policy = RetryPolicy(base_s=0.5, cap_s=8)
    broken = TransportError("x")
    assert [policy.wait_s(n, broken, 1.0) for n in range(1, 7)] == [0.5, 1, 2, 4, 8, 8]
    assert policy.wait_s(3, broken, 0.0) == 0
    assert policy.wait_s(10_000, broken, 1.0) == 8
    limited = refusal(429, None, {"retry-after": "5"})
    assert policy.wait_s(1, limited, 0.0) == 5
    assert policy.wait_s(1, limited, 1.0) == 5.5
