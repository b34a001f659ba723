"""What only a clock or the user brings about; the rest is in tests/loopback/test_outcomes.py."""

from __future__ import annotations

import pytest

from tuner_sipbridge.call.events import CallEvent, Cancelled, Ended, NegotiationFailed
from tuner_sipbridge.dialer.outcome import outcome_of
from tuner_sipbridge.trace import Trace


def stood(**gave_up: object) -> Trace:
    """A call that was answered, and in which the caller gave up when fields of that are given."""
    trace = Trace()
    trace.note("sip.sent", at=0.0, summary="INVITE sip:a SIP/2.0", peer="198.51.100.7:5060", transport="tcp")
    trace.note("call.answered", at=1.0, status=200)
    if gave_up:
        trace.note("caller.gave_up", at=2.0, **gave_up)
    return trace


@pytest.mark.parametrize(
    ("closing", "trace", "kind", "stage"),
    [
        (Ended("network", "no ACK to our answer came"), stood(), "upstream_error", "call"),
        (Ended("network", "the session was not refreshed in time"), stood(), "upstream_error", "call"),
        (Ended("caller"), stood(), "indeterminate", "call"),
        (Ended("caller", "the ACK has no answer to our offer that fits"), stood(), "agent_error", "call"),
        (Ended("caller"), stood(why="the agent said nothing for 5 s"), "agent_error", "call"),
        (Ended("caller"), stood(why="our own audio is stuck", own_fault=True), "indeterminate", "call"),
        (Cancelled("hung up before the answer"), Trace(), "indeterminate", "set-up"),
        (NegotiationFailed("no codec in common"), Trace(), "client_error", "set-up"),
        (None, Trace(), "indeterminate", "set-up"),
    ],
)
def test_each_end_has_its_class(closing: CallEvent | None, trace: Trace, kind: str, stage: str) -> None:
    outcome = outcome_of(closing, trace, completed=False)
    assert (outcome.kind, outcome.stage) == (kind, stage)
    assert outcome.hop == ("198.51.100.7:5060 over TCP" if trace.events else "")


def test_a_call_that_passed_names_no_hop() -> None:
    outcome = outcome_of(Ended("agent", "Q.850;cause=38"), stood(), completed=True)
    assert (outcome.kind, outcome.stage, outcome.hop) == ("success", None, "")
