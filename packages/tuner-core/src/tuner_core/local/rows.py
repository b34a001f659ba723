"""The rows that the store keeps and linking reads."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal


@dataclass(frozen=True, slots=True)
class Simulation:
    """One simulated call as its dialer registered it.

    Attributes:
        sip_call_id: Call-ID of the INVITE.
        started_at: Unix seconds of the INVITE.
        correlation_id: X-Correlation-Id of the INVITE.
        recipient: for an agent that dials out: the SIP URI it was given to dial.
        agent: name of the agent under test.
        scenario: name of the scenario.
        target: the URI that was dialled.
        ended_at: Unix seconds, None while the call runs.
        outcome: how the call went: `success`, `client_error`, `upstream_error`, `agent_error` or
            `indeterminate`.
        detail: the outcome in words.
    """

    sip_call_id: str
    started_at: float
    correlation_id: str | None = None
    recipient: str | None = field(default=None, repr=False)
    agent: str = ""
    scenario: str = ""
    target: str = ""
    ended_at: float | None = None
    outcome: str | None = None
    detail: str = ""


@dataclass(frozen=True, slots=True)
class PostedCall:
    """One call that Create Call accepted, without its content.

    Attributes:
        id: Tuner's own number of the call.
        call_id: the agent's id of the call.
        agent: the `agent_remote_identifier` it was posted for.
        received_at: Unix seconds of the first post.
        started_at: Unix seconds.
        ended_at: Unix seconds.
        sip_call_id: as posted.
        correlation_id: X-Correlation-Id among the posted `sip_headers`.
        recipient: as posted.
        posts: how often it was posted; 1 when no retry was needed.
    """

    id: int
    call_id: str
    agent: str
    received_at: float
    started_at: float
    ended_at: float
    sip_call_id: str | None = None
    correlation_id: str | None = None
    recipient: str | None = field(default=None, repr=False)
    posts: int = 1


@dataclass(frozen=True, slots=True)
class Refusal:
    """One post that Create Call refused.

    Attributes:
        received_at: Unix seconds.
        status: the HTTP status it was answered with.
        problem: what was wrong, field first.
        agent: the `agent_remote_identifier`, "" when there was none.
        call_id: the call it was for, as far as the body could be read.
        sip_call_id: the Call-ID in it, as far as the body could be read.
    """

    received_at: float
    status: int
    problem: str
    agent: str = ""
    call_id: str | None = None
    sip_call_id: str | None = None


Verdict = Literal["stored", "duplicate", "refused", "fault"]
"""What this Tuner made of a post: kept as new, known already, not taken, or left to a fault on purpose."""


@dataclass(frozen=True, slots=True)
class Upstream:
    """What the API that a post was passed on to answered.

    Attributes:
        status: its HTTP status, None when it gave no whole answer in time.
        detail: its words, or what went wrong on the way to it.
        ms: from passing on to its answer.
    """

    status: int | None
    detail: str
    ms: float


@dataclass(frozen=True, slots=True)
class Post:
    """One post to Create Call as it arrived, taken or not: one try of an SDK.

    Attributes:
        received_at: Unix seconds.
        verdict: what was made of it.
        status: the HTTP status it was answered with, None when no whole answer was given.
        agent: the `agent_remote_identifier`, "" when there was none.
        call_id: the call it was for, as far as the body could be read.
        sip_call_id: the Call-ID in it, as far as the body could be read.
        call: number of the stored call it belongs to, None for one that is not stored.
        problems: what the API refuses in it, each with its field first; of a lenient Tuner also for posts it took.
        repairs: what the SDK that posted it changed beforehand, as it says itself.
        fault: the fault that was played, "" for none.
        upstream: the answer of the API it was passed on to.
        sent_by: its User-Agent.
        id: number of the post; 0 until it is stored.
    """

    received_at: float
    verdict: Verdict
    status: int | None
    agent: str = ""
    call_id: str | None = None
    sip_call_id: str | None = None
    call: int | None = None
    problems: tuple[str, ...] = ()
    repairs: tuple[str, ...] = ()
    fault: str = ""
    upstream: Upstream | None = None
    sent_by: str = ""
    id: int = 0
