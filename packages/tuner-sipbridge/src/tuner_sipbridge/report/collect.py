"""From a finished batch to the result that every report reads."""

from __future__ import annotations

from pathlib import Path

from tuner_sipbridge.batch import BatchCall, BatchResult
from tuner_sipbridge.dialer.run import CallRun
from tuner_sipbridge.link import LinkResult
from tuner_sipbridge.report.failure import failure_of_outcome
from tuner_sipbridge.report.html import write_report
from tuner_sipbridge.report.result import CallResult, RunResult


def result_of(batch: BatchResult, *, out: Path | None = None) -> RunResult:
    """The result of a batch.

    Args:
        batch: a finished batch.
        out: the directory `result.json` will lie in; paths are given relative to it.
    """
    calls = [_call(call, out) for call in batch.calls]
    return RunResult(
        name=batch.name,
        started_at=batch.started_at,
        ended_at=batch.ended_at,
        calls=calls,
        not_made=batch.not_made,
    )


def report_on(batch: BatchResult, *, out: Path | None) -> RunResult:
    """The result of a batch, with `result.json` and `report.html` written when there is a directory for them."""
    result = result_of(batch, out=out)
    if out is not None:
        result.write(out)
        write_report(result, out)
    return result


def _call(call: BatchCall, out: Path | None) -> CallResult:
    return call_result(
        call.run, call.link, agent=call.planned.target.agent, directory=call.directory, out=out
    )


def call_result(
    run: CallRun, link: LinkResult, *, agent: str, directory: Path | None, out: Path | None
) -> CallResult:
    """The result of one call.

    Args:
        run: how it went.
        link: what Tuner made of it.
        agent: name of the agent.
        directory: where its files lie; None when nothing was written.
        out: the directory `result.json` will lie in; paths are given relative to it.
    """
    answered, ended = run.trace.first("call.answered"), run.trace.first("call.ended")
    began = run.trace.first("call.dialled", "call.received")

    def path(name: str) -> str | None:
        if directory is None or not (directory / name).exists():
            return None
        return (directory / name).relative_to(out or directory.parent).as_posix()

    return CallResult(
        agent=agent,
        scenario=run.scenario,
        target=run.target,
        sip_call_id=run.sip_call_id,
        correlation_id=run.correlation_id,
        outcome=run.outcome.kind,
        detail=run.outcome.detail,
        failure=failure_of_outcome(run.outcome),
        linked=link.linked,
        linked_by=link.by,
        reason=_reason(run, link),
        started_at=began.at if began is not None else 0.0,
        duration_s=round(ended.at - answered.at, 3) if answered is not None and ended is not None else 0.0,
        recording=path("call.wav"),
        trace=path("trace.jsonl"),
        record=path("record.json"),
        measures=run.measures.to_json(),
        not_known={
            str(event.fields.get("what", "")): str(event.fields.get("why", ""))
            for event in run.trace.of("call.not_known")
        },
    )


def _reason(run: CallRun, link: LinkResult) -> str:
    """What broke and where, first things first; when nothing did, how the call was linked."""
    if not run.outcome.passed:
        return run.outcome.detail
    return f"{link.reason}; {link.warning}" if link.warning else link.reason
