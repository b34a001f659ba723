"""Many calls: a plan played with so many at once, each call linked and written to disk."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from tuner_sipbridge.caller.plan import BatchPlan, PlannedCall
from tuner_sipbridge.caller.utterance import Utterance
from tuner_sipbridge.dialer.dials import Dials
from tuner_sipbridge.dialer.run import CallRun
from tuner_sipbridge.link import LinkDesk, LinkResult, unknown
from tuner_sipbridge.net import clock
from tuner_sipbridge.net.ids import new_correlation_id, new_sip_call_id
from tuner_sipbridge.sip.uri import without_password

Stage = Literal["rendering", "dialling", "ended", "linking", "linked"]


@dataclass(frozen=True, slots=True)
class Progress:
    """One step forward of a batch; `call` is None for steps that concern the whole.

    Attributes:
        stage: what was reached.
        call: the call that reached it.
        run: how it went, from `ended` on.
        link: whether it was linked, at `linked`.
    """

    stage: Stage
    call: PlannedCall | None = None
    run: CallRun | None = None
    link: LinkResult | None = None


@dataclass(frozen=True, slots=True)
class BatchCall:
    """One call of a batch, done.

    Attributes:
        planned: whom it called and what it played.
        run: how it went.
        link: what Tuner made of it.
        directory: where trace, recording and record lie; None when nothing was written.
    """

    planned: PlannedCall
    run: CallRun
    link: LinkResult
    directory: Path | None = None

    @property
    def passed(self) -> bool:
        """Played to its end, and linked where Tuner could be asked."""
        return self.run.outcome.passed and self.link.linked is not False


@dataclass(frozen=True, slots=True)
class BatchResult:
    """A batch, done. Times are Unix seconds; `calls` are in the plan's order.

    Attributes:
        name: name of the run.
        started_at: when the first call could be made.
        ended_at: when the last one was linked.
        calls: those that were made.
        not_made: how many calls of the plan were not, as the run was stopped.
    """

    name: str
    started_at: float
    ended_at: float
    calls: tuple[BatchCall, ...]
    not_made: int = 0

    @property
    def passed(self) -> bool:
        """Whether every call was made and passed."""
        return not self.not_made and all(call.passed for call in self.calls)


async def run_batch(
    plan: BatchPlan,
    dialer: Dials,
    *,
    environ: Mapping[str, str],
    at_once: int | None = None,
    desk: LinkDesk | None = None,
    link_wait_s: float = 15.0,
    out: Path | None = None,
    on_progress: Callable[[Progress], None] = lambda progress: None,
    sip_call_id: str | None = None,
    call_ids_of_others: bool = False,
    stop: asyncio.Event | None = None,
) -> BatchResult:
    """Play a plan. A call that fails is a result; only what concerns the whole batch raises.

    Args:
        plan: which calls to make.
        dialer: an open dialer.
        environ: environment that holds the credentials the plan names.
        at_once: calls standing at the same time; the plan's when not given.
        desk: registers the calls with a local Tuner and asks for their links.
        link_wait_s: how long after the last call to wait for posts that are still missing.
        out: directory to write each call's trace, recording and record below.
        on_progress: told of every step, in the event loop.
        sip_call_id: Call-ID to use, for a plan of one call; of our making when not given.
        call_ids_of_others: somebody else makes the INVITE and its Call-ID, so that a call can be registered with
            `desk` only once it is over.
        stop: once it is set, calls that stand are hung up, no further ones are made, and no post is waited for.

    Raises:
        FileError: a variable that the plan names is not set; nothing was dialled.
        SpeechError: a sentence cannot be rendered; nothing was dialled.
        NetworkError: the local Tuner is gone.
    """
    credentials = [plan.credentials(planned.target, environ) for planned in plan.calls]
    on_progress(Progress("rendering"))
    # By object, not by name: two files may name their scenarios alike.
    scenarios = {id(planned.scenario): planned.scenario for planned in plan.calls}
    stop = asyncio.Event() if stop is None else stop
    speech = {key: await dialer.render(one) for key, one in scenarios.items() if not stop.is_set()}
    started_at = clock.now()
    places = asyncio.Semaphore(at_once or plan.at_once)

    async def one(planned: PlannedCall, login: tuple[str, str] | None) -> CallRun | None:
        async with places:
            if stop.is_set():
                return None
            on_progress(Progress("dialling", planned))
            run = await _play(
                planned,
                dialer,
                desk,
                login=login,
                utterances=speech[id(planned.scenario)],
                sip_call_id=sip_call_id or new_sip_call_id(),
                registered_late=call_ids_of_others,
                stop=stop,
            )
            on_progress(Progress("ended", planned, run))
            return run

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(one(*pair)) for pair in zip(plan.calls, credentials, strict=True)]
    done = [(planned, task.result()) for planned, task in zip(plan.calls, tasks, strict=True)]
    made = [(planned, run) for planned, run in done if run is not None]
    if desk is not None:
        on_progress(Progress("linking"))
    links = await _links([run for _, run in made], desk, 0.0 if stop.is_set() else link_wait_s)
    calls: list[BatchCall] = []
    for (planned, run), link in zip(made, links, strict=True):
        call = BatchCall(planned, run, link)
        if out is not None:
            call = replace(call, directory=out / planned.label)
            await asyncio.to_thread(write_call, run, link, out / planned.label)
        calls.append(call)
        on_progress(Progress("linked", planned, run, link))
    return BatchResult(plan.name, started_at, clock.now(), tuple(calls), len(plan.calls) - len(calls))


async def _play(
    planned: PlannedCall,
    dialer: Dials,
    desk: LinkDesk | None,
    *,
    login: tuple[str, str] | None,
    utterances: Mapping[int, Utterance],
    sip_call_id: str,
    registered_late: bool,
    stop: asyncio.Event,
) -> CallRun:
    """Register, dial, play, settle."""
    target, scenario = planned.target, planned.scenario
    correlation_id, started_at = new_correlation_id(), clock.now()

    async def register(sip_call_id: str) -> None:
        if desk is not None:
            await desk.register(
                sip_call_id,
                correlation_id=correlation_id,
                agent=target.agent,
                scenario=scenario.name,
                target=without_password(target.uri),
                started_at=started_at,
            )

    if not registered_late:
        await register(sip_call_id)
    username, password = login or (None, None)
    run = await dialer.run(
        target.uri,
        scenario,
        agent=target.agent,
        ring_timeout=target.ring_timeout_s,
        sip_call_id=sip_call_id,
        correlation_id=correlation_id,
        headers=target.headers,
        username=username,
        password=password,
        srtp=target.srtp,
        utterances=utterances,
        stop=stop,
    )
    if registered_late:
        await register(run.sip_call_id)
    if desk is not None:
        outcome = run.outcome
        await desk.settle(run.sip_call_id, outcome=outcome.kind, detail=outcome.detail, ended_at=clock.now())
    return run


async def _links(runs: Sequence[CallRun], desk: LinkDesk | None, wait_s: float) -> list[LinkResult]:
    if desk is None:
        return [unknown(run.sip_call_id) for run in runs]
    answered = {run.sip_call_id for run in runs if run.trace.first("call.answered") is not None}
    found = await desk.links(answered, wait_s=wait_s) if answered else {}
    rest = {run.sip_call_id for run in runs} - answered
    found |= await desk.links(rest, wait_s=0.0) if rest else {}
    return [found[run.sip_call_id] for run in runs]


def write_call(run: CallRun, link: LinkResult, directory: Path) -> None:
    """Write the trace, the recording and the record of one call into `directory`; blocking."""
    run.write(directory)
    if link.record is not None:
        record = json.dumps(link.record, ensure_ascii=False, indent=2)
        (directory / "record.json").write_text(record + "\n", encoding="utf-8")
