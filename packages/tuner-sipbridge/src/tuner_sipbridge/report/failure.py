"""What `result.json` says of a call that failed, beside its class: status, cause, headers, and the hop."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict

from tuner_sipbridge.dialer.outcome import Outcome
from tuner_sipbridge.sip.message import REASONS
from tuner_sipbridge.sip.reason import Reason, Warning


class ReasonGiven(BaseModel):
    """A Reason header (RFC 3326): its protocol (`SIP`, `Q.850`), cause code and text."""

    model_config = ConfigDict(frozen=True, extra="allow")

    protocol: str
    cause: int | None = None
    text: str = ""


class WarningGiven(BaseModel):
    """A Warning header (RFC 3261 §20.43): its code, who added it, and the text."""

    model_config = ConfigDict(frozen=True, extra="allow")

    code: int
    agent: str
    text: str = ""


class Failure(BaseModel):
    """Why and where one call failed. All keys are always there; what is not known is null or empty.

    Attributes:
        stage: `registration`: before the INVITE. `set-up`: before the answer. `call`: after it.
        cause: one sentence in plain words, as `detail` of the call.
        status: SIP status code of the response that ended the call; null without one.
        phrase: its reason phrase.
        q850: cause of the telephone network (ITU-T Q.850) among the reasons.
        reasons: Reason headers of that response, or of the agent's BYE.
        warnings: Warning headers of it.
        retry_after_s: seconds of its Retry-After.
        hop: who said no, else whom we spoke to last: `198.51.100.7:5060 over UDP`.
        server: what that hop calls itself (Server, User-Agent).
    """

    model_config = ConfigDict(frozen=True, extra="allow")

    stage: Literal["registration", "set-up", "call"] = "set-up"
    cause: str
    status: int | None = None
    phrase: str = ""
    q850: int | None = None
    reasons: list[ReasonGiven] = []
    warnings: list[WarningGiven] = []
    retry_after_s: int | None = None
    hop: str = ""
    server: str = ""

    @property
    def where(self) -> str:
        """The hop and what it calls itself, for a person; empty when no hop is known."""
        return f"{self.hop} ({self.server})" if self.hop and self.server else self.hop

    @property
    def when(self) -> str:
        """The stage for a person."""
        return {"registration": "before the INVITE", "set-up": "before the answer", "call": "in the call"}[
            self.stage
        ]

    @property
    def answer(self) -> str:
        """Status and phrase as one text; empty without a response."""
        return "" if self.status is None else f"{self.status} {self.phrase}".strip()

    @property
    def said(self) -> list[tuple[str, str]]:
        """The headers that say why, each as its name and words for a person."""
        reasons = [Reason(one.protocol, one.cause, one.text).words for one in self.reasons]
        warnings = [Warning(one.code, one.agent, one.text).words for one in self.warnings]
        wait = [] if self.retry_after_s is None else [f"{self.retry_after_s} s"]
        groups = (("Reason", reasons), ("Warning", warnings), ("Retry-After", wait))
        return [(name, words) for name, texts in groups for words in texts]


def failure_of_outcome(outcome: Outcome) -> Failure | None:
    """What is told of an outcome; None when the call passed."""
    if outcome.passed:
        return None
    said, status = outcome.failure, outcome.status
    return Failure(
        stage=outcome.stage or "set-up",
        cause=outcome.detail,
        status=status or None,
        phrase=outcome.phrase or REASONS.get(status, ""),
        q850=said.q850,
        reasons=[ReasonGiven(protocol=one.protocol, cause=one.cause, text=one.text) for one in said.reasons],
        warnings=[WarningGiven(code=one.code, agent=one.agent, text=one.text) for one in said.warnings],
        retry_after_s=said.retry_after_s,
        hop=outcome.hop,
        server=said.said_by,
    )
