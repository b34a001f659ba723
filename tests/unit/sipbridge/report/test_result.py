from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from tuner_sipbridge.errors import FileError
from tuner_sipbridge.report.result import CallResult, RunResult
from tuner_sipbridge.report.terminal import print_results


def call(**fields: Any) -> CallResult:
    given = {"agent": "a", "scenario": "s", "sip_call_id": "x", "outcome": "success", "linked": True}
    return CallResult.model_validate({**given, **fields})


def run_of(*calls: CallResult) -> RunResult:
    return RunResult(started_at=0, ended_at=1, calls=list(calls))


def turns(*latencies: float | None) -> dict[str, Any]:
    return {"turns": [{"response_latency_ms": latency} for latency in latencies]}


@pytest.mark.parametrize(
    ("fields", "passed"),
    [({}, True), ({"linked": None}, True), ({"linked": False}, False), ({"outcome": "agent_error"}, False)],
)
def test_a_call_passes_when_it_was_played_and_linked_where_that_was_asked(fields: Any, passed: bool) -> None:
    assert call(**fields).passed is passed
    assert run_of(call(), call(**fields)).passed is passed


def test_a_run_without_calls_has_not_passed() -> None:
    assert not run_of().passed


def test_result_json_reads_back_and_holds_what_a_script_wants(tmp_path: Path) -> None:
    result = run_of(
        call(measures=turns(700.0, None, 900.0)), call(linked=False, reason="not linked: no call")
    )
    path = result.write(tmp_path / "out")
    written = json.loads(path.read_text())
    assert written["passed"] is False
    assert written["summary"]["linked"] == 1
    assert written["summary"]["response_latency_ms"]["p50"] == 800.0
    wanted = {"agent", "scenario", "sip_call_id", "correlation_id", "outcome", "linked", "reason"}
    assert wanted | {"recording", "trace", "record", "measures"} <= set(written["calls"][0])
    again = RunResult.read(tmp_path / "out")
    assert again.calls == result.calls
    assert again.passed is False


def test_latency_is_told_by_agent() -> None:
    result = run_of(call(agent="a", measures=turns(100.0)), call(agent="b", measures=turns(300.0)))
    assert result.response_latency("a").p50 == pytest.approx(0.1)
    assert result.response_latency().count == 2


@pytest.mark.parametrize(
    ("content", "words"), [(None, "cannot be read"), ("{}", "started_at"), ("x", "JSON")]
)
def test_a_result_that_cannot_be_read_is_a_file_error(
    tmp_path: Path, content: str | None, words: str
) -> None:
    if content is not None:
        (tmp_path / "result.json").write_text(content)
    with pytest.raises(FileError) as caught:
        RunResult.read(tmp_path / "result.json")
    assert words in str(caught.value)


def test_the_table_names_what_failed_and_the_sentence_counts() -> None:
    console = Console(width=200, record=True, file=open("/dev/null", "w"))
    print_results(
        run_of(call(measures=turns(812.0)), call(linked=False, reason="not linked: [why]")), console
    )
    text = console.export_text()
    assert "a / s: not linked: [why]" in text
    assert "1 of 2 calls passed, 1 of 2 linked; response latency p50 812, max 812 (1)" in text


DOWN = {
    "outcome": "upstream_error",
    "linked": None,
    "detail": "503 Service Unavailable: the far end is overloaded or down",
    "failure": {
        "stage": "set-up",
        "cause": "503 Service Unavailable: the far end is overloaded or down",
        "status": 503,
        "phrase": "Service Unavailable",
        "reasons": [{"protocol": "Q.850", "cause": 38, "text": ""}],
        "warnings": [{"code": 399, "agent": "edge", "text": "no <channel>"}],
        "retry_after_s": 30,
        "hop": "198.51.100.7:5060 over UDP",
        "server": "edge/1",
    },
}


def test_a_failed_call_is_told_with_its_class_and_its_hop_and_failures_are_counted() -> None:
    console = Console(width=200, record=True, file=open("/dev/null", "w"))
    result = run_of(call(), call(**DOWN), call(**DOWN), call(linked=False, reason="not linked: no call"))
    print_results(result, console)
    text = console.export_text()
    assert "a / s: upstream error: 503 Service Unavailable: the far end is overloaded or down\n" in text
    assert "  before the answer, at 198.51.100.7:5060 over UDP (edge/1)\n" in text
    assert "1 of 4 calls passed (2 upstream error), 1 of 2 linked" in text
    assert result.summary()["outcomes"] == {"success": 2, "upstream_error": 2}


def test_result_json_of_a_call_that_passed_says_so_by_null(tmp_path: Path) -> None:
    result = run_of(call(), call(**DOWN))
    result.write(tmp_path)
    passed, failed = json.loads((tmp_path / "result.json").read_text())["calls"]
    assert passed["failure"] is None
    assert set(failed["failure"]) == {
        *(
            "stage",
            "cause",
            "status",
            "phrase",
            "q850",
            "reasons",
            "warnings",
            "retry_after_s",
            "hop",
            "server",
        )
    }
    assert RunResult.read(tmp_path).calls == result.calls
