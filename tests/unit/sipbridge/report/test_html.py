from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from tuner_sipbridge.report.html import render_report, write_report
from tuner_sipbridge.report.result import CallResult, RunResult

VOID = {"meta", "br", "link", "input", "hr", "img"}


class Reader(HTMLParser):
    """Collects elements and text, and checks that every element is closed in order."""

    def __init__(self) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self._open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag, f"</{tag}> closes another element"

    def handle_data(self, data: str) -> None:
        self.text += data

    def of(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]


def read(page: str) -> Reader:
    reader = Reader()
    reader.feed(page)
    reader.close()
    return reader


def test_the_page_shows_what_was_said_measured_and_signalled(run: RunResult, tmp_path: Path) -> None:
    page = read(render_report(run, tmp_path))
    text = re.sub(r"\s+", " ", page.text)
    for words in (
        "Where is my order?",
        "It is sent.",
        "look_up",
        "the agent reports 510 ms",
        "407 Proxy Authentication Required",
        "linked by Call-ID",
        "silent in 4",
        "42#",
    ):
        assert words in text
    latency = run.calls[0].measures["turns"][0]["response_latency_ms"]
    assert f"{latency:.0f} ms" in text


def test_nothing_but_the_calls_own_files_is_loaded_from_elsewhere(run: RunResult, tmp_path: Path) -> None:
    page = read(render_report(run, tmp_path))
    loaded = [value for _, given in page.elements for name, value in given.items() if name in {"src", "href"}]
    assert {value for value in loaded if value and not value.startswith("#")} == {
        "001/call.wav",
        "001/trace.jsonl",
        "001/record.json",
    }
    assert not re.search(r"@import|url\((?!#)", render_report(run, tmp_path))


def test_text_from_outside_cannot_become_markup(run: RunResult, tmp_path: Path) -> None:
    evil = "<script>alert(1)</script>"
    call = run.calls[0].model_copy(
        update={"reason": evil, "agent": evil, "scenario": '"><b>', "linked": False}
    )
    page = render_report(run.model_copy(update={"calls": [call]}), tmp_path)
    assert evil not in page
    assert "Hello <there>" not in page
    assert len(read(page).of("script")) == 1


def test_the_drawings_are_well_formed(run: RunResult, tmp_path: Path) -> None:
    drawings = re.findall(r"<svg.*?</svg>", render_report(run, tmp_path), re.DOTALL)
    assert len(drawings) == 4
    for drawing in drawings:
        ElementTree.fromstring(drawing)


def test_a_call_that_failed_says_why_and_needs_no_files(tmp_path: Path) -> None:
    why = "407 again after credentials were sent"
    call = CallResult(
        agent="a", scenario="s", sip_call_id="x", outcome="client_error", detail=why, linked=False, reason=why
    )
    page = read(render_report(RunResult(started_at=0, ended_at=1, calls=[call]), tmp_path))
    assert why in page.text
    assert "not linked" in page.text
    assert page.of("audio") == []


def test_beside_the_ladder_stands_what_the_far_end_said(tmp_path: Path) -> None:
    failure = {
        "cause": "503 Service Unavailable",
        "status": 503,
        "phrase": "Service Unavailable",
        "reasons": [{"protocol": "Q.850", "cause": 38}],
        "warnings": [{"code": 399, "agent": "edge", "text": "no <channel>"}],
        "retry_after_s": 30,
        "hop": "198.51.100.7:5060 over UDP",
        "server": "edge/1",
    }
    given = {
        "agent": "a",
        "scenario": "s",
        "sip_call_id": "x",
        "outcome": "upstream_error",
        "failure": failure,
    }
    calls = [CallResult.model_validate(given)]
    page = read(render_report(RunResult(started_at=0, ended_at=1, calls=calls), tmp_path))
    text = re.sub(r"\s+", " ", page.text)
    for words in (
        "the way to the agent is broken",
        "before the answer",
        "198.51.100.7:5060 over UDP (edge/1)",
        "503 Service Unavailable",
        "the network is out of order (Q.850 38)",
        "edge warns: no <channel> (399)",
        "30 s",
        "1 upstream error",
    ):
        assert words in text


def test_files_that_are_gone_leave_their_part_empty(run: RunResult, tmp_path: Path) -> None:
    for path in (tmp_path / "001").iterdir():
        path.unlink()
    assert "order_status" in render_report(run, tmp_path)


@pytest.mark.parametrize("content", ["", "[]", "{", '{"transcript_with_tool_calls": 3}'])
def test_a_broken_record_leaves_the_rest_of_the_page(run: RunResult, tmp_path: Path, content: str) -> None:
    (tmp_path / "001" / "record.json").write_text(content)
    (tmp_path / "001" / "trace.jsonl").write_text("not json\n")
    assert "Where is my order?" in render_report(run, tmp_path)


def test_a_path_with_odd_letters_is_escaped(run: RunResult, tmp_path: Path) -> None:
    (tmp_path / "001").rename(tmp_path / "a #1")
    call = run.calls[0].model_copy(update={"recording": "a #1/call.wav"})
    page = read(render_report(run.model_copy(update={"calls": [call]}), tmp_path))
    assert page.of("audio")[0]["src"] == "a%20%231/call.wav"


def test_of_a_very_large_run_the_failed_calls_are_shown_first(tmp_path: Path) -> None:
    def call(number: int, **fields: Any) -> CallResult:
        given: dict[str, Any] = {
            "agent": "a",
            "scenario": "s",
            "sip_call_id": f"id{number}",
            "outcome": "success",
        }
        return CallResult.model_validate({**given, **fields})

    calls = [call(number) for number in range(300)] + [call(300, outcome="agent_error")]
    page = read(render_report(RunResult(started_at=0, ended_at=1, calls=calls), tmp_path))
    assert "id300" in page.text
    assert len(page.of("section")) == 120
    assert "181 further calls" in page.text


def test_an_empty_run_is_a_page_too(tmp_path: Path) -> None:
    path = write_report(RunResult(started_at=0, ended_at=0, calls=[]), tmp_path / "new")
    assert "not all passed" in path.read_text(encoding="utf-8")
