"""What `result.json` holds: one run and its calls. The one input of every report."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from tuner_sipbridge.dialer.outcome_class import OutcomeClass
from tuner_sipbridge.errors import FileError
from tuner_sipbridge.measure.summary import Distribution
from tuner_sipbridge.report.failure import Failure
from tuner_sipbridge.report.json_values import objects_of

RESULT_FILE = "result.json"


class CallResult(BaseModel):
    """How one call went. Paths are relative to the directory of `result.json`, with forward slashes.

    Attributes:
        agent: name of the agent that was called.
        scenario: name of the scenario that was played.
        target: SIP URI that was dialled.
        sip_call_id: Call-ID of the INVITE.
        correlation_id: value of X-Correlation-Id.
        outcome: class of what happened on the line.
        detail: the outcome in plain words.
        failure: why and where it failed; null when the outcome is `success`.
        linked: whether a posted call was joined to this one; None when no Tuner was asked.
        linked_by: the value that joined them.
        reason: in plain words, what broke and where; when nothing did, how the call was linked.
        started_at: Unix seconds of the dialling.
        duration_s: from the answer to the end, 0 for a call that was not answered.
        recording: stereo WAV, caller left, agent right.
        trace: JSON Lines.
        record: the call as posted, JSON.
        measures: as `Measures.to_json` gives them.
        not_known: what cannot be told of a call that somebody else made for us, each with the reason.
    """

    model_config = ConfigDict(frozen=True, extra="allow")

    agent: str
    scenario: str
    target: str = ""
    sip_call_id: str
    correlation_id: str = ""
    outcome: OutcomeClass
    detail: str = ""
    failure: Failure | None = None
    linked: bool | None = None
    linked_by: str | None = None
    reason: str = ""
    started_at: float = 0.0
    duration_s: float = 0.0
    recording: str | None = None
    trace: str | None = None
    record: str | None = None
    measures: dict[str, Any] = Field(default_factory=dict[str, Any])
    not_known: dict[str, str] = Field(default_factory=dict[str, str])

    @property
    def passed(self) -> bool:
        """The scenario was played to its end, and the call was linked if a Tuner was asked."""
        return self.outcome == "success" and self.linked is not False

    @property
    def kind(self) -> str:
        """What became of it, for a person: `upstream error`, `not linked`, or `passed`."""
        if self.outcome != "success":
            return self.outcome.replace("_", " ")
        return "not linked" if self.linked is False else "passed"


class RunResult(BaseModel):
    """One run.

    Attributes:
        name: name of the run.
        started_at: Unix seconds.
        ended_at: Unix seconds.
        calls: in the order of the plan.
        refused: of an answering side: what was turned away and is no call, by reason.
        not_made: calls of the plan that were not made, as the run was interrupted.
    """

    model_config = ConfigDict(frozen=True, extra="allow")

    name: str = "run"
    started_at: float
    ended_at: float
    calls: list[CallResult]
    refused: dict[str, int] = Field(default_factory=dict[str, int])
    not_made: int = 0

    @property
    def failed(self) -> dict[str, int]:
        """How many calls were not played to their end, by `kind`; the most frequent first."""
        failed = Counter(call.kind for call in self.calls if call.outcome != "success")
        return dict(failed.most_common())

    @property
    def passed(self) -> bool:
        """There were calls, all that were planned, and each passed."""
        return bool(self.calls) and not self.not_made and all(call.passed for call in self.calls)

    def response_latency(self, agent: str | None = None) -> Distribution:
        """Response latency over all answered turns, of one agent or of all."""
        return Distribution.of(self.turn_seconds("response_latency_ms", agent))

    def stop_time(self, agent: str | None = None) -> Distribution:
        """Time to silence over all barge-ins, of one agent or of all."""
        return Distribution.of(self.turn_seconds("stop_time_ms", agent))

    def turn_seconds(self, name: str, agent: str | None = None) -> list[float]:
        """The known values, in seconds, of one figure in ms that turns have."""
        turns = (turn for call in self.calls if agent in {None, call.agent} for turn in turns_of(call))
        return [turn[name] / 1000 for turn in turns if turn.get(name) is not None]

    def summary(self) -> dict[str, Any]:
        """The run in a few figures, as `result.json` carries them beside the calls."""
        return {
            "calls": len(self.calls),
            "passed": sum(call.passed for call in self.calls),
            "linked": sum(call.linked is True for call in self.calls),
            "outcomes": dict(Counter(call.outcome for call in self.calls)),
            "refused": self.refused,
            "response_latency_ms": self.response_latency().to_json(),
            "stop_time_ms": self.stop_time().to_json(),
        }

    def write(self, directory: Path) -> Path:
        """Write `result.json` into `directory` and give its path."""
        directory.mkdir(parents=True, exist_ok=True)
        path = directory / RESULT_FILE
        document = self.model_copy(update={"summary": self.summary(), "passed": self.passed})
        path.write_text(document.model_dump_json(indent=2) + "\n", encoding="utf-8")
        return path

    @classmethod
    def read(cls, directory: Path) -> Self:
        """Read the `result.json` of a run's directory, or a file of that form.

        Raises:
            FileError: it is not there, or not a result.
        """
        path = directory / RESULT_FILE if directory.is_dir() else directory
        try:
            return cls.model_validate_json(path.read_bytes())
        except OSError as error:
            raise FileError(f"cannot be read: {error.strerror or error}", file=str(path)) from None
        except ValidationError as error:
            first = error.errors()[0]
            field = ".".join(str(part) for part in first["loc"])
            raise FileError(first["msg"], file=str(path), field=field) from None


def turns_of(call: CallResult) -> list[dict[str, Any]]:
    """The measured turns of a call."""
    return objects_of(call.measures.get("turns"))
