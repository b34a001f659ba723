"""Which refusals within a dialog end the call: each final response of RFC 5057 §5.1 to each method of ours."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tuner_sipbridge.call.dialog_failures import end_of_call
from tuner_sipbridge.call.events import Ended
from tuner_sipbridge.sip.headers import Headers
from tuner_sipbridge.sip.message import Response
from tuner_sipbridge.sip.uri import Uri

METHODS = ("INVITE", "UPDATE", "INFO", "NOTIFY", "REFER", "PRACK", "BYE")
ALL = set(range(300, 700))
CHANGED = {480, 481, 408}
TARGET, ROUTE = {404, 410, 416, 484, 485, 604}, {482, 483, 502}
ENDING = {
    "INVITE": TARGET | ROUTE | CHANGED | {405, 501},
    "UPDATE": TARGET | ROUTE | CHANGED,
    "INFO": TARGET | ROUTE | {480, 481},
    "NOTIFY": TARGET | ROUTE,
    "REFER": ROUTE,
    "PRACK": set[int](),
    "BYE": set[int](),
}
"""By method, what ends the call; of all others the request is the only loss."""


def answered(status: int, *headers: tuple[str, str]) -> Response:
    return Response(status, "", Headers(headers))


@pytest.mark.parametrize("method", METHODS)
def test_the_table(method: str):
    assert {status for status in ALL if end_of_call(method, answered(status))} == ENDING[method]


@pytest.mark.parametrize(
    ("status", "by_peer"),
    [(481, True), (480, True), (405, True), (501, True), (408, False), (404, False), (483, False)],
)
def test_who_says_so(status: int, by_peer: bool):
    gone = end_of_call("INVITE", answered(status, ("Reason", "Q.850;cause=41")))
    assert gone is not None
    assert (gone.status, gone.by_peer, gone.failure.reasons[0].cause) == (status, by_peer, 41)
    assert f"answered INVITE with {status}: " in gone.text


def test_who_asks_for_patience_is_still_there():
    assert end_of_call("INVITE", answered(480, ("Retry-After", "3"))) is None


@pytest.fixture
def standing(dial: Callable[..., Any]) -> Any:
    bench = dial()
    bench.answer()
    bench.happened.clear()
    return bench


def asked(bench: Any, method: str) -> None:
    """Let the call send a request of the method."""
    match method:
        case "INVITE":
            bench.call.hold(now=bench.now)
        case "INFO":
            bench.call.send_digit_by_info("5", now=bench.now)
        case "NOTIFY":
            bench.ask("REFER", "Refer-To: <sip:third@x.example>")
        case _:
            bench.call.transfer(Uri.parse("sip:third@x.example"), now=bench.now)
    bench.collect()
    assert bench.requests[-1].method == method


@pytest.mark.parametrize(
    ("method", "status", "by"),
    [
        ("INVITE", 404, "network"),
        ("INFO", 480, "agent"),
        ("NOTIFY", 410, "network"),
        ("REFER", 482, "network"),
    ],
)
def test_a_call_that_is_lost_ends_with_a_bye(standing: Any, method: str, status: int, by: str):
    asked(standing, method)
    standing.reply(status, to=standing.requests[-1])
    [ended] = [event for event in standing.happened if isinstance(event, Ended)]
    assert (ended.by, ended.status) == (by, status)
    assert standing.requests[-1].method == "BYE"
    standing.reply(481, to=standing.requests[-1])
    standing.assert_at_rest()


@pytest.mark.parametrize(
    ("method", "status"),
    [("INVITE", 403), ("INVITE", 488), ("INVITE", 603), ("INFO", 415), ("NOTIFY", 403), ("REFER", 404)],
)
def test_a_call_that_is_not_lost_goes_on(standing: Any, method: str, status: int):
    asked(standing, method)
    standing.reply(status, to=standing.requests[-1])
    assert "BYE" not in standing.names
    standing.ask("OPTIONS")
    assert standing.responses[-1].status == 200


def test_a_change_is_tried_again_when_the_far_end_asks_for_patience(standing: Any):
    asked(standing, "INVITE")
    standing.reply(480, ("Retry-After", "2"))
    standing.wait(2.1)
    assert standing.names.count("INVITE") == 3
