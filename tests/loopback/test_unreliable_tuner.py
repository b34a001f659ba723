"""The unreliable server says what it did: each fault as its client sees it, what is stored, what overlapped."""

from __future__ import annotations

import threading
import time

import httpx
import pytest

from tuner_core.testing import UnreliableTuner


def post(tuner: UnreliableTuner, call_id: str, *, key: str = "k", timeout_s: float = 5.0) -> httpx.Response:
    return httpx.post(
        f"{tuner.base_url}/api/v1/public/call",
        json={"call_id": call_id},
        headers={"Authorization": f"Bearer {key}"},
        timeout=timeout_s,
    )


def test_it_stores_a_call_once_and_answers_again_with_either_kind_of_duplicate():
    with UnreliableTuner(seed=1) as tuner:
        assert post(tuner, "c").status_code == 201
        again = [post(tuner, "c") for _ in range(12)]
    assert {answer.status_code for answer in again} == {200, 409}
    assert all(answer.json() == {"id": 1, "provider_call_id": "c", "is_new": False} for answer in again)
    assert (list(tuner.calls), tuner.duplicates) == (["c"], 12)


@pytest.mark.parametrize(
    ("fault", "seen", "stored"),
    [
        ("half:1", httpx.RemoteProtocolError, True),
        ("take-and-reset:1", httpx.ReadError, True),
        ("reset:1", httpx.ReadError, False),
        ("hang:1", httpx.ReadTimeout, False),
        ("slow=9:1", httpx.ReadTimeout, True),
    ],
)
def test_each_fault_is_what_it_says(fault: str, seen: type[Exception], stored: bool):
    with UnreliableTuner(fault) as tuner:
        with pytest.raises(seen):
            post(tuner, "c", timeout_s=0.2)
        assert ("c" in tuner.calls) is stored
    assert tuner.answers == {fault.partition(":")[0].partition("=")[0]: 1}


def test_a_status_comes_with_its_retry_after():
    with UnreliableTuner("429=3:1") as tuner:
        answer = post(tuner, "c")
    assert (answer.status_code, answer.headers["retry-after"], tuner.calls) == (429, "3", {})


def test_requests_for_one_call_that_are_open_at_once_are_an_overlap():
    def patient() -> None:
        with pytest.raises(httpx.ReadTimeout):
            post(tuner, "c", timeout_s=1.0)

    with UnreliableTuner("hang:1") as tuner:
        first = threading.Thread(target=patient)
        first.start()
        while not tuner.answers:
            time.sleep(0.01)
        with pytest.raises(httpx.ReadTimeout):
            post(tuner, "c", key="other", timeout_s=0.1)
        first.join()
        with pytest.raises(httpx.ReadTimeout):
            post(tuner, "c", timeout_s=0.1)
    [overlap] = tuner.overlaps
    assert (overlap.call_id, overlap.earlier, overlap.later) == ("c", "k", "other")
