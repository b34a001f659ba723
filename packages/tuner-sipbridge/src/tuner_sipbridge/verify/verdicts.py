"""From facts to verdicts: pure, so that every way a call can fail is tested without a socket.

`judge` may be asked at any moment. It gives the steps that are settled, in their order, and stops before the first
that is not; when the facts say that nothing follows, all that is left was not reached. What was told once stays as it
was told: a verdict is made of what is in the facts by then, and of nothing that comes later.
"""

from __future__ import annotations

from collections.abc import Callable

from tuner_sipbridge.verify.call_verdicts import answer, bye, challenge, credentials, invite, registration
from tuner_sipbridge.verify.facts import STEPS, Facts, Step, StepName
from tuner_sipbridge.verify.media_verdicts import dtmf, media_in, media_out, packets, sdp
from tuner_sipbridge.verify.way_verdicts import connection, dns, options, uri

_JUDGES: dict[StepName, Callable[[Facts], Step | None]] = {
    "uri": uri,
    "dns": dns,
    "connection": connection,
    "options": options,
    "registration": registration,
    "invite": invite,
    "challenge": challenge,
    "credentials": credentials,
    "answer": answer,
    "sdp": sdp,
    "media_in": media_in,
    "media_out": media_out,
    "dtmf": dtmf,
    "bye": bye,
    "packets": packets,
}


def judge(facts: Facts) -> list[Step]:
    """The verdicts that are settled, in order; all of them when the facts say that nothing follows."""
    steps: list[Step] = []
    for name in STEPS:
        step = _JUDGES[name](facts)
        if step is None and not facts.over:
            break
        steps.append(step or Step(name, "not reached"))
    return _with_the_failure(steps, facts) if facts.over and facts.problem else steps


def _with_the_failure(steps: list[Step], facts: Facts) -> list[Step]:
    """The steps of a call that failed: where none says so, the first that was not reached does."""
    if any(step.verdict == "failed" for step in steps):
        return steps
    at = next((number for number, step in enumerate(steps) if step.verdict == "not reached"), len(steps) - 1)
    change = f"{facts.there}: look into its log"
    return [*steps[:at], Step(steps[at].name, "failed", facts.problem, change), *steps[at + 1 :]]
