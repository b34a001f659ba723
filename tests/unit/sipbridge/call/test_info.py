from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tuner_sipbridge.call.events import DigitByInfo
from tuner_sipbridge.errors import LocalProtocolError

Dial = Callable[..., Any]


@pytest.fixture
def standing(dial: Dial) -> Any:
    bench = dial()
    bench.answer()
    bench.happened.clear()
    return bench


@pytest.mark.parametrize(
    ("kind", "body", "digit"),
    [
        ("dtmf-relay", b"Signal=5\r\nDuration=160\r\n", DigitByInfo("5", 160)),
        ("dtmf-relay", b"Signal= #\nDuration= 250", DigitByInfo("#", 250)),
        ("dtmf-relay", b"signal=10\r\n", DigitByInfo("*")),
        ("dtmf-relay", b"Signal=a\r\nDuration=long\r\n", DigitByInfo("A")),
        ("dtmf", b"7", DigitByInfo("7")),
    ],
)
def test_a_digit_is_told(standing: Any, kind: str, body: bytes, digit: DigitByInfo):
    standing.ask("INFO", f"Content-Type: application/{kind}", body=body)
    assert standing.responses[-1].status == 200
    assert standing.happened == [digit]


@pytest.mark.parametrize(
    ("headers", "body", "status"),
    [
        (["Content-Type: application/dtmf-relay"], b"Signal=hello\r\n", 400),
        (["Content-Type: application/dtmf-relay"], b"", 400),
        (["Content-Type: application/media_control+xml"], b"<x/>", 200),
        (["Info-Package: nonsense"], b"", 469),
    ],
)
def test_what_is_no_digit_is_answered_and_not_told(
    standing: Any, headers: list[str], body: bytes, status: int
):
    standing.ask("INFO", *headers, body=body)
    assert standing.responses[-1].status == status
    assert standing.happened == []


def test_a_digit_is_sent(standing: Any):
    standing.call.send_digit_by_info("d", now=1.0, duration_ms=200)
    standing.collect()
    info = standing.requests[-1]
    assert (info.method, info.content_type) == ("INFO", "application/dtmf-relay")
    assert info.body == b"Signal=D\r\nDuration=200\r\n"
    with pytest.raises(LocalProtocolError, match="digit"):
        standing.call.send_digit_by_info("12", now=1.0)
