"""Posts passed on to another API: its answer is the answer, what goes wrong on the way is told."""

import socket
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tuner_core.local.forward import ForwardError, is_itself
from tuner_core.testing import HALF, HANG, RESET, Answer, LocalTuner, RateLimit, ScriptedTuner, Step

KEY = "tr_api_of_the_agent"
RECORD: dict[str, Any] = {
    "call_id": "c-81",
    "call_type": "phone_call",
    "transcript_with_tool_calls": [{"role": "agent", "text": "Hello!", "start_ms": 600, "end_ms": 1400}],
    "start_timestamp": 1_760_000_000,
    "end_timestamp": 1_760_000_042,
    "recording_url": "pending",
    "sip_call_id": "a1",
}


def post(tuner: LocalTuner, **changes: Any) -> httpx.Response:
    query = {"workspace_id": "77", "agent_remote_identifier": "sales & support"}
    headers = {"Authorization": f"Bearer {KEY}", "X-Tuner-Repairs": '["cut"]', "User-Agent": "an-agent/1"}
    return httpx.post(
        f"{tuner.base_url}/api/v1/public/call", params=query, json=RECORD | changes, headers=headers
    )


@pytest.fixture
def api() -> Iterator[LocalTuner]:
    with LocalTuner(api_key=KEY, workspace_id=77, agents=["sales & support"]) as behind:
        yield behind


def test_a_post_is_kept_linked_and_passed_on_with_the_agents_own_key(api: LocalTuner) -> None:
    with LocalTuner(forward_to=f"{api.base_url}/") as tuner:
        httpx.post(f"{tuner.base_url}/local/simulations", json={"sip_call_id": "a1"})
        first, again = post(tuner), post(tuner)
        assert (first.status_code, again.status_code) == (201, 200)
        assert (first.json()["is_new"], again.json()["is_new"]) == (True, False)
        (row,) = tuner.calls()
        assert row.linked is not None
        assert api.record(api.calls()[0].call) == tuner.record(row.call) == RECORD
        assert [(noted.status, noted.upstream and noted.upstream.status) for noted in tuner.posts()] == [
            (201, 201),
            (200, 200),
        ]
        assert tuner.environment() == {"TUNER_BASE_URL": tuner.base_url}
        assert f"passes posts on to {api.base_url}" in httpx.get(tuner.base_url).text
    (received, _) = api.posts()
    assert received.sent_by == "an-agent/1"
    assert received.repairs == ()


def test_the_apis_refusal_is_the_answer_and_shown(api: LocalTuner) -> None:
    with LocalTuner(forward_to=api.base_url) as tuner:
        url = f"{tuner.base_url}/api/v1/public/call?workspace_id=77&agent_remote_identifier=other"
        answer = httpx.post(url, json=RECORD, headers={"Authorization": f"Bearer {KEY}"})
        assert answer.status_code == 404
        assert answer.json() == {"detail": "Agent not found in this workspace"}
        (row,) = tuner.calls()
        page = httpx.get(f"{tuner.base_url}/calls/{row.call.id}").text
        assert "Agent not found in this workspace" in page


def test_what_is_refused_here_is_not_passed_on_unless_this_tuner_is_lenient() -> None:
    with ScriptedTuner(Answer(422, {"detail": "no"})) as api:
        with LocalTuner(forward_to=api.base_url) as tuner:
            assert post(tuner, agent_version="v2").status_code == 422
            assert api.received == []
        with LocalTuner(forward_to=api.base_url, lenient=True) as tuner:
            assert post(tuner, agent_version="v2").json() == {"detail": "no"}
            assert [received.body["agent_version"] for received in api.received] == ["v2"]


@pytest.mark.parametrize(
    ("step", "status", "words"),
    [
        (RateLimit(after_s=3), 429, "Too many requests"),
        (503, 503, "as the script says"),
        (Answer(500, "not JSON", {"Content-Type": "text/plain"}), 500, "not JSON"),
        (RESET, 502, "gave no whole answer"),
        (HALF, 502, "gave no whole answer"),
        (HANG, 504, "gave no answer within 0.3 s"),
    ],
)
def test_what_goes_wrong_behind_is_told_and_noted(step: Step, status: int, words: str) -> None:
    with (
        ScriptedTuner(step) as api,
        LocalTuner(forward_to=api.base_url, forward_timeout_s=0.3) as tuner,
    ):
        answer = post(tuner)
        assert answer.status_code == status
        assert words in answer.text
        assert KEY not in answer.text
        if status == 429:
            assert answer.headers["retry-after"] == "3"
        (noted,) = tuner.posts()
        assert noted.upstream is not None
        assert words in noted.upstream.detail
        assert noted.status == status
        (row,) = tuner.calls()
        assert words in httpx.get(f"{tuner.base_url}/calls/{row.call.id}").text
        assert post(tuner).status_code == (200 if step == HALF else 201)


def test_an_api_that_is_not_there_is_a_502() -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        with LocalTuner(forward_to=f"http://127.0.0.1:{nobody.getsockname()[1]}") as tuner:
            answer = post(tuner)
    assert answer.status_code == 502
    assert "gave no whole answer" in answer.json()["detail"]


def test_two_that_forward_to_each_other_do_not_go_round_for_ever() -> None:
    with socket.create_server(("127.0.0.1", 0)) as reserved:
        port = reserved.getsockname()[1]
    with (
        LocalTuner(forward_to=f"http://127.0.0.1:{port}") as one,
        LocalTuner(forward_to=one.base_url, port=port) as other,
    ):
        answer = post(other)
        assert answer.status_code == 508
        assert "forwards to itself" in answer.json()["detail"]


def test_a_tuner_never_forwards_to_itself() -> None:
    with socket.create_server(("127.0.0.1", 0)) as reserved:
        port = reserved.getsockname()[1]
    for host in ("127.0.0.1", "localhost"):
        with pytest.raises(ForwardError, match="cannot forward to itself"):
            LocalTuner(port=port, forward_to=f"http://{host}:{port}")
    assert is_itself("http://127.0.0.1:8765/", "0.0.0.0", 8765)
    assert is_itself("http://0.0.0.0:8765", "127.0.0.1", 8765)
    assert not is_itself("http://127.0.0.1:8766", "127.0.0.1", 8765)
    assert not is_itself("http://192.0.2.7:8765", "0.0.0.0", 8765)


@pytest.mark.parametrize("url", ["api.usetuner.ai", "ftp://x", "https://user:pw@x", "https://x?a=1", ""])
def test_an_address_that_is_none_is_refused(url: str) -> None:
    with pytest.raises(ForwardError, match="the address to forward to must"):
        LocalTuner(forward_to=url)
