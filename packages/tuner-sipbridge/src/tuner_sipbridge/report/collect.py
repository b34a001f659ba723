"""From a finished batch to the result that every report reads."""

from __future__ import annotations

from pathlib import Path

from tuner_sipbridge.batch import BatchCall, BatchResult
from tuner_sipbridge.report.html import write_report
from tuner_sipbridge.report.result import CallResult, RunResult


def result_of(batch: BatchResult, *, out: Path | None = None) -> RunResult:
    """The result of a batch.

    Args:
        batch: a finished batch.
        out: the directory `result.json` will lie in; paths are given relative to it.
    """
    calls = [_call(call, out) for call in batch.calls]
    return RunResult(name=batch.name, started_at=batch.started_at, ended_at=batch.ended_at, calls=calls)


def report_on(batch: BatchResult, *, out: Path | None) -> RunResult:
    """The result of a batch, with `result.json` and `report.html` written when there is a directory for them."""
    result = result_of(batch, out=out)
    if out is not None:
        result.write(out)
        write_report(result, out)
    return result


def _call(call: BatchCall, out: Path | None) -> CallResult:
    run, link = call.run, call.link
    answered, ended = run.trace.first("call.answered"), run.trace.first("call.ended")
    dialled = run.trace.first("call.dialled")

    def path(name: str) -> str | None:
        if call.directory is None or not (call.directory / name).exists():
            return None
        return (call.directory / name).relative_to(out or call.directory.parent).as_posix()

    return CallResult(
        agent=call.planned.target.agent,
        scenario=call.planned.scenario.name,
        target=run.target,
        sip_call_id=run.sip_call_id,
        correlation_id=run.correlation_id,
        outcome=run.outcome.kind,
        detail=run.outcome.detail,
        linked=link.linked,
        linked_by=link.by,
        reason=_reason(call),
        started_at=dialled.at if dialled is not None else 0.0,
        duration_s=round(ended.at - answered.at, 3) if answered is not None and ended is not None else 0.0,
        recording=path("call.wav"),
        trace=path("trace.jsonl"),
        record=path("record.json"),
        measures=run.measures.to_json(),
    )


def _reason(call: BatchCall) -> str:
    """What broke and where, first things first; when nothing did, how the call was linked."""
    if not call.run.outcome.passed:
        return call.run.outcome.detail
    return f"{call.link.reason}; {call.link.warning}" if call.link.warning else call.link.reason
